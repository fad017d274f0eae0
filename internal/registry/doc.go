// Package registry keeps the versions of playbooks. A version is a text with the
// plan that was compiled of it; it is named by the plan's digest and never
// changes. One version of a playbook is current: what is launched from then on
// runs it, and what runs already keeps its own plan. Who published, promoted and
// retired what, and when, stands in the ledger, written in the same transaction.
//
// Texts come from a watched directory (Folder), from a Git repository (Git), and
// from people, through the API. Whatever brings them, Take compiles, tests and
// binds them first. A text that fails keeps the version that is current, and the
// failure is kept beside it until a good text comes.
//
// The mode of a playbook (observe, ask, act) is no part of a version.
package registry

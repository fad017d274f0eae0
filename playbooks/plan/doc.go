// Package plan is the compiled playbook: plain data that the interpreter walks.
//
// The compiler makes a Plan once, and nobody changes it afterwards. Its
// canonical bytes are its identity: the same playbook against the same actions
// gives the same bytes and so the same SHA-256 digest, in every process and on
// every run. The digest stands in the run's input, in the ledger and in each
// approval, so that what was approved is what runs.
//
// The package knows no YAML, no CEL and no Temporal. Expressions stand here as
// text with their types; package expr makes programs of them.
package plan

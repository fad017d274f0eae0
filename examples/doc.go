// Package examples holds the example playbooks, for the demo and for tests that
// must not depend on where they run.
package examples

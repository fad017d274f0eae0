// Package playtest tries playbooks: it plays a compiled playbook through the real
// interpreter, in Temporal's test environment, against scripted connectors and
// scripted people. Time is skipped, so a day of waiting takes no time. No
// connector is called and no store is opened.
//
// A file NAME.test.yaml beside NAME.yaml holds the tests of a playbook; docs/
// testing.md describes it. YAML is read by package parse, which gives positions;
// this package says what the values mean, and tells mistakes at line and column
// with the codes of package diag.
//
// Upon the same play stand coverage (which ways of the playbook some test took),
// mutants (the plan with one step deleted or weakened, which some test must
// notice) and the sweep (every action fails in every kind, and the run must end).
//
// What differs from a real run: guards, holders and the read-back of the effects
// store are not there; the tries of a call take no playbook time; a hold is
// recorded and does not run on after the run's end.
package playtest

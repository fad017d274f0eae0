// Package archtest holds the house's import directions. It has no code of its
// own: its test asks `go list` for every package's imports, without building
// anything, compares them with the rules in rules_test.go, and prints the edge
// that breaks one.
//
// A new package needs a level in rules_test.go, a doc.go, and a line in
// docs/architecture.md.
package archtest

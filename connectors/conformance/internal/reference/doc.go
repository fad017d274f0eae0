// Package reference is the smallest connector that passes the conformance
// suite, with a vendor to go with it. It is the suite's own test, and the
// shortest example of a connector: one find, one reversible effect with its
// inverse, one effect that nobody can take back.
//
// Bugs plants the faults that the suite must find.
package reference

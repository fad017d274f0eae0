// Package spec is the contract between Quell and a connector, as plain data: the
// manifest that a connector tells of itself, what each action does to the world
// and how that can be taken back, and the kinds of error that cross the wire.
//
// It is a leaf. Authors of connectors import it; so do the compiler, the host
// and the activities. One description serves all of them: the compiler checks
// inputs against it, the effects ledger takes class, read-back and inverse from
// it, the reference and the conformance suite are made from it.
package spec

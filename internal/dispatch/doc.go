// Package dispatch carries what stands in Quell's store to Temporal: it starts
// the runs that were claimed and wakes the runs that were voted on.
//
// The store is right and Temporal follows. Whatever the dispatcher did not get
// done before it was killed, its scan finds again: a run that was started twice
// is refused by its workflow id, a run that was woken twice reads the same votes
// twice. So it keeps no state of its own.
package dispatch

// Package dispatch carries what stands in Quell's store to Temporal: it starts
// the runs that were claimed and wakes the runs that were voted on.
//
// The store is right and Temporal follows. Whatever the dispatcher did not get
// done before it was killed, its scan finds again: a run that was started twice
// is refused by its workflow id, a run that was woken twice reads the same votes
// twice. So it keeps no state of its own.
//
// How many runs it starts depends on how many work in this process (Pulse). A run
// that waits for a person, a time or a connector does not; where so many wait for one
// connector that they are a crowd (Crowded), runs that use it stay in the queue and
// the others go past them.
package dispatch

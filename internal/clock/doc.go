// Package clock notices when the wall clock is set, and tells what has become due
// only by that.
//
// A hold is released by itself when its time is over. If the clock is set a day
// ahead, by mistake or by somebody who wants the host back in the network, no day
// has passed. So the wall clock is held against the one that nobody sets: the time
// since boot. What the wall clock gained at once is a jump; it stands in the
// ledger, and a hold that began before it waits that much longer, or for a person.
package clock

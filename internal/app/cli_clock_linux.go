package app

import "syscall"

// clockUnsynchronised is what adjtimex returns while nothing disciplines the
// clock (TIME_ERROR).
const clockUnsynchronised = 5

// clock tells whether something keeps the clock right: signatures of alerts,
// deadlines of approvals and the record's times depend on it.
func (d *doctor) clock() {
	var t syscall.Timex
	state, err := syscall.Adjtimex(&t)
	switch {
	case err != nil:
		d.warn("clock", "the kernel does not tell whether it is synchronised: %v", err)
	case state == clockUnsynchronised:
		d.warn("clock", "it is not synchronised; run chrony or systemd-timesyncd")
	default:
		d.ok("clock", "synchronised")
	}
}

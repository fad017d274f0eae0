// Package recall helps a connector to know its own effects again: by a mark that
// it leaves at the vendor, and by a bounded memory of what it saw before it
// first acted.
//
// The memory matters where an answer was lost: the second attempt finds the
// state already changed, and only the first knew what was there before. It does
// not outlive the process; the caller's own record does.
package recall

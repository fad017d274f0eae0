//go:build race

package parse_test

import "time"

// limit is what a bomb may take under the race detector, which makes everything
// about ten times as slow.
const limit = 2 * time.Second

// heap is what a bomb may allocate in all, counting what is freed again: the
// most that it can hold at one time is less. The race detector keeps what
// escapes on the heap that otherwise does not.
const heap = 512 << 20

//go:build !race

package parse_test

import "time"

// limit is what a bomb may take.
const limit = 100 * time.Millisecond

// heap is what a bomb may allocate in all, counting what is freed again: the
// most that it can hold at one time is less.
const heap = 64 << 20

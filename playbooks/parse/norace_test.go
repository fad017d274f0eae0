//go:build !race

package parse_test

import "time"

// limit is what a bomb may take.
const limit = 100 * time.Millisecond

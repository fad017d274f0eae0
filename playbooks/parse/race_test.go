//go:build race

package parse_test

import "time"

// limit is what a bomb may take under the race detector, which makes everything
// about ten times as slow.
const limit = 2 * time.Second

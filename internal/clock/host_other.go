//go:build !linux

package clock

import (
	"fmt"
	"os"
	"time"
)

var begun = time.Now()

// Host names this process: its monotonic clock begins with it.
func Host() string { return fmt.Sprintf("process %d of %d", os.Getpid(), begun.UnixNano()) }

// Read reads the wall clock and the process's monotonic one.
func Read() Reading { return Reading{Wall: time.Now().Round(0), Up: time.Since(begun)} }

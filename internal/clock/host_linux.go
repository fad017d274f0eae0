package clock

import (
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Host names this boot of this machine (random(4), boot_id).
func Host() string {
	raw, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(raw))
}

// Read reads the wall clock and CLOCK_BOOTTIME (clock_gettime(2)).
func Read() Reading {
	var up unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_BOOTTIME, &up) // Linux has it since 2.6.39; it fails for an unknown clock only
	return Reading{Wall: time.Now().Round(0), Up: time.Duration(up.Nano())}
}

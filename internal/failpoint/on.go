//go:build failpoint

package failpoint

import (
	"os"
	"strings"
	"sync"
	"syscall"
	"time"
)

// soon is long enough for a call to leave on a busy machine.
const soon = 700 * time.Millisecond

// armed is the place and the parts of what it works on.
var armed = sync.OnceValue(func() []string { return strings.Split(os.Getenv("QUELL_FAILPOINT"), "@") })

func hit(place, about string) bool {
	at := armed()
	if at[0] != place {
		return false
	}
	for _, part := range at[1:] {
		if !strings.Contains(about, part) {
			return false
		}
	}
	return true
}

// Here ends the process at this place; about names what it works on.
func Here(place, about string) {
	if hit(place, about) {
		die()
	}
}

// Soon is Here a little later, while the caller waits for an answer from
// elsewhere.
func Soon(place, about string) {
	if hit(place, about) {
		time.AfterFunc(soon, die)
	}
}

func die() {
	_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	select {} // the signal is on its way
}

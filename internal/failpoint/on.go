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

var armed = sync.OnceValues(func() (place, part string) {
	place, part, _ = strings.Cut(os.Getenv("QUELL_FAILPOINT"), "@")
	return place, part
})

func hit(place, about string) bool {
	at, part := armed()
	return at == place && strings.Contains(about, part)
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

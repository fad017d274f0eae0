//go:build !failpoint

package failpoint

// Here ends the process at this place; about names what it works on. In this
// build it does nothing.
func Here(place, about string) {}

// Soon is Here a little later, while the caller waits for an answer from
// elsewhere. In this build it does nothing.
func Soon(place, about string) {}

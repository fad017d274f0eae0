package launch

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// seal copies the binary into memory that nobody can write any more, not even
// we. Where the system forbids running from memory, it is copied into dir.
func seal(src *os.File, dir string) (*image, error) {
	fd, err := unix.MemfdCreate("quell-connector", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING|unix.MFD_EXEC)
	if errors.Is(err, unix.EINVAL) { // before Linux 6.3 every memfd may run
		fd, err = unix.MemfdCreate("quell-connector", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	}
	if err != nil {
		return sealByCopy(src, dir)
	}
	mem := os.NewFile(uintptr(fd), "quell-connector")
	sum, err := copyHashed(mem, src)
	if err != nil {
		_ = mem.Close()
		return nil, err
	}
	const seals = unix.F_SEAL_SEAL | unix.F_SEAL_SHRINK | unix.F_SEAL_GROW | unix.F_SEAL_WRITE
	if _, err := unix.FcntlInt(mem.Fd(), unix.F_ADD_SEALS, seals); err != nil {
		_ = mem.Close()
		return nil, fmt.Errorf("sealing it: %w", err)
	}
	// The child's table of descriptors is a copy of ours until exec, which then
	// closes this one: the number is right in the child, and it does not leak.
	return &image{file: mem, path: fmt.Sprintf("/proc/self/fd/%d", fd), sum: sum}, nil
}

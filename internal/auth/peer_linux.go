package auth

import (
	"fmt"
	"net"
	"os"
	"syscall"
)

// Peer asks the kernel who is at the other end of a unix socket, and lets in
// the server's own uid and root. roles are given to both.
func Peer(c net.Conn, roles []string) (a Actor, uid int, err error) {
	u, ok := c.(*net.UnixConn)
	if !ok {
		return Actor{}, 0, fmt.Errorf("peer: %T is not a unix socket", c)
	}
	raw, err := u.SyscallConn()
	if err != nil {
		return Actor{}, 0, fmt.Errorf("peer: %w", err)
	}
	var cred *syscall.Ucred
	var credErr error
	if err := raw.Control(func(fd uintptr) {
		cred, credErr = syscall.GetsockoptUcred(int(fd), syscall.SOL_SOCKET, syscall.SO_PEERCRED)
	}); err != nil {
		return Actor{}, 0, fmt.Errorf("peer: %w", err)
	}
	if credErr != nil {
		return Actor{}, 0, fmt.Errorf("peer: %w", credErr)
	}
	a, err = local(int(cred.Uid), os.Getuid(), roles)
	return a, int(cred.Uid), err
}

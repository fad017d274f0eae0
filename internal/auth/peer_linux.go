package auth

import (
	"fmt"
	"net"
	"os"
	"strconv"
	"syscall"
)

// Peer asks the kernel who is at the other end of a unix socket, and lets in
// the server's own uid and root. roles are given to both.
func Peer(c net.Conn, roles []string, duties Duties) (Actor, error) {
	u, ok := c.(*net.UnixConn)
	if !ok {
		return Actor{}, fmt.Errorf("peer: %T is not a unix socket", c)
	}
	raw, err := u.SyscallConn()
	if err != nil {
		return Actor{}, fmt.Errorf("peer: %w", err)
	}
	var cred *syscall.Ucred
	var credErr error
	if err := raw.Control(func(fd uintptr) {
		cred, credErr = syscall.GetsockoptUcred(int(fd), syscall.SOL_SOCKET, syscall.SO_PEERCRED)
	}); err != nil {
		return Actor{}, fmt.Errorf("peer: %w", err)
	}
	if credErr != nil {
		return Actor{}, fmt.Errorf("peer: %w", credErr)
	}
	return local(int(cred.Uid), os.Getuid(), roles, duties)
}

// local makes the actor of a uid, where that uid may come in at all.
func local(uid, own int, roles []string, duties Duties) (Actor, error) {
	name := LocalPrefix + strconv.Itoa(uid)
	if uid != own && uid != 0 {
		return Actor{}, fmt.Errorf("%s is neither the server's own uid nor root; come with a token over TCP", name)
	}
	return Actor{Name: name, Roles: roles, Scopes: []Scope{Admin}, OnCall: duties.Of(name)}, nil
}

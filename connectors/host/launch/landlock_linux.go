package launch

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	readFile = unix.LANDLOCK_ACCESS_FS_READ_FILE
	readTree = readFile | unix.LANDLOCK_ACCESS_FS_READ_DIR
	loadTree = readTree | unix.LANDLOCK_ACCESS_FS_EXECUTE
	ownTree  = readTree | unix.LANDLOCK_ACCESS_FS_WRITE_FILE | unix.LANDLOCK_ACCESS_FS_TRUNCATE |
		unix.LANDLOCK_ACCESS_FS_MAKE_REG | unix.LANDLOCK_ACCESS_FS_MAKE_SOCK | unix.LANDLOCK_ACCESS_FS_REMOVE_FILE
	// ofFiles are the rights that a rule on a file, not a directory, may give.
	ofFiles = unix.LANDLOCK_ACCESS_FS_EXECUTE | unix.LANDLOCK_ACCESS_FS_WRITE_FILE | readFile |
		unix.LANDLOCK_ACCESS_FS_TRUNCATE | unix.LANDLOCK_ACCESS_FS_IOCTL_DEV
)

// systemReads is what resolving names, checking certificates and telling local
// time need. /etc as a whole is not among them: configurations hold secrets.
var systemReads = []string{
	"/etc/resolv.conf", "/etc/hosts", "/etc/nsswitch.conf", "/etc/host.conf", "/etc/gai.conf",
	"/etc/services", "/etc/protocols", "/etc/localtime", "/etc/mime.types", "/etc/ld.so.cache",
	"/etc/ssl/certs", "/etc/ssl/cert.pem", "/etc/ssl/ca-bundle.pem", "/etc/ssl/openssl.cnf",
	"/etc/pki/tls/certs", "/etc/pki/tls/cert.pem", "/etc/pki/tls/cacert.pem", "/etc/pki/ca-trust", "/etc/ca-certificates",
	// Where these are links out of their directory, the rule lies on the target.
	"/etc/ssl/certs/ca-certificates.crt", "/etc/ssl/certs/ca-bundle.crt", "/etc/pki/tls/certs/ca-bundle.crt",
	"/usr/share/ca-certificates", "/usr/local/share/ca-certificates", "/usr/share/zoneinfo", "/usr/share/pki",
	"/run/systemd/resolve", "/run/resolvconf", "/run/NetworkManager", "/dev/urandom", "/dev/random", "/sys/kernel/mm/transparent_hugepage",
}

var systemLibraries = []string{"/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib"}

// landlock confines the calling thread, for ever, and what it starts. It
// returns the version of Landlock that was used, 0 where the kernel has none.
func landlock(own, images string, reads []string) (int, error) {
	v, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, unix.LANDLOCK_CREATE_RULESET_VERSION)
	if errno != 0 {
		return 0, nil //nolint:nilerr // an old kernel, or Landlock is off: stated in Confined
	}
	abi := int(v)
	attr := unix.LandlockRulesetAttr{Access_fs: handled(abi)}
	if abi >= 4 {
		attr.Access_net = unix.LANDLOCK_ACCESS_NET_BIND_TCP
	}
	if abi >= 6 {
		attr.Scoped = unix.LANDLOCK_SCOPE_SIGNAL | unix.LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET
	}
	fd, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, uintptr(unsafe.Pointer(&attr)), unsafe.Sizeof(attr), 0) //nolint:gosec // the kernel reads the structure
	if errno != 0 {
		return 0, fmt.Errorf("landlock: creating the rule set: %w", errno)
	}
	rules := os.NewFile(fd, "landlock")
	defer func() { _ = rules.Close() }()
	for _, set := range []struct {
		paths  []string
		access uint64
	}{
		{systemReads, readTree},
		{systemLibraries, loadTree},
		{reads, readTree},
		{[]string{"/dev/null"}, readFile | unix.LANDLOCK_ACCESS_FS_WRITE_FILE},
		{[]string{own}, ownTree},
		{[]string{images}, loadTree},
	} {
		for _, path := range set.paths {
			if err := allow(int(fd), path, set.access&attr.Access_fs); err != nil {
				return 0, err
			}
		}
	}
	if _, _, errno := unix.Syscall(unix.SYS_LANDLOCK_RESTRICT_SELF, fd, 0, 0); errno != 0 {
		return 0, fmt.Errorf("landlock: restricting the thread: %w", errno)
	}
	return abi, nil
}

// watched are the files, not directories, whose rules would be left behind if
// somebody replaced the file: a rule lies on the file that was there.
func watched(confined int, reads []string) []string {
	if confined == 0 {
		return nil
	}
	var files []string
	for _, path := range append([]string{"/etc/resolv.conf", "/etc/hosts", "/etc/nsswitch.conf"}, reads...) {
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() {
			files = append(files, path)
		}
	}
	return files
}

// allow gives access below path; a path that is not there is left out.
func allow(rules int, path string, access uint64) error {
	fd, err := unix.Open(filepath.Clean(path), unix.O_PATH|unix.O_CLOEXEC, 0)
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.EACCES) || errors.Is(err, unix.ENOTDIR) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("landlock: %s: %w", path, err)
	}
	defer func() { _ = unix.Close(fd) }()
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return fmt.Errorf("landlock: %s: %w", path, err)
	}
	if st.Mode&unix.S_IFMT != unix.S_IFDIR {
		access &= ofFiles
	}
	//nolint:gosec // a descriptor is small
	rule := unix.LandlockPathBeneathAttr{Allowed_access: access, Parent_fd: int32(fd)}
	_, _, errno := unix.Syscall6(unix.SYS_LANDLOCK_ADD_RULE, uintptr(rules), unix.LANDLOCK_RULE_PATH_BENEATH, uintptr(unsafe.Pointer(&rule)), 0, 0, 0) //nolint:gosec // the kernel reads the structure
	if errno != 0 {
		return fmt.Errorf("landlock: %s: %w", path, errno)
	}
	return nil
}

// handled are the rights that this version of Landlock can withhold.
func handled(abi int) uint64 {
	const first = unix.LANDLOCK_ACCESS_FS_MAKE_SYM<<1 - 1 // version 1: EXECUTE to MAKE_SYM
	access := uint64(first)
	if abi >= 2 {
		access |= unix.LANDLOCK_ACCESS_FS_REFER
	}
	if abi >= 3 {
		access |= unix.LANDLOCK_ACCESS_FS_TRUNCATE
	}
	if abi >= 5 {
		access |= unix.LANDLOCK_ACCESS_FS_IOCTL_DEV
	}
	return access
}

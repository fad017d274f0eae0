package e2e

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestFullDisk fills the disk under a running server.
func TestFullDisk(t *testing.T) {
	l := startLab(t)
	h := newHouse(t, l, "")
	data := filepath.Join(h.dir, "data")
	if err := os.Mkdir(data, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("tmpfs", data, "tmpfs", 0, "size=64m,mode=0700"); err != nil {
		t.Skipf("cannot mount a small disk here: %v", err)
	}
	t.Cleanup(func() { h.stop(); _ = unix.Unmount(data, unix.MNT_DETACH) })
	filler := filepath.Join(data, "filler")
	unwritable(t, l, h, func() { fill(t, filler) }, func() {
		if err := os.Remove(filler); err != nil {
			t.Fatal(err)
		}
	})
}

// TestReadOnly makes the store's files immutable under a running server, which
// refuses writes to files that are open already.
func TestReadOnly(t *testing.T) {
	l := startLab(t)
	h := newHouse(t, l, "")
	set := func(on bool) error {
		for _, name := range []string{"quell.db", "quell.db-wal"} {
			if err := immutable(filepath.Join(h.dir, "data", name), on); err != nil {
				return err
			}
		}
		return nil
	}
	probe := filepath.Join(t.TempDir(), "probe")
	if err := os.WriteFile(probe, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(immutable(probe, true), immutable(probe, false)); err != nil {
		t.Skipf("this file system knows no immutable files: %v", err)
	}
	t.Cleanup(func() { _ = set(false) })
	unwritable(t, l, h, func() {
		if err := set(true); err != nil {
			t.Fatal(err)
		}
	}, func() {
		if err := set(false); err != nil {
			t.Fatal(err)
		}
	})
}

// immutableFlag is FS_IMMUTABLE_FL of linux/fs.h.
const immutableFlag = 0x10

// immutable sets or clears a file's immutable flag (ioctl_iflags(2)).
func immutable(file string, on bool) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	flags, err := unix.IoctlGetInt(int(f.Fd()), unix.FS_IOC_GETFLAGS)
	if err != nil {
		return err
	}
	if flags &^= immutableFlag; on {
		flags |= immutableFlag
	}
	return unix.IoctlSetPointerInt(int(f.Fd()), unix.FS_IOC_SETFLAGS, flags)
}

// unwritable spoils the store while an effect is on its way: nothing further
// happens, ready says why, and when it is mended everything goes on by itself,
// without a second ticket.
func unwritable(t *testing.T, l *labProcess, h *house, spoil, mend func()) {
	t.Helper()
	l.hostsOf(2)
	h.start()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	l.script("jira create: hold 3s\n")
	if _, err := h.alert("det-1", hostname(1)); err != nil {
		t.Fatal(err)
	}
	eventually(t, 20*time.Second, "the ticket is created", func() (bool, error) {
		return len(l.effects("vendor=jira&operation=create")) == 1, nil
	})
	spoil()
	eventually(t, 20*time.Second, "ready says why", func() (bool, error) {
		r, err := h.client().Ready(ctx)
		if err != nil && strings.Contains(err.Error(), "store") {
			return true, nil
		}
		return !r.Ready && len(r.Parts) > 0, nil
	})
	before := len(l.effects(""))
	if _, err := h.alert("det-2", hostname(2)); err == nil {
		t.Error("an alert was acknowledged although it could not be stored")
	}
	if now := len(l.effects("")); now != before {
		t.Errorf("%d effects happened without a record", now-before)
	}
	mend()
	go h.approveAll(ctx)
	eventually(t, 60*time.Second, "the second alert is taken", func() (bool, error) {
		got, err := h.alert("det-2", hostname(2))
		return err == nil && len(got.Runs) == 1, err
	})
	for _, r := range h.ended(2, 2*time.Minute) {
		if r.Closing != "completed" {
			t.Errorf("%s closed as %s", r.ID, r.Closing)
		}
	}
	l.check(t, []string{hostname(1), hostname(2)})
	h.auditOK()
}

// fill writes until there is no room left.
func fill(t *testing.T, file string) {
	t.Helper()
	f, err := os.OpenFile(file, os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	for chunk := make([]byte, 1<<20); len(chunk) > 0; {
		if _, err := f.Write(chunk); errors.Is(err, syscall.ENOSPC) {
			chunk = chunk[:len(chunk)/2] // and the last few bytes too
		} else if err != nil {
			t.Fatal(err)
		}
	}
}

package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/quell-soar/quell/server/api"
)

// TestFullDisk fills the disk under a running server.
func TestFullDisk(t *testing.T) {
	alongside(t)
	l := startLab(t)
	h := newHouse(t, l, "")
	filler := filepath.Join(smallDisk(t, h), "filler")
	unwritable(t, l, h, func() { fill(t, filler) }, func() {
		if err := os.Remove(filler); err != nil {
			t.Fatal(err)
		}
	})
}

// TestLowDisk lets the disk fall below its mark while a run is at work: nothing new
// is begun and it is said why; the run ends, with its effects on record; and what
// was put off is taken once there is space.
func TestLowDisk(t *testing.T) {
	alongside(t)
	l := startLab(t)
	l.hostsOf(2)
	h := newHouse(t, l, "limits: {free_disk_mib: 24}\n")
	filler := filepath.Join(smallDisk(t, h), "filler")
	h.start()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	l.script("jira create: hold 2s\n")
	if got, err := h.alert("det-1", hostname(1)); err != nil || len(got.Runs) != 1 {
		t.Fatal(got, err)
	}
	eventually(t, 20*time.Second, "the ticket is created", func() (bool, error) {
		return len(l.effects("vendor=jira&operation=create")) == 1, nil
	})
	f, err := os.Create(filler)
	if err != nil {
		t.Fatal(err)
	}
	free := func() uint64 {
		var s unix.Statfs_t
		if err := unix.Statfs(filepath.Dir(filler), &s); err != nil {
			t.Fatal(err)
		}
		return s.Bavail * uint64(s.Bsize)
	}
	for chunk := make([]byte, 1<<20); free() > 20<<20; {
		if _, err := f.Write(chunk); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	eventually(t, 10*time.Second, "ready says why", func() (bool, error) {
		r, err := h.client().Ready(ctx)
		low := func(p api.PartReady) bool { return p.Name == "disk" && !p.OK && p.Why != "" }
		return err == nil && !r.Ready && slices.ContainsFunc(r.Parts, low), err
	})
	var p *api.Error
	if got, err := h.alert("det-2", hostname(2)); !errors.As(err, &p) {
		t.Fatalf("an alert was taken: %+v, %v", got, err)
	}
	if p.Code != api.CodeNotReady || p.RetryAfter < 10*time.Second || !strings.Contains(p.Detail, "mark") {
		t.Errorf("%+v", p)
	}
	if _, err := h.client().Start(ctx, api.StartRun{Playbook: "contain-infected-host", Inputs: map[string]json.RawMessage{"hostname": []byte(`"` + hostname(2) + `"`)}}, ""); err == nil {
		t.Error("a run was taken by hand")
	}
	out, _ := exec.Command(bin(t, "quell"), "doctor", "--config", filepath.Join(h.dir, "quell.yaml"), "--server", "unix:"+filepath.Join(h.dir, "data", "run", "quell.sock")).CombinedOutput()
	if !strings.Contains(string(out), "the disk of") {
		t.Errorf("doctor says\n%s", out)
	}
	go h.approveAll(ctx)
	if list := h.ended(1, time.Minute); len(list) != 1 || list[0].Closing != "completed" {
		t.Errorf("%+v", list)
	}
	l.check(t, []string{hostname(1)})
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	eventually(t, 20*time.Second, "the second alert is taken", func() (bool, error) {
		got, err := h.alert("det-2", hostname(2))
		return err == nil && len(got.Runs) == 1, err
	})
	h.ended(2, time.Minute)
	l.check(t, []string{hostname(1), hostname(2)})
	h.auditOK()
}

// smallDisk mounts 64 MB as the house's data directory.
func smallDisk(t *testing.T, h *house) string {
	t.Helper()
	data := filepath.Join(h.dir, "data")
	if err := os.Mkdir(data, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("tmpfs", data, "tmpfs", 0, "size=64m,mode=0700"); err != nil {
		t.Skipf("cannot mount a small disk here: %v", err)
	}
	t.Cleanup(func() { h.stop(); _ = unix.Unmount(data, unix.MNT_DETACH) })
	return data
}

// TestReadOnly makes the store's files immutable under a running server, which
// refuses writes to files that are open already.
func TestReadOnly(t *testing.T) {
	alongside(t)
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
	list := h.ended(2, 2*time.Minute)
	for _, r := range list {
		if r.Closing != "completed" {
			t.Errorf("%s closed as %s", r.ID, r.Closing)
		}
	}
	l.check(t, []string{hostname(1), hostname(2)})
	recorded(t, l, h, list)
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

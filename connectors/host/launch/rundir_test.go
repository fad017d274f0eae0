package launch

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestRunDirTooLong(t *testing.T) {
	long := filepath.Join(t.TempDir(), strings.Repeat("x", 80))
	if err := os.Mkdir(long, 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := New(Options{RunDir: long}); err == nil || !strings.Contains(err.Error(), "shorter") {
		t.Errorf("error %v", err)
	}
}

func TestDirectoriesLeftBehind(t *testing.T) {
	parent, err := os.MkdirTemp("", "run-") //nolint:usetesting // a socket's path must be short
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = os.RemoveAll(parent) }()
	held, lock, err := makeDir(parent)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = lock.Close() }()
	left, other, err := makeDir(parent)
	if err != nil {
		t.Fatal(err)
	}
	_ = other.Close() // as the kernel does for a process that was killed
	young := filepath.Join(parent, "quell-connector-young")
	if err := os.Mkdir(young, 0o700); err != nil {
		t.Fatal(err)
	}
	old := time.Now().Add(-time.Hour)
	for _, dir := range []string{held, left} {
		if err := os.Chtimes(dir, old, old); err != nil {
			t.Fatal(err)
		}
	}
	sweep(parent)
	for dir, want := range map[string]bool{held: true, left: false, young: true} {
		if _, err := os.Stat(dir); (err == nil) != want {
			t.Errorf("%s: there %v, want %v", dir, err == nil, want)
		}
	}
}

// Where the system forbids running from memory, a copy runs, confined as well.
func TestRunsFromCopy(t *testing.T) {
	l, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	path, err := filepath.EvalSymlinks("/bin/true")
	if err != nil {
		t.Skip(err)
	}
	src, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = src.Close() }()
	img, err := sealByCopy(src, l.images)
	if err != nil {
		t.Fatal(err)
	}
	var proc *os.Process
	if onErr := l.on(t.Context(), func() {
		proc, err = os.StartProcess(img.path, []string{"true"}, &os.ProcAttr{Sys: sysProcAttr()})
	}); onErr != nil || err != nil {
		t.Fatal(onErr, err)
	}
	if st, err := proc.Wait(); err != nil || !st.Success() {
		t.Errorf("%v %v", st, err)
	}
	img.close()
	if left, err := os.ReadDir(l.images); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
}

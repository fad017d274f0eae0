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
	parent, err := os.MkdirTemp("", "run-")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(parent)
	held, lock, err := makeDir(parent)
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
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

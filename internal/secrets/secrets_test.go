package secrets_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/quell-soar/quell/internal/secrets"
)

func TestParse(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"env:A": "env:A", "env:_x9": "env:_x9", "file:/a/b": "file:/a/b", "file:/a/../b": "file:/b",
		"": "", "env:": "", "env:A-B": "", "env:1": "", "file:a": "file:a", "file:": "", "file:~/a": "", "vault:x": "",
		"file:~hunter2": "", "hunter2": "", "env:hunter2=x": "", "https://u:hunter2@h/": "", "File:/a": "", " env:A": "", "file:/a\x00hunter2": "",
	} {
		r, err := secrets.Parse(text)
		if r.String() != want || (err == nil) != (want != "") {
			t.Errorf("%q: got %q, %v; want %q", text, r, err, want)
		}
		if err != nil && (!errors.Is(err, secrets.ErrReference) || strings.Contains(err.Error(), "hunter2")) {
			t.Errorf("%q: error %v", text, err)
		}
	}
}

func TestResolve(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string, mode os.FileMode) string {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		return "file:" + path
	}
	pipe := filepath.Join(dir, "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(dir, "link")
	if err := os.Symlink(filepath.Join(dir, "good"), link); err != nil {
		t.Fatal(err)
	}
	const value = "hunter2hunter2"
	t.Setenv("QUELL_TEST_SECRET", value)
	t.Setenv("QUELL_TEST_EMPTY", "")
	for _, c := range []struct{ ref, want, problem string }{
		{write("good", value+"\n", 0o600), value, ""},
		{"file:" + link, value, ""},
		{write("readonly", value, 0o400), value, ""},
		{write("crlf", value+"\r\n", 0o600), value, ""},
		{write("two", value+"\n\n", 0o600), value + "\n", ""},
		{"env:QUELL_TEST_SECRET", value, ""},
		{write("group", value, 0o640), "", "chmod 600"},
		{write("world", value, 0o644), "", "chmod 600"},
		{write("executable", value, 0o700), "", "chmod 600"},
		{write("empty", "", 0o600), "", "empty"},
		{write("newline", "\n", 0o600), "", "empty"},
		{write("long", value+strings.Repeat("x", 64<<10), 0o600), "", "longer"},
		{"file:" + dir, "", "regular"},
		{"file:" + pipe, "", "regular"},
		{"file:" + filepath.Join(dir, "none"), "", "no such file"},
		{"env:QUELL_TEST_NONE", "", "not set"},
		{"env:QUELL_TEST_EMPTY", "", "empty"},
	} {
		r, err := secrets.Parse(c.ref)
		if err != nil {
			t.Fatal(err)
		}
		v, err := r.Resolve(t.Context())
		if v.Reveal() != c.want {
			t.Errorf("%s: another value than wanted", c.ref)
		}
		if c.problem == "" {
			if err != nil {
				t.Errorf("%s: %v", c.ref, err)
			}
			continue
		}
		var e *secrets.Error
		if !errors.As(err, &e) || !strings.Contains(e.Problem, c.problem) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: got %v, want a problem with %q", c.ref, err, c.problem)
		}
	}
}

func TestResolveOwner(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("only root can give a file away")
	}
	path := filepath.Join(t.TempDir(), "theirs")
	if err := os.WriteFile(path, []byte("hunter2"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(path, 12345, 12345); err != nil {
		t.Fatal(err)
	}
	r, err := secrets.Parse("file:" + path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Resolve(t.Context()); err == nil || !strings.Contains(err.Error(), "user 12345") {
		t.Errorf("another user's file: %v", err)
	}
}

func TestResolveNothing(t *testing.T) {
	t.Parallel()
	if _, err := (secrets.Ref{}).Resolve(t.Context()); !errors.Is(err, secrets.ErrReference) {
		t.Errorf("the zero reference: %v", err)
	}
	relative, err := secrets.Parse("file:a/b")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := relative.Resolve(t.Context()); err == nil {
		t.Error("a relative path was read")
	}
	if got := relative.In("/etc/quell").String(); got != "file:/etc/quell/a/b" {
		t.Errorf("in /etc/quell it is %s", got)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r, err := secrets.Parse("env:PATH")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Resolve(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("after the end: %v", err)
	}
}

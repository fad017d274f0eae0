package secrets

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/quell-soar/quell/connectors/sdk/secret"
)

// maxSecret is the longest secret, in bytes. A private key with its chain fits.
const maxSecret = 64 << 10

// Error says why a reference has no usable secret.
type Error struct {
	// Ref is the reference.
	Ref Ref
	// Problem says what is wrong and what to do.
	Problem string
	// Err is the cause, where there is one.
	Err error
}

func (e *Error) Error() string { return "secret " + e.Ref.String() + ": " + e.Problem }

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

// Resolve fetches the secret. One newline at its end is cut off, because editors
// write one. An empty secret is an error. Errors are *Error.
func (r Ref) Resolve(ctx context.Context) (secret.Value, error) {
	if err := ctx.Err(); err != nil {
		return secret.Value{}, &Error{Ref: r, Problem: "not fetched: " + err.Error(), Err: err}
	}
	text, err := r.fetch()
	if err != nil {
		return secret.Value{}, err
	}
	text = strings.TrimSuffix(strings.TrimSuffix(text, "\n"), "\r")
	if text == "" {
		return secret.Value{}, &Error{Ref: r, Problem: "it is empty"}
	}
	return secret.New(text), nil
}

func (r Ref) fetch() (string, error) {
	switch r.scheme {
	case schemeEnv:
		text, ok := os.LookupEnv(r.name)
		switch {
		case !ok:
			return "", &Error{Ref: r, Problem: "the variable is not set in the environment of this process"}
		case len(text) > maxSecret:
			return "", &Error{Ref: r, Problem: fmt.Sprintf("it is longer than %d bytes", maxSecret)}
		}
		return text, nil
	case schemeFile:
		if !filepath.IsAbs(r.name) {
			return "", &Error{Ref: r, Problem: "the path is relative and nobody said to what"}
		}
		return r.readFile()
	}
	return "", &Error{Ref: r, Problem: "no secret is named", Err: ErrReference}
}

// readFile checks the file that it opened, not the path: what is checked is what
// is read.
func (r Ref) readFile() (string, error) {
	// O_NONBLOCK: a pipe in the file's place must not hang the start.
	f, err := os.OpenFile(r.name, os.O_RDONLY|syscall.O_NONBLOCK|syscall.O_CLOEXEC, 0)
	if err != nil {
		return "", &Error{Ref: r, Problem: openProblem(err), Err: err}
	}
	defer func() { _ = f.Close() }()
	st, err := f.Stat()
	if err != nil {
		return "", &Error{Ref: r, Problem: "cannot be examined: " + err.Error(), Err: err}
	}
	if problem := fileProblem(r.name, st, os.Geteuid()); problem != "" {
		return "", &Error{Ref: r, Problem: problem}
	}
	raw, err := io.ReadAll(io.LimitReader(f, maxSecret+1))
	if err != nil {
		return "", &Error{Ref: r, Problem: "cannot be read: " + err.Error(), Err: err}
	}
	if len(raw) > maxSecret {
		return "", &Error{Ref: r, Problem: fmt.Sprintf("it is longer than %d bytes", maxSecret)}
	}
	return string(raw), nil
}

func openProblem(err error) string {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "there is no such file"
	case errors.Is(err, fs.ErrPermission):
		return "this user may not read the file"
	}
	var p *fs.PathError
	if errors.As(err, &p) {
		err = p.Err
	}
	return "cannot be opened: " + err.Error()
}

// fileProblem says why a file is not fit to hold a secret, or "".
func fileProblem(name string, st fs.FileInfo, uid int) string {
	if !st.Mode().IsRegular() {
		return "it is not a regular file"
	}
	if sys, ok := st.Sys().(*syscall.Stat_t); ok && sys.Uid != 0 && int(sys.Uid) != uid {
		return fmt.Sprintf("the file belongs to user %d; it must belong to the user that runs Quell, or to root", sys.Uid)
	}
	if perm := st.Mode().Perm(); perm != 0o600 && perm != 0o400 {
		return fmt.Sprintf("the file has mode %#o; others must not read it: chmod 600 %s", perm, name)
	}
	return ""
}

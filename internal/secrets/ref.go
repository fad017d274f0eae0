package secrets

import (
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
)

// The schemes of a reference.
const (
	schemeEnv  = "env"
	schemeFile = "file"
)

var envName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// ErrReference says that a text is no reference. It is the cause of every error
// of Parse.
var ErrReference = errors.New("a secret is given by reference: env:NAME or file:PATH")

// Ref names a secret. The zero Ref names none.
type Ref struct{ scheme, name string }

// Parse reads a reference. Its errors do not quote the text: a text that is no
// reference may be the secret itself.
func Parse(text string) (Ref, error) {
	scheme, name, _ := strings.Cut(text, ":")
	switch scheme {
	case schemeEnv:
		if !envName.MatchString(name) {
			return Ref{}, fmt.Errorf("%w; after env: stands the name of a variable, letters, digits and _", ErrReference)
		}
	case schemeFile:
		if name == "" || name[0] == '~' || strings.ContainsRune(name, 0) {
			return Ref{}, fmt.Errorf("%w; after file: stands a path, and ~ is not expanded", ErrReference)
		}
		name = filepath.Clean(name)
	default:
		return Ref{}, ErrReference
	}
	return Ref{scheme: scheme, name: name}, nil
}

// In is the reference with a relative path taken from dir.
func (r Ref) In(dir string) Ref {
	if r.scheme == schemeFile && !filepath.IsAbs(r.name) {
		r.name = filepath.Join(dir, r.name)
	}
	return r
}

// IsZero reports whether nothing is named.
func (r Ref) IsZero() bool { return r == Ref{} }

// String writes the reference, which is no secret.
func (r Ref) String() string {
	if r.IsZero() {
		return ""
	}
	return r.scheme + ":" + r.name
}

// MarshalText writes the reference.
func (r Ref) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText reads a reference as Parse does.
func (r *Ref) UnmarshalText(text []byte) error {
	got, err := Parse(string(text))
	if err != nil {
		return err
	}
	*r = got
	return nil
}

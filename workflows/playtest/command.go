package playtest

import (
	"context"
	"io"
	"os"
	"strings"
)

// Output says where what came of the tests is written.
type Output struct {
	// JUnit is a file, "" for none.
	JUnit string
	// JSON makes Text a document for programs.
	JSON bool
	Text io.Writer
}

// Command plays the tests of paths and writes what came of them. ok is false where
// a test fails or a proof that was asked for does not hold. Errors are files that
// cannot be read or written.
func Command(ctx context.Context, paths []string, o Options, out Output) (ok bool, err error) {
	files, err := Find(paths)
	if err != nil {
		return false, err
	}
	if len(files) == 0 {
		return false, &NoTests{Where: "NAME" + suffix + " in " + strings.Join(paths, ", ")}
	}
	ok = true
	var all []*Suite
	for _, f := range files {
		s, err := Run(ctx, f, o)
		if err != nil {
			return false, err
		}
		all = append(all, s)
		ok = ok && s.OK()
		if out.JSON {
			continue
		}
		if err := s.Text(out.Text); err != nil {
			return false, err
		}
	}
	if out.JSON {
		if err := JSON(out.Text, all); err != nil {
			return false, err
		}
	}
	if out.JUnit == "" {
		return ok, nil
	}
	f, err := os.Create(out.JUnit)
	if err != nil {
		return false, err
	}
	if err := JUnit(f, all); err != nil {
		_ = f.Close()
		return false, err
	}
	return ok, f.Close()
}

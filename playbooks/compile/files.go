package compile

import (
	"bytes"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/quell-soar/quell/playbooks/source"
)

// Files are playbooks by the names that they give themselves. It may be read
// from several goroutines.
type Files map[string]*source.File

// NewFiles finds the name of each file. Of two files of one name the first
// counts, and a file without a name cannot be called.
func NewFiles(files ...*source.File) Files {
	out := make(Files, len(files))
	for _, f := range files {
		if strings.HasSuffix(f.Name, ".test.yaml") {
			continue // the tests of a playbook, which stand beside it
		}
		m := nameLine.FindSubmatch(bytes.TrimPrefix(f.Bytes, []byte("\xef\xbb\xbf")))
		if m == nil {
			continue
		}
		if name := string(m[1]); out[name] == nil {
			out[name] = f
		}
	}
	return out
}

// nameLine is the line that names a playbook. What it finds is only a way to the
// file: the compiler reads the name again.
var nameLine = regexp.MustCompile(`(?m)^playbook:[ \t]+["']?([a-z0-9-]+)["']?[ \t]*(?:#.*)?\r?$`)

// Playbook implements Playbooks.
func (f Files) Playbook(name string) (*source.File, bool) {
	file, ok := f[name]
	return file, ok
}

// Names implements Playbooks.
func (f Files) Names() []string { return slices.Sorted(maps.Keys(f)) }

package playtest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/quell-soar/quell/connectors/spec"
	"github.com/quell-soar/quell/connectors/vocabulary"
	"github.com/quell-soar/quell/playbooks/compile"
	"github.com/quell-soar/quell/playbooks/diag"
	"github.com/quell-soar/quell/playbooks/source"
)

// Options say which proofs a suite makes beside the tests.
type Options struct {
	Cover, Mutate, Sweep bool
	// Sample takes every n-th mutant and every n-th run of the sweep only, for a
	// quick look; 0 takes all.
	Sample int
}

// Suite is what came of one test file.
type Suite struct {
	File     string    `json:"file"`
	Playbook string    `json:"playbook"`
	Tests    []Tested  `json:"tests"`
	Ways     []Way     `json:"ways,omitempty"`
	Mutants  []Mutant  `json:"mutants,omitempty"`
	Sweep    []Swept   `json:"sweep,omitempty"`
	Source   []byte    `json:"-"`
	List     diag.List `json:"-"`
	// Mistakes are those of List with their places, for programs.
	Mistakes []string `json:"mistakes,omitempty"`
	// Stale are accepted mutants that do not survive, or are none.
	Stale []string `json:"stale,omitempty"`
}

// Tested is what came of one test.
type Tested struct {
	Name    string        `json:"name"`
	Line    int           `json:"line"`
	Differs []string      `json:"differs,omitempty"`
	Closing string        `json:"closing,omitempty"`
	Took    time.Duration `json:"took_ns"`
	Real    time.Duration `json:"-"`
}

// OK reports whether all tests of the suite passed, and whatever proof was asked
// for holds.
func (s *Suite) OK() bool {
	if s.List.HasErrors() {
		return false
	}
	bad := slices.ContainsFunc(s.Tests, func(t Tested) bool { return len(t.Differs) > 0 })
	return !bad && len(s.Missing()) == 0 && len(s.Survivors()) == 0 && len(s.Stale) == 0 && !slices.ContainsFunc(s.Sweep, func(w Swept) bool { return w.Bad != "" })
}

// Missing lists the ways that no test took.
func (s *Suite) Missing() []Way {
	return slices.DeleteFunc(slices.Clone(s.Ways), func(w Way) bool { return w.Taken > 0 })
}

// Survivors lists the mutants that no test noticed and nobody accepted.
func (s *Suite) Survivors() []Mutant {
	return slices.DeleteFunc(slices.Clone(s.Mutants), func(m Mutant) bool { return m.By != "" || m.Because != "" })
}

// suffix is how the name of a test file ends.
const suffix = ".test.yaml"

// maxFile is the longest file that is read, in bytes.
const maxFile = 1 << 20

// Find lists the test files of paths: a directory stands for all in it, a playbook
// for the tests beside it.
func Find(paths []string) ([]string, error) {
	var out []string
	for _, p := range paths {
		info, err := os.Stat(p)
		if err != nil {
			return nil, err
		}
		switch {
		case info.IsDir():
			err = filepath.WalkDir(p, func(path string, d os.DirEntry, err error) error {
				if err == nil && !d.IsDir() && strings.HasSuffix(path, suffix) {
					out = append(out, path)
				}
				return err
			})
			if err != nil {
				return nil, err
			}
		case strings.HasSuffix(p, suffix):
			out = append(out, p)
		default:
			out = append(out, strings.TrimSuffix(strings.TrimSuffix(p, ".yml"), ".yaml")+suffix)
		}
	}
	slices.Sort(out)
	return slices.Compact(out), nil
}

// NoTests says that there is no file of tests.
type NoTests struct {
	// Where is the file that is not there, or the folder that has none.
	Where string
}

func (e *NoTests) Error() string { return "there is no file of tests: " + e.Where }

// Is makes it what it is: a file that does not exist.
func (e *NoTests) Is(target error) bool { return target == fs.ErrNotExist }

// Run plays the tests of one file. Errors are files that cannot be read.
func Run(ctx context.Context, file string, o Options) (*Suite, error) {
	book := strings.TrimSuffix(file, suffix) + ".yaml"
	text, err := read(book)
	if err != nil {
		return &Suite{File: file}, err
	}
	raw, err := read(file)
	if errors.Is(err, fs.ErrNotExist) {
		err = &NoTests{Where: file}
	}
	if err != nil {
		return &Suite{File: file, Source: text}, err
	}
	return Try(ctx, source.NewFile(book, text), source.NewFile(file, raw), beside(filepath.Dir(book)), o)
}

// Try plays the tests of a playbook that may call others. Mistakes in either text
// stand in the suite; an error is that ctx ended.
func Try(ctx context.Context, book, tests *source.File, others compile.Playbooks, o Options) (*Suite, error) {
	s := &Suite{File: tests.Name, Source: book.Bytes}
	p, list := compile.Compile(book, compile.Options{Actions: generic{}, Playbooks: others})
	if list.HasErrors() {
		s.List, s.Mistakes = list, told(list)
		return s, nil
	}
	s.Playbook = p.Playbook
	cases, accepted, list := Read(tests, p)
	s.List = append(s.List, list...)
	if s.List.HasErrors() {
		s.Mistakes = told(s.List)
		return s, nil
	}
	if o.Cover {
		s.Ways = Ways(p)
	}
	for i := range cases {
		if err := ctx.Err(); err != nil {
			return s, err
		}
		c, began := &cases[i], time.Now()
		got := Play(p, c)
		s.Tests = append(s.Tests, Tested{Name: c.Name, Line: c.Line, Differs: c.Expect.Check(p, got), Closing: got.Result.Closing, Took: got.Took, Real: time.Since(began)})
		Cover(p, s.Ways, got)
	}
	if slices.ContainsFunc(s.Tests, func(t Tested) bool { return len(t.Differs) > 0 }) {
		return s, nil // proofs stand on tests that pass
	}
	if o.Mutate {
		var err error
		if s.Mutants, err = Mutants(p); err != nil {
			return s, err
		}
		s.Mutants = sampled(s.Mutants, o.Sample)
		for i := range s.Mutants {
			if err := ctx.Err(); err != nil {
				return s, err
			}
			m := &s.Mutants[i]
			m.Try(cases)
			if m.By == "" {
				m.Because = accepted[m.String()]
				delete(accepted, m.String())
			}
		}
		if o.Sample <= 1 {
			s.Stale = slices.Sorted(maps.Keys(accepted))
		}
	}
	if o.Sweep {
		s.Sweep = Sweep(p, cases, o.Sample)
	}
	return s, nil
}

// sampled is every n-th element, from the first.
func sampled[T any](all []T, n int) []T {
	if n <= 1 {
		return all
	}
	var out []T
	for i := 0; i < len(all); i += n {
		out = append(out, all[i])
	}
	return out
}

func told(list diag.List) []string {
	var out []string
	for _, d := range list {
		out = append(out, d.Error())
	}
	return out
}

func read(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	raw, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(raw) > maxFile {
		err = fmt.Errorf("%s is longer than %d bytes", name, maxFile)
	}
	return raw, err
}

// generic is the vocabulary as the compiler asks for it.
type generic struct{}

func (generic) Action(name string) (spec.Action, bool) { return vocabulary.Lookup(name) }

func (generic) Names() []string {
	var names []string
	for _, a := range vocabulary.All() {
		names = append(names, a.Name)
	}
	return names
}

// beside are the playbooks of a directory, each in a file of its own name.
type beside string

func (d beside) Playbook(name string) (*source.File, bool) {
	if name != filepath.Base(name) {
		return nil, false
	}
	file := filepath.Join(string(d), name+".yaml")
	raw, err := read(file)
	if err != nil {
		return nil, false
	}
	return source.NewFile(file, raw), true
}

func (d beside) Names() []string {
	all, err := filepath.Glob(filepath.Join(string(d), "*.yaml"))
	if err != nil {
		return nil
	}
	var out []string
	for _, f := range all {
		if !strings.HasSuffix(f, suffix) {
			out = append(out, strings.TrimSuffix(filepath.Base(f), ".yaml"))
		}
	}
	return out
}

package app

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/quell-soar/quell/connectors/spec"
	"github.com/quell-soar/quell/connectors/vocabulary"
	"github.com/quell-soar/quell/internal/sarif"
	"github.com/quell-soar/quell/playbooks/compile"
	"github.com/quell-soar/quell/playbooks/diag"
	"github.com/quell-soar/quell/playbooks/plan"
	"github.com/quell-soar/quell/playbooks/source"
)

// maxPlaybook is the longest playbook that is read, in bytes.
const maxPlaybook = 1 << 20

// generic is the vocabulary as the compiler asks for it.
type generic struct{}

// Action returns the generic action of a name.
func (generic) Action(name string) (spec.Action, bool) { return vocabulary.Lookup(name) }

// Names lists the generic actions.
func (generic) Names() []string {
	all := vocabulary.All()
	names := make([]string, len(all))
	for i, a := range all {
		names[i] = a.Name
	}
	return names
}

// checkNote marks the commands that write SARIF too.
const checkNote = "writes-sarif"

func (c *cli) checkCommand() *cobra.Command {
	explain := ""
	cmd := &cobra.Command{
		Use: "check FILE…", Short: "Check playbooks, offline",
		Long: "Check playbooks against the generic vocabulary, without a server. Prints nothing\n" +
			"when all is well; exits with 1 where a playbook has an error, not for warnings.\n" +
			"- reads standard input. -o is text, json or sarif.",
		Annotations: map[string]string{checkNote: "yes"},
		Args:        cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if cmd.Flags().Changed("explain") {
				return c.explain(explain, args)
			}
			return c.check(args)
		},
	}
	cmd.Flags().StringVar(&explain, "explain", "", "print what a diagnostic's code means, and its cure")
	return cmd
}

// check compiles each file and prints what was found. A file that cannot be
// read is told after the findings of the others.
func (c *cli) check(args []string) error {
	if len(args) == 0 {
		return usage("check needs a playbook's FILE; see quell check --help")
	}
	var all diag.List
	var unread error
	for _, name := range args {
		_, list, err := c.compile(name)
		unread = errors.Join(unread, err)
		all = append(all, list...)
	}
	if err := c.diagnostics(all); err != nil {
		return err
	}
	switch {
	case unread != nil:
		return usage("%v", unread)
	case all.HasErrors():
		return quiet(ExitFailed)
	}
	return nil
}

func (c *cli) diagnostics(list diag.List) error {
	switch c.output {
	case outputJSON:
		return diag.JSON(c.out, list)
	case outputSARIF:
		return sarif.Write(c.out, c.Version, list)
	}
	return diag.Render(c.out, list)
}

// explain prints the page of one code.
func (c *cli) explain(name string, args []string) error {
	if len(args) > 0 || c.output == outputSARIF {
		return usage("--explain takes a code, no FILE, and prints text or json")
	}
	code, ok := diag.Lookup(name)
	if !ok {
		all, err := diag.Codes()
		if err != nil {
			return err
		}
		names := make([]string, len(all))
		for i, k := range all {
			names[i] = k.Name
		}
		next := "docs/diagnostics lists them"
		if near := diag.Near(name, names); near != "" {
			next = "did you mean " + near + "?"
		}
		return usage("there is no code %s; %s", clean(cut(name, 40)), next)
	}
	record := map[string]string{
		"code": code.Name, "severity": string(code.Severity), "title": code.Title, "meaning": code.Meaning, "cure": code.Cure,
		"bad": code.Bad, "good": code.Good,
	}
	return c.show(record, func() error {
		c.say("%s (%s): %s\n\n%s\n\nCure: %s", code.Name, code.Severity, code.Title, code.Meaning, code.Cure)
		if code.Bad != "" {
			c.say("\nExample:\n\n%s\nCured:\n\n%s", margin(code.Bad), strings.TrimSuffix(margin(code.Good), "\n"))
		}
		return nil
	})
}

func margin(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		b.WriteString("  " + line)
	}
	return b.String()
}

// compile reads and compiles one file.
func (c *cli) compile(name string) (*plan.Plan, diag.List, error) {
	raw, err := c.readFile(name, maxPlaybook)
	if err != nil {
		return nil, nil, err
	}
	if name == "-" {
		name = "standard input"
	}
	p, list := compile.Compile(source.NewFile(clean(name), raw), compile.Options{Actions: generic{}, Playbooks: &siblings{of: name}})
	return p, list, nil
}

// siblings are the playbooks that stand beside a file, which it may call. They
// are read when the first is asked for.
type siblings struct {
	of    string
	files compile.Files
}

// Playbook implements compile.Playbooks.
func (s *siblings) Playbook(name string) (*source.File, bool) { return s.read().Playbook(name) }

// Names implements compile.Playbooks.
func (s *siblings) Names() []string { return s.read().Names() }

func (s *siblings) read() compile.Files {
	if s.files != nil {
		return s.files
	}
	var files []*source.File
	for _, pattern := range []string{"*.yaml", "*.yml"} {
		// The pattern is well formed, and a directory that cannot be read has none.
		found, _ := filepath.Glob(filepath.Join(filepath.Dir(s.of), pattern))
		for _, f := range found {
			raw, err := os.ReadFile(f) //nolint:gosec // it stands beside a file that the caller named
			if err == nil && len(raw) <= maxPlaybook {
				files = append(files, source.NewFile(clean(f), raw))
			}
		}
	}
	s.files = compile.NewFiles(files...)
	return s.files
}

// readFile reads a file, or standard input for "-".
func (c *cli) readFile(name string, most int) ([]byte, error) {
	if name == "-" {
		return c.stdin()
	}
	f, err := os.Open(name) //nolint:gosec // the caller names the file
	if err != nil {
		return nil, usage("%v", err)
	}
	defer func() { _ = f.Close() }()
	raw, err := io.ReadAll(io.LimitReader(f, int64(most)+1))
	if err != nil {
		return nil, usage("%v", err)
	}
	if len(raw) > most {
		return nil, usage("%s is longer than %d bytes", name, most)
	}
	return raw, nil
}

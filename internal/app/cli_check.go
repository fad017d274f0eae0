package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"

	"github.com/quell-soar/quell/internal/sarif"
	"github.com/quell-soar/quell/playbooks/compile"
	"github.com/quell-soar/quell/playbooks/diag"
	"github.com/quell-soar/quell/playbooks/plan"
	"github.com/quell-soar/quell/playbooks/source"
)

// maxPlaybook is the longest playbook that is read, in bytes.
const maxPlaybook = 1 << 20

// checkNote marks the commands that write SARIF too.
const checkNote = "writes-sarif"

// checkFlags are what quell check was asked for beside its files.
type checkFlags struct {
	explain        string
	offline, quiet bool
}

func (c *cli) checkCommand() *cobra.Command {
	var f checkFlags
	cmd := &cobra.Command{
		Use: "check PATH…", Short: "Check playbooks against what is installed",
		Long: "Check playbooks against the connectors, roles and duties of the server, where one is\n" +
			"named or runs; else against those of the configuration, whose connectors are asked for\n" +
			"their manifests only; else, and with --offline, against the generic vocabulary. One line\n" +
			"on standard error says which it was. A folder stands for the playbooks in it. Exits with\n" +
			"1 where a playbook has an error, not for warnings. - reads standard input. -o is text,\n" +
			"json or sarif.",
		Annotations: map[string]string{checkNote: "yes"},
		Args:        cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if cmd.Flags().Changed("explain") {
				return c.explain(f.explain, args)
			}
			return c.check(cmd.Context(), args, f)
		},
	}
	cmd.Flags().StringVar(&f.explain, "explain", "", "print what a diagnostic's code means, and its cure")
	cmd.Flags().BoolVar(&f.offline, "offline", false, "check against the generic vocabulary, whatever is installed")
	cmd.Flags().BoolVar(&f.quiet, "quiet", false, "print findings only")
	return cmd
}

// CheckGC is the garbage collector's percentage of quell check: it lives for
// moments, and what one playbook leaves behind is small. The bench of checks runs
// with it too. GOGC in the environment has the last word.
const CheckGC = 400

// check compiles each file and prints what was found. A file that cannot be
// read is told after the findings of the others.
func (c *cli) check(ctx context.Context, args []string, f checkFlags) error {
	if len(args) == 0 {
		return usage("check needs a playbook's FILE; see quell check --help")
	}
	if c.getenv("GOGC") == "" {
		defer debug.SetGCPercent(debug.SetGCPercent(CheckGC))
	}
	at, err := c.against(ctx, f.offline)
	if err != nil {
		return err
	}
	files, tests, unread := checked(args)
	var all diag.List
	read := 0
	for _, name := range files {
		_, list, err := c.compileFor(name, at)
		if err == nil {
			read++
		}
		unread = errors.Join(unread, err)
		all = append(all, list...)
	}
	if err := c.diagnostics(all); err != nil {
		return err
	}
	if c.output == outputText && !f.quiet && (read > 0 || unread == nil) {
		c.summary(read, tests, all, at)
	}
	switch {
	case unread != nil:
		return usage("%v", unread)
	case all.HasErrors():
		return quiet(ExitFailed)
	}
	return nil
}

// checked lists the playbooks that arguments name, and counts the files of tests
// among them: these are no playbooks, and a shell's *.yaml names them too.
func checked(args []string) (files []string, tests int, unread error) {
	for _, a := range args {
		if strings.HasSuffix(a, ".test.yaml") || strings.HasSuffix(a, ".test.yml") {
			tests++
			continue
		}
		if st, err := os.Stat(a); err != nil || !st.IsDir() {
			files = append(files, a)
			continue
		}
		inside, err := playbookFiles([]string{a})
		unread = errors.Join(unread, err)
		if err == nil && len(inside) == 0 {
			unread = errors.Join(unread, fmt.Errorf("there is no playbook in %s", a))
		}
		files = append(files, inside...)
	}
	return files, tests, unread
}

// summary says in one line what was looked at, with what result, and against what.
func (c *cli) summary(files, tests int, found diag.List, at against) {
	bad := 0
	for _, d := range found {
		if d.Severity == diag.Error {
			bad++
		}
	}
	verdict := "no mistakes"
	switch warnings := len(found) - bad; {
	case bad > 0 && warnings > 0:
		verdict = count(bad, "error") + " and " + count(warnings, "warning")
	case bad > 0:
		verdict = count(bad, "error")
	case warnings > 0:
		verdict = count(warnings, "warning")
	}
	left := ""
	if tests > 0 {
		left = " (" + count(tests, "file") + " of tests left to quell test)"
	}
	_, _ = fmt.Fprintf(c.err, "%s, %s%s; checked against %s\n", count(files, "playbook"), verdict, left, clean(at.what))
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

// compile reads one file and compiles it against the vocabulary: who compares two
// versions, or sends a file to a server, which checks it against its own.
func (c *cli) compile(name string) (*plan.Plan, diag.List, error) {
	return c.compileFor(name, vocabularyOnly(""))
}

func (c *cli) compileFor(name string, at against) (*plan.Plan, diag.List, error) {
	raw, err := c.readFile(name, maxPlaybook)
	if err != nil {
		return nil, nil, err
	}
	if name == "-" {
		name = "standard input"
	}
	o := compile.Options{Actions: at.actions, Installed: at.installed, Playbooks: &siblings{of: name}}
	p, list := compile.Compile(source.NewFile(clean(name), raw), o)
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
			raw, err := os.ReadFile(f)
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
	f, err := os.Open(name)
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

package app

import (
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/quell-soar/quell/connectors/spec"
	"github.com/quell-soar/quell/connectors/vocabulary"
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

func (c *cli) checkCommand() *cobra.Command {
	return &cobra.Command{
		Use: "check FILE…", Short: "Check playbooks, offline",
		Long: "Check playbooks against the generic vocabulary, without a server. Prints nothing\n" +
			"when all is well; exits with 1 where a playbook has an error. - reads standard input.",
		Args: cobra.ArbitraryArgs,
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usage("check needs a playbook's FILE; see quell check --help")
			}
			var all diag.List
			bad := false
			for _, name := range args {
				_, list, err := c.compile(name)
				if err != nil {
					return err
				}
				all = append(all, list...)
				bad = bad || list.HasErrors()
			}
			if err := c.diagnostics(all); err != nil {
				return err
			}
			if bad {
				return quiet(ExitFailed)
			}
			return nil
		},
	}
}

func (c *cli) diagnostics(list diag.List) error {
	if c.output == outputJSON {
		return diag.JSON(c.out, list)
	}
	return diag.Render(c.out, list)
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
	p, list := compile.Compile(source.NewFile(clean(name), raw), compile.Options{Actions: generic{}})
	return p, list, nil
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

func (c *cli) playbookCommand() *cobra.Command {
	list := &cobra.Command{
		Use: "list", Short: "List the playbooks that the server runs", Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			cl, err := c.client(cmd.Context())
			if err != nil {
				return err
			}
			got, err := cl.Playbooks(cmd.Context())
			if err != nil {
				return err
			}
			return c.show(got, func() error {
				t := newTable(c.out, "NAME", "MODE", "STARTED BY", "TITLE", "DIGEST")
				for _, p := range got.Playbooks {
					by := fmt.Sprint(p.From)
					if p.Manual {
						by += " people"
					}
					t.row(p.Name, p.Mode, by, p.Title, cut(p.Digest, 12))
				}
				return t.flush()
			})
		},
	}
	check := c.checkCommand()
	return group("playbook", "Look at playbooks", list, check)
}

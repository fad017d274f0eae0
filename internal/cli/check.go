package cli

import (
	"bytes"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/quell-soar/quell/connectors/spec"
	"github.com/quell-soar/quell/connectors/vocabulary"
	"github.com/quell-soar/quell/playbooks/compile"
	"github.com/quell-soar/quell/playbooks/diag"
	"github.com/quell-soar/quell/playbooks/source"
	"github.com/quell-soar/quell/server/api"
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
			return c.check(args)
		},
	}
}

// check reads all files before it compiles one, so that a wrong name is not lost
// under findings.
func (c *cli) check(names []string) error {
	files := make([]*source.File, len(names))
	for i, name := range names {
		raw, err := c.readFile(name, maxPlaybook)
		if err != nil {
			return err
		}
		if name == "-" {
			name = "standard input"
		}
		files[i] = source.NewFile(clean(name), raw)
	}
	var all diag.List
	for _, f := range files {
		_, list := compile.Compile(f, compile.Options{Actions: generic{}})
		all = append(all, list...)
	}
	if err := c.diagnostics(all); err != nil {
		return err
	}
	if all.HasErrors() {
		return quiet(ExitFailed)
	}
	return nil
}

// diagnostics prints findings. In JSON no finding is an empty list; in text it is
// nothing.
func (c *cli) diagnostics(list diag.List) error {
	if c.output == outputJSON {
		return diag.JSON(escaper{c.out}, list)
	}
	var b bytes.Buffer
	if err := diag.Render(&b, list); err != nil {
		return err
	}
	// Excerpts have no controls; a message may quote one.
	_, err := io.WriteString(c.out, lines(b.String()))
	return err
}

func (c *cli) playbookCommand() *cobra.Command {
	list := &cobra.Command{
		Use: "list", Short: "List the playbooks that the server runs", Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.asker(cmd.Context(), func(cl *api.Client) error {
				got, err := cl.Playbooks(cmd.Context())
				if err != nil {
					return err
				}
				return c.show(got, func() error { return c.playbookTable(got.Playbooks) })
			})
		},
	}
	return group("playbook", "Look at playbooks", list, c.checkCommand())
}

func (c *cli) playbookTable(list []api.Playbook) error {
	t := newTable(c.out, "NAME", "MODE", "STARTED BY", "INPUTS", "TITLE", "DIGEST")
	for _, p := range list {
		by := p.From
		if p.Manual {
			by = append(by, "people")
		}
		inputs := make([]string, len(p.Inputs))
		for i, in := range p.Inputs {
			if inputs[i] = in.Name; !in.Required {
				inputs[i] += "?"
			}
		}
		t.row(p.Name, p.Mode, strings.Join(by, " "), strings.Join(inputs, " "), p.Title, cut(p.Digest, 20))
	}
	return t.flush()
}

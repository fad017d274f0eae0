package app

import (
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/quell-soar/quell/playbooks/diag"
	"github.com/quell-soar/quell/playbooks/graph"
	"github.com/quell-soar/quell/playbooks/plan"
)

// graphs are the forms of quell graph.
var graphs = map[string]func(*plan.Plan) []byte{"svg": graph.SVG, "mermaid": graph.Mermaid, "dot": graph.DOT, "text": graph.Outline}

func (c *cli) graphCommand() *cobra.Command {
	form, file, offline := "", "", false
	cmd := &cobra.Command{
		Use: "graph FILE [--file FILE]", Short: "Draw a playbook",
		Long: "Draw a playbook as SVG, Mermaid or DOT, or outline it as text, to standard output or a\n" +
			"file: phases, approvals, questions, holds, what takes an effect back, branches and loops.\n" +
			"A terminal gets text and anything else SVG, unless --format says otherwise. The SVG needs\n" +
			"nothing else and follows the reader's light or dark scheme. The actions are those that\n" +
			"quell check finds: of the server, of the configuration's connectors, or generic.\n" +
			"- reads standard input.",
		Args: exactly("FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if form == "" {
				form = "svg"
				if _, _, terminal := screenOf(c.out); terminal && file == "" {
					form = "text"
				}
			}
			draw := graphs[form]
			if draw == nil {
				return usage("there is no form %s; there are svg, mermaid, dot and text", clean(cut(form, 20)))
			}
			at, err := c.against(cmd.Context(), offline)
			if err != nil {
				return err
			}
			at.installed = nil // a picture needs nobody who serves or decides
			p, list, err := c.compileFor(args[0], at)
			if err != nil {
				return err
			}
			if p == nil {
				_, _ = fmt.Fprintf(c.err, "checked against %s\n", clean(at.what))
				return errors.Join(diag.Render(c.err, list), quiet(ExitFailed))
			}
			out := draw(p)
			if file == "" {
				_, err := c.out.Write(out)
				return err
			}
			if err := os.WriteFile(file, out, 0o644); err != nil { //nolint:gosec // a drawing for others to read
				return fmt.Errorf("write %s: %w", clean(file), err)
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&form, "format", "", "svg, mermaid, dot or text; default svg, at a terminal text")
	cmd.Flags().StringVar(&file, "file", "", "write to this file")
	cmd.Flags().BoolVar(&offline, "offline", false, "know the generic vocabulary only, whatever is installed")
	return cmd
}

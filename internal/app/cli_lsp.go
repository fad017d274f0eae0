package app

import (
	"io"

	"github.com/spf13/cobra"

	"github.com/quell-soar/quell/internal/lsp"
)

// stdio is standard input and output as one stream.
type stdio struct {
	io.Reader
	io.Writer
}

// Close closes the input where it can be, so that a reader of it ends.
func (s stdio) Close() error {
	if c, ok := s.Reader.(io.Closer); ok {
		return c.Close()
	}
	return nil
}

func (c *cli) lspCommand() *cobra.Command {
	offline := false
	cmd := &cobra.Command{
		Use: "lsp", Short: "Serve an editor",
		Long: "Speak the Language Server Protocol over standard input and output: diagnostics,\n" +
			"completion, hover, definitions and layout of playbooks. It knows what quell check\n" +
			"checks against when it starts, and logs to the editor what that is. An editor starts\n" +
			"it; docs/editors.md says how.",
		Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			at, err := c.against(cmd.Context(), offline)
			if err != nil { // an editor is of use without an installation too
				at = vocabularyOnly(err.Error())
			}
			return lsp.Serve(cmd.Context(), stdio{c.in, c.out}, lsp.House{Actions: at.actions, Installed: at.installed, Name: clean(at.what)})
		},
	}
	cmd.Flags().BoolVar(&offline, "offline", false, "know the generic vocabulary only, whatever is installed")
	return cmd
}

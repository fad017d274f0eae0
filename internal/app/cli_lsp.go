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
	return &cobra.Command{
		Use: "lsp", Short: "Serve an editor",
		Long: "Speak the Language Server Protocol over standard input and output: diagnostics,\n" +
			"completion, hover, definitions and layout of playbooks. An editor starts it;\n" +
			"docs/editors.md says how.",
		Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return lsp.Serve(cmd.Context(), stdio{c.in, c.out}, generic{})
		},
	}
}

package app

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// Reference writes the commands with their options as Markdown, for docs/cli.md.
func (p Program) Reference(w io.Writer) error {
	var b strings.Builder
	root := (&cli{Program: p}).root()
	b.WriteString("Options of every command:\n\n")
	options(&b, root.PersistentFlags())
	describe(&b, root)
	if _, err := io.WriteString(w, b.String()); err != nil {
		return fmt.Errorf("write the reference: %w", err)
	}
	return nil
}

func describe(b *strings.Builder, cmd *cobra.Command) {
	for _, c := range cmd.Commands() {
		if !c.IsAvailableCommand() || c.Name() == "help" {
			continue
		}
		if c.HasAvailableSubCommands() && !strings.Contains(c.Use, " ") {
			describe(b, c) // a noun alone does nothing
			continue
		}
		path := strings.TrimSpace(strings.TrimSuffix(c.CommandPath(), c.Name()) + c.Use)
		fmt.Fprintf(b, "\n### `%s`\n\n", path)
		text := c.Short + "."
		if c.Long != "" {
			text = c.Long
		}
		b.WriteString(text + "\n")
		if c.LocalNonPersistentFlags().HasAvailableFlags() {
			b.WriteString("\n")
			options(b, c.LocalNonPersistentFlags())
		}
		describe(b, c)
	}
}

func options(b *strings.Builder, f *pflag.FlagSet) {
	b.WriteString("| option | |\n|---|---|\n")
	f.VisitAll(func(f *pflag.Flag) {
		if f.Name == "help" || f.Hidden {
			return
		}
		name := "--" + f.Name
		if f.Shorthand != "" {
			name = "-" + f.Shorthand + ", " + name
		}
		if f.Value.Type() != "bool" {
			name += " " + strings.ToUpper(strings.TrimSuffix(strings.TrimSuffix(f.Value.Type(), "Array"), "64"))
		}
		fmt.Fprintf(b, "| `%s` | %s |\n", name, strings.ReplaceAll(f.Usage, "|", "\\|"))
	})
}

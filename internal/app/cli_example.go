package app

import (
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/quell-soar/quell/examples"
	"github.com/quell-soar/quell/playbooks/diag"
)

// exampleCommand prints the playbooks that the program carries.
func (c *cli) exampleCommand() *cobra.Command {
	return &cobra.Command{
		Use: "example [NAME]", Short: "List the example playbooks, or print one, offline",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usage("%s takes NAME and no more; see %s --help", cmd.CommandPath(), cmd.CommandPath())
			}
			return nil
		},
		RunE: func(_ *cobra.Command, args []string) error {
			names := examples.Names()
			if len(args) == 0 {
				return c.show(names, func() error {
					c.say("%s", strings.Join(names, "\n"))
					return nil
				})
			}
			if !slices.Contains(names, args[0]) {
				if near := diag.Near(args[0], names); near != "" {
					return usage("there is no example %s; did you mean %s?", cut(clean(args[0]), 40), near)
				}
				return usage("there is no example %s; there are %s", cut(clean(args[0]), 40), strings.Join(names, ", "))
			}
			text, err := examples.Playbook(args[0])
			if err != nil {
				return err
			}
			_, err = c.out.Write(text)
			return err
		},
	}
}

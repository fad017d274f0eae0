package app

import (
	"fmt"

	"github.com/spf13/cobra"
)

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
				if err := t.flush(); err != nil {
					return err
				}
				for _, r := range got.Refused {
					c.say("refused: %s", clean(r.Why))
				}
				return nil
			})
		},
	}
	check := c.checkCommand()
	return group("playbook", "Look at playbooks", list, check, c.exampleCommand())
}

package app

import (
	"strings"

	"github.com/spf13/cobra"

	"github.com/quell-soar/quell/connectors/vocabulary"
	"github.com/quell-soar/quell/server/api"
)

func (c *cli) connectorCommand() *cobra.Command {
	list := &cobra.Command{
		Use: "list", Short: "List the connector instances with their state", Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			cl, err := c.client(cmd.Context())
			if err != nil {
				return err
			}
			got, err := cl.Connectors(cmd.Context())
			if err != nil {
				return err
			}
			return c.show(got, func() error { return c.connectorTable(got.Connectors) })
		},
	}
	check := &cobra.Command{
		Use: "check INSTANCE", Short: "Ask an instance whether its credential and network are good", Args: exactly("INSTANCE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			cl, err := c.client(cmd.Context())
			if err != nil {
				return err
			}
			got, err := cl.CheckConnector(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			if err := c.show(got, func() error { return c.connectorTable([]api.Connector{got}) }); err != nil {
				return err
			}
			if got.State != "ready" {
				return quiet(ExitFailed)
			}
			return nil
		},
	}
	return group("connector", "Look at connector instances", list, check, c.actionsCommand())
}

func (c *cli) connectorTable(list []api.Connector) error {
	t := newTable(c.out, "INSTANCE", "CONNECTOR", "VERSION", "STATE", "MODE", "ACTIONS", "DETAIL")
	for _, k := range list {
		t.row(k.Instance, k.Type, k.Version, k.State, k.Mode, strings.Join(k.Actions, " "), k.Detail)
	}
	return t.flush()
}

// actionsCommand is where the compiler sends an author who named an action that
// is not there.
func (c *cli) actionsCommand() *cobra.Command {
	return &cobra.Command{
		Use: "actions", Short: "List the generic actions that playbooks may use, offline", Args: exactly(),
		RunE: func(*cobra.Command, []string) error {
			all := vocabulary.All()
			return c.show(all, func() error {
				t := newTable(c.out, "ACTION", "CLASS", "INVERSE", "INPUTS", "TITLE")
				for _, a := range all {
					inputs := make([]string, len(a.Inputs))
					for i, in := range a.Inputs {
						inputs[i] = in.Name
					}
					t.row(a.Name, string(a.Class), a.Inverse, strings.Join(inputs, " "), a.Title)
				}
				return t.flush()
			})
		},
	}
}

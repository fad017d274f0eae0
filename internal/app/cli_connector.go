package app

import (
	"strings"

	"github.com/spf13/cobra"

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
		Use: "check INSTANCE", Short: "Ask an instance whether credentials, permissions and clock are good", Args: exactly("INSTANCE"),
		Long: "Have an instance try its credentials, what they may read, and the clock, at the product\n" +
			"itself; it changes nothing there. The server must run, and must have been started since\n" +
			"the instance was added. Exits with 1 where something is not good, and says what to do.",
		RunE: func(cmd *cobra.Command, args []string) error {
			cl, err := c.client(cmd.Context())
			if err != nil {
				return err
			}
			got, err := cl.CheckConnector(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			if err := c.show(got, func() error { return c.connectorChecks(got) }); err != nil {
				return err
			}
			if got.State != "ready" {
				return quiet(ExitFailed)
			}
			return nil
		},
	}
	return group("connector", "Connect products and look after the connections", list, c.connectorAdd(), check, c.knownCommand(), c.actionsCommand())
}

func (c *cli) connectorTable(list []api.Connector) error {
	t := newTable(c.out, "INSTANCE", "CONNECTOR", "VERSION", "STATE", "MODE", "ACTIONS", "DETAIL")
	for _, k := range list {
		t.row(k.Instance, k.Type, k.Version, k.State, k.Mode, strings.Join(k.Actions, " "), k.Detail)
	}
	return t.flush()
}

// connectorChecks shows what a check looked at, and what to do about it.
func (c *cli) connectorChecks(k api.Connector) error {
	t := newTable(c.out, "CHECK", "VERDICT", "DETAIL")
	for _, x := range k.Checks {
		verdict := wellOK
		if !x.OK {
			verdict = wellBad
		}
		t.row(x.Name, verdict, x.Advice)
	}
	if err := t.flush(); err != nil {
		return err
	}
	text := k.Instance + " is " + k.State + ", mode " + k.Mode
	if k.State != "ready" && len(k.Checks) == 0 {
		text += ": " + k.Detail
	}
	c.say("%s", clean(text))
	return nil
}

// knownCommand lists the connectors that can be added.
func (c *cli) knownCommand() *cobra.Command {
	var binary string
	cmd := &cobra.Command{
		Use: "known", Short: "List the connectors that can be added, offline", Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			list, err := manifests(cmd.Context(), binary)
			if err != nil {
				return err
			}
			return c.show(list, func() error {
				t := newTable(c.out, "CONNECTOR", "VERSION", "PRODUCT", "WHAT IT DOES")
				for _, m := range list {
					t.row(m.Name, m.Version, m.Title, cut(m.Doc, 100))
				}
				return t.flush()
			})
		},
	}
	cmd.Flags().StringVar(&binary, "binary", "", "the connectors' program; default quell-connector beside this one")
	return cmd
}

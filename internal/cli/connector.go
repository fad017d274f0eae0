package cli

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"github.com/quell-soar/quell/connectors/vocabulary"
	"github.com/quell-soar/quell/server/api"
)

func (c *cli) connectorCommand() *cobra.Command {
	list := &cobra.Command{
		Use: "list", Short: "List the configured connector instances with their state", Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.asker(cmd.Context(), func(cl *api.Client) error {
				got, err := cl.Connectors(cmd.Context())
				if err != nil {
					return err
				}
				return c.show(got, func() error { return c.connectorTable(got.Connectors) })
			})
		},
	}
	check := &cobra.Command{
		Use: "check INSTANCE", Short: "Ask an instance whether its credential and network are good", Args: exactly("INSTANCE"),
		Long: "Ask an instance whether its credential and network are good. Exits with 1 where it\n" +
			"is not ready to work.",
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.asker(cmd.Context(), func(cl *api.Client) error {
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
			})
		},
	}
	return group("connector", "Look at connectors", list, check, c.actionsCommand())
}

// actionsCommand is where the compiler's messages send an author who named an
// action that is not there.
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

func (c *cli) connectorTable(list []api.Connector) error {
	t := newTable(c.out, "INSTANCE", "TYPE", "VERSION", "STATE", "MODE", "ACTIONS", "DETAIL")
	for _, k := range list {
		t.row(k.Instance, k.Type, k.Version, k.State, k.Mode, strings.Join(k.Actions, " "), k.Detail)
	}
	return t.flush()
}

// guardCommand turns the kill switch.
func (c *cli) guardCommand() *cobra.Command {
	show := &cobra.Command{
		Use: "show", Short: "Show whether new effects are stopped", Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.asker(cmd.Context(), func(cl *api.Client) error {
				got, err := cl.KillSwitch(cmd.Context())
				if err != nil {
					return err
				}
				return c.show(got, func() error { return c.printSwitch(got) })
			})
		},
	}
	kill := c.turn("kill", "Stop all new effects; releases by a person stay possible", (*api.Client).Kill)
	lift := c.turn("lift", "Let new effects out again; needs the scope admin", (*api.Client).LiftKill)
	return group("guard", "Look at the kill switch and turn it", show, kill, lift)
}

func (c *cli) printSwitch(k api.KillSwitch) error {
	if !k.On {
		c.say("off: effects leave as modes and guards allow")
		return nil
	}
	c.say("ON: no new effect leaves: %s", clean(k.Reason))
	return nil
}

// turn is one direction of the kill switch.
func (c *cli) turn(verb, short string, call func(*api.Client, context.Context, string) (api.KillSwitch, error)) *cobra.Command {
	var reason string
	cmd := &cobra.Command{
		Use: verb, Short: short, Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if strings.TrimSpace(reason) == "" {
				return usage("guard %s needs --reason: it stands in the record", verb)
			}
			return c.asker(cmd.Context(), func(cl *api.Client) error {
				got, err := call(cl, cmd.Context(), reason)
				if err != nil {
					return uncertain(err, "quell guard show tells")
				}
				return c.show(got, func() error { return c.printSwitch(got) })
			})
		},
	}
	cmd.Flags().StringVar(&reason, "reason", "", "why, for the record")
	return cmd
}

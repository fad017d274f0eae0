package app

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/quell-soar/quell/server/api"
)

func (c *cli) guardCommand() *cobra.Command {
	show := &cobra.Command{
		Use: "show", Short: "Show whether the kill switch is on", Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			cl, err := c.client(cmd.Context())
			if err != nil {
				return err
			}
			got, err := cl.KillSwitch(cmd.Context())
			if err != nil {
				return err
			}
			return c.killState(got)
		},
	}
	return group("guard", "Look at the kill switch and turn it", show,
		c.turn("kill", "Stop all new effects; releases stay possible", (*api.Client).Kill),
		c.turn("lift", "Let new effects out again", (*api.Client).LiftKill))
}

func (c *cli) killState(k api.KillSwitch) error {
	return c.show(k, func() error {
		if !k.On {
			c.say("the kill switch is off")
			return nil
		}
		c.say("the kill switch is ON: no new effect leaves: %s", clean(k.Reason))
		return nil
	})
}

// turn is one direction of the kill switch.
func (c *cli) turn(verb, short string, call func(*api.Client, context.Context, string) (api.KillSwitch, error)) *cobra.Command {
	var reason string
	cmd := &cobra.Command{
		Use: verb, Short: short, Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if reason == "" {
				return usage("guard %s needs --reason: it stands in the record", verb)
			}
			cl, err := c.client(cmd.Context())
			if err != nil {
				return err
			}
			got, err := call(cl, cmd.Context(), reason)
			if err != nil {
				return uncertain(err, "quell guard show tells")
			}
			return c.killState(got)
		},
	}
	cmd.Flags().StringVar(&reason, "reason", "", "why, for the record")
	return cmd
}

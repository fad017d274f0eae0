package app

import (
	"context"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/quell-soar/quell/server/api"
)

func (c *cli) guardCommand() *cobra.Command {
	show := &cobra.Command{
		Use: "show", Short: "Show the kill switch, budgets and what is spent, freezes, and what is protected", Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			cl, err := c.client(cmd.Context())
			if err != nil {
				return err
			}
			got, err := cl.Guards(cmd.Context())
			if err != nil {
				return err
			}
			return c.show(got, func() error { return c.guards(got) })
		},
	}
	return group("guard", "Look at the guards, and turn the kill switch", show,
		c.turn("kill", "Stop all new effects; releases stay possible", (*api.Client).Kill),
		c.turn("lift", "Let new effects out again", (*api.Client).LiftKill))
}

func (c *cli) killState(k api.KillSwitch) error {
	return c.show(k, func() error { c.killLine(k); return nil })
}

func (c *cli) killLine(k api.KillSwitch) {
	if !k.On {
		c.say("the kill switch is off")
		return
	}
	c.say("the kill switch is ON: no new effect leaves: %s", clean(k.Reason))
}

// guards prints the guards; what there is none of is left out.
func (c *cli) guards(g api.Guards) error {
	c.killLine(g.Switch)
	if len(g.Budgets) > 0 {
		c.say("")
		t := newTable(c.out, "BUDGET", "SPENT", "OF", "PER", "ACTIONS", "CLASS", "THEN")
		for _, b := range g.Budgets {
			t.row(b.Name, strconv.Itoa(b.Spent), strconv.Itoa(b.Targets), b.Per, strings.Join(b.Actions, " "), strings.Join(b.Class, " "), b.Then)
		}
		if err := t.flush(); err != nil {
			return err
		}
	}
	if len(g.Freezes) > 0 {
		c.say("")
		t := newTable(c.out, "FREEZE", "HOLDS UNTIL", "ACTIONS", "THEN")
		for _, f := range g.Freezes {
			t.row(f.Reason, stamp(f.Until), strings.Join(f.Actions, " "), f.Then)
		}
		if err := t.flush(); err != nil {
			return err
		}
	}
	if len(g.Rules) > 0 {
		c.say("")
		t := newTable(c.out, "RULE", "WHEN", "THEN", "REASON")
		for _, r := range g.Rules {
			t.row(r.Name, r.When, r.Then, r.Reason)
		}
		if err := t.flush(); err != nil {
			return err
		}
	}
	c.say("")
	return pairs(c.out, "protected", strings.Join(g.Protected, " "), "by tag", strings.Join(g.Tags, " "), "by group", strings.Join(g.Groups, ", "),
		"never blocked", strings.Join(g.NeverBlocked, " "), "quell's own", strings.Join(g.Own, " "))
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

package app

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/quell-soar/quell/server/api"
)

func (c *cli) backtestCommand() *cobra.Command {
	var since string
	cmd := &cobra.Command{
		Use: "backtest NEW", Short: "Play what was recorded through a new version of a playbook",
		Long: "Play the recorded alerts and runs of a playbook, with the recorded answers of connectors and\n" +
			"people, through the version in the file NEW, and show which would decide, target, ask or\n" +
			"end differently, and where data is missing. No connector is called. Exits with 1 where\n" +
			"something differs or is missing.",
		Args: exactly("NEW"),
		RunE: func(cmd *cobra.Command, args []string) error { return c.backtest(cmd.Context(), args[0], since) },
	}
	cmd.Flags().StringVar(&since, "since", "30d", "how far back, such as 7d")
	return cmd
}

func (c *cli) backtest(ctx context.Context, file, since string) error {
	active, text, beside, err := c.playbookOf(file)
	if err != nil {
		return err
	}
	if active != "" {
		return usage("backtest needs the FILE of a new version; there is no file %s", clean(cut(file, 60)))
	}
	cl, err := c.client(ctx)
	if err != nil {
		return err
	}
	got, err := cl.Backtest(ctx, api.BacktestRequest{Source: *text, Beside: beside, Since: since})
	if err != nil {
		return err
	}
	if err := c.show(got, func() error { return c.backtestText(got) }); err != nil {
		return err
	}
	if got.Differ+got.Missing > 0 {
		return quiet(ExitFailed)
	}
	return nil
}

func (c *cli) backtestText(b api.Backtest) error {
	p := &page{w: c.out}
	p.line("", fmt.Sprintf("%s, since %s: %s, %s. %d go on as they did, %d differ, of %d data is missing. No connector was called; it took %s.",
		b.Playbook, stamp(b.Since), many(b.Alerts, "alert"), many(b.Runs, "run"), b.Same, b.Differ, b.Missing, span(time.Duration(b.TookMillis)*time.Millisecond)))
	if b.Cut {
		p.line("", "There was more than one backtest takes: look less far back.")
	}
	for _, k := range b.Cases {
		what := k.Run
		if what == "" {
			what = "alert " + k.Alert
		}
		p.head(stamp(k.At) + "  " + clean(what))
		p.changes("starts", k.Starts)
		for _, d := range k.Decides {
			p.changes("decides", &d)
		}
		for _, d := range k.Targets {
			p.changes("targets", &d)
		}
		for _, d := range k.Inputs {
			p.changes("inputs", &d)
		}
		for _, d := range k.Asks {
			p.changes("asks", &d)
		}
		p.changes("ends", k.Ends)
		for _, m := range k.Missing {
			p.pair("missing", m)
		}
		for _, a := range k.Assumed {
			p.pair("assumed", a)
		}
	}
	return p.err
}

// changes writes one difference.
func (p *page) changes(name string, d *api.BacktestChange) {
	if d == nil {
		return
	}
	text := ""
	if d.What != "" {
		text = d.What + ": "
	}
	switch {
	case d.Before == "":
		text += "new: " + d.After
	case d.After == "":
		text += "no more: " + d.Before
	default:
		text += d.Before + " -> " + d.After
	}
	p.pair(name, text)
}

func (c *cli) runAnswers() *cobra.Command {
	return &cobra.Command{
		Use: "answers RUN", Short: "Print what connectors answered to a run, as fixtures for plan --offline", Args: exactly("RUN"),
		Long: "Print what connectors answered to the reads of a run, as JSON. As a file it is what\n" +
			"quell plan --offline --fixtures takes.",
		RunE: func(cmd *cobra.Command, args []string) error {
			cl, err := c.client(cmd.Context())
			if err != nil {
				return err
			}
			got, err := cl.Answers(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			return printJSON(c.out, got)
		},
	}
}

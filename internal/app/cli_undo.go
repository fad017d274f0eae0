package app

import (
	"context"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/quell-soar/quell/server/api"
)

// undoPoll is how often an undo is asked how far it is.
const undoPoll = 300 * time.Millisecond

func (c *cli) undoCommand() *cobra.Command {
	var in api.UndoRun
	var wait time.Duration
	cmd := &cobra.Command{
		Use: "undo RUN", Short: "Take back what a run did, newest first", Args: exactly("RUN"),
		Long: "Take back what a run did, newest first. What another run still holds stays; what\n" +
			"cannot be taken back is listed. Exits with 1 where something was left, with 5 where\n" +
			"an outcome is not known. It goes on at the server when this command ends.",
		RunE: func(cmd *cobra.Command, args []string) error {
			if in.Reason == "" {
				return usage("undo needs --reason: it stands in the record")
			}
			return c.undo(cmd.Context(), args[0], in, wait)
		},
	}
	cmd.Flags().StringArrayVar(&in.Steps, "step", nil, "only the effects of this step's path; may be repeated")
	cmd.Flags().StringVar(&in.Reason, "reason", "", "why, for the record")
	cmd.Flags().DurationVar(&wait, "wait", 2*time.Minute, "how long to wait for its end; 0 returns at once")
	cmd.AddCommand(&cobra.Command{
		Use: "show UNDO", Short: "Show how far an undo is", Args: exactly("UNDO"),
		RunE: func(cmd *cobra.Command, args []string) error {
			cl, err := c.client(cmd.Context())
			if err != nil {
				return err
			}
			got, err := cl.UndoResult(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			if err := c.show(got, func() error { return c.printUndo(got) }); err != nil {
				return err
			}
			return undoOutcome(got)
		},
	})
	return cmd
}

func (c *cli) undo(ctx context.Context, run string, in api.UndoRun, wait time.Duration) error {
	cl, err := c.client(ctx)
	if err != nil {
		return err
	}
	got, err := cl.Undo(ctx, run, in)
	if err != nil {
		return uncertain(err, "undo again: what is taken back already is left alone")
	}
	until := time.NewTimer(wait)
	defer until.Stop()
	tick := time.NewTicker(undoPoll)
	defer tick.Stop()
	for !got.Done && wait > 0 {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-until.C:
			wait = 0
		case <-tick.C:
			next, err := cl.UndoResult(ctx, got.ID)
			if err != nil {
				return err
			}
			got = next
		}
	}
	if err := c.show(got, func() error { return c.printUndo(got) }); err != nil {
		return err
	}
	return undoOutcome(got)
}

func (c *cli) printUndo(u api.Undo) error {
	c.say("%s", clean(u.ID))
	if u.Result == nil {
		c.say("it goes on at the server; quell undo show %s tells how far it is", clean(u.ID))
		return nil
	}
	if len(u.Result.Items) == 0 {
		c.say("there was nothing to take back")
		return nil
	}
	t := newTable(c.out, "ACTION", "TARGETS", "OUTCOME", "DETAIL")
	for _, i := range u.Result.Items {
		t.row(i.Action, strings.Join(i.Targets, " "), i.Outcome, i.Detail)
	}
	return t.flush()
}

func undoOutcome(u api.Undo) error {
	if u.Result == nil {
		return nil
	}
	code := ExitOK
	for _, i := range u.Result.Items {
		switch i.Outcome {
		case "unknown":
			return quiet(ExitUnknown)
		case "failed", "irreversible":
			code = ExitFailed
		}
	}
	if code != ExitOK {
		return quiet(code)
	}
	return nil
}

package cli

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/quell-soar/quell/server/api"
	"github.com/quell-soar/quell/workflows/run"
)

func (c *cli) undoCommand() *cobra.Command {
	var in api.UndoRun
	var wait bool
	cmd := &cobra.Command{
		Use: "undo RUN", Short: "Take back what a run did, the newest effect first",
		Long: "Take back what a run did. --step limits it to effects of a step; it may be given\n" +
			"several times. With --wait the exit code tells how it went: 1 where an effect\n" +
			"could not be taken back, 5 where that is not known.",
		Args: exactly("RUN"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if strings.TrimSpace(in.Reason) == "" {
				return usage("undo needs --reason: it stands in the record")
			}
			return c.asker(cmd.Context(), func(cl *api.Client) error { return c.undo(cmd.Context(), cl, args[0], in, wait) })
		},
	}
	f := cmd.Flags()
	f.StringArrayVar(&in.Steps, "step", nil, "path of a step; default all steps")
	f.StringVar(&in.Reason, "reason", "", "why, for the record")
	f.BoolVarP(&wait, "wait", "w", false, "wait until it is over")
	cmd.AddCommand(c.undoShow())
	return cmd
}

func (c *cli) undo(ctx context.Context, cl *api.Client, id string, in api.UndoRun, wait bool) error {
	got, err := cl.Undo(ctx, id, in)
	if err != nil {
		return uncertain(err, "quell run show "+id+" tells; an undo twice takes nothing back twice")
	}
	if wait && !got.Done {
		if c.output == outputText {
			c.say("%s", clean(got.ID))
		}
		if got, err = c.awaitUndo(ctx, cl, got.ID); err != nil {
			return err
		}
	}
	return c.undone(got)
}

// awaitUndo asks until the undo is over. A short absence of the server is no
// reason to stop: the undo goes on there.
func (c *cli) awaitUndo(ctx context.Context, cl *api.Client, id string) (api.Undo, error) {
	const patience = 6
	wait, lost := 100*time.Millisecond, 0
	for {
		got, err := cl.UndoResult(ctx, id)
		var away *api.Unreachable
		switch {
		case err == nil && got.Done:
			return got, nil
		case err == nil:
			lost = 0
		case !errors.As(err, &away) || lost == patience:
			return got, err
		default:
			lost++
		}
		t := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			t.Stop()
			return got, ctx.Err()
		case <-t.C:
		}
		wait = min(2*wait, 2*time.Second)
	}
}

func (c *cli) undoShow() *cobra.Command {
	return &cobra.Command{
		Use: "show UNDO", Short: "Show how far an undo is", Args: exactly("UNDO"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.asker(cmd.Context(), func(cl *api.Client) error {
				got, err := cl.UndoResult(cmd.Context(), args[0])
				if err != nil {
					return err
				}
				return c.undone(got)
			})
		},
	}
}

// undone prints an undo and turns its outcomes into an exit code.
func (c *cli) undone(u api.Undo) error {
	err := c.show(u, func() error {
		if !u.Done {
			c.say("%s  is under way; quell undo show %s tells how it went", clean(u.ID), clean(u.ID))
			return nil
		}
		if u.Result == nil || len(u.Result.Items) == 0 {
			c.say("there was nothing to take back")
			return nil
		}
		t := newTable(c.out, "OUTCOME", "ACTION", "TARGETS", "DETAIL")
		for _, it := range u.Result.Items {
			t.row(it.Outcome, it.Action, strings.Join(it.Targets, " "), it.Detail)
		}
		return t.flush()
	})
	if err != nil || !u.Done || u.Result == nil {
		return err
	}
	return undoOutcome(u.Result.Items)
}

func undoOutcome(items []run.UndoItem) error {
	code := ExitOK
	for _, it := range items {
		switch it.Outcome {
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

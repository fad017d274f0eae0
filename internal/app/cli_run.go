package app

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"strings"

	"github.com/spf13/cobra"

	"github.com/quell-soar/quell/server/api"
)

func (c *cli) runCommand() *cobra.Command {
	var in startFlags
	cmd := &cobra.Command{
		Use: "run PLAYBOOK", Short: "Start a playbook; list, show, watch, review and cancel runs",
		Long: "Start a playbook by hand. An input is written -i name=text, read by the type of\n" +
			"the input, or -i name:=JSON. A repetition with the same --key starts nothing new.",
		Args: exactly("PLAYBOOK"),
		RunE: func(cmd *cobra.Command, args []string) error { return c.start(cmd.Context(), args[0], in) },
	}
	f := cmd.Flags()
	f.StringArrayVarP(&in.inputs, "input", "i", nil, "an input as name=text or name:=JSON")
	f.StringVar(&in.reason, "reason", "", "why, for the record")
	f.StringVar(&in.incident, "incident", "", "key of the incident that tickets and reports share")
	f.StringVar(&in.severity, "severity", "", "info, low, medium, high or critical")
	f.StringVar(&in.mode, "mode", "", "observe or ask: do less than the configuration allows")
	f.StringVar(&in.key, "key", "", "idempotency key; default a fresh one")
	f.BoolVarP(&in.watch, "watch", "w", false, "follow the run to its end; its outcome decides the exit code")
	cmd.AddCommand(c.runList(), c.runShow(), c.runWatch(), c.runReport(), c.runAnswers(), c.runCancel())
	return cmd
}

type startFlags struct {
	inputs                                []string
	reason, incident, severity, mode, key string
	watch                                 bool
}

func (c *cli) start(ctx context.Context, playbook string, f startFlags) error {
	inputs, err := readInputs(f.inputs)
	if err != nil {
		return err
	}
	cl, err := c.client(ctx)
	if err != nil {
		return err
	}
	if f.key == "" {
		f.key = rand.Text()
	}
	got, err := cl.Start(ctx, api.StartRun{
		Playbook: playbook, Inputs: inputs, Incident: f.incident, Severity: f.severity, Mode: f.mode, Reason: f.reason,
	}, f.key)
	if err != nil {
		return uncertain(err, "repeat the command with --key "+f.key+": it starts nothing twice")
	}
	if f.watch {
		if c.output == outputText {
			c.say("%s", clean(got.Run))
		}
		return c.watch(ctx, cl, got.Run)
	}
	return c.show(got, func() error {
		c.say("%s", clean(got.Run))
		return nil
	})
}

// readInputs reads name=text and name:=JSON.
func readInputs(args []string) (map[string]json.RawMessage, error) {
	out := make(map[string]json.RawMessage, len(args))
	for _, a := range args {
		name, text, ok := strings.Cut(a, "=")
		name, isJSON := strings.CutSuffix(name, ":")
		if !ok || name == "" {
			return nil, usage("the input %q is not name=text or name:=JSON", cut(a, 60))
		}
		if _, twice := out[name]; twice {
			return nil, usage("the input %s is given twice", name)
		}
		if !isJSON {
			raw, err := json.Marshal(text)
			if err != nil {
				return nil, usage("the input %s: %v", name, err)
			}
			out[name] = raw
			continue
		}
		if !json.Valid([]byte(text)) {
			return nil, usage("the input %s is not JSON; write %s=text for a text", name, name)
		}
		out[name] = json.RawMessage(text)
	}
	return out, nil
}

func (c *cli) runList() *cobra.Command {
	var f api.RunFilter
	var status string
	cmd := &cobra.Command{
		Use: "list", Short: "List runs, newest first", Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			cl, err := c.client(cmd.Context())
			if err != nil {
				return err
			}
			f.Status = api.RunStatus(status)
			got, err := cl.Runs(cmd.Context(), f)
			if err != nil {
				return err
			}
			return c.show(got, func() error {
				t := newTable(c.out, "RUN", "STATUS", "CLOSING", "MODE", "SEVERITY", "BY", "CREATED")
				for _, r := range got.Runs {
					t.row(r.ID, string(r.Status), r.Closing, r.Mode, r.Severity, r.Trigger.Actor, c.ago(r.Created))
				}
				if err := t.flush(); err != nil {
					return err
				}
				if got.Next != "" {
					c.say("more: --cursor %s", clean(got.Next))
				}
				return nil
			})
		},
	}
	cmd.Flags().StringVar(&f.Playbook, "playbook", "", "only runs of this playbook")
	cmd.Flags().StringVar(&status, "status", "", "waiting, running or ended")
	cmd.Flags().StringVar(&f.Closing, "closing", "", "only runs that ended so, such as failed")
	cmd.Flags().StringVar(&f.Incident, "incident", "", "only runs of this incident")
	cmd.Flags().IntVar(&f.Limit, "limit", 0, "how many; default 50, at most 200")
	cmd.Flags().StringVar(&f.Cursor, "cursor", "", "where the page before ended")
	return cmd
}

func (c *cli) runShow() *cobra.Command {
	return &cobra.Command{
		Use: "show RUN", Short: "Show one run: steps, effects, requests", Args: exactly("RUN"),
		RunE: func(cmd *cobra.Command, args []string) error {
			cl, err := c.client(cmd.Context())
			if err != nil {
				return err
			}
			got, err := cl.Run(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			return c.show(got, func() error { return c.printRun(got) })
		},
	}
}

func (c *cli) printRun(r api.RunDetail) error {
	state := string(r.Status)
	if r.Closing != "" {
		state += ": " + r.Closing
	}
	err := pairs(c.out, "run", r.ID, "status", state, "reason", r.Reason, "mode", r.Mode, "incident", r.Incident,
		"severity", r.Severity, "started by", r.Trigger.Actor, "alerts", strings.Join(r.Alerts, " "), "created", stamp(r.Created),
		"started", stamp(r.Started), "ended", stamp(r.Ended), "plan", r.Digest, "inputs", string(r.Inputs), "outputs", string(r.Outputs), "no tree", r.TreeError)
	if err != nil {
		return err
	}
	if r.Tree != nil {
		v := newView(c.now)
		v.tree = r.Tree
		for i := range r.Entries {
			v.note(&r.Entries[i])
		}
		c.say("\nSTEPS")
		for _, l := range v.steps() {
			c.say("%s", l)
		}
	}
	if len(r.Effects) > 0 {
		c.say("\nEFFECTS")
		t := newTable(c.out, "STEP", "ACTION", "TARGETS", "INSTANCE", "OUTCOME", "DETAIL")
		for _, e := range r.Effects {
			what := e.Action
			if e.Direction == "undo" {
				what = "undo " + what
			}
			if e.Outcome == "" {
				e.Outcome = "on its way"
			}
			t.row(e.Step+round(e.Iteration), what, strings.Join(e.Targets, " "), e.Instance, e.Outcome, e.Detail)
		}
		if err := t.flush(); err != nil {
			return err
		}
	}
	if len(r.Approvals) > 0 {
		c.say("\nREQUESTS")
		return c.approvalTable(r.Approvals)
	}
	return nil
}

func (c *cli) runWatch() *cobra.Command {
	return &cobra.Command{
		Use: "watch RUN", Short: "Follow a run to its end", Args: exactly("RUN"),
		Long: "Follow a run to its end: a live tree on a terminal, one line per event elsewhere.\n" +
			"The exit code is the run's: 0 completed, 1 failed or cancelled, 3 denied, 5 where\n" +
			"the outcome of an effect is not known.",
		RunE: func(cmd *cobra.Command, args []string) error {
			cl, err := c.client(cmd.Context())
			if err != nil {
				return err
			}
			return c.watch(cmd.Context(), cl, args[0])
		},
	}
}

func (c *cli) runCancel() *cobra.Command {
	var reason string
	cmd := &cobra.Command{
		Use: "cancel RUN", Short: "Stop a run; what it did stays until it is undone", Args: exactly("RUN"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if reason == "" {
				return usage("run cancel needs --reason: it stands in the record")
			}
			cl, err := c.client(cmd.Context())
			if err != nil {
				return err
			}
			if err := cl.Cancel(cmd.Context(), args[0], api.CancelRun{Reason: reason}); err != nil {
				return uncertain(err, "quell run show "+args[0]+" tells; cancelling twice does no harm")
			}
			return c.show(map[string]any{"run": args[0], "cancelled": true}, func() error {
				c.say("%s is being cancelled; what it did stays: quell undo %s takes it back", clean(args[0]), clean(args[0]))
				return nil
			})
		},
	}
	cmd.Flags().StringVar(&reason, "reason", "", "why, for the record")
	return cmd
}

package app

import (
	"bufio"
	"context"
	"strings"

	"github.com/spf13/cobra"

	"github.com/quell-soar/quell/server/api"
)

func (c *cli) approvalCommand() *cobra.Command {
	approve := c.approveCommand()
	return group("approval", "Look at requests to people and answer them",
		c.approvalList(), c.approvalShow(), approve, c.denyCommand(), c.answerCommand())
}

func (c *cli) approvalList() *cobra.Command {
	var f api.ApprovalFilter
	cmd := &cobra.Command{
		Use: "list", Short: "List open requests, the oldest first", Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if f.All && f.Run == "" {
				return usage("--all lists the closed requests of one run; name it with --run")
			}
			cl, err := c.client(cmd.Context())
			if err != nil {
				return err
			}
			got, err := cl.Approvals(cmd.Context(), f)
			if err != nil {
				return err
			}
			return c.show(got, func() error {
				if err := c.approvalTable(got.Approvals); err != nil {
					return err
				}
				if got.Next != "" {
					c.say("more: --cursor %s", clean(got.Next))
				}
				return nil
			})
		},
	}
	cmd.Flags().StringVar(&f.Run, "run", "", "only requests of this run")
	cmd.Flags().IntVar(&f.Limit, "limit", 0, "how many; default 50, at most 200")
	cmd.Flags().StringVar(&f.Cursor, "cursor", "", "where the page before ended")
	cmd.Flags().BoolVar(&f.All, "all", false, "closed requests too")
	return cmd
}

func (c *cli) approvalTable(list []api.Approval) error {
	t := newTable(c.out, "ID", "KIND", "STATUS", "QUESTION", "OPENED", "EXPIRES", "DECIDED BY")
	for _, a := range list {
		t.row(a.ID, string(a.Kind), a.Status, a.Question, c.ago(a.Opened), stamp(a.Expires), strings.Join(voters(a), ", "))
	}
	return t.flush()
}

func voters(a api.Approval) []string {
	out := make([]string, 0, len(a.Votes))
	for _, v := range a.Votes {
		word := v.Actor + " (" + v.Decision
		if v.Reason != "" {
			word += ": " + v.Reason
		}
		out = append(out, word+")")
	}
	return out
}

func (c *cli) approvalShow() *cobra.Command {
	return &cobra.Command{
		Use: "show ID", Short: "Show one request with the effects that it seals", Args: exactly("ID"),
		RunE: func(cmd *cobra.Command, args []string) error {
			cl, err := c.client(cmd.Context())
			if err != nil {
				return err
			}
			got, err := cl.Approval(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			return c.show(got, func() error { return c.printApproval(got) })
		},
	}
}

func (c *cli) printApproval(a api.Approval) error {
	if len(a.Effects) > 0 {
		a.Show = nil // the effects below say the same
	}
	var who []string
	for _, l := range a.Levels {
		word := strings.Join(l.Who, " or ")
		if !l.Until.IsZero() {
			word += " until " + stamp(l.Until)
		}
		who = append(who, word)
	}
	err := pairs(c.out, "request", a.ID, "kind", string(a.Kind), "status", a.Status, "run", a.Run, "step", a.Step,
		"question", a.Question, "asked by", a.Requester, "who may answer", strings.Join(who, ", then "), "if nobody does", a.Silent,
		"opened", stamp(a.Opened), "expires", stamp(a.Expires), "decided by", strings.Join(voters(a), ", "),
		"choices", strings.Join(a.Choices, " "), "show", string(a.Show))
	if err != nil {
		return err
	}
	if len(a.Effects) > 0 {
		c.say("\nEFFECTS")
		t := newTable(c.out, "STEP", "ACTION", "INSTANCE", "INPUTS")
		for _, e := range a.Effects {
			t.row(e.Step+round(e.Iteration), e.Action, e.Instance, string(e.Inputs))
		}
		if err := t.flush(); err != nil {
			return err
		}
	}
	if len(a.Fields) > 0 {
		c.say("\nFIELDS")
		t := newTable(c.out, "NAME", "TYPE", "AMONG", "DEFAULT")
		for _, f := range a.Fields {
			t.row(f.Name, f.Type.String(), string(f.Among), string(f.Default))
		}
		if err := t.flush(); err != nil {
			return err
		}
	}
	if a.Seal != "" {
		c.say("\nseal  %s", clean(a.Seal))
	}
	return nil
}

// approveCommand makes a new command each time: it stands under approval and as
// a shortcut.
func (c *cli) approveCommand() *cobra.Command {
	var seal, reason string
	var yes bool
	cmd := &cobra.Command{
		Use: "approve ID", Short: "Approve a request, exactly as it is shown", Args: exactly("ID"),
		Long: "Show the effects of a request and approve them. The vote carries the seal of what\n" +
			"was shown: had anything changed, it would be refused. On a terminal it asks first;\n" +
			"elsewhere name --seal as approval show prints it, or --yes.",
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.approve(cmd.Context(), args[0], seal, reason, yes)
		},
	}
	cmd.Flags().StringVar(&seal, "seal", "", "the seal that you looked at; another one is refused")
	cmd.Flags().StringVar(&reason, "reason", "", "why, for the record")
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "approve what is shown without asking")
	return cmd
}

func (c *cli) approve(ctx context.Context, id, seal, reason string, yes bool) error {
	cl, err := c.client(ctx)
	if err != nil {
		return err
	}
	req, err := cl.Approval(ctx, id)
	if err != nil {
		return err
	}
	if seal != "" && seal != req.Seal {
		return failed(ExitRefused, "what would be done now is not what you looked at: its seal is %s; quell approval show %s", clean(req.Seal), clean(id))
	}
	if c.output == outputText {
		if err := c.printApproval(req); err != nil {
			return err
		}
	}
	if seal == "" && !yes {
		if err := c.confirm("Approve this?"); err != nil {
			return err
		}
	}
	return c.vote(ctx, cl, id, api.Vote{Decision: api.Approve, Reason: reason, Seal: req.Seal})
}

// confirm asks a person at a terminal.
func (c *cli) confirm(question string) error {
	if _, _, terminal := c.screen(); !terminal || c.output != outputText || c.inUsed {
		return usage("nobody can be asked here; name --seal with what you looked at, or --yes")
	}
	c.inUsed = true
	c.say("")
	_, _ = c.out.Write([]byte(question + " [y/N] "))
	line, _ := bufio.NewReader(c.in).ReadString('\n')
	switch strings.ToLower(strings.TrimSpace(line)) {
	case "y", "yes":
		return nil
	}
	return failed(ExitFailed, "nothing was decided")
}

func (c *cli) vote(ctx context.Context, cl *api.Client, id string, v api.Vote) error {
	got, err := cl.Vote(ctx, id, v)
	if err != nil {
		return uncertain(err, "quell approval show "+clean(id)+" tells; the same vote twice counts once")
	}
	return c.decided(got)
}

// decided prints a request after somebody's word.
func (c *cli) decided(a api.Approval) error {
	return c.show(a, func() error {
		c.say("%s  %s  %s", clean(a.ID), clean(a.Status), clean(strings.Join(voters(a), ", ")))
		return nil
	})
}

func (c *cli) denyCommand() *cobra.Command {
	var reason string
	cmd := &cobra.Command{
		Use: "deny ID", Short: "Deny a request", Args: exactly("ID"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if reason == "" {
				return usage("approval deny needs --reason: it stands in the record")
			}
			cl, err := c.client(cmd.Context())
			if err != nil {
				return err
			}
			req, err := cl.Approval(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			return c.vote(cmd.Context(), cl, args[0], api.Vote{Decision: api.Deny, Reason: reason, Seal: req.Seal})
		},
	}
	cmd.Flags().StringVar(&reason, "reason", "", "why, for the record")
	return cmd
}

func (c *cli) answerCommand() *cobra.Command {
	var fields []string
	var done, notDone bool
	var reason string
	cmd := &cobra.Command{
		Use: "answer ID", Short: "Answer a question", Args: exactly("ID"),
		Long: "Answer a question: -f name=text or -f name:=JSON for each of its fields. A question\n" +
			"without fields is a task: --done, or --not-done with --reason.",
		RunE: func(cmd *cobra.Command, args []string) error {
			in := api.Answer{Reason: reason}
			switch {
			case done && notDone:
				return usage("--done and --not-done exclude each other")
			case notDone && reason == "":
				return usage("--not-done needs --reason")
			case done || notDone:
				in.Done = &done
			case len(fields) == 0:
				return usage("approval answer needs -f name=text, --done or --not-done")
			}
			var err error
			if in.Fields, err = readInputs(fields); err != nil {
				return err
			}
			return c.answer(cmd.Context(), args[0], in)
		},
	}
	cmd.Flags().StringArrayVarP(&fields, "field", "f", nil, "a field as name=text or name:=JSON")
	cmd.Flags().BoolVar(&done, "done", false, "the task is done")
	cmd.Flags().BoolVar(&notDone, "not-done", false, "the task is not done")
	cmd.Flags().StringVar(&reason, "reason", "", "why, for the record")
	return cmd
}

func (c *cli) answer(ctx context.Context, id string, in api.Answer) error {
	cl, err := c.client(ctx)
	if err != nil {
		return err
	}
	got, err := cl.Answer(ctx, id, in)
	if err != nil {
		return uncertain(err, "quell approval show "+clean(id)+" tells")
	}
	return c.decided(got)
}

func (c *cli) effectCommand() *cobra.Command {
	var reason string
	resolve := &cobra.Command{
		Use: "resolve ID CHOICE", Short: "Decide on a step that failed or whose effect is unknown", Args: exactly("ID", "CHOICE"),
		Long: "Decide what happens to a step that failed, or to an effect of which it is not known\n" +
			"whether it happened. ID is the request; approval show lists its choices, such as\n" +
			"retry, skip, done, stop.",
		RunE: func(cmd *cobra.Command, args []string) error {
			if reason == "" {
				return usage("effect resolve needs --reason: it stands in the record")
			}
			cl, err := c.client(cmd.Context())
			if err != nil {
				return err
			}
			got, err := cl.Resolve(cmd.Context(), args[0], api.Resolve{Choice: args[1], Reason: reason})
			if err != nil {
				return uncertain(err, "quell approval show "+clean(args[0])+" tells")
			}
			return c.decided(got)
		},
	}
	resolve.Flags().StringVar(&reason, "reason", "", "why, for the record")
	return group("effect", "Decide on effects that are not clear", resolve)
}

package cli

import (
	"bufio"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/quell-soar/quell/server/api"
)

type approveFlags struct {
	reason, seal string
	yes          bool
}

func (c *cli) approveCommand() *cobra.Command {
	var in approveFlags
	cmd := &cobra.Command{
		Use: "approve REQUEST", Short: "Approve the effects of a request, as they are shown",
		Long: "Show the sealed effects of a request, ask, and approve exactly these. Where they\n" +
			"changed meanwhile, the server refuses. Without a terminal, --yes approves what is\n" +
			"there now and --seal what was seen before.",
		Args: exactly("REQUEST"),
		RunE: func(cmd *cobra.Command, args []string) error { return c.approve(cmd.Context(), args[0], in) },
	}
	f := cmd.Flags()
	f.StringVar(&in.reason, "reason", "", "why, for the record")
	f.StringVar(&in.seal, "seal", "", "approve only under this seal, as approval show printed it")
	f.BoolVarP(&in.yes, "yes", "y", false, "do not ask")
	return cmd
}

func (c *cli) approve(ctx context.Context, id string, in approveFlags) error {
	if !in.yes && in.seal == "" && !c.asking {
		return usage("approve asks on a terminal, and this is none; look with quell approval show, then add --seal SEAL or --yes")
	}
	return c.asker(ctx, func(cl *api.Client) error {
		seen, err := cl.Approval(ctx, id)
		if err != nil {
			return err
		}
		if seen.Kind != api.RequestApproval && seen.Kind != api.RequestHold {
			return usage("request %s is a %s: it is not approved; see quell approval show '%s'", id, seen.Kind, id)
		}
		if in.seal != "" && in.seal != seen.Seal {
			return failed(ExitRefused, "request %s has not the seal %s: what would be done is not what you saw; look at it again with quell approval show '%s'", id, in.seal, id)
		}
		if !in.yes && in.seal == "" {
			if err := c.confirm(ctx, seen); err != nil {
				return err
			}
		}
		got, err := cl.Vote(ctx, id, api.Vote{Decision: api.Approve, Reason: in.reason, Seal: seen.Seal})
		return c.voted(got, err)
	})
}

// confirm shows a request and asks whether it is approved. Everything but a yes
// is a no.
func (c *cli) confirm(ctx context.Context, seen api.Approval) error {
	if c.output == outputJSON {
		return usage("approve -o json cannot ask; add --seal SEAL or --yes")
	}
	if err := c.printRequest(seen); err != nil {
		return err
	}
	_, _ = fmt.Fprint(c.out, "\nApprove this? [y/N] ")
	line, err := c.readLine(ctx)
	if err != nil {
		return err
	}
	if word := strings.ToLower(strings.TrimSpace(line)); word != "y" && word != "yes" {
		return failed(ExitRefused, "not approved; nothing was sent")
	}
	return nil
}

// readLine reads one line and gives up when ctx ends: a person who presses ^C at
// a question must not have to answer it.
func (c *cli) readLine(ctx context.Context) (string, error) {
	got := make(chan string, 1)
	c.inUsed = true
	go func() {
		line, _ := bufio.NewReader(c.in).ReadString('\n') // no answer is an empty one
		got <- line
	}()
	select {
	case <-ctx.Done():
		return "", ctx.Err()
	case line := <-got:
		return line, nil
	}
}

func (c *cli) denyCommand() *cobra.Command {
	var reason string
	cmd := &cobra.Command{
		Use: "deny REQUEST", Short: "Deny a request", Args: exactly("REQUEST"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.asker(cmd.Context(), func(cl *api.Client) error {
				got, err := cl.Vote(cmd.Context(), args[0], api.Vote{Decision: api.Deny, Reason: reason})
				return c.voted(got, err)
			})
		},
	}
	cmd.Flags().StringVar(&reason, "reason", "", "why, for the record")
	return cmd
}

func (c *cli) answerCommand() *cobra.Command {
	var fields []string
	var done, notDone bool
	var in api.Answer
	cmd := &cobra.Command{
		Use: "answer REQUEST", Short: "Answer a question, or say that a task is done",
		Long: "Answer a question field by field: -f name=text, read by the type of the field, or\n" +
			"-f name:=JSON. A task has no fields: it is --done or --not-done.",
		Args: exactly("REQUEST"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if done && notDone {
				return usage("approval answer takes one of --done and --not-done")
			}
			if done || notDone {
				in.Done = &done
			}
			var err error
			if in.Fields, err = readValues("field", fields); err != nil {
				return err
			}
			if in.Done == nil && len(fields) == 0 {
				return usage("approval answer needs -f name=text, or --done for a task; quell approval show '%s' tells", args[0])
			}
			return c.asker(cmd.Context(), func(cl *api.Client) error {
				got, err := cl.Answer(cmd.Context(), args[0], in)
				return c.voted(got, err)
			})
		},
	}
	f := cmd.Flags()
	f.StringArrayVarP(&fields, "field", "f", nil, "a field as name=text or name:=JSON")
	f.BoolVar(&done, "done", false, "the task is done")
	f.BoolVar(&notDone, "not-done", false, "the task was not done; say why with --reason")
	f.StringVar(&in.Reason, "reason", "", "why, for the record")
	return cmd
}

func (c *cli) resolveCommand() *cobra.Command {
	var reason string
	cmd := &cobra.Command{
		Use: "resolve REQUEST CHOICE", Short: "Decide on a step that failed, or whose effect is unknown",
		Args: exactly("REQUEST", "CHOICE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if reason == "" {
				return usage("approval resolve needs --reason: it stands in the record")
			}
			ctx, id, choice := cmd.Context(), args[0], args[1]
			return c.asker(ctx, func(cl *api.Client) error {
				seen, err := cl.Approval(ctx, id)
				if err != nil {
					return err
				}
				if seen.Kind == api.RequestFailure && !slices.Contains(seen.Choices, choice) {
					return usage("%s is no choice of request %s; there are %s", choice, id, strings.Join(seen.Choices, ", "))
				}
				got, err := cl.Resolve(ctx, id, api.Resolve{Choice: choice, Reason: reason})
				return c.voted(got, err)
			})
		},
	}
	cmd.Flags().StringVar(&reason, "reason", "", "why, for the record")
	return cmd
}

// voted tells how a request stands after a vote.
func (c *cli) voted(a api.Approval, err error) error {
	if err != nil {
		return uncertain(err, "quell approval list and quell approval show tell whether the vote is there")
	}
	return c.show(a, func() error {
		state := a.Status
		if state == "open" {
			state = fmt.Sprintf("open: %d of %d approvals", approvals(a), max(a.Quorum, 1))
		}
		c.say("%s  %s", clean(a.ID), clean(state))
		return nil
	})
}

func approvals(a api.Approval) int {
	n := 0
	for _, v := range a.Votes {
		if v.Decision == string(api.Approve) {
			n++
		}
	}
	return n
}

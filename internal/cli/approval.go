package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/quell-soar/quell/server/api"
)

func (c *cli) approvalCommand() *cobra.Command {
	return group("approval", "Look at requests to people and decide on them",
		c.approvalList(), c.approvalShow(), c.approveCommand(), c.denyCommand(), c.answerCommand(), c.resolveCommand())
}

func (c *cli) approvalList() *cobra.Command {
	var f api.ApprovalFilter
	cmd := &cobra.Command{
		Use: "list", Short: "List open requests, the oldest first", Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if f.All && f.Run == "" {
				return usage("approval list --all needs --run: closed requests are listed for one run")
			}
			return c.asker(cmd.Context(), func(cl *api.Client) error {
				got, err := cl.Approvals(cmd.Context(), f)
				if err != nil {
					return err
				}
				return c.show(got, func() error { return c.approvalTable(got.Approvals) })
			})
		},
	}
	cmd.Flags().StringVar(&f.Run, "run", "", "only requests of this run")
	cmd.Flags().BoolVar(&f.All, "all", false, "closed ones too; needs --run")
	return cmd
}

func (c *cli) approvalTable(list []api.Approval) error {
	t := newTable(c.out, "REQUEST", "KIND", "STATUS", "OPENED", "EXPIRES", "QUESTION")
	for _, a := range list {
		left := ""
		if !a.Expires.IsZero() && a.Status == "open" {
			left = "in " + span(a.Expires.Sub(c.now()))
		}
		t.row(a.ID, string(a.Kind), a.Status, c.ago(a.Opened), left, cut(a.Question, 80))
	}
	return t.flush()
}

func (c *cli) approvalShow() *cobra.Command {
	return &cobra.Command{
		Use: "show REQUEST", Short: "Show one request with the effects that it would let out", Args: exactly("REQUEST"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.asker(cmd.Context(), func(cl *api.Client) error {
				got, err := cl.Approval(cmd.Context(), args[0])
				if err != nil {
					return err
				}
				return c.show(got, func() error {
					if err := c.printRequest(got); err != nil {
						return err
					}
					c.nextStep(got)
					return nil
				})
			})
		},
	}
}

// printRequest shows a request whole: nothing that a voter answers for is cut.
func (c *cli) printRequest(a api.Approval) error {
	quorum := ""
	if a.Quorum > 1 {
		quorum = fmt.Sprintf("%d approvals", a.Quorum)
	}
	err := pairs(c.out, "request", a.ID, "kind", string(a.Kind), "status", a.Status, "run", a.Run,
		"step", strings.TrimSpace(a.Step+" "+a.Iteration), "question", a.Question, "asked for by", a.Requester, "needs", quorum,
		"opened", stamp(a.Opened), "expires", stamp(a.Expires), "if nobody answers", a.Silent, "closed", stamp(a.Closed), "seal", a.Seal)
	if err != nil {
		return err
	}
	for i, l := range a.Levels {
		until := ""
		if !l.Until.IsZero() {
			until = " until " + stamp(l.Until)
		}
		c.say("level %d  %s%s", i+1, clean(strings.Join(l.Who, ", ")), until)
	}
	if len(a.Effects) > 0 {
		c.say("\nEFFECTS, exactly as they would be done")
		for i, e := range a.Effects {
			c.printSealed(i+1, e)
		}
	} else if len(a.Show) > 0 && string(a.Show) != "null" {
		c.say("\nTO LOOK AT")
		c.printValues(a.Show)
	}
	c.printFields(a)
	if len(a.Votes) > 0 {
		c.say("\nVOTES")
		t := newTable(c.out, "WHO", "DECISION", "ANSWER", "REASON", "AT")
		for _, v := range a.Votes {
			t.row(v.Actor, v.Decision, string(v.Answer), v.Reason, stamp(v.At))
		}
		return t.flush()
	}
	return nil
}

func (c *cli) printSealed(n int, e api.SealedEffect) {
	via := ""
	if e.Instance != "" {
		via = " by " + e.Instance
	}
	c.say("  %d. %s  (step %s)", n, clean(e.Action+via), clean(strings.TrimSpace(e.Step+" "+e.Iteration)))
	c.printValues(e.Inputs)
}

// printValues writes an object's members one a line, sorted; other values as they
// are.
func (c *cli) printValues(raw json.RawMessage) {
	var members map[string]json.RawMessage
	if json.Unmarshal(raw, &members) != nil {
		c.say("     %s", clean(compact(raw)))
		return
	}
	for _, k := range slices.Sorted(maps.Keys(members)) {
		c.say("     %s: %s", clean(k), clean(compact(members[k])))
	}
}

// compact writes a value on one line.
func compact(raw json.RawMessage) string {
	var b bytes.Buffer
	if json.Compact(&b, raw) != nil {
		return string(raw)
	}
	return b.String()
}

// printFields shows what an answer has. The choices of a failure are its one
// field, so they are not shown twice.
func (c *cli) printFields(a api.Approval) {
	if len(a.Choices) > 0 {
		c.say("\nCHOICES  %s", clean(strings.Join(a.Choices, ", ")))
		return
	}
	if len(a.Fields) == 0 {
		return
	}
	c.say("\nFIELDS")
	for _, f := range a.Fields {
		words := "  " + f.Name + "  " + f.Type.String()
		if len(f.Among) > 0 {
			words += "  one of " + compact(f.Among)
		}
		if len(f.Default) > 0 {
			words += "  default " + compact(f.Default)
		}
		c.say("%s", clean(words))
	}
}

// nextStep says how an open request is decided.
func (c *cli) nextStep(a api.Approval) {
	if a.Status != "open" {
		return
	}
	id := "'" + clean(a.ID) + "'"
	switch a.Kind {
	case api.RequestQuestion:
		if len(a.Fields) == 0 {
			c.say("\nnext: quell approval answer %s --done", id)
			return
		}
		c.say("\nnext: quell approval answer %s -f %s=…", id, clean(a.Fields[0].Name))
	case api.RequestFailure:
		c.say("\nnext: quell approval resolve %s CHOICE --reason …", id)
	default:
		c.say("\nnext: quell approve %s, or quell approval deny %s --reason …", id, id)
	}
}

package app

import (
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/quell-soar/quell/server/api"
)

func (c *cli) observeCommand() *cobra.Command {
	var since, playbook string
	report := &cobra.Command{
		Use: "report", Short: "Show what would have happened, beside what people did", Args: exactly(),
		Long: "Show what observe mode kept from happening, beside what people did: whether somebody\n" +
			"brought it about later, as far as reading the target tells (Quell looks every ten\n" +
			"minutes for seven days), or a run in another mode. The approvals that the playbooks would\n" +
			"have asked for are counted, with the time that runs would have waited for people, by how\n" +
			"long people here took for their answers in the last 30 days.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			cl, err := c.client(cmd.Context())
			if err != nil {
				return err
			}
			got, err := cl.Observed(cmd.Context(), since, playbook)
			if err != nil {
				return err
			}
			return c.show(got, func() error { return c.observations(got) })
		},
	}
	report.Flags().StringVar(&since, "since", "7d", "how far back, such as 24h")
	report.Flags().StringVar(&playbook, "playbook", "", "only of this playbook")
	return group("observe", "Look at what observe mode kept from happening", report)
}

// observations prints the sums, and then each effect.
func (c *cli) observations(o api.Observations) error {
	if len(o.Observations) == 0 {
		c.say("since %s observe mode kept nothing from happening; quell run list shows what ran", stamp(o.Since))
		return nil
	}
	t := newTable(c.out, "PLAYBOOK", "ACTION", "WOULD HAVE DONE", "ASKED", "REFUSED", "SO ALREADY", "PEOPLE DID SINCE")
	for _, s := range o.Totals {
		t.row(s.Playbook, s.Action, strconv.Itoa(s.Would), strconv.Itoa(s.Ask), strconv.Itoa(s.Refused), strconv.Itoa(s.Already), strconv.Itoa(s.People))
	}
	if err := t.flush(); err != nil {
		return err
	}
	if err := c.spared(o.Asked); err != nil {
		return err
	}
	c.say("")
	t = newTable(c.out, "AT", "ACTION", "TARGETS", "WOULD HAVE", "PEOPLE SINCE", "RUN")
	for _, e := range o.Observations {
		t.row(stamp(e.At), e.Action, strings.Join(e.Targets, ", "), would(e), c.people(e), e.Run)
	}
	if err := t.flush(); err != nil {
		return err
	}
	if o.Cut {
		c.say("and more: narrow it with --since or --playbook")
	}
	return nil
}

// spared prints what the playbooks' approvals would have cost people.
func (c *cli) spared(list []api.ObservedAsk) error {
	if len(list) == 0 {
		return nil
	}
	c.say("\nApprovals that people would have been asked for, and how long runs would have waited for them:")
	t := newTable(c.out, "PLAYBOOK", "RUNS", "APPROVALS", "AN ANSWER TAKES", "WAITING IN ALL")
	for _, a := range list {
		takes, all := "not known: nobody answered anything here in 30 days", "–"
		if a.Median != nil && a.Waiting != nil {
			takes, all = span(seconds(*a.Median))+", the median of "+count(a.Answers, "answer"), span(seconds(*a.Waiting))
		}
		if a.Elsewhere {
			takes += " to other playbooks"
		}
		t.row(a.Playbook, strconv.Itoa(a.Runs), strconv.Itoa(a.Times), takes, all)
	}
	return t.flush()
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

func would(e api.Observation) string {
	switch e.Would {
	case "ask":
		return "asked a person (" + strings.TrimPrefix(e.Why, "approval: ") + ")"
	case "refused":
		return "been refused (" + e.Why + ")"
	case "already":
		return "found it so"
	}
	return "done it"
}

func (c *cli) people(e api.Observation) string {
	switch e.People {
	case "did":
		return "did it; first seen " + stamp(e.Seen)
	case "quell":
		return "a run did it: " + e.By
	case "not_seen":
		return "not so far; last looked " + c.ago(e.Looked)
	case "unread":
		return "not looked yet"
	case "already":
		return "it was so before"
	}
	return "cannot be read"
}

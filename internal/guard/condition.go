package guard

import (
	"fmt"
	"time"

	"github.com/quell-soar/quell/internal/guard/subject"
	"github.com/quell-soar/quell/playbooks/expr"
)

// condition is a Condition with its program.
type condition struct {
	Condition
	rule *expr.Rule
}

func conditionsOf(list []Condition) ([]condition, error) {
	var out []condition
	for _, c := range list {
		rule, bad := expr.NewRule(c.When, subject.Names())
		if len(bad) > 0 {
			return nil, fmt.Errorf("guard: rule %s: %s", c.Name, bad[0].Message)
		}
		if c.Then != Refuse && c.Then != AskFirst {
			return nil, fmt.Errorf("guard: rule %s: then is refuse or ask, not %q", c.Name, c.Then)
		}
		out = append(out, condition{c, rule})
	}
	return out, nil
}

// condition asks the conditions that do then. One that cannot be told applies.
func (g *Guard) condition(q Question, now time.Time, then Then) *Refusal {
	for _, c := range g.conditions {
		if c.Then != then || len(c.Actions) > 0 && !fits(c.Actions, q.Action) {
			continue
		}
		targets := q.Targets
		if len(targets) == 0 { // it may still speak of the action
			targets = []Target{{}}
		}
		for _, t := range targets {
			yes, err := c.rule.Holds(values(q, t), now)
			if err == nil && !yes {
				continue
			}
			return &Refusal{Rule: "condition", Reason: c.says(t, err), Ask: then == AskFirst}
		}
	}
	return nil
}

func (c condition) says(t Target, err error) string {
	out := "the guard " + c.Name
	if t.Label != "" {
		out += " on " + t.Label
	}
	if err != nil {
		out += " cannot be decided, so it applies: " + err.Error()
		if t.Facts != nil && t.Facts.Why != "" {
			out += " (" + t.Facts.Why + ")"
		}
		return out
	}
	if c.Reason != "" {
		out += ": " + c.Reason
	}
	return out
}

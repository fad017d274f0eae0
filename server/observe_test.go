package server

import (
	"testing"
	"time"

	"github.com/quell-soar/quell/internal/approval"
	"github.com/quell-soar/quell/internal/auth"
	"github.com/quell-soar/quell/internal/effects"
	"github.com/quell-soar/quell/internal/guard"
	"github.com/quell-soar/quell/server/api"
)

// TestGuards shows the guards and what observe mode kept from happening.
func TestGuards(t *testing.T) {
	h := open(t)
	ann := h.client(h.token("ann", nil, auth.Read, auth.Respond))
	g, err := ann.Guards(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if g.Switch.On || len(g.Budgets) != 1 || g.Budgets[0].Per != "1h" || g.Budgets[0].Then != "refuse" || g.Budgets[0].Class[0] != "criticality=high" ||
		len(g.Freezes) != 1 || g.Freezes[0].Until.IsZero() || g.Rules[0].Then != "ask" || g.Own[0] != "quell" || g.NeverBlocked[0] != "partner.example" {
		t.Errorf("%+v", g)
	}
	if _, err := ann.Kill(t.Context(), "drill"); err != nil {
		t.Fatal(err)
	}
	if g, err = ann.Guards(t.Context()); err != nil || !g.Switch.On || g.Switch.Reason != "drill" {
		t.Errorf("%+v, %v", g.Switch, err)
	}
	o, err := ann.Observed(t.Context(), "24h", "contain")
	if err != nil {
		t.Fatal(err)
	}
	want := api.ObservedSum{Playbook: "contain", Action: "edr.isolate_host", Would: 1, Refused: 1, People: 1}
	if len(o.Totals) != 2 || o.Totals[1].Ask != 3 || o.Totals[0] != want || o.Observations[0].People != "did" || o.Observations[1].Would != "refused" || o.Observations[1].People != "not_seen" {
		t.Errorf("%+v", o)
	}
	if a := o.Asked; len(a) != 1 || a[0].Playbook != "contain" || a[0].Runs != 1 || a[0].Times != 2 || a[0].Median != nil {
		t.Errorf("nobody answered anything so far, and %+v", a)
	}
	for _, bad := range []string{"soon", "-1h"} {
		if _, err := ann.Observed(t.Context(), bad, ""); err == nil {
			t.Errorf("since %q was taken", bad)
		}
	}
}

// TestSpared: how long people take is told by the playbook's own answers, else by
// those of all.
func TestSpared(t *testing.T) {
	one := func(playbook, why string) effects.Observed {
		return effects.Observed{Effect: &effects.Effect{Run: playbook + "/h/1", Playbook: playbook, Refusal: &guard.Refusal{Rule: guard.Approval, Ask: true, Reason: why}}}
	}
	list := []effects.Observed{one("a", "x"), one("a", "y"), one("b", "x"), {Effect: &effects.Effect{Run: "a/h/2", Playbook: "a", Refusal: &guard.Refusal{Rule: "budget", Ask: true}}}}
	got := spared(list, []approval.Answer{{Run: "a/h/0", Took: 9 * time.Second}, {Run: "c/h/0", Took: time.Minute}, {Run: "a/h/9", Took: 5 * time.Second}, {Run: "a/h/8", Took: 7 * time.Second}})
	if len(got) != 2 || got[0].Times != 2 || got[0].Runs != 1 || *got[0].Median != 7 || got[0].Answers != 3 || got[0].Elsewhere || *got[0].Waiting != 14 {
		t.Errorf("%+v", got)
	}
	if b := got[1]; !b.Elsewhere || b.Answers != 4 || *b.Median != 9 || *b.Waiting != 9 {
		t.Errorf("%+v", b)
	}
}

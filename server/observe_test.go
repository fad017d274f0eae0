package server

import (
	"testing"

	"github.com/quell-soar/quell/internal/auth"
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
	if len(o.Totals) != 1 || o.Totals[0] != want || o.Observations[0].People != "did" || o.Observations[1].Would != "refused" || o.Observations[1].People != "not_seen" {
		t.Errorf("%+v", o)
	}
	for _, bad := range []string{"soon", "-1h"} {
		if _, err := ann.Observed(t.Context(), bad, ""); err == nil {
			t.Errorf("since %q was taken", bad)
		}
	}
}

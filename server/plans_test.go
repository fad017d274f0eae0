package server

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"github.com/quell-soar/quell/internal/auth"
	"github.com/quell-soar/quell/internal/intake"
	"github.com/quell-soar/quell/internal/runs"
	"github.com/quell-soar/quell/server/api"
)

// player plays what is on a shelf, and counts.
type player struct {
	books
	plans, backtests int
}

func (p *player) Load(context.Context, api.PlaybookText, []api.PlaybookText, string, string) (intake.Loaded, error) {
	return p.books[0], nil
}
func (p *player) Active(name, _, _ string) (intake.Loaded, bool) { return p.Playbook(name) }
func (p *player) Plan(context.Context, intake.Loaded, runs.Claim) (*api.Plan, error) {
	p.plans++
	return &api.Plan{}, nil
}

func (p *player) Backtest(context.Context, intake.Loaded, time.Time) (*api.Backtest, error) {
	p.backtests++
	return &api.Backtest{}, nil
}
func (p *player) Answers(context.Context, string) ([]api.RecordedAnswer, error) { return nil, nil }

// TestPlanRights: a plan calls vendors for what a run would read, so it needs the right
// to launch that playbook; a backtest calls nobody and needs the right to read. Whoever
// is refused has brought nothing about.
func TestPlanRights(t *testing.T) {
	p := &player{books: shelf(t)}
	h := openWith(t, func(h *house, _ *Access) { h.plays = p })
	inputs := map[string]json.RawMessage{"hostname": json.RawMessage(`"ws-12"`)}
	text := &api.PlaybookText{File: "contain.yaml", Text: "playbook: contain"}
	for _, c := range []struct {
		who      string
		roles    []string
		scopes   []auth.Scope
		playbook string
		want     api.Code
	}{
		{"may launch and is an analyst", []string{"analyst"}, []auth.Scope{auth.Launch}, "contain", ""},
		{"may launch and is none", []string{"intern"}, []auth.Scope{auth.Launch}, "contain", api.CodeForbidden},
		{"is an analyst and may only read", []string{"analyst"}, []auth.Scope{auth.Read}, "contain", api.CodeForbidden},
		{"is an analyst, with its text", []string{"analyst"}, []auth.Scope{auth.Launch}, "", ""},
		{"is none, with its text", []string{"intern"}, []auth.Scope{auth.Launch}, "", api.CodeForbidden},
		{"is an analyst, of what nobody launches by hand", []string{"analyst"}, []auth.Scope{auth.Launch}, "never-by-hand", api.CodeForbidden},
	} {
		before := p.plans
		in := api.PlanRequest{Playbook: c.playbook, Inputs: inputs}
		if c.playbook == "" {
			in.Source = text
		}
		_, err := h.client(h.token("ann", c.roles, c.scopes...)).Plan(t.Context(), in)
		if c.want == "" {
			if err != nil || p.plans != before+1 {
				t.Errorf("%s: %v", c.who, err)
			}
			continue
		}
		if wantCode(t, c.who, err, c.want); p.plans != before {
			t.Errorf("%s: it was played", c.who)
		}
	}
	if h.kinds("plan.requested") != p.plans {
		t.Errorf("%d plans on record of %d", h.kinds("plan.requested"), p.plans)
	}
	for scope, want := range map[auth.Scope]api.Code{auth.Read: "", auth.Audit: api.CodeForbidden} {
		before := p.backtests
		_, err := h.client(h.token("ann", []string{"analyst"}, scope)).Backtest(t.Context(), api.BacktestRequest{Source: *text})
		switch {
		case want == "" && (err != nil || p.backtests != before+1):
			t.Errorf("a backtest with %s: %v", scope, err)
		case want != "":
			wantCode(t, "a backtest with "+string(scope), err, want)
		}
	}
}

package effects_test

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/quell-soar/quell/connectors/spec"
	"github.com/quell-soar/quell/internal/effects"
	"github.com/quell-soar/quell/internal/guard"
	"github.com/quell-soar/quell/internal/ledger"
	"github.com/quell-soar/quell/internal/store"
	"github.com/quell-soar/quell/internal/store/storetest"
	"github.com/quell-soar/quell/workflows/run"
)

// clock is the time of a test; it moves when told to.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// house is a store with the rooms that effects need.
type house struct {
	testing.TB
	ctx    context.Context
	db     *store.DB
	ledger *ledger.Ledger
	fx     *effects.Effects
	guard  *guard.Guard
	clock  *clock
}

func schemas() []store.Schema {
	return []store.Schema{ledger.Schema(), guard.Schema(), effects.Schema()}
}

var epoch = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func newHouse(t testing.TB, db *store.DB, r guard.Rules) *house {
	t.Helper()
	key, err := ledger.LoadKey(filepath.Join(t.TempDir(), "key"))
	if err != nil {
		t.Fatal(err)
	}
	g, err := guard.New(r)
	if err != nil {
		t.Fatal(err)
	}
	h := &house{TB: t, ctx: t.Context(), db: db, guard: g, clock: &clock{at: epoch}}
	h.ledger = ledger.New(db, key, h.clock.now)
	h.fx = effects.New(db, h.ledger, g, h.clock.now)
	return h
}

// each runs a test on both databases.
func each(t *testing.T, r guard.Rules, f func(h *house)) {
	t.Helper()
	storetest.Each(t, schemas(), func(t *testing.T, db *store.DB) { f(newHouse(t, db, r)) })
}

const (
	deadline = 10 * time.Second
	settling = 5 * time.Second
)

func isolate() spec.Action {
	return spec.Action{Name: "edr.isolate", Class: spec.Idempotent, ReadBack: spec.Strong, Settle: settling, Deadline: deadline, Reversal: spec.Exact, Inverse: "edr.release"}
}

func release() spec.Action {
	return spec.Action{Name: "edr.release", Class: spec.Idempotent, ReadBack: spec.Strong, Settle: settling, Deadline: deadline, Reversal: spec.Unneeded}
}

func hosts(ids ...string) []guard.Target {
	var out []guard.Target
	for _, id := range ids {
		out = append(out, guard.Target{ID: id, Label: id})
	}
	return out
}

func do(runID string, generation int, a spec.Action, ids ...string) effects.Intent {
	inputs, _ := json.Marshal(ids)
	return effects.Intent{
		Key:    run.Key{Tenant: "t", Run: runID, Step: "contain", Direction: run.Do, Generation: generation},
		Action: a, Instance: "edr", Inputs: inputs, Targets: hosts(ids...), Mode: guard.Act,
	}
}

func undo(of effects.Intent, generation int) effects.Intent {
	k := of.Key
	k.Direction, k.Generation, k.Iteration = run.Undo, generation, fmt.Sprint(of.Key.Generation)
	return effects.Intent{Key: k, Action: release(), Instance: "edr", Of: of.Key.String(), Inputs: of.Inputs, Mode: guard.Act}
}

func (h *house) admit(in effects.Intent) effects.Verdict {
	h.Helper()
	v, err := h.fx.Admit(h.ctx, in)
	if err != nil {
		h.Fatalf("admit %s: %v", in.Key, err)
	}
	return v
}

// goes admits an effect and wants to be let out.
func (h *house) goes(in effects.Intent) *effects.Permit {
	h.Helper()
	v := h.admit(in)
	if v.Go == nil {
		h.Fatalf("admit %s: want Go, got %s", in.Key, show(v))
	}
	return v.Go
}

// settled admits an effect and wants it decided.
func (h *house) settled(in effects.Intent, outcome string) *effects.Effect {
	h.Helper()
	v := h.admit(in)
	if v.Settled == nil || v.Settled.Outcome != outcome {
		h.Fatalf("admit %s: want %s, got %s", in.Key, outcome, show(v))
	}
	return v.Settled
}

func (h *house) waits(in effects.Intent) time.Time {
	h.Helper()
	v := h.admit(in)
	if v.Wait.IsZero() {
		h.Fatalf("admit %s: want Wait, got %s", in.Key, show(v))
	}
	return v.Wait
}

func (h *house) backs(in effects.Intent) *effects.Permit {
	h.Helper()
	v := h.admit(in)
	if v.Back == nil {
		h.Fatalf("admit %s: want Back, got %s", in.Key, show(v))
	}
	return v.Back
}

func show(v effects.Verdict) string {
	switch {
	case v.Settled != nil:
		return "settled " + v.Settled.Outcome + " (" + v.Settled.Detail + ")"
	case v.Go != nil:
		return fmt.Sprintf("go %d", v.Go.Fence)
	case v.Back != nil:
		return fmt.Sprintf("back %d", v.Back.Fence)
	}
	if v.Off != nil {
		return "off " + v.Off.String()
	}
	return "wait " + v.Wait.Format(time.RFC3339Nano)
}

func (h *house) settle(p *effects.Permit, r effects.Result) *effects.Effect {
	h.Helper()
	ef, err := h.fx.Settle(h.ctx, p.Key, p.Fence, r)
	if err != nil {
		h.Fatalf("settle %s: %v", p.Key, err)
	}
	return ef
}

// done brings an effect about whole.
func (h *house) done(in effects.Intent, o spec.Outcome, prior string) *effects.Effect {
	h.Helper()
	return h.settle(h.goes(in), effects.Result{Outcome: o, Prior: json.RawMessage(prior)})
}

func (h *house) conclude(p *effects.Permit, found spec.Outcome) *effects.Effect {
	h.Helper()
	ef, err := h.fx.Conclude(h.ctx, p.Key, p.Fence, found, nil, nil)
	if err != nil {
		h.Fatalf("conclude %s: %v", p.Key, err)
	}
	return ef
}

func (h *house) holders(target string) []string {
	h.Helper()
	keys, err := h.fx.Holders(h.ctx, "t", "edr", "edr.isolate", target)
	if err != nil {
		h.Fatal(err)
	}
	return keys
}

func (h *house) kill(on bool) {
	h.Helper()
	if err := h.db.Update(h.ctx, func(tx *store.Tx) error { return guard.Kill(tx, on, "ann", "drill", h.clock.now()) }); err != nil {
		h.Fatal(err)
	}
}

// killOnRecord turns the switch on with its entry, as the API does.
func (h *house) killOnRecord() error {
	return h.db.Update(h.ctx, func(tx *store.Tx) error {
		if err := guard.Kill(tx, true, "ann", "drill", h.clock.now()); err != nil {
			return err
		}
		_, err := h.ledger.Append(tx, ledger.Row{Kind: "guard.killed", Tenant: "t", Actor: "ann"}, nil)
		return err
	})
}

// all lists the kinds of all ledger entries, in order.
func (h *house) all() []string {
	h.Helper()
	list, err := h.ledger.Read(h.ctx, ledger.Filter{})
	if err != nil {
		h.Fatal(err)
	}
	kinds := make([]string, len(list))
	for i, e := range list {
		kinds[i] = e.Kind
	}
	return kinds
}

func sortedKeys(keys []string) []string { slices.Sort(keys); return keys }

// entries lists the kinds of the ledger entries about a key.
func (h *house) entries(key string) []string {
	h.Helper()
	list, err := h.ledger.Read(h.ctx, ledger.Filter{Key: key})
	if err != nil {
		h.Fatal(err)
	}
	var kinds []string
	for _, e := range list {
		kinds = append(kinds, e.Kind)
	}
	return kinds
}

// eq compares what a test prints.
func (h *house) eq(got, want any) {
	h.Helper()
	if fmt.Sprint(got) != fmt.Sprint(want) {
		h.Fatalf("got %v, want %v", got, want)
	}
}

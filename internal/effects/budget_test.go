package effects_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/quell-soar/quell/connectors/spec"
	"github.com/quell-soar/quell/internal/effects"
	"github.com/quell-soar/quell/internal/guard"
	"github.com/quell-soar/quell/internal/store"
	"github.com/quell-soar/quell/internal/store/storetest"
)

// budget is n isolations an hour.
func budget(n int) guard.Rules {
	return guard.Rules{Budgets: []guard.Budget{{Name: "isolations", Actions: []string{"edr.isolate"}, Targets: n, Per: time.Hour}}}
}

// TestBudgetOfManyRuns has 200 runs ask at once, with vendors that fail, lose
// answers and succeed: what may have happened never passes the budget, and what is
// known to have failed makes room.
func TestBudgetOfManyRuns(t *testing.T) {
	const runs, most = 200, 5
	each(t, budget(most), func(h *house) {
		var flying, worst, refused, done, failed atomic.Int64
		start := make(chan struct{})
		var wg sync.WaitGroup
		for i := range runs {
			wg.Go(func() {
				<-start
				in := do(fmt.Sprint("r", i), 1, isolate(), fmt.Sprint("host-", i))
				v, err := h.fx.Admit(h.ctx, in)
				switch {
				case err != nil:
					h.Errorf("run %d: %v", i, err)
				case v.Settled != nil:
					if v.Settled.Refusal == nil || v.Settled.Refusal.Rule != "budget" {
						h.Errorf("run %d: %s", i, show(v))
					}
					refused.Add(1)
				case v.Go != nil:
					worst.Store(max(worst.Load(), flying.Add(1))) // a lower bound of the true worst
					r := effects.Result{Outcome: spec.Done}
					if i%3 == 0 {
						r = effects.Result{Err: spec.Errorf(spec.Permission, "403")}
						failed.Add(1)
						flying.Add(-1)
					} else {
						done.Add(1)
					}
					if _, err := h.fx.Settle(h.ctx, v.Go.Key, v.Go.Fence, r); err != nil {
						h.Errorf("run %d: %v", i, err)
					}
				default:
					h.Errorf("run %d: %s", i, show(v))
				}
			})
		}
		close(start)
		wg.Wait()
		h.Logf("done %d, failed and given back %d, refused %d", done.Load(), failed.Load(), refused.Load())
		if done.Load() > most || worst.Load() > most || done.Load()+failed.Load()+refused.Load() != runs {
			h.Fatalf("a budget of %d: %d done, at most %d at once", most, done.Load(), worst.Load())
		}
		// What was given back is there, and no more.
		for i := range most + 1 {
			v := h.admit(do(fmt.Sprint("later", i), 1, isolate(), fmt.Sprint("later-", i)))
			if left := int64(i) < most-done.Load(); left != (v.Go != nil) {
				h.Fatalf("later run %d: %s", i, show(v))
			}
		}
		h.eq(h.spent(), most)
		h.clock.add(time.Hour)
		h.eq(h.spent(), 0)
		h.goes(do("next hour", 1, isolate(), "next"))
	})
}

// spent is what the first budget counts now.
func (h *house) spent() int {
	h.Helper()
	var list []guard.Account
	if err := h.db.View(h.ctx, func(tx *store.Tx) (err error) {
		list, err = h.guard.Accounts(tx, h.clock.now(), "t")
		return err
	}); err != nil {
		h.Fatal(err)
	}
	return list[0].Spent
}

// TestBudgetCounts: what counts, for how long, and what makes room.
func TestBudgetCounts(t *testing.T) {
	each(t, budget(2), func(h *house) {
		h.settled(do("list", 1, isolate(), "a", "b", "c"), effects.Refused) // more than there is, at once
		h.eq(h.spent(), 0)
		h.done(do("already", 1, isolate(), "a"), spec.Already, "")
		h.eq(h.spent(), 0)
		h.done(do("done", 1, isolate(), "a"), spec.Done, `{}`)
		lost := h.goes(do("lost", 1, isolate(), "b"))
		h.eq(h.spent(), 2)
		h.settled(do("over", 1, isolate(), "c"), effects.Refused)
		// A retry of the same effect takes nothing more.
		idle := h.settle(lost, effects.Result{Err: spec.Errorf(spec.Transient, "503")})
		h.eq(idle.Idle(), true)
		h.eq(h.spent(), 2)
		again := h.goes(do("lost", 1, isolate(), "b"))
		h.eq(h.spent(), 2)
		// An inverse asks no budget and gives none back: the host was isolated.
		h.done(undo(do("done", 1, isolate(), "a"), 1), spec.Done, "")
		h.eq(h.spent(), 2)
		h.settle(again, effects.Result{Err: spec.Errorf(spec.NotFound, "404")})
		h.eq(h.spent(), 1)
		// Unknown may have happened; a person's word that it did not gives it back.
		once := isolate()
		once.Class, once.ReadBack = spec.Once, spec.NoReadBack
		in := do("unknown", 1, once, "d")
		h.goes(in)
		h.clock.add(deadline + settling)
		h.conclude(h.backs(in), spec.Unsure)
		h.eq(h.spent(), 2)
		if err := h.fx.Resolve(h.ctx, in.Key.String(), "not_done", "ann", "looked"); err != nil {
			h.Fatal(err)
		}
		h.eq(h.spent(), 1)
		// Another action is not counted, nor is an effect in observe mode.
		scan := isolate()
		scan.Name, scan.Reversal, scan.Inverse = "edr.scan", spec.Unneeded, ""
		h.goes(do("scan", 1, scan, "e"))
		seen := do("seen", 1, isolate(), "f")
		seen.Mode = guard.Observe
		h.settled(seen, effects.Simulated)
		h.eq(h.spent(), 1)
	})
}

// TestWould: whom the playbook would have asked stands with what observe mode kept
// from happening, unless a guard refuses it anyhow.
func TestWould(t *testing.T) {
	each(t, guard.Rules{Protected: []string{"dc01"}}, func(h *house) {
		for target, want := range map[string]string{"g": guard.Approval, "dc01": "protected"} {
			in := do("would-"+target, 1, isolate(), target)
			in.Mode, in.Would = guard.Observe, "the playbook asks oncall.soc: Isolate?"
			if no := h.settled(in, effects.Simulated).Refusal; no == nil || no.Rule != want || no.Ask != (want == guard.Approval) {
				h.Errorf("%s: %+v", target, no)
			}
		}
	})
}

// TestBudgetOfAClass: a budget of critical hosts counts those of which the
// inventory knows nothing, and a person's approval lets one out beyond it where
// it asks.
func TestBudgetOfAClass(t *testing.T) {
	r := guard.Rules{Budgets: []guard.Budget{
		{Name: "critical", Actions: []string{"edr"}, Criticality: []string{"critical"}, Targets: 1, Per: time.Hour, Then: guard.AskFirst},
		{Name: "all", Actions: []string{"*"}, Targets: 4, Per: time.Hour},
	}}
	each(t, r, func(h *house) {
		of := func(runID, criticality string) effects.Intent {
			in := do(runID, 1, isolate(), runID)
			in.Targets[0].Kind = "device"
			if criticality != "" {
				in.Targets[0].Facts = &guard.Facts{Values: map[string]any{"criticality": criticality}}
			}
			return in
		}
		h.goes(of("low", "low"))
		h.goes(of("unknown", ""))
		no := h.settled(of("critical", "critical"), effects.Refused)
		h.eq(no.Refusal.Ask, true)
		approved := of("approved", "critical")
		approved.Approval = "request"
		h.goes(approved)
		h.goes(of("medium", "medium"))
		no = h.settled(of("fifth", "low"), effects.Refused)
		h.eq(no.Refusal.Ask, false)
	})
}

// TestBudgetModel plays random effects against a list of what was spent when.
func TestBudgetModel(t *testing.T) {
	const most, per = 6, 10 * time.Minute
	db := storetest.Open(t, store.Options{Dir: inMemory(t)}, schemas()...)
	round := 0
	rapid.Check(t, func(rt *rapid.T) {
		round++
		r := guard.Rules{Budgets: []guard.Budget{{Name: fmt.Sprint("b", round), Actions: []string{"edr"}, Targets: most, Per: per}}}
		h := newHouse(t, db, r)
		h.clock.at = epoch
		m := &spending{h: h, round: round, taken: map[string]taking{}, open: map[string]*effects.Permit{}}
		rt.Repeat(map[string]func(*rapid.T){
			"ask":    m.ask,
			"settle": m.settle,
			"wait": func(rt *rapid.T) {
				h.clock.add(time.Duration(rapid.IntRange(1, 300).Draw(rt, "seconds")) * time.Second)
			},
			"": m.check(most, per),
		})
	})
}

// taking is what one effect has taken, and when.
type taking struct {
	at time.Time
	n  int
}

// spending is the model of one budget.
type spending struct {
	h     *house
	round int
	next  int
	taken map[string]taking
	open  map[string]*effects.Permit
}

func (m *spending) now(per time.Duration) int {
	sum := 0
	for _, t := range m.taken {
		if t.at.After(m.h.clock.now().Add(-per)) {
			sum += t.n
		}
	}
	return sum
}

func (m *spending) ask(rt *rapid.T) {
	m.next++
	n := rapid.IntRange(1, 3).Draw(rt, "targets")
	var ids []string
	for i := range n {
		ids = append(ids, fmt.Sprintf("%d-%d-%d", m.round, m.next, i))
	}
	in := do(fmt.Sprintf("m%d-%d", m.round, m.next), 1, isolate(), ids...)
	fits := m.now(10*time.Minute)+n <= 6
	v := m.h.admit(in)
	if fits != (v.Go != nil) || !fits && v.Settled == nil {
		rt.Fatalf("%d targets with %d of 6 spent: %s", n, m.now(10*time.Minute), show(v))
	}
	if v.Go != nil {
		m.taken[v.Go.Key] = taking{m.h.clock.now(), n}
		m.open[v.Go.Key] = v.Go
	}
}

func (m *spending) settle(rt *rapid.T) {
	if len(m.open) == 0 {
		rt.Skip()
	}
	var keys []string
	for k := range m.open {
		keys = append(keys, k)
	}
	key := rapid.SampledFrom(sortedKeys(keys)).Draw(rt, "key")
	p := m.open[key]
	how := rapid.SampledFrom([]string{"done", "already", "refused by the vendor", "partial"}).Draw(rt, "how")
	res := map[string]effects.Result{
		"done": {Outcome: spec.Done}, "already": {Outcome: spec.Already}, "partial": {Outcome: spec.Partial},
		"refused by the vendor": {Err: spec.Errorf(spec.Permission, "403")},
	}[how]
	m.h.settle(p, res)
	delete(m.open, key)
	if how == "already" || how == "refused by the vendor" {
		delete(m.taken, key)
	}
}

func (m *spending) check(most int, per time.Duration) func(*rapid.T) {
	return func(rt *rapid.T) {
		if got, want := m.h.spent(), m.now(per); got != want || got > most {
			rt.Fatalf("the budget says %d, the model %d", got, want)
		}
	}
}

// TestKillSwitchOverMany has 100 runs ask without end while somebody turns the
// switch: no intent stands in the ledger after its entry.
func TestKillSwitchOverMany(t *testing.T) {
	each(t, guard.Rules{}, func(h *house) {
		ctx, stop := context.WithCancel(h.ctx)
		defer stop()
		var wg sync.WaitGroup
		var asked, refused atomic.Int64
		for i := range 100 {
			wg.Go(func() {
				for n := 0; ctx.Err() == nil; n++ {
					v, err := h.fx.Admit(ctx, do(fmt.Sprint("r", i), n+1, isolate(), fmt.Sprintf("h-%d-%d", i, n)))
					switch {
					case err != nil && !errors.Is(err, context.Canceled):
						h.Errorf("%v", err)
						return
					case err == nil && v.Settled != nil:
						if refused.Add(1) > 200 {
							stop()
						}
					default:
						if asked.Add(1) == 300 {
							go func() { _ = h.killOnRecord() }()
						}
					}
				}
			})
		}
		wg.Wait()
		after, killed := 0, false
		for _, e := range h.all() {
			switch {
			case e == "guard.killed":
				killed = true
			case killed && e == "effect.intent":
				after++
			}
		}
		h.Logf("%d intents, %d refused, %d intents after the switch", asked.Load(), refused.Load(), after)
		if !killed || after > 0 {
			h.Fatalf("killed %v, %d intents after the switch", killed, after)
		}
	})
}

// TestKillSwitchAndInverses: a person's release goes out while the switch is on;
// one that nobody asked for waits, on record, and goes out later under its own key.
func TestKillSwitchAndInverses(t *testing.T) {
	each(t, guard.Rules{}, func(h *house) {
		a, b := do("r1", 1, isolate(), "a"), do("r2", 1, isolate(), "b")
		h.done(a, spec.Done, `{}`)
		h.done(b, spec.Done, `{}`)
		h.kill(true)
		h.settled(do("r3", 1, isolate(), "c"), effects.Refused)
		h.done(undo(a, 1), spec.Done, "")
		expired := undo(b, 1)
		expired.Unattended = true
		for range 2 {
			if v := h.admit(expired); v.Off == nil || v.Off.Rule != "kill_switch" {
				h.Fatalf("an inverse that nobody asked for: %s", show(v))
			}
		}
		h.eq(h.holders("b"), []string{b.Key.String()})
		h.eq(h.entries(expired.Key.String()), []string{"undo.put_off", "undo.put_off"})
		h.kill(false)
		h.done(expired, spec.Done, "")
		h.eq(len(h.holders("b")), 0)
	})
}

// TestDueByTheClockOnly: a release whose time came only because the clock was set
// waits, on record; a person's goes out, and so does the hold's once it is due.
func TestDueByTheClockOnly(t *testing.T) {
	each(t, guard.Rules{}, func(h *house) {
		a, b := do("r1", 1, isolate(), "a"), do("r2", 1, isolate(), "b")
		h.done(a, spec.Done, `{}`)
		h.done(b, spec.Done, `{}`)
		early := "the clock jumped"
		h.fx.Early = func(began, due time.Time) string {
			if due.Sub(began) != time.Hour {
				h.Errorf("asked about %s", due.Sub(began))
			}
			return early
		}
		expired := undo(b, 1)
		expired.Unattended, expired.Began = true, h.clock.now()
		expired.Due = expired.Began.Add(time.Hour)
		if v := h.admit(expired); v.Off == nil || v.Off.Rule != "clock" {
			h.Fatalf("a release that is due by the clock only: %s", show(v))
		}
		h.eq(h.holders("b"), []string{b.Key.String()})
		h.eq(h.entries(expired.Key.String()), []string{"undo.put_off"})
		h.done(undo(a, 1), spec.Done, "")
		early = ""
		h.done(expired, spec.Done, "")
		h.eq(len(h.holders("b")), 0)
	})
}

// TestTheLastAdministrators has two runs each disable one of the two
// administrators that are left. Both read that another is left; only one gets its
// way.
func TestTheLastAdministrators(t *testing.T) {
	each(t, guard.Rules{}, func(h *house) {
		disable := isolate()
		disable.Name, disable.Inverse = "iam.disable", "iam.enable"
		of := func(runID, who string, last bool) effects.Intent {
			in := do(runID, 1, disable, who)
			in.Targets[0].ID, in.Targets[0].Kind = "user:"+who, "user"
			in.Targets[0].Facts = &guard.Facts{Values: map[string]any{"privileged": true, "last_admin": last}, At: h.clock.now()}
			return in
		}
		ann, bob := of("r1", "ann", false), of("r2", "bob", false)
		h.clock.add(time.Second)
		p := h.goes(ann)
		h.waits(bob) // another effect on an administrator is under way
		h.settle(p, effects.Result{Outcome: spec.Done})
		h.waits(bob) // what was read about bob is older than that
		h.clock.add(time.Second)
		no := h.settled(of("r2", "bob", true), effects.Refused)
		h.eq(no.Refusal.Rule, "protected")
		// Others are not held up.
		eve := of("r3", "eve", false)
		eve.Targets[0].Facts.Values["privileged"] = false
		h.goes(eve)
	})
}

// TestApprovedIsAskedOfTheStore: an approval that no person gave is none.
func TestApprovedIsAskedOfTheStore(t *testing.T) {
	each(t, guard.Rules{}, func(h *house) {
		h.fx.Approved = func(_ *store.Tx, request, runID string) (bool, error) {
			return request == "req of "+runID, nil
		}
		in := do("r1", 1, isolate(), "a")
		in.Mode, in.Approval = guard.Ask, "req of r2"
		h.eq(h.settled(in, effects.Refused).Refusal.Ask, true)
		in = do("r1", 2, isolate(), "a")
		in.Mode, in.Approval = guard.Ask, "req of r1"
		h.goes(in)
	})
}

// TestUnread: who waits for a busy target reads nothing meanwhile, and is told to
// read once it is free; nothing leaves before that.
func TestUnread(t *testing.T) {
	each(t, guard.Rules{}, func(h *house) {
		first, second := do("r1", 1, isolate(), "a"), do("r2", 1, isolate(), "a")
		p := h.goes(first)
		h.waits(second)
		second.Unread = true
		h.waits(second)
		h.settle(p, effects.Result{Outcome: spec.Done, Prior: []byte(`{}`)})
		for range 2 {
			if v := h.admit(second); !v.Read || v.Go != nil || !v.Wait.IsZero() {
				h.Fatalf("a free target that was not read: %+v", v)
			}
		}
		second.Unread = false
		h.goes(second)
	})
}

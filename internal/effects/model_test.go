package effects_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
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

// TestModel plays random schedules of runs that contain and release hosts, with
// lost answers, calls that land late, crashes and a foreign hand, against a
// vendor world and a model of who must hold what. QUELL_MODEL_SCHEDULES plays
// more of them, QUELL_MODEL_SEED repeats one series.
func TestModel(t *testing.T) {
	schedules, seed := 1000, uint64(time.Now().UnixNano())
	if n, err := strconv.Atoi(os.Getenv("QUELL_MODEL_SCHEDULES")); err == nil {
		schedules = n
	}
	if n, err := strconv.ParseUint(os.Getenv("QUELL_MODEL_SEED"), 10, 64); err == nil {
		seed = n
	}
	if testing.Short() {
		schedules = min(schedules, 200)
	}
	t.Run("sqlite", func(t *testing.T) { model(t, store.Options{Dir: inMemory(t)}, narrow, seed, schedules) })
	t.Run("postgres", func(t *testing.T) { model(t, store.Options{DSN: storetest.DSN(t)}, narrow, seed, schedules/20) })
}

// TestModelWide is TestModel with five playbooks that hold each some of twenty
// hosts, and take them back, in any order: 500 schedules, 10,000 with QUELL_SOAK.
func TestModelWide(t *testing.T) {
	schedules, seed, sz := 500, uint64(time.Now().UnixNano()), wide
	if os.Getenv("QUELL_SOAK") != "" {
		schedules, sz = 10_000, wider
	}
	if n, err := strconv.Atoi(os.Getenv("QUELL_MODEL_SCHEDULES")); err == nil {
		schedules = n
	}
	if n, err := strconv.ParseUint(os.Getenv("QUELL_MODEL_SEED"), 10, 64); err == nil {
		seed = n
	}
	if testing.Short() {
		schedules = min(schedules, 50)
	}
	t.Logf("repeat: QUELL_MODEL_SEED=%d QUELL_MODEL_SCHEDULES=%d go test ./internal/effects -run TestModelWide -v", seed, schedules)
	model(t, store.Options{Dir: inMemory(t)}, sz, seed, schedules)
}

// size is how large a schedule is: playbooks that each act on some of the hosts,
// in so many random steps and up to as many more.
type size struct{ hosts, playbooks, each, steps int }

var (
	narrow = size{hosts: 2, playbooks: 3, each: 1, steps: 12}
	wide   = size{hosts: 20, playbooks: 5, each: 2, steps: 30}
	wider  = size{hosts: 20, playbooks: 5, each: 6, steps: 60}
)

func model(t *testing.T, o store.Options, sz size, seed uint64, schedules int) {
	t.Logf("seed %d, %d schedules of %+v", seed, schedules, sz)
	h := newHouse(t, storetest.Open(t, o, schemas()...), guard.Rules{})
	var seen tally
	for i := range schedules {
		w := newWorld(h, i, sz, rand.New(rand.NewPCG(seed, uint64(i)))) // a schedule must be repeatable
		w.play()
		w.judge()
		seen.add(w.tally)
		if t.Failed() {
			t.Fatalf("QUELL_MODEL_SEED=%d, schedule %d:\n%s", seed, i, w.story())
		}
	}
	t.Logf("%+v", seen)
	if schedules >= 1000 && (seen.Lost == 0 || seen.Late == 0 || seen.Back == 0 || seen.Unknown == 0 || seen.Releases == 0 || seen.Joined == 0 || seen.Foreign == 0 || seen.Fenced == 0) {
		t.Fatalf("the schedules miss something: %+v", seen)
	}
	rep, err := h.ledger.VerifyStore(t.Context(), "")
	if err != nil || !rep.OK {
		t.Fatalf("ledger: %+v, %v", rep, err)
	}
}

// inMemory is a directory on tmpfs where there is one: the schedules try the
// logic, not the disk.
func inMemory(t *testing.T) string {
	dir, err := os.MkdirTemp("/dev/shm", "quelltest") //nolint:usetesting // see above
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// tally counts what schedules came across.
type tally struct {
	Calls, Releases, Lost, Late, Back, Unknown, Joined, Foreign, Waits, Fenced, Crashes int
}

func (a *tally) add(b tally) {
	a.Calls += b.Calls
	a.Releases += b.Releases
	a.Lost += b.Lost
	a.Late += b.Late
	a.Back += b.Back
	a.Unknown += b.Unknown
	a.Joined += b.Joined
	a.Foreign += b.Foreign
	a.Waits += b.Waits
	a.Fenced += b.Fenced
	a.Crashes += b.Crashes
}

// host is one host in the vendor's world.
type host struct {
	id       string
	isolated bool
	foreign  bool   // somebody else isolated it
	prior    string // of the model: what the first holder found
	holders  map[string]bool
	unknown  bool // an effect on it is unknown: it may be isolated for no holder
}

// landing is a call whose answer was lost and that lands later.
type landing struct {
	at time.Time
	a  *actor
}

// actor is one effect that somebody drives.
type actor struct {
	in     effects.Intent
	of     *actor
	h      *host
	permit *effects.Permit // let out, not yet called
	late   *effects.Permit // of an attempt that was taken for dead
	end    *effects.Effect
	begun  bool
	landed int
	// replaced says that someone else was let to look or act after late.
	replaced bool
}

// world is the vendor, the runs and the model.
type world struct {
	*house
	tally
	n        int
	size     size
	r        *rand.Rand
	hosts    []*host
	actors   []*actor
	landings []landing
	lines    []string
}

func newWorld(h *house, n int, sz size, r *rand.Rand) *world {
	w := &world{house: h, n: n, size: sz, r: r}
	for i := range sz.hosts {
		w.hosts = append(w.hosts, &host{id: fmt.Sprintf("%d-%d", n, i), holders: map[string]bool{}})
	}
	for i := range sz.playbooks {
		for j, k := range r.Perm(sz.hosts)[:sz.each] {
			a := &actor{h: w.hosts[k]}
			a.in = do(fmt.Sprintf("run%d-%d", n, i), 1+j, w.action(), a.h.id)
			w.actors = append(w.actors, a)
		}
	}
	return w
}

// action is of a class and a read-back; a foreign hand is only told from ours
// where both are sure.
func (w *world) action() spec.Action {
	a := isolate()
	a.Class = []spec.Class{spec.Idempotent, spec.Keyed, spec.Once}[w.r.IntN(3)]
	a.ReadBack = []spec.ReadBack{spec.Strong, spec.Strong, spec.Lagging}[w.r.IntN(3)]
	return a
}

func (w *world) say(f string, args ...any) {
	w.lines = append(w.lines, w.clock.now().Sub(epoch).String()+" "+fmt.Sprintf(f, args...))
}

func (w *world) story() string {
	out := ""
	for _, l := range w.lines {
		out += l + "\n"
	}
	return out
}

// play takes random steps, then drives every effect to its end.
func (w *world) play() {
	for range w.size.steps + w.r.IntN(w.size.steps+8) {
		w.step()
	}
	for round := 0; ; round++ {
		open := false
		for _, a := range w.actors {
			if a.end == nil {
				open = true
				w.drive(a, false)
				if a.permit != nil {
					w.call(a, false)
				}
			}
		}
		if !open {
			return
		}
		if round > 200 {
			w.Errorf("an effect does not end")
			return
		}
		w.pass(deadline)
	}
}

func (w *world) step() {
	switch n := w.r.IntN(20); {
	case n == 0:
		w.foreignHand()
	case n < 4:
		w.pass(time.Duration(w.r.IntN(int(deadline + settling))))
	case n < 7:
		w.beginUndo()
	case n == 7:
		w.comeLate()
	default:
		w.drive(w.actors[w.r.IntN(len(w.actors))], true)
	}
}

// pass lets time go by, and land what is under way.
func (w *world) pass(d time.Duration) {
	w.clock.add(d)
	var rest []landing
	for _, l := range w.landings {
		if w.clock.now().Before(l.at) {
			rest = append(rest, l)
			continue
		}
		w.Late++
		w.land(l.a)
	}
	w.landings = rest
}

// land changes the world for an actor's call.
func (w *world) land(a *actor) {
	isolated := a.in.Key.Direction == run.Do
	if a.landed++; a.landed > 1 && a.in.Action.Class == spec.Once {
		w.Errorf("%s happened twice", a.in.Key)
	}
	w.say("world: %s isolated=%v by %s", a.h.id, isolated, a.in.Key)
	if !isolated {
		a.h.foreign = false
	}
	a.h.isolated = isolated
}

// foreignHand isolates a host outside Quell: only while nothing of ours is on it,
// because the vendor cannot tell whose isolation it is.
func (w *world) foreignHand() {
	h := w.hosts[w.r.IntN(len(w.hosts))]
	for _, a := range w.actors {
		if a.h == h && a.begun && a.end == nil {
			return
		}
	}
	if !h.isolated && len(h.holders) == 0 {
		w.Foreign++
		w.say("world: %s isolated by a foreign hand", h.id)
		h.isolated, h.foreign = true, true
	}
}

func (w *world) beginUndo() {
	a := w.actors[w.r.IntN(len(w.actors))]
	if a.of != nil || a.end == nil {
		return
	}
	n := 1
	for _, u := range w.actors {
		if u.of == a {
			if u.end == nil {
				return
			}
			n++
		}
	}
	w.actors = append(w.actors, &actor{in: undo(a.in, n), of: a, h: a.h})
}

// comeLate lets a caller that was taken for dead bring its result.
func (w *world) comeLate() {
	for _, a := range w.actors {
		if a.late == nil || !a.replaced {
			continue // nobody took over yet: its word would count, and here it is a lie
		}
		if _, err := w.fx.Settle(w.ctx, a.late.Key, a.late.Fence, effects.Result{Outcome: spec.Done}); !errors.Is(err, effects.ErrFenced) {
			w.Errorf("a late result of %s was taken: %v", a.in.Key, err)
		}
		w.Fenced++
		a.late, a.replaced = nil, false
	}
}

// drive takes one step with an effect: admission, or the call that it let out.
func (w *world) drive(a *actor, faults bool) {
	if a.permit != nil {
		w.call(a, faults)
		return
	}
	if a.end != nil {
		if faults { // whoever asks again is told the same
			if ef := w.admit(a.in).Settled; ef == nil || ef.Outcome != a.end.Outcome {
				w.Errorf("%s was %s, and now %+v", a.in.Key, a.end.Outcome, ef)
			}
		}
		return
	}
	if a.in.Key.Direction == run.Do {
		a.in.Before, a.in.BeforePrior = spec.Absent, prior(a.h.isolated)
		if a.h.isolated {
			a.in.Before = spec.Present
		}
	}
	v := w.admit(a.in)
	w.say("admit %s: %s", a.in.Key, show(v))
	a.replaced = a.late != nil && (a.replaced || v.Go != nil || v.Back != nil)
	switch {
	case v.Settled != nil:
		w.ended(a, v.Settled)
	case v.Go != nil:
		w.let(a, v.Go)
	case v.Back != nil:
		w.Back++
		w.readBack(a, v.Back)
	default:
		w.Waits++
	}
}

func prior(isolated bool) json.RawMessage {
	return json.RawMessage(fmt.Sprintf(`{"isolated":%v}`, isolated))
}

// let notes an attempt, and that its intent is in the ledger before any call.
func (w *world) let(a *actor, p *effects.Permit) {
	a.permit, a.begun = p, true
	list, err := w.ledger.Read(w.ctx, ledger.Filter{Key: p.Key, Kind: "effect.intent"})
	if err != nil || len(list) == 0 {
		w.Errorf("%s was let out without an intent: %v", p.Key, err)
		return
	}
	var body struct{ Attempt int64 }
	if err := json.Unmarshal(list[len(list)-1].Body, &body); err != nil || body.Attempt != p.Fence {
		w.Errorf("%s attempt %d was let out, the ledger says %s", p.Key, p.Fence, list[len(list)-1].Body)
	}
	for _, o := range w.actors {
		if o != a && o.h == a.h && w.isOpen(o) {
			w.Errorf("%s and %s are open on %s at once", a.in.Key, o.in.Key, a.h.id)
		}
	}
	if a.in.Key.Direction == run.Undo {
		w.mayRelease(a, p)
	}
}

func (w *world) isOpen(a *actor) bool {
	ef, err := w.fx.Get(w.ctx, a.in.Key.String())
	return err == nil && ef.Open()
}

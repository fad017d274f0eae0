package activities

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"text/tabwriter"
	"time"

	"github.com/quell-soar/quell/activities/task"
	"github.com/quell-soar/quell/connectors/spec"
	"github.com/quell-soar/quell/internal/effects"
	"github.com/quell-soar/quell/internal/guard"
	"github.com/quell-soar/quell/internal/ledger"
	"github.com/quell-soar/quell/internal/store"
	"github.com/quell-soar/quell/internal/store/storetest"
	"github.com/quell-soar/quell/workflows/run"
)

// The six places of a step at which a process may end, and two more that only a
// process that came after a crash passes.
const (
	beforeAdmission = "before admission"
	intentCommitted = "intent committed"
	callLeft        = "call left"
	vendorCommitted = "vendor committed"
	outcomeStored   = "outcome stored"
	completed       = "activity completed"
	readBackAnswers = "read-back answered"
	readBackStored  = "read-back stored"
)

var places = []string{beforeAdmission, intentCommitted, callLeft, vendorCommitted, outcomeStored, completed}

// crash is one way in which a step is torn.
type crash struct {
	place string
	// fate is what becomes of the call that is under way then.
	fate fate
	// lag is how long after the effect a lagging read sees it.
	lag time.Duration
	// second is where the process that comes after ends too, or empty.
	second string
}

func (c crash) String() string {
	s := c.place
	if c.fate != "" {
		s += ", " + string(c.fate)
	}
	if c.lag > 0 {
		s += ", read lags"
	}
	if c.second != "" {
		s += "; then " + c.second
	}
	return s
}

// crashes lists the first crashes with every fate and lag.
func crashes(rb spec.ReadBack) []crash {
	var out []crash
	for _, p := range places {
		fates := []fate{""}
		switch p {
		case callLeft:
			fates = []fate{never, late}
		case vendorCommitted:
			fates = []fate{now}
		}
		for _, f := range fates {
			out = append(out, crash{place: p, fate: f})
			if rb == spec.Lagging && (f == late || f == now) {
				out = append(out, crash{place: p, fate: f, lag: crashLag})
			}
		}
	}
	return out
}

// want says what the crash table of the effects store makes of one crash: the
// outcome, and how often the vendor is called for the effect over both lives.
func (c crash) want(class spec.Class, rb spec.ReadBack) (task.Outcome, int) {
	applied := c.fate == now || c.fate == late
	switch c.place {
	case beforeAdmission, outcomeStored, completed:
		return task.Done, 1
	}
	left := 1
	if c.place == intentCommitted {
		left = 0
	}
	switch {
	case applied && rb != spec.NoReadBack && c.lag == 0: // the read-back finds it
		return task.Done, left
	case class != spec.Once, !applied && rb == spec.Strong: // again cannot double it
		return task.Done, left + 1
	}
	return task.Unknown, left
}

// TestCrashTable ends a step at each of its places, in each effect class, with
// each kind of read-back, forwards and backwards, and lets the next process go
// on. Time is that of the test; both databases are real.
func TestCrashTable(t *testing.T) { eachStore(t, false) }

// TestCrashTwice ends the process that comes after the crash too, at each of the
// places that it passes. The outcome is the same, or a person is asked.
func TestCrashTwice(t *testing.T) {
	if os.Getenv("QUELL_SOAK") == "" {
		t.Skip("every pair of crashes: QUELL_SOAK=1 go test ./activities -run TestCrashTwice -v")
	}
	eachStore(t, true)
}

func eachStore(t *testing.T, twice bool) {
	t.Run("sqlite", func(t *testing.T) {
		dir, err := os.MkdirTemp("/dev/shm", "quelltest") //nolint:usetesting // it tries the logic, not the disk
		if err != nil {
			dir = t.TempDir()
		}
		t.Cleanup(func() { _ = os.RemoveAll(dir) })
		synctest.Test(t, func(t *testing.T) { crashTable(t, store.Options{Dir: dir}, twice) })
	})
	t.Run("postgres", func(t *testing.T) {
		dsn := storetest.DSN(t)
		synctest.Test(t, func(t *testing.T) { crashTable(t, store.Options{DSN: dsn}, twice) })
	})
}

func crashTable(t *testing.T, o store.Options, twice bool) {
	h := newTorn(t, o)
	var page strings.Builder
	w := tabwriter.NewWriter(&page, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(w, "direction\tcrash\tclass\tread-back\toutcome\tcalls\teffects")
	for _, dir := range []run.Direction{run.Do, run.Undo} {
		for _, class := range []spec.Class{spec.Idempotent, spec.Keyed, spec.Once} {
			for _, rb := range []spec.ReadBack{spec.Strong, spec.Lagging, spec.NoReadBack} {
				for _, c := range crashes(rb) {
					for _, c.second = range seconds(twice) {
						_, _ = fmt.Fprintln(w, h.row(dir, class, rb, c))
					}
				}
			}
		}
	}
	_ = w.Flush()
	t.Logf("%d crashes\n%s", h.n, page.String())
	rep, err := h.ledger.VerifyStore(t.Context(), "")
	if err != nil || !rep.OK {
		t.Errorf("ledger: %+v, %v", rep, err)
	}
}

func seconds(twice bool) []string {
	if !twice {
		return []string{""}
	}
	return append(append([]string{}, places...), readBackAnswers, readBackStored)
}

// torn is the house in which steps are torn: the store outlives every process.
type torn struct {
	t      *testing.T
	ledger *ledger.Ledger
	fx     *effects.Effects
	n      int
}

func newTorn(t *testing.T, o store.Options) *torn {
	t.Helper()
	db := storetest.Open(t, o, ledger.Schema(), guard.Schema(), effects.Schema())
	key, err := ledger.LoadKey(filepath.Join(t.TempDir(), "k"))
	if err != nil {
		t.Fatal(err)
	}
	g, err := guard.New(guard.Rules{})
	if err != nil {
		t.Fatal(err)
	}
	l := ledger.New(db, key, time.Now)
	return &torn{t: t, ledger: l, fx: effects.New(db, l, g, time.Now)}
}

// row plays one crash and what follows, judges it, and returns its line.
func (h *torn) row(dir run.Direction, class spec.Class, rb spec.ReadBack, c crash) string {
	h.n++
	name := fmt.Sprintf("case%d", h.n)
	fail := func(format string, args ...any) {
		h.t.Errorf("%s %s %s, %s: %s", dir, class, rb, c, fmt.Sprintf(format, args...))
	}
	s := &shop{t: h.t, class: class, readBack: rb, lag: 0, seen: map[string]bool{}}
	q := task.ActRequest{
		Key:    run.Key{Tenant: "default", Run: name, Step: "contain.x", Direction: run.Do, Generation: 1},
		Action: "shop.lock", Inst: "shop", Inputs: json.RawMessage(`{"thing":"` + name + `"}`), Mode: "act",
	}
	before := 0
	if dir == run.Undo {
		if r := h.live(s, q, ""); r == nil || r.Outcome != task.Done {
			fail("the effect that is to be taken back: %+v", r)
			return ""
		}
		time.Sleep(crashLag) // "present" is the truth, once reads see the effect itself
		before = s.calls
		q = undo(q)
	}
	s.lag = c.lag
	s.next = c.fate
	first := h.live(s, q, c.place)
	s.next = ""
	if (first == nil) != (c.place != completed) {
		fail("the first process was not torn: %+v", first)
	}
	if c.second != "" {
		if c.second == callLeft {
			s.next = never
		}
		h.live(s, q, c.second)
		s.next = ""
	}
	res := h.live(s, q, "")
	time.Sleep(10 * time.Minute) // what is late lands
	again := h.live(s, q, "")    // whoever asks again is told the same
	if res == nil || again == nil || again.Outcome != res.Outcome {
		fail("%+v, and asked again %+v", res, again)
		return ""
	}
	h.judge(fail, s, q, c, res, before)
	return strings.Join([]string{string(dir), c.String(), string(class), string(rb), string(res.Outcome), fmt.Sprint(s.calls - before), fmt.Sprint(s.did(dir))}, "\t")
}

// judge holds the world, the store and the ledger against the crash table.
func (h *torn) judge(fail func(string, ...any), s *shop, q task.ActRequest, c crash, res *task.ActResult, before int) {
	did, dir := s.did(q.Key.Direction), q.Key.Direction
	if did > 1 {
		fail("it happened %d times", did)
	}
	switch res.Outcome {
	case task.Done:
		if did != 1 || s.on != (dir == run.Do) {
			fail("it is called done and happened %d times", did)
		}
	case task.Unknown:
		if s.class != spec.Once || s.readBack == spec.Strong {
			fail("it is called unknown, and need not be")
		}
	default:
		fail("outcome %s (%s, %+v)", res.Outcome, res.Detail, res.Failure)
	}
	if c.second == "" {
		if want, calls := c.want(s.class, s.readBack); res.Outcome != want || s.calls-before != calls {
			fail("%s after %d calls, want %s after %d", res.Outcome, s.calls-before, want, calls)
		}
	}
	if s.class == spec.Once && s.readBack != spec.Strong && s.calls-before > 1 {
		fail("it was called for %d times, and nothing proved that the first did nothing", s.calls-before)
	}
	h.record(fail, q.Key.String(), s.calls-before)
}

// record looks for the intent of each call and for one outcome.
func (h *torn) record(fail func(string, ...any), key string, calls int) {
	list, err := h.ledger.Read(h.t.Context(), ledger.Filter{Key: key})
	if err != nil {
		h.t.Fatal(err)
	}
	intents, outcomes := 0, 0
	for _, e := range list {
		switch e.Kind {
		case "effect.intent":
			intents++
		case "effect.outcome":
			outcomes++
		}
	}
	if intents < calls || outcomes != 1 {
		fail("%d calls, and the ledger has %d intents and %d outcomes", calls, intents, outcomes)
	}
}

// live is the life of one process: it works on the effect until it is done, or
// until it comes to a place; then it is gone, and nil is returned.
func (h *torn) live(s *shop, q task.ActRequest, until string) *task.ActResult {
	end := &end{at: until}
	actor := &Actor{Host: ending{s, end}, Effects: endingStore{h.fx, end}, Charter: Everything}
	done := make(chan *task.ActResult, 1)
	go func() {
		defer close(done)
		res, err := actor.Act(h.t.Context(), q)
		if err != nil {
			h.t.Errorf("%s: %v", q.Key, err)
			return
		}
		done <- &res
	}()
	return <-done
}

// end is where a process ends.
type end struct{ at string }

// here ends the process at its place: its goroutine goes, and no more of it runs
// than what a deferred call sets free in memory.
func (e *end) here(place string) {
	if e.at == place {
		runtime.Goexit()
	}
}

// endingStore is the store as a process sees it that ends.
type endingStore struct {
	*effects.Effects
	end *end
}

func (s endingStore) Admit(ctx context.Context, in effects.Intent) (effects.Verdict, error) {
	s.end.here(beforeAdmission)
	v, err := s.Effects.Admit(ctx, in)
	if v.Go != nil {
		s.end.here(intentCommitted)
	}
	return v, err
}

func (s endingStore) Settle(ctx context.Context, key string, fence int64, r effects.Result) (*effects.Effect, error) {
	ef, err := s.Effects.Settle(ctx, key, fence, r)
	s.end.here(outcomeStored)
	return ef, err
}

func (s endingStore) Conclude(ctx context.Context, key string, fence int64, found spec.Outcome, output, prior json.RawMessage) (*effects.Effect, error) {
	s.end.here(readBackAnswers)
	ef, err := s.Effects.Conclude(ctx, key, fence, found, output, prior)
	s.end.here(readBackStored)
	return ef, err
}

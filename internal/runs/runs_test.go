package runs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/quell-soar/quell/internal/alert"
	"github.com/quell-soar/quell/internal/store"
	"github.com/quell-soar/quell/internal/store/storetest"
	"github.com/quell-soar/quell/workflows/run"
)

// clock is a clock that a test sets.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(time.Microsecond) // no two moments are the same
	return c.at
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

func room(t *testing.T, db *store.DB) (*Runs, *store.DB, *clock) {
	t.Helper()
	c := &clock{at: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
	return New(db, c.now), db, c
}

// Both databases hold the same contract.
func TestRuns(t *testing.T) {
	for name, test := range map[string]func(*testing.T, *store.DB){
		"claim joins the live run": testClaimJoinsTheLiveRun, "join raises the run": testJoinRaisesTheRun, "parallel claims": testParallelClaims,
		"by hand": testByHand, "parallel by hand": testParallelByHand, "unstarted by turns": testUnstartedByTurns, "unstarted past a crowd": testUnstartedBut, "idempotent": testStartAndEndAreIdempotent,
		"input": testInputFor, "list": testList, "alerts": testAlerts,
	} {
		t.Run(name, func(t *testing.T) { storetest.Each(t, []store.Schema{Schema()}, test) })
	}
}

func aClaim(value string) Claim {
	return Claim{
		Tenant: "t", Playbook: "p", Digest: "d1", Plan: []byte(`{"format":1}`), OnceValue: []byte(value), Inputs: []byte(`{"hostname":"ws-12"}`),
		Trigger: run.Trigger{Kind: "alert", Actor: "source:siem", Source: "siem", Alert: "a-1", Severity: "high"},
		Mode:    "observe", Severity: "high", Quiet: 4 * time.Hour, Targets: []string{"hostname=ws-12"},
	}
}

func claim(t *testing.T, r *Runs, db *store.DB, c Claim) Claimed {
	t.Helper()
	var got Claimed
	if err := db.Update(t.Context(), func(tx *store.Tx) error {
		var err error
		got, err = r.Claim(tx, c)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return got
}

func testClaimJoinsTheLiveRun(t *testing.T, db *store.DB) {
	r, _, _ := room(t, db)
	first := claim(t, r, db, aClaim(`["ws-12"]`))
	if !first.New || first.Generation != 1 || !strings.HasPrefix(first.ID, "p/") || !strings.HasSuffix(first.ID, "/1") {
		t.Fatalf("first: %+v", first)
	}
	for _, step := range []func() error{func() error { return nil }, func() error { return r.MarkStarted(t.Context(), first.ID) }} {
		if err := step(); err != nil {
			t.Fatal(err)
		}
		if got := claim(t, r, db, aClaim(`["ws-12"]`)); !got.Joined || got.ID != first.ID {
			t.Errorf("second: %+v", got)
		}
	}
	if other := claim(t, r, db, aClaim(`["ws-13"]`)); !other.New || other.ID == first.ID {
		t.Errorf("another value: %+v", other)
	}
	elsewhere := aClaim(`["ws-12"]`)
	elsewhere.Tenant = "t2"
	if got := claim(t, r, db, elsewhere); !got.New || got.ID == first.ID {
		t.Errorf("another tenant: %+v", got)
	}
}

func TestQuiet(t *testing.T) {
	graver := func(c *Claim) { c.Severity = "critical" }
	milder := func(c *Claim) { c.Severity = "low" }
	target := func(c *Claim) { c.Targets = []string{"hostname=ws-12", "hostname=ws-99"} }
	none := func(*Claim) {}
	for _, tt := range []struct {
		name, closing string
		after         time.Duration
		change        func(*Claim)
		silenced      bool
	}{
		{"within", "true_positive", time.Hour, none, true},
		{"just within", "completed", 4*time.Hour - time.Second, none, true},
		{"at its end", "completed", 4 * time.Hour, none, false},
		{"milder", "completed", time.Hour, milder, true},
		{"graver", "completed", time.Hour, graver, false},
		{"new target", "completed", time.Hour, target, false},
		{"after failed", "failed", time.Hour, none, false},
		{"after denied", "denied", time.Hour, none, false},
		{"after cancelled", "cancelled", time.Hour, none, false},
		{"after false positive", "false_positive", time.Hour, none, true},
		{"without quiet", "completed", time.Second, func(c *Claim) { c.Quiet = 0 }, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			db := storetest.Open(t, store.Options{Dir: t.TempDir()}, Schema())
			r, _, clk := room(t, db)
			first := claim(t, r, db, aClaim(`["ws-12"]`))
			if err := r.MarkEnded(t.Context(), first.ID, tt.closing, "", nil); err != nil {
				t.Fatal(err)
			}
			clk.pass(tt.after)
			c := aClaim(`["ws-12"]`)
			tt.change(&c)
			got := claim(t, r, db, c)
			if (got.Silenced != "") != tt.silenced || got.New == tt.silenced {
				t.Fatalf("%+v", got)
			}
			if !tt.silenced && (got.Generation != 2 || !strings.HasSuffix(got.ID, "/2")) {
				t.Errorf("generation: %+v", got)
			}
			if tt.silenced && !strings.Contains(got.Silenced, first.ID) {
				t.Errorf("the reason does not name the run: %q", got.Silenced)
			}
		})
	}
}

// What joined a run counts as known to it: its severity and its targets.
func testJoinRaisesTheRun(t *testing.T, db *store.DB) {
	r, _, clk := room(t, db)
	first := claim(t, r, db, aClaim(`["ws-12"]`))
	joining := aClaim(`["ws-12"]`)
	joining.Severity, joining.Targets = "critical", []string{"hash=ab", "hostname=ws-12"}
	if got := claim(t, r, db, joining); !got.Joined {
		t.Fatalf("%+v", got)
	}
	if err := r.MarkEnded(t.Context(), first.ID, "completed", "", nil); err != nil {
		t.Fatal(err)
	}
	clk.pass(time.Minute)
	if got := claim(t, r, db, joining); got.Silenced == "" {
		t.Errorf("what joined is new again: %+v", got)
	}
	rec, err := r.Get(t.Context(), first.ID)
	if err != nil || rec.Severity != "critical" {
		t.Errorf("severity %q, %v", rec.Severity, err)
	}
}

func testParallelClaims(t *testing.T, db *store.DB) {
	r, _, _ := room(t, db)
	const n = 200
	var mu sync.Mutex
	ids, fresh := map[string]int{}, 0
	var wg sync.WaitGroup
	for range n {
		wg.Go(func() {
			var got Claimed
			err := db.Update(context.Background(), func(tx *store.Tx) error {
				var err error
				got, err = r.Claim(tx, aClaim(`["ws-12"]`))
				return err
			})
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				t.Error(err)
			}
			ids[got.ID]++
			if got.New {
				fresh++
			}
		})
	}
	wg.Wait()
	if len(ids) != 1 || fresh != 1 {
		t.Errorf("%d runs, %d new", len(ids), fresh)
	}
}

func testByHand(t *testing.T, db *store.DB) {
	r, _, _ := room(t, db)
	c := aClaim("")
	c.OnceValue, c.Severity, c.Trigger = nil, "", run.Trigger{Kind: "manual", Actor: "user:alice"}
	a, b := claim(t, r, db, c), claim(t, r, db, c)
	if !a.New || !b.New || a.ID == b.ID || !strings.HasPrefix(a.ID, "p/m-") {
		t.Fatalf("%+v %+v", a, b)
	}
	c.Key = "k1"
	a, b = claim(t, r, db, c), claim(t, r, db, c)
	if !a.New || !b.Repeated || a.ID != b.ID {
		t.Errorf("same key: %+v %+v", a, b)
	}
	other := c
	other.Trigger.Actor = "user:bob"
	if got := claim(t, r, db, other); !got.New {
		t.Errorf("another's key: %+v", got)
	}
	c.Inputs = []byte(`{"hostname":"ws-13"}`)
	err := db.Update(t.Context(), func(tx *store.Tx) error { _, err := r.Claim(tx, c); return err })
	if !errors.Is(err, ErrKeyReused) {
		t.Errorf("same key for another request: %v", err)
	}
}

// A key that comes many times at once is one run.
func testParallelByHand(t *testing.T, db *store.DB) {
	r, _, _ := room(t, db)
	c := aClaim("")
	c.OnceValue, c.Key, c.Trigger = nil, "k", run.Trigger{Kind: "manual", Actor: "user:alice"}
	var mu sync.Mutex
	fresh, repeated := 0, 0
	var wg sync.WaitGroup
	for range 100 {
		wg.Go(func() {
			var got Claimed
			err := db.Update(context.Background(), func(tx *store.Tx) error {
				var err error
				got, err = r.Claim(tx, c)
				return err
			})
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err != nil:
				t.Error(err)
			case got.New:
				fresh++
			case got.Repeated:
				repeated++
			}
		})
	}
	wg.Wait()
	if fresh != 1 || repeated != 99 {
		t.Errorf("%d new, %d repeated", fresh, repeated)
	}
}

func testUnstartedByTurns(t *testing.T, db *store.DB) {
	r, _, _ := room(t, db)
	put := func(source, severity, value string) string {
		c := aClaim(value)
		c.Trigger.Source, c.Severity = source, severity
		return claim(t, r, db, c).ID
	}
	var flood []string
	for i := range 50 {
		flood = append(flood, put("noisy", "high", fmt.Sprintf("[%d]", i)))
	}
	quiet := put("quiet", "high", `["q"]`)
	low := put("quiet", "low", `["l"]`)
	grave := put("noisy", "critical", `["g"]`)
	list, err := r.Unstarted(t.Context(), 100)
	if err != nil || len(list) != 53 {
		t.Fatalf("%d, %v", len(list), err)
	}
	want := []string{grave, flood[0], quiet, flood[1]}
	for i, id := range want {
		if list[i].ID != id {
			t.Errorf("place %d: %s, want %s", i, list[i].ID, id)
		}
	}
	if list[52].ID != low {
		t.Errorf("last: %s, want the low one", list[52].ID)
	}
	if err := r.MarkStarted(t.Context(), grave); err != nil {
		t.Fatal(err)
	}
	if list, err = r.Unstarted(t.Context(), 1); err != nil || len(list) != 1 || list[0].ID != flood[0] {
		t.Errorf("after the start: %v, %v", list, err)
	}
	if n, err := r.Backlog(t.Context()); err != nil || n != 52 {
		t.Errorf("backlog %d, %v", n, err)
	}
}

// testUnstartedBut leaves out the runs of a crowded connector, and keeps the order.
func testUnstartedBut(t *testing.T, db *store.DB) {
	r, _, _ := room(t, db)
	put := func(severity, value string, instances ...string) string {
		c := aClaim(value)
		c.Severity, c.Bindings = severity, nil
		for _, name := range instances {
			c.Bindings = append(c.Bindings, run.Binding{Action: "x." + name, Instance: name})
		}
		return claim(t, r, db, c).ID
	}
	for i := range 20 {
		put("critical", fmt.Sprintf("[%d]", i), "entra", "falcon")
	}
	none := put("low", `["n"]`)
	jira := put("high", `["j"]`, "jira")
	entra := put("high", `["e"]`, "entra")
	for _, c := range []struct {
		limit int
		but   []string
		want  []string
	}{
		{10, []string{"falcon"}, []string{jira, entra, none}},
		{2, []string{"falcon"}, []string{jira, entra}},
		{10, []string{"entra", "jira"}, []string{none}},
	} {
		list, err := r.Unstarted(t.Context(), c.limit, c.but...)
		var got []string
		for _, rec := range list {
			got = append(got, rec.ID)
		}
		if err != nil || !slices.Equal(got, c.want) {
			t.Errorf("but %v: %v, want %v, %v", c.but, got, c.want, err)
		}
	}
	if list, err := r.Unstarted(t.Context(), 100, "absent"); err != nil || len(list) != 23 || list[22].ID != none {
		t.Errorf("but those of no instance: %d, %v", len(list), err)
	}
}

func testStartAndEndAreIdempotent(t *testing.T, db *store.DB) {
	r, _, clk := room(t, db)
	id := claim(t, r, db, aClaim(`["ws-12"]`)).ID
	for range 2 {
		if err := r.MarkStarted(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		clk.pass(time.Minute)
	}
	if over, err := r.Over(t.Context(), id, 0); over || err != nil {
		t.Error("a run that goes on is over", err)
	}
	for i, closing := range []string{"completed", "failed"} {
		if err := r.MarkEnded(t.Context(), id, closing, "because", json.RawMessage(fmt.Sprintf(`{"closing":"%s"}`, closing))); err != nil {
			t.Fatal(i, err)
		}
		clk.pass(time.Minute)
	}
	if err := r.MarkStarted(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	rec, err := r.Get(t.Context(), id)
	if err != nil || rec.Status != Ended || rec.Closing != "completed" || string(rec.Result) != `{"closing":"completed"}` {
		t.Fatalf("%+v, %v", rec, err)
	}
	if d := rec.Ended.Sub(rec.Started).Round(time.Minute); d != 2*time.Minute {
		t.Errorf("started and ended are %v apart", d)
	}
	for _, c := range []struct {
		id   string
		ago  time.Duration
		over bool
	}{{id, 0, true}, {id, 2 * time.Minute, true}, {id, 3 * time.Minute, false}, {"no/such/1", time.Hour, true}} {
		if over, err := r.Over(t.Context(), c.id, c.ago); over != c.over || err != nil {
			t.Errorf("%s is over for %s: %v, %v", c.id, c.ago, over, err)
		}
	}
	if err := r.MarkEnded(t.Context(), "no/such/1", "failed", "", nil); !errors.Is(err, ErrNotFound) {
		t.Errorf("end of nothing: %v", err)
	}
	if _, err := r.Get(t.Context(), "no/such/1"); !errors.Is(err, ErrNotFound) {
		t.Errorf("get of nothing: %v", err)
	}
}

func testInputFor(t *testing.T, db *store.DB) {
	r, _, _ := room(t, db)
	c := aClaim(`["ws-12"]`)
	c.Settings, c.Bindings = []byte(`{"a":1}`), []run.Binding{{Action: "edr.find_host", Instance: "cs"}}
	id := claim(t, r, db, c).ID
	in, err := r.InputFor(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	if in.ABI != run.ABI || in.Run != id || in.Incident != id || in.Tenant != "t" || in.Playbook != "p" || in.Digest != "d1" ||
		string(in.Plan) != `{"format":1}` || string(in.Inputs) != `{"hostname":"ws-12"}` || string(in.Settings) != `{"a":1}` ||
		len(in.Bindings) != 1 || in.Trigger != c.Trigger || in.Mode != "observe" {
		t.Errorf("%+v", in)
	}
	big := aClaim(`["big"]`)
	big.Digest, big.Plan = "d2", []byte(strings.Repeat("x", run.MaxInlinePlan+1))
	id = claim(t, r, db, big).ID
	if in, err = r.InputFor(t.Context(), id); err != nil || in.Plan != nil {
		t.Errorf("a big plan travels: %d, %v", len(in.Plan), err)
	}
	if raw, err := r.Plan(t.Context(), "d2"); err != nil || len(raw) != run.MaxInlinePlan+1 {
		t.Errorf("%d, %v", len(raw), err)
	}
}

func testList(t *testing.T, db *store.DB) {
	r, _, _ := room(t, db)
	var ids []string
	for i := range 7 {
		ids = append(ids, claim(t, r, db, aClaim(fmt.Sprintf("[%d]", i))).ID)
	}
	if err := r.MarkEnded(t.Context(), ids[3], "failed", "", nil); err != nil {
		t.Fatal(err)
	}
	var got []string
	f := Filter{Tenant: "t", Limit: 3}
	for {
		recs, next, err := r.List(t.Context(), f)
		if err != nil {
			t.Fatal(err)
		}
		for _, rec := range recs {
			got = append(got, rec.ID)
		}
		if f.Cursor = next; next == "" {
			break
		}
	}
	if len(got) != 7 || got[0] != ids[6] || got[6] != ids[0] {
		t.Errorf("%v", got)
	}
	for _, f := range []Filter{{Tenant: "t", Closing: "failed", Limit: 9}, {Tenant: "t", Status: Ended, Limit: 9}, {Tenant: "t", Incident: ids[3], Limit: 9}} {
		if recs, _, err := r.List(t.Context(), f); err != nil || len(recs) != 1 || recs[0].ID != ids[3] {
			t.Errorf("%+v: %v, %v", f, recs, err)
		}
	}
	if recs, _, err := r.List(t.Context(), Filter{Tenant: "t2", Limit: 9}); err != nil || len(recs) != 0 {
		t.Errorf("another tenant sees %v, %v", recs, err)
	}
	if _, _, err := r.List(t.Context(), Filter{Tenant: "t", Limit: 9, Cursor: "xx"}); !errors.Is(err, store.ErrCursor) {
		t.Errorf("a made-up cursor: %v", err)
	}
}

func testAlerts(t *testing.T, db *store.DB) {
	r, _, clk := room(t, db)
	put := func(id string) (string, bool) {
		var got string
		var first bool
		if err := db.Update(t.Context(), func(tx *store.Tx) error {
			var err error
			now := clk.now()
			got, first, err = r.PutAlert(tx, "t", alert.Alert{ID: id, Source: "siem", Kind: "detection", Severity: "high", Occurred: now, Received: now, Raw: []byte("raw\x00"), Dropped: []string{"x: y"}})
			if err != nil || !first {
				return err
			}
			if err := r.Judge(tx, got, Verdict{Playbook: "p", Run: "p/h/1", Verdict: "started"}); err != nil {
				return err
			}
			return r.Judge(tx, got, Verdict{Playbook: "a", Verdict: "refused", Reason: "why"})
		}); err != nil {
			t.Fatal(err)
		}
		return got, first
	}
	id, first := put("1")
	if again, second := put("1"); !first || second || again != id {
		t.Fatalf("%s %v, then %s %v", id, first, again, second)
	}
	a, err := r.GetAlert(t.Context(), id)
	if err != nil || a.Alert.ID != "1" || string(a.Raw) != "raw\x00" || len(a.Dropped) != 1 || len(a.Verdicts) != 2 ||
		a.Verdicts[0].Run != "p/h/1" || a.Verdicts[1].Reason != "why" || len(a.Value) == 0 {
		t.Errorf("%+v, %v", a, err)
	}
	if of, err := r.AlertsOf(t.Context(), "p/h/1"); err != nil || len(of) != 1 || of[0] != id {
		t.Errorf("alerts of the run: %v, %v", of, err)
	}
	put("2")
	page, next, err := r.ListAlerts(t.Context(), AlertFilter{Tenant: "t", Limit: 1})
	if err != nil || len(page) != 1 || page[0].Alert.ID != "2" || next == "" || len(page[0].Verdicts) != 2 {
		t.Fatalf("%+v %q %v", page, next, err)
	}
	if page, next, err = r.ListAlerts(t.Context(), AlertFilter{Tenant: "t", Limit: 1, Cursor: next}); err != nil || len(page) != 1 || page[0].ID != id || next != "" {
		t.Errorf("%+v %q %v", page, next, err)
	}
	if _, err := r.GetAlert(t.Context(), "a-none"); !errors.Is(err, ErrNotFound) {
		t.Errorf("%v", err)
	}
	if v, known, err := r.Known(t.Context(), id); err != nil || !known || len(v) != 2 {
		t.Errorf("%v %v %v", v, known, err)
	}
	if _, known, err := r.Known(t.Context(), "a-none"); err != nil || known {
		t.Errorf("%v %v", known, err)
	}
}

package intake

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/quell-soar/quell/connectors/spec/kind"
	"github.com/quell-soar/quell/internal/ledger"
	"github.com/quell-soar/quell/internal/runs"
	"github.com/quell-soar/quell/internal/store"
	"github.com/quell-soar/quell/internal/store/storetest"
	"github.com/quell-soar/quell/playbooks/expr"
	"github.com/quell-soar/quell/playbooks/plan"
	"github.com/quell-soar/quell/server/api"
)

var (
	key    = []byte("0123456789abcdef0123456789abcdef")
	oldKey = []byte("old-old-old-old-old-old-old-old!")
)

// shelf is a Book of one playbook for two sources.
type shelf []Loaded

func (s shelf) ForSource(string) []Loaded { return s }

// contain is the trigger of examples/contain-infected-host.yaml, compiled by
// hand.
func contain(t testing.TB) Loaded {
	t.Helper()
	ref := func(i int) *plan.ExprRef { r := plan.ExprRef(i); return &r }
	host, hashes := kind.Of(kind.Hostname), kind.ListOf(kind.Of(kind.Hash))
	p := &plan.Plan{
		Format: plan.Format, Language: 1, Playbook: "contain-infected-host", Title: "T",
		Inputs: []plan.Input{{Name: "hostname", Type: host}, {Name: "hashes", Type: hashes, Max: 3, Default: &plan.Value{Literal: []byte("[]"), Type: hashes}}},
		Triggers: plan.Triggers{Alerts: []plan.AlertTrigger{{
			From: []string{"edr", "siem"}, When: ref(0), Quiet: 4 * time.Hour, OncePer: []plan.ExprRef{3},
			Inputs: []plan.NamedValue{
				{Name: "hashes", Value: plan.Value{Expr: ref(2), Type: hashes}},
				{Name: "hostname", Value: plan.Value{Expr: ref(1), Type: host}},
			},
		}}},
		Exprs: []plan.Expr{
			{Text: "alert.severity >= severity.high && size(alert.hosts) == 1", Type: kind.Of(kind.Boolean), Line: 30, Column: 13},
			{Text: "alert.hosts[0].name", Type: host, Line: 32, Column: 19},
			{Text: "alert.files.map(f, f.sha256)", Type: hashes, Line: 33, Column: 17},
			{Text: "inputs.hostname", Type: host, Line: 35, Column: 17},
		},
	}
	return load(t, p)
}

func load(t testing.TB, p *plan.Plan) Loaded {
	t.Helper()
	raw, err := p.Encode()
	if err != nil {
		t.Fatal(err)
	}
	set, err := expr.Load(p)
	if err != nil {
		t.Fatal(err)
	}
	return Loaded{Plan: p, Digest: plan.DigestOf(raw), Raw: raw, Set: set, Mode: "observe"}
}

// desk is an intake over a real store, with what it nudged.
type desk struct {
	*Intake
	db     *store.DB
	runs   *runs.Runs
	nudges atomic.Int64
}

func openDesk(t *testing.T, dir string, books ...Loaded) *desk {
	t.Helper()
	if dir == "" {
		dir = t.TempDir()
	}
	return openDeskOn(t, store.Options{Dir: dir}, books...)
}

func openDeskOn(t *testing.T, o store.Options, books ...Loaded) *desk {
	t.Helper()
	d := &desk{}
	d.db = storetest.Open(t, o, runs.Schema(), ledger.Schema())
	signer, err := ledger.LoadKey(filepath.Join(t.TempDir(), "ledger.key"))
	if err != nil {
		t.Fatal(err)
	}
	l := ledger.New(d.db, signer, time.Now)
	d.runs = runs.New(d.db, func() time.Time { return noon })
	d.Intake, err = New(Config{Tenant: "t", Sources: []Source{
		{Name: "siem", Format: Generic, Keys: [][]byte{key, oldKey}, Rate: 1e6, Burst: 1e6},
		{Name: "edr", Format: CrowdStrike, Keys: [][]byte{[]byte("another-key-another-key-another!")}},
	}}, Deps{DB: d.db, Runs: d.runs, Ledger: l, Book: shelf(books), Nudge: func() { d.nudges.Add(1) }}, func() time.Time { return noon })
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func signed(k []byte, id string, at time.Time, body string) Delivery {
	return Delivery{ID: id, Timestamp: fmt.Sprint(at.Unix()), Signature: api.SignAlert(k, id, at, []byte(body)), Body: []byte(body)}
}

func hostAlert(id, host, severity string) string {
	raw, _ := json.Marshal(map[string]any{
		"id": id, "severity": severity, "title": "T", "occurred": "2026-03-01T11:59:00Z", "hosts": []any{map[string]any{"name": host}},
		"files": []any{map[string]any{"path": "/x", "sha256": strings.Repeat("ab", 32)}},
	})
	return string(raw)
}

func (d *desk) count(t *testing.T, table string) int {
	t.Helper()
	var n int
	if err := d.db.View(context.Background(), func(tx *store.Tx) error {
		return tx.QueryRow("SELECT COUNT(*) FROM " + table).Scan(&n)
	}); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestReceive(t *testing.T) {
	d := openDesk(t, "", contain(t))
	send := func(id, body string) Received {
		got, err := d.Receive(t.Context(), "siem", signed(key, "msg_"+id, noon, body))
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	first := send("1", hostAlert("1", "ws-12", "high"))
	if len(first.Verdicts) != 1 || first.Verdicts[0].Verdict != Started || first.Duplicate || d.nudges.Load() != 1 {
		t.Fatalf("%+v, %d nudges", first, d.nudges.Load())
	}
	in, err := d.runs.InputFor(t.Context(), first.Verdicts[0].Run)
	if err != nil {
		t.Fatal(err)
	}
	if want := `{"hashes":["` + strings.Repeat("ab", 32) + `"],"hostname":"ws-12"}`; string(in.Inputs) != want {
		t.Errorf("inputs %s", in.Inputs)
	}
	if in.Trigger.Actor != "source:siem" || in.Trigger.Alert != first.Alert || in.Mode != "observe" {
		t.Errorf("%+v", in)
	}
	if again := send("1b", hostAlert("1", "ws-12", "high")); !again.Duplicate || again.Alert != first.Alert || again.Verdicts[0] != first.Verdicts[0] {
		t.Errorf("the same alert in another delivery: %+v", again)
	}
	if joined := send("2", hostAlert("2", "ws-12", "critical")); joined.Verdicts[0].Verdict != JoinedRun || joined.Verdicts[0].Run != first.Verdicts[0].Run {
		t.Errorf("another alert about it: %+v", joined)
	}
	if low := send("3", hostAlert("3", "ws-13", "low")); len(low.Verdicts) != 0 {
		t.Errorf("when says no: %+v", low)
	}
	if d.count(t, "alerts") != 3 || d.count(t, "runs") != 1 || d.nudges.Load() != 1 {
		t.Errorf("%d alerts, %d runs, %d nudges", d.count(t, "alerts"), d.count(t, "runs"), d.nudges.Load())
	}
	if err := d.runs.MarkEnded(t.Context(), first.Verdicts[0].Run, "completed", "", nil); err != nil {
		t.Fatal(err)
	}
	silent := send("4", hostAlert("4", "ws-12", "high"))
	if v := silent.Verdicts[0]; v.Verdict != Silenced || v.Reason == "" {
		t.Errorf("%+v", silent)
	}
}

// The same alert a thousand times at once, then after a restart, then in
// another delivery: one run.
func TestThousandTimesOneRun(t *testing.T) {
	t.Run("sqlite", func(t *testing.T) { thousandTimes(t, store.Options{Dir: t.TempDir()}) })
	t.Run("postgres", func(t *testing.T) { thousandTimes(t, store.Options{DSN: storetest.DSN(t)}) })
}

func thousandTimes(t *testing.T, o store.Options) {
	t.Helper()
	d := openDeskOn(t, o, contain(t))
	body := hostAlert("1", "ws-12", "high")
	const times, parallel = 1000, 50
	var failed atomic.Int64
	seen := sync.Map{}
	hit := func(d *desk, i int) {
		got, err := d.Receive(context.Background(), "siem", signed(key, fmt.Sprintf("msg_%d", i%2), noon, body))
		if err != nil || len(got.Verdicts) != 1 {
			failed.Add(1)
			return
		}
		seen.Store(got.Verdicts[0].Run, true)
	}
	var wg sync.WaitGroup
	for p := range parallel {
		wg.Go(func() {
			for i := range times / parallel {
				hit(d, p+i)
			}
		})
	}
	wg.Wait()
	if err := d.db.Close(); err != nil {
		t.Fatal(err)
	}
	d = openDeskOn(t, o, contain(t))
	for i := range 20 {
		hit(d, i)
	}
	ids := 0
	seen.Range(func(any, any) bool { ids++; return true })
	if failed.Load() != 0 || ids != 1 || d.count(t, "runs") != 1 || d.count(t, "alerts") != 1 || d.count(t, "verdicts") != 1 {
		t.Errorf("%d failed, %d ids, %d runs, %d alerts, %d verdicts", failed.Load(), ids, d.count(t, "runs"), d.count(t, "alerts"), d.count(t, "verdicts"))
	}
}

func TestSignatures(t *testing.T) {
	d := openDesk(t, "", contain(t))
	body := hostAlert("1", "ws-12", "high")
	good := signed(key, "msg_1", noon, body)
	with := func(f func(*Delivery)) Delivery { d := good; f(&d); return d }
	var reencoded map[string]any
	if err := json.Unmarshal([]byte(body), &reencoded); err != nil {
		t.Fatal(err)
	}
	again, err := json.MarshalIndent(reencoded, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	for name, bad := range map[string]struct {
		source string
		d      Delivery
	}{
		"no signature":     {"siem", with(func(d *Delivery) { d.Signature = "" })},
		"no id":            {"siem", with(func(d *Delivery) { d.ID = "" })},
		"no timestamp":     {"siem", with(func(d *Delivery) { d.Timestamp = "" })},
		"wrong key":        {"siem", signed([]byte("wrong-wrong-wrong-wrong-wrong-wr"), "msg_1", noon, body)},
		"empty key":        {"siem", signed(nil, "msg_1", noon, body)},
		"other source":     {"edr", good},
		"unknown source":   {"nobody", good},
		"unknown, no key":  {"nobody", signed(nil, "msg_1", noon, body)},
		"re-encoded":       {"siem", with(func(d *Delivery) { d.Body = again })},
		"a byte more":      {"siem", with(func(d *Delivery) { d.Body = append([]byte(body), ' ') })},
		"another id":       {"siem", with(func(d *Delivery) { d.ID = "msg_2" })},
		"another time":     {"siem", with(func(d *Delivery) { d.Timestamp = fmt.Sprint(noon.Unix() + 1) })},
		"shifted border":   {"siem", Delivery{ID: "msg.1", Timestamp: good.Timestamp, Signature: api.SignAlert(key, "msg.1", noon, []byte(body)), Body: []byte(body)}},
		"stale":            {"siem", signed(key, "msg_1", noon.Add(-Tolerance-time.Second), body)},
		"from the future":  {"siem", signed(key, "msg_1", noon.Add(Tolerance+time.Second), body)},
		"time as a float":  {"siem", with(func(d *Delivery) { d.Timestamp += ".0" })},
		"time with a sign": {"siem", with(func(d *Delivery) { d.Timestamp = "+" + d.Timestamp })},
		"v1a":              {"siem", with(func(d *Delivery) { d.Signature = "v1a" + d.Signature[2:] })},
		"no version":       {"siem", with(func(d *Delivery) { d.Signature = d.Signature[3:] })},
		"cut":              {"siem", with(func(d *Delivery) { d.Signature = d.Signature[:20] })},
		"hidden late":      {"siem", with(func(d *Delivery) { d.Signature = strings.Repeat("v1,AAAA ", maxSignatures) + d.Signature })},
	} {
		if _, err := d.Receive(t.Context(), bad.source, bad.d); !errors.Is(err, ErrSignature) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if n := d.count(t, "alerts"); n != 0 {
		t.Fatalf("%d alerts were stored", n)
	}
	for name, fine := range map[string]Delivery{
		"old key while rotating": signed(oldKey, "msg_1", noon, body),
		"two signatures":         with(func(d *Delivery) { d.Signature = "v1,AAAA v2,x " + d.Signature }),
		"at the tolerance":       signed(key, "msg_1", noon.Add(-Tolerance), body),
	} {
		if _, err := d.Receive(t.Context(), "siem", fine); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A value that does not fit starts nothing, and the alert says why.
func TestRefusedInputs(t *testing.T) {
	d := openDesk(t, "", contain(t))
	files := strings.TrimSuffix(strings.Repeat(`{"path":"/x","sha256":"`+strings.Repeat("ab", 32)+`"},`, 4), ",")
	got, err := d.Receive(t.Context(), "siem", signed(key, "m", noon, `{"id":"1","severity":"high","hosts":[{"name":"ws-12"}],"files":[`+files+`]}`))
	if err != nil || len(got.Verdicts) != 1 || got.Verdicts[0].Verdict != Refused || !strings.Contains(got.Verdicts[0].Reason, "hashes") {
		t.Fatalf("%+v, %v", got, err)
	}
	for _, v := range hostile() {
		got, err := d.Receive(t.Context(), "siem", signed(key, "m", noon, hostAlert("h"+v, v, "high")))
		if err != nil {
			t.Fatalf("%q: %v", v, err)
		}
		for _, ver := range got.Verdicts {
			in, err := d.runs.InputFor(t.Context(), ver.Run)
			if err != nil {
				t.Fatal(err)
			}
			var m map[string]any
			if json.Unmarshal(in.Inputs, &m) != nil || m["hostname"] != v {
				t.Errorf("%q started a run with %s", v, in.Inputs)
			}
		}
	}
}

// A trigger whose expression fails is a verdict on the alert, not its loss.
func TestFailedTrigger(t *testing.T) {
	ref := func(i int) *plan.ExprRef { r := plan.ExprRef(i); return &r }
	host := kind.Of(kind.Hostname)
	broken := load(t, &plan.Plan{
		Format: plan.Format, Playbook: "a-broken", Inputs: []plan.Input{{Name: "hostname", Type: host}},
		Triggers: plan.Triggers{Alerts: []plan.AlertTrigger{
			{From: []string{"siem"}, When: ref(0)},
			{From: []string{"siem"}, Inputs: []plan.NamedValue{{Name: "hostname", Value: plan.Value{Expr: ref(1), Type: host}}}},
		}},
		Exprs: []plan.Expr{
			{Text: "alert.ips[3] == alert.ips[4]", Type: kind.Of(kind.Boolean), Line: 7, Column: 13},
			{Text: "alert.hosts[5].name", Type: host, Line: 9, Column: 1},
		},
	})
	d := openDesk(t, "", broken, contain(t))
	got, err := d.Receive(t.Context(), "siem", signed(key, "m", noon, hostAlert("1", "ws-12", "high")))
	if err != nil || len(got.Verdicts) != 3 {
		t.Fatalf("%+v, %v", got, err)
	}
	want := []string{Failed, Refused, Started}
	for i, v := range got.Verdicts {
		if v.Verdict != want[i] {
			t.Errorf("%d: %+v", i, v)
		}
	}
	if !strings.Contains(got.Verdicts[0].Reason, "7:13") {
		t.Errorf("the reason does not say where: %q", got.Verdicts[0].Reason)
	}
	a, err := d.runs.GetAlert(t.Context(), got.Alert)
	if err != nil || len(a.Verdicts) != 3 {
		t.Errorf("%+v, %v", a.Verdicts, err)
	}
}

func TestRate(t *testing.T) {
	b := newBucket(2, 3)
	at := noon
	for range 3 {
		if _, ok := b.take(at); !ok {
			t.Fatal("the burst does not pass")
		}
	}
	if wait, ok := b.take(at); ok || wait != 500*time.Millisecond {
		t.Errorf("%v %v", wait, ok)
	}
	if _, ok := b.take(at.Add(500 * time.Millisecond)); !ok {
		t.Error("nothing came back with time")
	}
	if _, ok := b.take(at.Add(-time.Hour)); ok {
		t.Error("a clock set back gave more")
	}
}

// An unsigned flood must not use up what a source may send.
func TestUnsignedDoesNotUseTheRate(t *testing.T) {
	d := openDesk(t, "", contain(t))
	d.buckets["siem"] = newBucket(1, 1)
	for range 100 {
		_, _ = d.Receive(t.Context(), "siem", Delivery{ID: "x", Timestamp: fmt.Sprint(noon.Unix()), Signature: "v1,AAAA"})
	}
	if _, err := d.Receive(t.Context(), "siem", signed(key, "m", noon, hostAlert("1", "ws-12", "high"))); err != nil {
		t.Error(err)
	}
	var busy *BusyError
	if _, err := d.Receive(t.Context(), "siem", signed(key, "m", noon, hostAlert("2", "ws-12", "high"))); !errors.As(err, &busy) || busy.After <= 0 {
		t.Errorf("%v", err)
	}
}

func TestBacklogPutsOff(t *testing.T) {
	d := openDesk(t, "", contain(t))
	d.cfg.MaxWaiting = 1
	if _, err := d.Receive(t.Context(), "siem", signed(key, "m", noon, hostAlert("1", "ws-12", "high"))); err != nil {
		t.Fatal(err)
	}
	var busy *BusyError
	if _, err := d.Receive(t.Context(), "siem", signed(key, "m", noon, hostAlert("2", "ws-13", "high"))); !errors.As(err, &busy) {
		t.Errorf("%v", err)
	}
	if got, err := d.Receive(t.Context(), "siem", signed(key, "m", noon, hostAlert("1", "ws-12", "high"))); err != nil || !got.Duplicate {
		t.Errorf("a repetition: %+v, %v", got, err)
	}
}

func TestNewRefuses(t *testing.T) {
	for name, s := range map[string]Source{
		"no key": {Name: "a", Format: Generic}, "three keys": {Name: "a", Format: Generic, Keys: [][]byte{key, key, key}},
		"short key": {Name: "a", Format: Generic, Keys: [][]byte{[]byte("short")}}, "format": {Name: "a", Format: "x", Keys: [][]byte{key}},
	} {
		if _, err := New(Config{Sources: []Source{s}}, Deps{}, time.Now); err == nil || strings.Contains(err.Error(), string(key)) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

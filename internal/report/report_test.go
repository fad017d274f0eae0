package report_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/quell-soar/quell/connectors/spec"
	"github.com/quell-soar/quell/internal/approval"
	"github.com/quell-soar/quell/internal/effects"
	"github.com/quell-soar/quell/internal/guard"
	"github.com/quell-soar/quell/internal/ledger"
	"github.com/quell-soar/quell/internal/report"
	"github.com/quell-soar/quell/internal/runs"
	"github.com/quell-soar/quell/internal/store"
)

var update = flag.Bool("update", false, "rewrite testdata")

// full is a run with everything that a review tells: an approval and a vote that
// did not count, an effect taken back, one that stays, one that nobody knows the
// outcome of, one that failed, a question that nobody answered.
func full(t *testing.T, text string) *house {
	h := newHouse(t)
	h.begin(text, "act")
	began := h.clock.now()
	h.clock.pass(2 * time.Second)
	triaged := h.clock.now()
	h.acts(h.intent("triage.case", ticket(), guard.Act, "SEC-1"), effects.Result{Outcome: spec.Done})
	id := h.asks(1, approval.Approval, text)
	h.clock.pass(12 * time.Second)
	if _, err := h.Approvals.Vote(t.Context(), approval.Ballot{Tenant: tenant, Request: id, Actor: "user:mallory", Names: []string{"intern"}, Approve: true, Seal: "s"}); !errors.Is(err, approval.ErrNotEntitled) {
		t.Fatalf("a vote of nobody's was taken: %v", err)
	}
	h.votes(id, "user:lena", text, true)
	in := h.intent("contain.isolate", isolate(), guard.Act, text)
	in.Approval = id
	isolated := h.acts(in, effects.Result{Outcome: spec.Done})
	contained := h.clock.now()
	h.acts(h.intent("eradicate.scan", scan(), guard.Act, "host-00007"), effects.Result{Err: &spec.Error{Kind: spec.Permission, Message: text}})
	lost := h.intent("contain.second", isolate(), guard.Act, "host-00008")
	h.acts(lost, effects.Result{Outcome: spec.Done})
	h.undoes(isolated, effects.Result{Outcome: spec.Done})
	h.clock.pass(time.Minute)
	ended := h.clock.now()
	h.ends("failed", text, step("triage.host", "uses", "done", began, triaged), step("contain.isolate", "uses", "done", triaged, contained), step("recover.0", "undo", "done", contained, ended))
	return h
}

func TestGolden(t *testing.T) {
	r := full(t, "Malware on host-00007").build()
	for name, write := range map[string]func(*bytes.Buffer) error{
		"review.md":   func(b *bytes.Buffer) error { return r.Markdown(b) },
		"review.html": func(b *bytes.Buffer) error { return r.HTML(b) },
		"review.json": func(b *bytes.Buffer) error {
			enc := json.NewEncoder(b)
			enc.SetIndent("", "  ")
			return enc.Encode(r)
		},
	} {
		var b bytes.Buffer
		if err := write(&b); err != nil {
			t.Fatal(err)
		}
		golden(t, filepath.Join("testdata", name), steady(b.String()))
	}
}

// steady takes out what differs from one making to the next: salted digests and
// signatures.
func steady(s string) string {
	for _, x := range []struct{ what, with string }{
		{`"digest": "[0-9a-f]{64}"`, `"digest": "…"`},
		{`"checkpoint": "[^"]*"`, `"checkpoint": "…"`},
		{`(?s)<pre>quell\.ledger.*?</pre>`, `<pre>…</pre>`},
		{`    quell\.ledger\n(    .*\n|\n)+`, "    …\n"},
	} {
		s = regexp.MustCompile(x.what).ReplaceAllString(s, x.with)
	}
	return s
}

func golden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs; look at the difference and run with -update\n%s", file, firstDifference(string(want), got))
	}
}

func firstDifference(want, got string) string {
	a, b := strings.Split(want, "\n"), strings.Split(got, "\n")
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return "want " + a[i] + "\ngot  " + b[i]
		}
	}
	return "one is longer"
}

// TestPruned: a report of a run whose entries left the store says so, and where they
// are; what the ledger does not tell still stands.
func TestPruned(t *testing.T) {
	h := full(t, "Malware on host-00007")
	rows := h.build().Proof.Rows
	if _, err := h.Ledger.Sign(t.Context()); err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := h.Ledger.Export(t.Context(), &b); err != nil {
		t.Fatal(err)
	}
	n, err := h.Ledger.Prune(t.Context(), ledger.Pruning{
		Upto: 5, Step: 5, Before: h.clock.now(), Actor: "system:retention",
		Keeps:    func(context.Context, string) (bool, error) { return false, nil },
		Exported: func(int64) (io.ReadCloser, error) { return io.NopCloser(&b), nil },
	})
	if err != nil || n != 5 {
		t.Fatal(n, err)
	}
	r := h.build()
	var text bytes.Buffer
	if err := r.Markdown(&text); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"Rows 1 to 5 of the ledger left the store", fmt.Sprintf("Still there are %d entries of this run", r.Proof.Rows), "quell audit list --export EXPORT --run"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("the report does not say %q", want)
		}
	}
	if r.Proof.Rows >= rows || len(r.Effects) == 0 {
		t.Errorf("%d entries of %d, %d effects", r.Proof.Rows, rows, len(r.Effects))
	}
}

// What is true of the whole run stands in it, and the numbers are right.
func TestBuild(t *testing.T) {
	h := full(t, "Malware on host-00007")
	r := h.build()
	kinds := map[string]int{}
	for _, o := range r.Open {
		kinds[o.Kind]++
	}
	if kinds["failed"] != 1 || kinds["held"] != 1 || kinds["stays"] != 1 || len(r.Open) != 3 {
		t.Errorf("open: %+v", r.Open)
	}
	if len(r.Effects) != 4 || len(r.Effects[1].Undos) != 1 || r.Effects[1].Undos[0].By != "user:lena" || r.Effects[1].Held || !r.Effects[3].Held {
		t.Errorf("effects: %+v", r.Effects)
	}
	if got := r.Effects[1].Approved; len(got) != 1 || got[0] != "user:lena" {
		t.Errorf("approved by %v", got)
	}
	d := r.Decisions[0]
	if d.Decision != "approved" || len(d.Votes) != 2 || d.Votes[0].Refused == "" || d.Votes[1].As[0] != "oncall.soc" || d.Waited < 12 || d.Waited > 13 {
		t.Errorf("decision: %+v", d)
	}
	m := r.Metrics
	if m.Triage.Seconds == nil || *m.Triage.Seconds < 2 || *m.Triage.Seconds > 2.1 {
		t.Errorf("triage: %+v", m.Triage)
	}
	if m.Contain.Seconds == nil || *m.Contain.Seconds < 16 || *m.Contain.Seconds > 20 {
		t.Errorf("contain: %+v", m.Contain)
	}
	if *m.People.Seconds < 12 || *m.People.Seconds > 13 {
		t.Errorf("people: %+v", m.People)
	}
	if r.Proof.Rows == 0 || r.Proof.Tail != 0 || r.Proof.Size < r.Proof.Last {
		t.Errorf("proof: %+v", r.Proof)
	}
	if _, err := h.Build(t.Context(), "another", h.run, nil); !errors.Is(err, runs.ErrNotFound) {
		t.Errorf("another tenant got %v", err)
	}
}

// Times begin anew where nothing is known, and say why.
func TestMetricsWithoutAnEnd(t *testing.T) {
	h := newHouse(t)
	h.begin("x", "observe")
	h.acts(h.intent("contain.isolate", isolate(), guard.Observe, "host-00007"), effects.Result{})
	r := h.build()
	if r.Metrics.Contain.Seconds != nil || !strings.Contains(r.Metrics.Contain.Why, "observe") || r.Metrics.Total.Why == "" || r.Metrics.Triage.Why == "" {
		t.Errorf("%+v", r.Metrics)
	}
	if len(r.Open) != 0 || r.Metrics.Effects["simulated"] != 1 {
		t.Errorf("what was only simulated is open: %+v %+v", r.Open, r.Metrics.Effects)
	}
	h.asks(1, approval.Question, "who?")
	if r = h.build(); len(r.Open) != 1 || r.Open[0].Kind != "waiting" {
		t.Errorf("%+v", r.Open)
	}
}

// Silence is told as what it led to.
func TestSilence(t *testing.T) {
	h := newHouse(t)
	h.begin("x", "act")
	id := h.asks(1, approval.Approval, "Isolate?")
	h.clock.pass(31 * time.Minute)
	if _, err := h.Approvals.Decide(t.Context(), id, h.clock.now()); err != nil {
		t.Fatal(err)
	}
	d := h.build().Decisions[0]
	if d.Decision != "expired" || !strings.Contains(d.Then, "acts on silence") {
		t.Errorf("%+v", d)
	}
}

// What a report step keeps can be read back whole.
func TestFromEntry(t *testing.T) {
	r := full(t, "Malware").build()
	raw, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	back, err := report.FromEntry(raw)
	if err != nil {
		t.Fatal(err)
	}
	again, err := json.Marshal(back)
	if err != nil || !bytes.Equal(raw, again) {
		t.Errorf("what was kept is not what was made: %v", err)
	}
	for _, bad := range []string{"", "[]", `{"report":2}`, `{}`} {
		if _, err := report.FromEntry([]byte(bad)); err == nil {
			t.Errorf("%q was read", bad)
		}
	}
}

// How things stand is told first: the verdict, what is in force and until when, and
// what was looked at.
func TestStanding(t *testing.T) {
	h := newHouse(t)
	h.begin("Malware", "act")
	began := h.clock.now()
	key := h.acts(h.intent("contain.isolate", isolate(), guard.Act, "host-00007"), effects.Result{Outcome: spec.Done})
	look := step("triage.asset", "uses", "done", began, h.clock.now())
	look.Facts = []string{"criticality: high", "owner: sales"}
	h.asks(1, approval.Approval, "Isolate?")
	h.ends("completed", "", look)
	r := h.build()
	if f := r.InForce; len(f) != 1 || f[0].Targets[0] != "host-00007" || f[0].Note != "held until 2026-03-02 03:12:00 UTC (1d since 2026-03-01 03:12:00 UTC), then people are asked" {
		t.Errorf("in force: %+v", f)
	}
	if r.Verdict.Word != "" || r.Metrics.Undo.Seconds != nil || r.Metrics.Undo.Why == "" {
		t.Errorf("nobody said anything: %+v %+v", r.Verdict, r.Metrics.Undo)
	}
	if s := r.Phases[0].Steps[0]; len(s.Facts) != 2 {
		t.Errorf("what the look-up told is missing: %+v", s)
	}
	d := r.Decisions[0]
	if len(d.Facts) != 1 || d.Facts[0] != "asset: criticality: high" || d.Silence != "that the playbook acts without an approval" || !d.Deadline.Equal(d.At.Add(30*time.Minute)) || !strings.Contains(d.Chain[1], "until 2026-03-01 03:42:0") {
		t.Errorf("what the decision came from: %+v", d)
	}
	h.clock.pass(time.Hour)
	h.must(h.db.Update(t.Context(), func(tx *store.Tx) error {
		_, err := h.Ledger.Append(tx, ledger.Row{Kind: "undo.requested", Tenant: tenant, Run: h.run, Actor: "user:ana"}, map[string]any{"reason": "false alarm"})
		return err
	}))
	h.undoes(key, effects.Result{Outcome: spec.Done})
	r = h.build()
	if v := r.Verdict; v.Word != "taken_back" || v.By != "user:ana" || v.Why != "false alarm" || v.At.IsZero() {
		t.Errorf("verdict: %+v", v)
	}
	m := r.Metrics
	if len(r.InForce) != 0 || m.Undo.Seconds == nil || *m.Undo.Seconds < 0.8 || *m.Undo.Seconds > 2 || !strings.Contains(m.Undo.Why, "after the run's end") || m.Total.Why == "" {
		t.Errorf("taken back: %+v %+v %+v", r.InForce, m.Undo, m.Total)
	}
	for _, l := range r.Looked {
		if l.Found != 0 && l.What != "requests to people" {
			t.Errorf("it is all over, and %+v", l)
		}
	}
	text := strings.Join(r.Stands(func(s string) string { return s }, func(s string) string { return s }), " ")
	for _, want := range []string{"taken back by user ana at 2026-03-01 04:12:0", "because false alarm", "In force: nothing", "snapshot"} {
		if !strings.Contains(text, want) {
			t.Errorf("it does not say %q: %s", want, text)
		}
	}
}

// A hold that was renewed is held until its new end.
func TestRenewedHold(t *testing.T) {
	h := newHouse(t)
	h.begin("Malware", "act")
	key := h.acts(h.intent("contain.isolate", isolate(), guard.Act, "host-00007"), effects.Result{Outcome: spec.Done})
	h.must(h.db.Update(t.Context(), func(tx *store.Tx) error {
		_, err := h.Ledger.Append(tx, ledger.Row{Kind: "hold.renewed", Tenant: tenant, Run: h.run}, map[string]any{"key": key, "until": epoch.Add(48 * time.Hour)})
		return err
	}))
	if f := h.build().InForce; len(f) != 1 || !strings.Contains(f[0].Note, "held until 2026-03-03 03:12:00 UTC") {
		t.Errorf("%+v", f)
	}
}

// An actor of the ledger is told in words.
func TestWho(t *testing.T) {
	for actor, want := range map[string]string{
		"source:crowdstrike": "alert source crowdstrike (automatic)", "user:ana, user:lena": "user ana, user lena", "local:0": "local account 0",
		"hold": "the hold's own time (automatic)", "schedule:sweep": "the schedule of sweep (automatic)", "the playbook": "the playbook", "": "",
	} {
		if got := report.Who(actor); got != want {
			t.Errorf("%q: %q", actor, got)
		}
	}
}

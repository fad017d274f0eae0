package retention_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/quell-soar/quell/connectors/host"
	"github.com/quell-soar/quell/connectors/spec"
	"github.com/quell-soar/quell/internal/alert"
	"github.com/quell-soar/quell/internal/approval"
	"github.com/quell-soar/quell/internal/effects"
	"github.com/quell-soar/quell/internal/guard"
	"github.com/quell-soar/quell/internal/ledger"
	"github.com/quell-soar/quell/internal/retention"
	"github.com/quell-soar/quell/internal/runs"
	"github.com/quell-soar/quell/internal/store"
	"github.com/quell-soar/quell/internal/store/storetest"
	"github.com/quell-soar/quell/workflows/run"
)

const (
	keep   = 30 * 24 * time.Hour
	record = 90 * 24 * time.Hour
)

// house is a store with what retention works on, and a time that the test moves.
type house struct {
	*testing.T
	*retention.Sweeper
	at  time.Time
	dir string
}

func each(t *testing.T, f func(h *house)) {
	schemas := []store.Schema{ledger.Schema(), guard.Schema(), effects.Schema(), approval.Schema(), runs.Schema(), retention.Schema()}
	storetest.Each(t, schemas, func(t *testing.T, db *store.DB) {
		key, err := ledger.LoadKey(filepath.Join(t.TempDir(), "ledger.key"))
		if err != nil {
			t.Fatal(err)
		}
		g, err := guard.New(guard.Rules{})
		if err != nil {
			t.Fatal(err)
		}
		h := &house{T: t, at: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC), dir: t.TempDir()}
		now := func() time.Time { return h.at }
		led := ledger.New(db, key, now)
		h.Sweeper = &retention.Sweeper{
			DB: db, Ledger: led, Runs: runs.New(db, now), Effects: effects.New(db, led, g, now), Approvals: approval.New(db, led, now),
			Exporter: &retention.Exporter{DB: db, Ledger: led, Dir: filepath.Join(h.dir, "export")},
			Keep:     keep, Record: record, Evidence: filepath.Join(h.dir, "evidence"), Now: now, Log: zerolog.Nop(),
		}
		f(h)
	})
}

func (h *house) must(err error) {
	h.Helper()
	if err != nil {
		h.Fatal(err)
	}
}

// ran makes a run with an alert, a vote and the effects, and ends it.
func (h *house) ran(n int, list ...spec.Action) string {
	h.Helper()
	ctx := h.Context()
	var id, al string
	h.must(h.DB.Update(ctx, func(tx *store.Tx) error {
		var err error
		al, _, err = h.Runs.PutAlert(tx, "t", alert.Alert{ID: fmt.Sprint(n), Source: "siem", Title: "secret title", Severity: "high", Occurred: h.at, Received: h.at, Raw: []byte(`{}`)})
		if err != nil {
			return err
		}
		c, err := h.Runs.Claim(tx, runs.Claim{
			Tenant: "t", Playbook: "p", Digest: "sha256:1", Plan: []byte(`{}`), Key: fmt.Sprint(n), Mode: "act", Severity: "high",
			Trigger: run.Trigger{Kind: "alert", Actor: "source:siem", Alert: al}, Inputs: json.RawMessage(`{"who":"secret"}`), Settings: json.RawMessage(`{}`),
		})
		if err != nil {
			return err
		}
		id = c.ID
		if err := h.Runs.Judge(tx, al, runs.Verdict{Playbook: "p", Run: id, Verdict: "started"}); err != nil {
			return err
		}
		_, err = h.Ledger.Append(tx, ledger.Row{Kind: "alert.received", Tenant: "t", Key: al}, map[string]string{"title": "secret title"})
		return err
	}))
	req := approval.Request{ID: id + "#a", Tenant: "t", Run: id, Kind: approval.Approval, Text: "secret?", Levels: []approval.Level{{Who: []string{"lead"}}}, Quorum: 1, Opened: h.at}
	h.must(h.Approvals.Open(ctx, req))
	_, err := h.Approvals.Vote(ctx, approval.Ballot{Tenant: "t", Request: req.ID, Actor: "lena", Names: []string{"lead"}, Approve: true})
	h.must(err)
	h.must(h.Approvals.Close(ctx, req.ID, "approved"))
	for i, a := range list {
		h.done(effects.Intent{
			Key:    run.Key{Tenant: "t", Run: id, Step: fmt.Sprint("s", i), Direction: run.Do, Generation: 1},
			Action: a, Instance: "edr", Inputs: json.RawMessage(`{"host":"secret host"}`), Targets: []guard.Target{{ID: fmt.Sprint("host:", n, i), Label: "ws"}}, Mode: guard.Act,
			Before: spec.Absent, BeforePrior: json.RawMessage(`{"state":"free"}`),
		})
	}
	h.must(h.Runs.MarkStarted(ctx, id))
	h.must(h.Runs.MarkEnded(ctx, id, "completed", "", json.RawMessage(`{"out":"secret"}`)))
	return id
}

func (h *house) done(in effects.Intent) {
	h.Helper()
	v, err := h.Effects.Admit(h.Context(), in)
	if err != nil || v.Go == nil {
		h.Fatalf("admit %s: %+v, %v", in.Key, v, err)
	}
	_, err = h.Effects.Settle(h.Context(), v.Go.Key, v.Go.Fence, effects.Result{Outcome: spec.Done, Output: json.RawMessage(`{"n":"secret"}`), Prior: json.RawMessage(`{"state":"free"}`)})
	h.must(err)
}

func isolate() spec.Action {
	return spec.Action{Name: "edr.isolate_host", Class: spec.Idempotent, ReadBack: spec.Strong, Reversal: spec.Exact, Inverse: "edr.release_host", Targets: "host", Deadline: time.Second}
}

func comment() spec.Action {
	return spec.Action{Name: "ticket.comment", Class: spec.Once, ReadBack: spec.NoReadBack, Reversal: spec.Irreversible, Targets: "host", Deadline: time.Second}
}

// Exported opens the export.
func (h *house) Exported() (io.ReadCloser, error) { return ledger.OpenParts(h.Exporter.Dir, 0) }

func (h *house) takeBack(id string) {
	h.Helper()
	of := run.Key{Tenant: "t", Run: id, Step: "s0", Direction: run.Do, Generation: 1}
	key := of
	key.Direction = run.Undo
	inverse := isolate()
	inverse.Name, inverse.Inverse = "edr.release_host", "edr.isolate_host"
	h.done(effects.Intent{Key: key, Of: of.String(), Action: inverse, Instance: "edr", Inputs: json.RawMessage(`{"host":"secret host"}`), Mode: guard.Act, Actor: "lena"})
}

// secrets counts the places in the store that still tell of what was in the runs.
func (h *house) secrets() int {
	h.Helper()
	total := 0
	h.must(h.DB.View(h.Context(), func(tx *store.Tx) error {
		for _, q := range []string{
			`SELECT body FROM ledger_payloads`, `SELECT inputs FROM runs`, `SELECT result FROM runs`, `SELECT value FROM alerts`,
			`SELECT inputs FROM effects`, `SELECT output FROM effects`, `SELECT text FROM requests`,
		} {
			rows, err := tx.Query(q)
			if err != nil {
				return err
			}
			for rows.Next() {
				var b []byte
				if err := rows.Scan(&b); err != nil {
					return err
				}
				if bytes.Contains(b, []byte("secret")) {
					total++
				}
			}
			if err := rows.Close(); err != nil {
				return err
			}
		}
		return nil
	}))
	return total
}

// verify proves the store's ledger, and the export, against each other.
func (h *house) verify() (exported ledger.Report) {
	h.Helper()
	c, err := h.Ledger.Sign(h.Context())
	h.must(err)
	rep, err := h.Ledger.VerifyStore(h.Context(), c.Note)
	if h.must(err); !rep.OK {
		h.Errorf("the store: %+v", rep.Findings)
	}
	var all bytes.Buffer
	names, err := filepath.Glob(filepath.Join(h.Exporter.Dir, "ledger-*.jsonl"))
	h.must(err)
	for _, n := range names {
		raw, err := os.ReadFile(n)
		h.must(err)
		all.Write(raw)
	}
	exported, err = ledger.VerifyExport(&all, ledger.Trust{Open: true})
	if h.must(err); !exported.OK {
		h.Errorf("the export: %+v", exported.Findings)
	}
	return exported
}

// TestSweep: nothing goes before its time, nothing goes before the export has it;
// then all detail goes but what an undo needs, and every proof holds.
func TestSweep(t *testing.T) {
	each(t, func(h *house) {
		ctx := h.Context()
		standing, released, open := h.ran(1, isolate(), comment()), h.ran(2, isolate()), h.ran(3)
		h.takeBack(released)
		h.must(h.DB.Update(ctx, func(tx *store.Tx) error { // the third goes on
			_, err := tx.Exec(`UPDATE runs SET status = 'running', ended = 0 WHERE id = ?`, open)
			return err
		}))
		h.at = h.at.Add(keep / 2)
		sweep := func(want retention.Swept, why string) {
			h.Helper()
			got, err := h.Sweep(ctx)
			if h.must(err); got != want {
				h.Fatalf("%s: swept %+v, want %+v", why, got, want)
			}
		}
		h.must(h.Exporter.Export(ctx))
		sweep(retention.Swept{}, "before its time")
		h.at = h.at.Add(keep)
		h.must(h.DB.Update(ctx, func(tx *store.Tx) error { // a late entry, not exported
			_, err := h.Ledger.Append(tx, ledger.Row{Kind: "undo.asked", Run: standing}, nil)
			return err
		}))
		sweep(retention.Swept{Runs: 1, Alerts: 1}, "with one held back by the export")
		h.must(h.Exporter.Export(ctx))
		sweep(retention.Swept{Runs: 1, Alerts: 1}, "all exported")
		sweep(retention.Swept{}, "again")
		if n := h.secrets(); n != 7 { // the open run's six, and the inputs of the isolation that stands
			h.Errorf("%d places still tell", n)
		}
		h.must(h.Exporter.Export(ctx))
		if rep := h.verify(); rep.Rows == 0 {
			h.Error("nothing was exported")
		}
		stack, err := h.Effects.Stack(ctx, "t", standing, nil)
		if h.must(err); len(stack) != 2 || stack[0].Action != "ticket.comment" || string(stack[1].Prior) != `{"state":"free"}` || !strings.Contains(string(stack[1].Inputs), "secret host") {
			h.Errorf("what an undo finds: %+v", stack)
		}
		h.takeBack(standing)
		rec, err := h.Runs.Get(ctx, standing)
		if h.must(err); rec.Closing != "completed" || string(rec.Inputs) != "{}" {
			h.Errorf("what is left of the run: %+v", rec)
		}
	})
}

// TestEvidence: what is past its time goes to the export, unless a run is open that
// may have it; put in again, it is new.
func TestEvidence(t *testing.T) {
	each(t, func(h *house) {
		ctx := h.Context()
		evidence := host.EvidenceDir(h.Evidence)
		put := func(text string, age time.Duration) string {
			ref, err := evidence.Put(ctx, []byte(text))
			h.must(err)
			hash := strings.TrimPrefix(ref, "sha256:")
			h.must(os.Chtimes(filepath.Join(h.Evidence, hash[:2], hash), h.at.Add(-age), h.at.Add(-age)))
			return ref
		}
		h.at = time.Now()
		old, young := put("old", 2*keep), put("young", keep/2)
		again := put("again", 2*keep)
		if _, err := evidence.Put(ctx, []byte("again")); err != nil {
			h.Fatal(err)
		}
		got, err := h.Sweep(ctx)
		if h.must(err); got.Evidence != 1 {
			h.Fatalf("swept %+v", got)
		}
		for ref, there := range map[string]bool{old: false, young: true, again: true} {
			if _, err := evidence.Get(ctx, ref); (err == nil) != there {
				h.Errorf("%s: %v", ref, err)
			}
		}
		moved, err := host.EvidenceDir(filepath.Join(h.Exporter.Dir, "evidence")).Get(ctx, old)
		if err != nil || string(moved) != "old" {
			h.Errorf("in the export: %q, %v", moved, err)
		}
	})
}

// TestExportAway: while the export cannot be written nothing is deleted, and what
// was written twice is one export.
func TestExportAway(t *testing.T) {
	each(t, func(h *house) {
		ctx := context.WithoutCancel(h.Context())
		h.ran(1, isolate())
		h.takeBack(func() string { l, err := h.Runs.Shedable(ctx, h.at.Add(time.Hour), 0, 9); h.must(err); return l[0] }())
		dir := h.Exporter.Dir
		h.Exporter.Dir = filepath.Join(h.dir, "file", "under")
		h.must(os.WriteFile(filepath.Join(h.dir, "file"), nil, 0o600))
		if err := h.Exporter.Export(ctx); err == nil {
			h.Fatal("exported to nowhere")
		}
		h.at = h.at.Add(2 * keep)
		if got, err := h.Sweep(ctx); err != nil || got != (retention.Swept{}) {
			h.Fatalf("swept %+v, %v", got, err)
		}
		h.Exporter.Dir = dir
		for range 2 {
			h.must(h.Exporter.Export(ctx))
			h.must(h.DB.Update(ctx, func(tx *store.Tx) error { // it died before it was noted
				_, err := tx.Exec(`DELETE FROM retention_export`)
				return err
			}))
		}
		h.must(h.Exporter.Export(ctx))
		if got, err := h.Sweep(ctx); err != nil || got != (retention.Swept{Runs: 1, Alerts: 1}) {
			h.Fatalf("swept %+v, %v", got, err)
		}
		h.must(h.Exporter.Export(ctx))
		h.verify()
	})
}

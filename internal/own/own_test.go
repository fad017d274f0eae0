package own

import (
	"testing"
	"time"

	"github.com/quell-soar/quell/connectors/host"
	"github.com/quell-soar/quell/connectors/spec"
	"github.com/quell-soar/quell/connectors/spec/kind"
	"github.com/quell-soar/quell/internal/alert"
	"github.com/quell-soar/quell/internal/installed"
	"github.com/quell-soar/quell/internal/runs"
	"github.com/quell-soar/quell/internal/store"
	"github.com/quell-soar/quell/internal/store/storetest"
	"github.com/quell-soar/quell/playbooks/expr"
	"github.com/quell-soar/quell/workflows/run"
)

const aRun = "contain/abc/1"

func key(step string) string {
	return run.Key{Tenant: "t", Run: aRun, Step: step, Direction: run.Do, Generation: 1}.String()
}

func TestCloseAlerts(t *testing.T) {
	storetest.Each(t, []store.Schema{runs.Schema()}, func(t *testing.T, db *store.DB) {
		rs := runs.New(db, time.Now)
		put := func(id, runID, verdict string) string {
			t.Helper()
			var got string
			if err := db.Update(t.Context(), func(tx *store.Tx) error {
				var err error
				if got, _, err = rs.PutAlert(tx, "t", alert.Alert{ID: id, Source: "siem", Severity: "high", Occurred: time.Now(), Received: time.Now(), Raw: []byte("{}")}); err != nil {
					return err
				}
				return rs.Judge(tx, got, runs.Verdict{Playbook: "contain", Run: runID, Verdict: verdict})
			}); err != nil {
				t.Fatal(err)
			}
			return got
		}
		first, second := put("1", aRun, "started"), put("2", aRun, "joined")
		others := []string{put("3", aRun, "silenced"), put("4", "contain/xyz/1", "started")}
		plain, err := host.New(host.Options{})
		if err != nil {
			t.Fatal(err)
		}
		h := New(plain, "1.0.0", rs, time.Now)
		call := func(mode spec.Mode, as string) spec.Reply {
			t.Helper()
			k := key("review.0")
			got, err := h.Call(t.Context(), Instance, spec.Request{Action: "alert.close", Mode: mode, Key: k, Inputs: map[string]any{"as": as}},
				host.Permit{Key: k, Expires: time.Now().Add(time.Minute)})
			if err != nil {
				t.Fatal(err)
			}
			return got
		}
		if got := call(spec.Back, "benign"); got.Outcome != spec.Absent {
			t.Errorf("before: %+v", got)
		}
		if got := call(spec.Act, "benign"); got.Outcome != spec.Done || got.Output["alerts"] != int64(2) {
			t.Errorf("%+v", got)
		}
		if got := call(spec.Act, "benign"); got.Outcome != spec.Already {
			t.Errorf("again: %+v", got)
		}
		if got := call(spec.Back, "benign"); got.Outcome != spec.Present {
			t.Errorf("after: %+v", got)
		}
		if got := call(spec.Act, "true_positive"); got.Outcome != spec.Done {
			t.Errorf("corrected: %+v", got)
		}
		for _, id := range []string{first, second} {
			if c, err := rs.ClosingOf(t.Context(), id); err != nil || c.As != "true_positive" || c.By != aRun || c.At.IsZero() {
				t.Errorf("%s: %+v, %v", id, c, err)
			}
		}
		for _, id := range others {
			if c, err := rs.ClosingOf(t.Context(), id); err != nil || c.As != "" {
				t.Errorf("%s, which is not of the run: %+v, %v", id, c, err)
			}
		}
	})
}

func TestOwnActionsAreHeldToTheContract(t *testing.T) {
	plain, err := host.New(host.Options{})
	if err != nil {
		t.Fatal(err)
	}
	h := New(plain, "1.0.0", nil, time.Now)
	k := key("review.0")
	good := spec.Request{Action: "alert.close", Mode: spec.Act, Key: k, Inputs: map[string]any{"as": "benign"}}
	permit := host.Permit{Key: k, Expires: time.Now().Add(time.Minute)}
	for name, c := range map[string]struct {
		change func(*spec.Request, *host.Permit)
		want   spec.ErrorKind
	}{
		"another action":     {func(r *spec.Request, _ *host.Permit) { r.Action = "alert.open" }, spec.Invalid},
		"another class":      {func(r *spec.Request, _ *host.Permit) { r.Inputs = map[string]any{"as": "maybe"} }, spec.Invalid},
		"no class":           {func(r *spec.Request, _ *host.Permit) { r.Inputs = nil }, spec.Invalid},
		"no permit":          {func(_ *spec.Request, p *host.Permit) { *p = host.Permit{} }, spec.Unavailable},
		"an expired permit":  {func(_ *spec.Request, p *host.Permit) { p.Expires = time.Now().Add(-time.Second) }, spec.Unavailable},
		"another's permit":   {func(_ *spec.Request, p *host.Permit) { p.Key = key("review.1") }, spec.Unavailable},
		"a key of no effect": {func(r *spec.Request, p *host.Permit) { r.Key, p.Key = "x", "x" }, spec.Invalid},
	} {
		r, p := good, permit
		c.change(&r, &p)
		if _, err := h.Call(t.Context(), Instance, r, p); spec.KindOf(err) != c.want {
			t.Errorf("%s: %v", name, err)
		}
	}
	if a, known := h.Action(Instance, "alert.close"); !known || !a.Effect() {
		t.Error("the action is not served")
	}
	if served := h.Catalogue().Serving("alert.close"); len(served) != 1 || served[0].Instance != Instance {
		t.Errorf("catalogue: %+v", served)
	}
}

// Expressions hand run.closing to it, so both must have the same classes.
func TestClosingsAreThoseOfARun(t *testing.T) {
	f, ok := expr.RunType().Field("closing")
	a, known := installed.Own("1.0.0").Action("alert.close")
	if !ok || !known {
		t.Fatal("no closing")
	}
	as, _ := kind.RecordOf(a.Inputs...).Field("as")
	if !f.Type.Equal(as.Type) {
		t.Errorf("run.closing is %v, alert.close takes %v", f.Type.Of, as.Type.Of)
	}
}

package activities

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/quell-soar/quell/activities/task"
	"github.com/quell-soar/quell/connectors/host"
	"github.com/quell-soar/quell/connectors/spec"
	"github.com/quell-soar/quell/connectors/spec/kind"
	"github.com/quell-soar/quell/connectors/vocabulary"
	"github.com/quell-soar/quell/internal/effects"
	"github.com/quell-soar/quell/internal/guard"
	"github.com/quell-soar/quell/internal/ledger"
	"github.com/quell-soar/quell/internal/store"
	"github.com/quell-soar/quell/workflows/run"
)

// directory is accounts and an inventory behind the Connectors interface.
type directory struct {
	mu       sync.Mutex
	accounts map[string]*account
	hosts    map[string]map[string]any
	acts     []string
	finds    int
	// down fails every find.
	down bool
}

type account struct{ admin, enabled bool }

func (d *directory) Attend(context.Context, string) (func(), time.Duration) { return func() {}, 0 }

func (d *directory) Enter(context.Context, string) (func(bool), error) { return func(bool) {}, nil }

func (d *directory) Action(instance, name string) (spec.Action, bool) {
	if instance == "inventory" != strings.HasPrefix(name, "asset.") {
		return spec.Action{}, false
	}
	return vocabulary.Lookup(name)
}

func (d *directory) Binary(string) (sha, version string) { return "sha", "1.0.0" }

func (d *directory) TryCall(ctx context.Context, i string, r spec.Request, p host.Permit) (spec.Reply, error) {
	return d.Call(ctx, i, r, p)
}

func (d *directory) Call(_ context.Context, _ string, r spec.Request, _ host.Permit) (spec.Reply, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch r.Action {
	case "iam.find_user", "asset.find_host":
		d.finds++
		if d.down {
			return spec.Reply{}, spec.Errorf(spec.Permission, "403")
		}
		if r.Action == "asset.find_host" {
			out, ok := d.hosts[r.Inputs["hostname"].(string)]
			if !ok {
				return spec.Reply{}, spec.Errorf(spec.NotFound, "no such host")
			}
			return spec.Reply{Outcome: spec.Done, Output: out}, nil
		}
		return d.find(r.Inputs["name"].(string))
	}
	if h, ok := r.Inputs["host"].(kind.Handle); ok {
		return d.act(r, h.ID, &account{enabled: true})
	}
	h := r.Inputs["user"].(kind.Handle)
	return d.act(r, h.Label, d.accounts[h.Label])
}

func (d *directory) find(name string) (spec.Reply, error) {
	a, ok := d.accounts[name]
	if !ok {
		return spec.Reply{}, spec.Errorf(spec.NotFound, "no such account")
	}
	others := 0
	for other, o := range d.accounts {
		if other != name && o.admin && o.enabled {
			others++
		}
	}
	return spec.Reply{Outcome: spec.Done, Output: map[string]any{
		"user": kind.Handle{Name: "user", Instance: "idp", ID: "id-" + name, Label: name}, "name": name, "enabled": a.enabled,
		"privileged": a.admin, "last_admin": a.admin && others == 0,
	}}, nil
}

func (d *directory) act(r spec.Request, who string, a *account) (spec.Reply, error) {
	if a == nil {
		return spec.Reply{}, spec.Errorf(spec.NotFound, "no such account")
	}
	if r.Mode == spec.Back {
		if a.enabled {
			return spec.Reply{Outcome: spec.Absent, Prior: map[string]any{"enabled": true}}, nil
		}
		return spec.Reply{Outcome: spec.Present, Prior: map[string]any{"enabled": false}}, nil
	}
	d.acts = append(d.acts, r.Action+" "+who)
	if r.Action == "iam.disable_user" {
		a.enabled = false
	}
	return spec.Reply{Outcome: spec.Done, Prior: map[string]any{"enabled": true}}, nil
}

// office is an actor over a directory.
func office(t *testing.T, d *directory, r guard.Rules) (*Actor, *effects.Effects) {
	t.Helper()
	db, err := store.Open(t.Context(), store.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	if err := db.Migrate(t.Context(), ledger.Schema(), guard.Schema(), effects.Schema()); err != nil {
		t.Fatal(err)
	}
	key, err := ledger.LoadKey(t.TempDir() + "/k")
	if err != nil {
		t.Fatal(err)
	}
	g, err := guard.New(r)
	if err != nil {
		t.Fatal(err)
	}
	fx := effects.New(db, ledger.New(db, key, time.Now), g, time.Now)
	facts := &Facts{Needs: g, Host: d, Serving: func(action string) string {
		if action == "asset.find_host" {
			return "inventory"
		}
		return ""
	}}
	return &Actor{Host: d, Effects: fx, Charter: Everything, Facts: facts}, fx
}

func on(action, instance, runID, field string, h kind.Handle) task.ActRequest {
	raw, _ := kind.Canonical(map[string]any{field: h})
	return task.ActRequest{
		Key:    run.Key{Tenant: "default", Run: runID, Step: "contain", Direction: run.Do, Generation: 1},
		Action: action, Inst: instance, Inputs: raw, Mode: "act", Actor: "ann", Wait: time.Millisecond, Attempts: 1,
	}
}

func person(name string) kind.Handle {
	return kind.Handle{Name: "user", Instance: "idp", ID: "id-" + name, Label: name}
}

// TestLastAdmin has runs disable, sign out and unlock every account at once: one
// administrator stays untouched, whatever the order, and is refused again later.
func TestLastAdmin(t *testing.T) {
	for round := range 5 {
		d := &directory{accounts: map[string]*account{"root": {true, true}, "ann": {true, true}, "eve": {true, true}, "bob": {false, true}}}
		a, _ := office(t, d, guard.Rules{})
		var wg sync.WaitGroup
		got := make(chan task.ActResult, 4)
		for _, name := range []string{"root", "ann", "eve", "bob"} {
			wg.Go(func() {
				res, err := a.Act(t.Context(), on("iam.disable_user", "idp", "r-"+name, "user", person(name)))
				if err != nil {
					t.Error(err)
				}
				got <- res
			})
		}
		wg.Wait()
		close(got)
		outcomes := map[task.Outcome]int{}
		for r := range got {
			outcomes[r.Outcome]++
		}
		left := ""
		for name, acc := range d.accounts {
			if acc.admin && acc.enabled {
				left += name
			}
		}
		if outcomes[task.Done] != 3 || outcomes[task.Refused] != 1 || d.accounts[left] == nil {
			t.Fatalf("round %d: %v, left %q, acts %v", round, outcomes, left, d.acts)
		}
		before := len(d.acts)
		for _, action := range []string{"iam.disable_user", "iam.revoke_sessions", "iam.reset_password", "iam.reset_mfa"} {
			q := on(action, "idp", "later-"+action, "user", person(left))
			if action == "iam.reset_password" {
				q.Inputs, _ = kind.Canonical(map[string]any{"user": person(left), "deliver": "nobody"})
			}
			res, err := a.Act(t.Context(), q)
			if err != nil || res.Outcome != task.Refused || !strings.Contains(res.Detail, "last administrator") || res.Ask {
				t.Errorf("%s on the last administrator: %+v, %v", action, res, err)
			}
		}
		if len(d.acts) != before {
			t.Errorf("the last administrator was acted on: %v", d.acts[before:])
		}
	}
}

// TestLastAdminNotKnown: where the directory cannot say, nobody is touched; and an
// account that it finds under the handle's name must be the handle's.
func TestLastAdminNotKnown(t *testing.T) {
	d := &directory{accounts: map[string]*account{"root": {true, true}, "bob": {false, true}}}
	a, _ := office(t, d, guard.Rules{})
	other := person("bob")
	other.ID = "id-of-another"
	for i, c := range []struct {
		who  kind.Handle
		down bool
		want string
	}{{person("bob"), true, "403"}, {person("gone"), false, "no such account"}, {other, false, "another account"}} {
		d.down = c.down
		res, err := a.Act(t.Context(), on("iam.disable_user", "idp", string(rune('a'+i)), "user", c.who))
		if err != nil || len(d.acts) > 0 || !strings.Contains(res.Detail+failureText(res), c.want) {
			t.Errorf("%+v: %+v, %v; acts %v", c, res, err, d.acts)
		}
	}
}

func failureText(r task.ActResult) string {
	if r.Failure == nil {
		return ""
	}
	return r.Failure.Message
}

// TestInventory: tags protect a host by what the inventory says; what it cannot
// say protects too, and its answer serves for a while.
func TestInventory(t *testing.T) {
	d := &directory{hosts: map[string]map[string]any{
		"dc01": {"criticality": "critical", "tags": []any{"tier-0"}, "vip": false},
		"ws-1": {"criticality": "low", "tags": []any{}, "vip": false},
	}}
	a, _ := office(t, d, guard.Rules{Tags: []string{"tier-0"}})
	at := time.Now()
	a.Facts.Now = func() time.Time { return at }
	device := func(label string) kind.Handle {
		return kind.Handle{Name: "device", Instance: "edr", ID: "id-" + label, Label: label}
	}
	ask := func(runID, label string, want task.Outcome, detail string) {
		t.Helper()
		res, err := a.Act(t.Context(), on("edr.isolate_host", "edr", runID, "host", device(label)))
		if err != nil || res.Outcome != want || !strings.Contains(res.Detail, detail) {
			t.Errorf("%s: %+v, %v", label, res, err)
		}
	}
	ask("1", "dc01", task.Refused, `its tag "tier-0"`)
	ask("2", "ws-1", task.Done, "")
	ask("3", "new", task.Refused, "not known: asset.find_host on inventory: not_found")
	if d.finds != 3 {
		t.Errorf("the inventory was asked %d times", d.finds)
	}
	d.down = true
	ask("4", "dc01", task.Refused, "tier-0")
	at = at.Add(InventoryLife + time.Second)
	ask("5", "ws-1", task.Refused, "403")
	a.Facts.Serving = nil
	ask("6", "ws-1", task.Refused, "no connector instance serves asset.find_host")
}

// TestObserveWhateverIsAsked: the charter counts, not what the workflow says; the
// state is read all the same, and what people do later is seen.
func TestObserveWhateverIsAsked(t *testing.T) {
	d := &directory{accounts: map[string]*account{"root": {true, true}, "bob": {false, true}, "ann": {false, false}}}
	a, fx := office(t, d, guard.Rules{Protected: []string{"krbtgt"}})
	a.Charter = func(context.Context, string, string) (Charter, error) { return Charter{Mode: guard.Observe}, nil }
	d.accounts["krbtgt"] = &account{false, true}
	for name, want := range map[string]string{
		"bob": "it would have been done", "ann": "it was so already", "krbtgt": "it would have been refused: protected", "root": "last administrator",
	} {
		res, err := a.Act(t.Context(), on("iam.disable_user", "idp", "r-"+name, "user", person(name)))
		if err != nil || res.Outcome != task.Simulated || !strings.Contains(res.Detail, want) || res.Held {
			t.Errorf("%s: %+v, %v", name, res, err)
		}
	}
	if len(d.acts) != 0 {
		t.Fatalf("observe mode acted: %v", d.acts)
	}
	now := time.Now().Add(time.Second)
	w := &Watcher{Host: d, Effects: fx, Now: func() time.Time { return now }, Warn: func(err error) { t.Error(err) }}
	look := func() map[string]effects.Observed {
		t.Helper()
		if err := w.Round(t.Context()); err != nil {
			t.Fatal(err)
		}
		list, err := fx.Observations(t.Context(), "default", "", now.Add(-time.Hour), 100)
		if err != nil || len(list) != 4 {
			t.Fatalf("%v, %v", list, err)
		}
		by := map[string]effects.Observed{}
		for _, o := range list {
			by[o.Targets[0].Label] = o
		}
		return by
	}
	if by := look(); by["bob"].Looked.IsZero() || !by["bob"].Present.IsZero() || !by["ann"].Looked.IsZero() {
		t.Errorf("before anybody did anything: %+v", by)
	}
	d.accounts["bob"].enabled = false // a person does it
	if by := look(); !by["bob"].Present.IsZero() {
		t.Error("it was looked at again at once")
	}
	now = now.Add(watchAgain + time.Minute)
	if by := look(); by["bob"].Present.IsZero() || !by["krbtgt"].Present.IsZero() {
		t.Errorf("after a person did it: %+v", by["bob"])
	}
	if len(d.acts) != 0 {
		t.Fatalf("watching acted: %v", d.acts)
	}
}

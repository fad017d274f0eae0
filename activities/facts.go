package activities

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/quell-soar/quell/connectors/host"
	"github.com/quell-soar/quell/connectors/spec"
	"github.com/quell-soar/quell/connectors/spec/kind"
	"github.com/quell-soar/quell/internal/guard"
	"github.com/quell-soar/quell/internal/guard/subject"
)

// Needs says what guards must know of targets; guard.Guard does.
type Needs interface {
	Needs(kindOf string) (inventory, account bool)
}

// Facts reads what guards ask about targets.
//
// The inventory is asked for hosts and accounts, by the label of the target's
// handle, through asset.find_host and asset.find_user; its answer serves for
// InventoryLife. The directory that an account's handle came from is asked with
// iam.find_user, each time: who is the last administrator changes with each
// effect. What cannot be read stays unknown, with the reason, and the guards
// decide.
type Facts struct {
	Needs Needs
	Host  Connectors
	// Serving names the instance that serves an inventory's action, or "".
	Serving func(action string) string
	// Now is the clock; default time.Now.
	Now func() time.Time

	mu    sync.Mutex
	known map[string]*guard.Facts
}

// InventoryLife is for how long an inventory's answer serves.
const InventoryLife = 2 * time.Minute

// mostKnown bounds the answers that are kept.
const mostKnown = 10_000

// inform reads the facts about an effect's targets.
func (f *Facts) inform(ctx context.Context, instance string, targets []guard.Target) {
	if f == nil {
		return
	}
	for i := range targets {
		t := &targets[i]
		inventory, account := f.Needs.Needs(t.Kind)
		if !inventory && !account {
			continue
		}
		facts := &guard.Facts{Values: map[string]any{}, At: f.now()}
		if inventory {
			f.inventory(ctx, *t, facts)
		}
		if account {
			f.account(ctx, instance, *t, facts)
		}
		t.Facts = facts
	}
}

func (f *Facts) now() time.Time {
	if f.Now != nil {
		return f.Now()
	}
	return time.Now()
}

// inventory adds what the asset inventory knows.
func (f *Facts) inventory(ctx context.Context, t guard.Target, into *guard.Facts) {
	action, field := "asset.find_host", "hostname"
	if t.Kind == "user" {
		action, field = "asset.find_user", "name"
	}
	at := ""
	if f.Serving != nil {
		at = f.Serving(action)
	}
	if at == "" {
		into.Why = "no connector instance serves " + action + " for guards; bind one"
		return
	}
	key := at + "\x00" + action + "\x00" + strings.ToLower(t.Label)
	got := f.kept(key)
	if got == nil {
		out, why := f.ask(ctx, at, action, field, t)
		if got = attributes(out); why != "" {
			got.Why = fmt.Sprintf("%s on %s: %s", action, at, why)
		} else {
			f.keep(key, got)
		}
	}
	maps.Copy(into.Values, got.Values)
	into.Why = got.Why
}

// account adds what the directory says of an account. The account that it finds
// by the handle's label must be the handle's own.
func (f *Facts) account(ctx context.Context, instance string, t guard.Target, into *guard.Facts) {
	out, why := f.ask(ctx, instance, "iam.find_user", "name", t)
	if h, ok := out["user"].(kind.Handle); why == "" && (!ok || t.ID != h.Name+":"+h.ID) {
		why = "it found another account under the name " + t.Label
	}
	if why != "" {
		into.Why = fmt.Sprintf("iam.find_user on %s: %s", instance, why)
		return
	}
	maps.Copy(into.Values, attributes(out).Values)
}

// ask calls a find action for a target: with its handle where the action takes
// one, else by its label. It tries a few times; why says what went wrong.
func (f *Facts) ask(ctx context.Context, instance, action, field string, t guard.Target) (out map[string]any, why string) {
	sp, ok := f.Host.Action(instance, action)
	if !ok {
		return nil, "the instance does not serve it"
	}
	inputs, ok := asked(sp, field, t)
	if !ok {
		return nil, "it cannot be asked for " + t.Label
	}
	const tries = 3
	for n := 1; ; n++ {
		reply, err := f.Host.Call(ctx, instance, request(sp, inputs, "", sp.Deadline), host.Permit{})
		if err == nil {
			return reply.Output, ""
		}
		if n == tries || !spec.KindOf(err).Retryable() || !pause(ctx, instance, backoff(err, 200*time.Millisecond, n)) {
			return nil, err.Error()
		}
	}
}

// asked makes the inputs of a find action: a label that looks like an address
// goes where mail addresses do, where the action has such a place.
func asked(sp spec.Action, field string, t guard.Target) (map[string]any, bool) {
	try := []string{field}
	if strings.Contains(t.Label, "@") {
		try = []string{field, "mail"}
	}
	for _, name := range try {
		i := slices.IndexFunc(sp.Inputs, func(in kind.Field) bool { return in.Name == name })
		if i < 0 {
			continue
		}
		if v, err := kind.Parse(sp.Inputs[i].Type, t.Label); err == nil {
			return map[string]any{name: v}, true
		}
	}
	return nil, false
}

// attributes keeps of an answer what guards may ask about, where it has the type
// that guards expect.
func attributes(out map[string]any) *guard.Facts {
	facts := &guard.Facts{Values: map[string]any{}}
	for _, a := range subject.Attributes() {
		if v, ok := out[a.Name]; ok && v != nil && kind.Check(a.Type, v) == nil {
			facts.Values[a.Name] = v
		}
	}
	return facts
}

func (f *Facts) kept(key string) *guard.Facts {
	f.mu.Lock()
	defer f.mu.Unlock()
	got := f.known[key]
	if got == nil || f.now().Sub(got.At) > InventoryLife {
		return nil
	}
	return got
}

func (f *Facts) keep(key string, facts *guard.Facts) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.known == nil || len(f.known) >= mostKnown {
		f.known = map[string]*guard.Facts{}
	}
	facts.At = f.now()
	f.known[key] = facts
}

// targets lists what an action acts on, as guards, limits and holders count it.
func targets(sp spec.Action, values map[string]any) []guard.Target {
	if sp.Targets == "" {
		return nil
	}
	var out []guard.Target
	add := func(v any) {
		switch x := v.(type) {
		case kind.Handle:
			out = append(out, guard.Target{ID: x.Name + ":" + x.ID, Label: x.Label, Kind: x.Name})
		case string:
			out = append(out, guard.Target{ID: x, Label: x, Kind: kindOf(sp)})
		}
	}
	switch x := values[sp.Targets].(type) {
	case []any:
		for _, e := range x {
			add(e)
		}
	default:
		add(x)
	}
	return out
}

// kindOf is the kind of an action's targets.
func kindOf(sp spec.Action) string {
	f, _ := sp.InputType().Field(sp.Targets)
	if f.Type.Kind == kind.List && f.Type.Elem != nil {
		return string(f.Type.Elem.Kind)
	}
	return string(f.Type.Kind)
}

// imaginary reports whether an effect in observe mode made a target up: nobody
// can be asked about it.
func imaginary(targets []guard.Target) bool {
	return slices.ContainsFunc(targets, func(t guard.Target) bool { return strings.HasSuffix(t.ID, ":"+simulatedID) })
}

// simulatedID is the vendor's id of what an effect in observe mode would have
// made.
const simulatedID = "simulated"

package conformance

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/quell-soar/quell/connectors/sdk/secret"
	"github.com/quell-soar/quell/connectors/spec"
	"github.com/quell-soar/quell/connectors/spec/kind"
)

// patience is the deadline of a call that nothing delays.
const patience = 10 * time.Second

// Run runs the suite on a connector, as subtests named by way, action and check:
// in process all of it, over the wire what carries values, and all of it with
// QUELL_SOAK.
func Run(t *testing.T, target Target) {
	t.Helper()
	for _, p := range inspectManifest(target) {
		t.Error(p)
	}
	ways := []struct {
		name string
		open opener
		wire bool
	}{{"in process", openDirect, false}, {"over the wire", openWired, true}}
	whole := os.Getenv("QUELL_SOAK") != ""
	for _, w := range ways {
		if w.wire && target.Binary == "" {
			continue
		}
		t.Run(w.name, func(t *testing.T) {
			for n, a := range target.Connector.Manifest().Actions {
				t.Run(a.Name, func(t *testing.T) {
					for _, c := range checks {
						// Each check over the wire starts a process. What an action
						// brings of its own to the wire are its values: all of them
						// cross it always, and everything else with one action, or
						// with QUELL_SOAK.
						if c.fits(a) && (!w.wire || whole || c.values || n == 0) {
							t.Run(c.name, func(t *testing.T) {
								t.Parallel() // each has its own fake, and most of the time is waiting
								one(t, target, w.open, a, c)
							})
						}
					}
				})
			}
		})
	}
}

func one(t *testing.T, target Target, open opener, a spec.Action, c check) {
	t.Helper()
	if why, ok := target.without(a, c); ok {
		t.Skip(why)
	}
	problems, ran := inspect(t, target, open, a, c)
	for _, p := range problems {
		t.Error(p)
	}
	if !ran {
		t.Skip("the target has no fault script or sample for it")
	}
}

func (t Target) without(a spec.Action, c check) (string, bool) {
	if why, ok := t.Without[a.Name+"/"+c.name]; ok {
		return why, true
	}
	why, ok := t.Without[c.name]
	return why, ok
}

// inspect runs one check against a fresh fake. ran is false where the target
// gives nothing to run it with.
func inspect(t testing.TB, target Target, open opener, a spec.Action, c check) (problems []string, ran bool) {
	t.Helper()
	sample, ok := target.Samples[a.Name]
	if !ok {
		return []string{"the target has no sample for " + a.Name}, true
	}
	fake := target.Start(t)
	w, err := open(t, target, fake)
	if err != nil {
		return []string{fmt.Sprintf("opening the connector: %v", err)}, true
	}
	p := &probe{
		t: t, target: target, fake: fake, way: w, action: a, sample: sample, faults: sample.Faults.over(target.Faults),
		secrets: secret.NewRedactor(slices.Collect(maps.Values(fake.Secrets))...),
	}
	if !p.prepare() {
		return p.problems, true
	}
	ran = c.run(p)
	if p.secrets.Found(w.heard()) {
		p.errorf("a secret stands in what the connector said or logged: %s", p.secrets.Text(w.heard()))
	}
	return p.problems, ran
}

// probe is one check on its way.
type probe struct {
	t       testing.TB
	target  Target
	fake    Fake
	way     way
	action  spec.Action
	sample  Sample
	faults  Faults
	secrets *secret.Redactor

	problems []string
}

func (p *probe) errorf(format string, args ...any) {
	p.problems = append(p.problems, fmt.Sprintf(format, args...))
}

func (p *probe) key() string { return "conformance/run-1/" + p.action.Name }

// prepare runs the sample's steps.
func (p *probe) prepare() bool {
	for _, s := range p.sample.Before {
		in, ok := p.inputs(s.Inputs)
		if !ok {
			return false
		}
		if _, err := p.send(spec.Request{Action: s.Action, Mode: spec.Act, Key: "conformance/before/" + s.Action, Inputs: in}, patience); err != nil {
			p.errorf("preparing with %s: %v", s.Action, err)
			return false
		}
	}
	return true
}

// inputs resolves what has to be found first.
func (p *probe) inputs(in map[string]any) (map[string]any, bool) {
	out := make(map[string]any, len(in))
	for name, v := range in {
		f, ok := v.(Found)
		if !ok {
			out[name] = v
			continue
		}
		finder, ok := p.inputs(f.Inputs)
		if !ok {
			return nil, false
		}
		r, err := p.send(spec.Request{Action: f.Action, Mode: spec.Act, Key: "conformance/found", Inputs: finder}, patience)
		if err != nil {
			p.errorf("finding %s with %s: %v", name, f.Action, err)
			return nil, false
		}
		got := r.Output[f.Output]
		if l, ok := got.([]any); ok && len(l) > 0 && !f.All {
			got = l[0]
		}
		if got == nil {
			p.errorf("finding %s: %s gave no %s", name, f.Action, f.Output)
			return nil, false
		}
		out[name] = got
	}
	return out, true
}

// act calls the action in Act mode with its sample.
func (p *probe) act(in map[string]any) (spec.Reply, error) {
	return p.send(spec.Request{Action: p.action.Name, Mode: spec.Act, Key: p.key(), Inputs: in}, patience)
}

func (p *probe) back(in map[string]any) (spec.Reply, error) {
	return p.send(spec.Request{Action: p.action.Name, Mode: spec.Back, Key: p.key(), Inputs: in}, patience)
}

// send calls and holds the answer to what every answer must be.
func (p *probe) send(r spec.Request, deadline time.Duration) (spec.Reply, error) {
	a, known := p.target.Connector.Manifest().Action(r.Action)
	if known && !a.Effect() {
		r.Key = ""
	}
	r.Deadline = time.Now().Add(deadline)
	ctx, cancel := context.WithTimeout(p.t.Context(), deadline+5*time.Second)
	defer cancel()
	reply, err := p.way.call(ctx, r)
	if late := time.Since(r.Deadline); late > time.Second {
		p.errorf("%s answered %s after its deadline", r.Action, late.Round(time.Millisecond))
	}
	p.clean(r.Action, reply, err)
	return reply, err
}

// clean looks for secrets and foreign handles in an answer.
func (p *probe) clean(action string, reply spec.Reply, err error) {
	said := fmt.Sprintf("%+v", reply)
	var e *spec.Error
	switch {
	case errors.As(err, &e):
		said += fmt.Sprintf("%+v", *e)
		if e.Kind == "" || e.Message == "" {
			p.errorf("%s: an error needs a kind and a message: %+v", action, *e)
		}
	case err != nil:
		p.errorf("%s: the error is no *spec.Error: %v", action, err)
	}
	if p.secrets.Found(said) {
		p.errorf("%s: a secret stands in the answer: %s", action, p.secrets.Text(said))
	}
	eachHandle(reply.Output, func(h kind.Handle) {
		if h.Instance != Instance {
			p.errorf("%s: the handle of %s %q names the instance %q, not its own (Config.Instance)", action, h.Name, h.Label, h.Instance)
		}
		if h.Label == "" {
			p.errorf("%s: the handle of %s %s has no label for people", action, h.Name, h.ID)
		}
	})
}

func eachHandle(v any, f func(kind.Handle)) {
	switch x := v.(type) {
	case kind.Handle:
		f(x)
	case []any:
		for _, e := range x {
			eachHandle(e, f)
		}
	case map[string]any:
		for _, e := range x {
			eachHandle(e, f)
		}
	}
}

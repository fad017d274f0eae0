package conformance

import (
	"maps"
	"reflect"
	"slices"
	"time"

	"github.com/quell-soar/quell/connectors/spec"
)

// check is one demand on one action. run reports false where the target gives
// nothing to try it with.
type check struct {
	name string
	fits func(a spec.Action) bool
	run  func(p *probe) bool
	// values says that it carries an action's inputs, outputs and prior state.
	values bool
}

func always(spec.Action) bool       { return true }
func reads(a spec.Action) bool      { return !a.Effect() }
func effects(a spec.Action) bool    { return a.Effect() }
func tellable(a spec.Action) bool   { return a.Effect() && a.ReadBack != spec.NoReadBack }
func invertible(a spec.Action) bool { return a.Effect() && a.Inverse != "" }

// checks are the suite, in this order.
var checks = []check{
	// A read answers Done with outputs that fit, and changes nothing.
	{"reads", reads, (*probe).reads, true},
	// An effect on a fresh world is Done (or Pending), and the world is another.
	{"acts", effects, (*probe).acts, true},
	// The same key again changes nothing more.
	{"again is already", tellable, (*probe).again, false},
	// A read-back says absent before and present after, and changes nothing.
	{"read-back", effects, (*probe).readBack, false},
	// The inverse, given the prior state, restores the world that was found.
	{"inverse restores", invertible, (*probe).inverse, true},
	// The inverse of an effect that found its state leaves it there.
	{"inverse leaves what was found", invertible, (*probe).inverseOfAlready, false},
	// A field that the action does not have is refused, and nothing happens.
	{"unknown input", always, (*probe).unknownInput, false},
	// What is not there is not_found, not success.
	{"not found", always, (*probe).notFound, false},
	// Several matches are ambiguous; none is picked.
	{"ambiguous", always, (*probe).ambiguous, false},
	// A rate limit is rate_limited with RetryAfter, and nothing happened.
	{"rate limited", always, (*probe).rateLimited, false},
	// An expired token is refreshed, and the call succeeds.
	{"expired token", always, (*probe).expired, false},
	// A credential that nobody accepts is auth, and nothing happened.
	{"unauthorized", always, (*probe).unauthorized, false},
	// A success with an error within is no success.
	{"soft error", always, (*probe).softError, false},
	// An effect whose answer was lost is uncertain, or verified; never denied.
	{"lost answer", tellable, (*probe).lost, false},
	// A slow vendor does not hold the call beyond its deadline.
	{"deadline", always, (*probe).slow, false},
	// The connector's own check changes nothing and finds nothing wrong.
	{"check", always, (*probe).ownCheck, false},
}

func (p *probe) reads() bool {
	in, ok := p.inputs(p.sample.Inputs)
	if !ok {
		return true
	}
	before := p.fake.World()
	r, err := p.act(in)
	if err != nil {
		p.errorf("the sample failed: %v", err)
		return true
	}
	if r.Outcome != spec.Done {
		p.errorf("a read answers done, not %s", r.Outcome)
	}
	p.wanted(r)
	p.unchanged(before, "a read")
	return true
}

func (p *probe) acts() bool {
	in, ok := p.inputs(p.sample.Inputs)
	if !ok {
		return true
	}
	before := p.fake.World()
	r, err := p.act(in)
	if err != nil {
		p.errorf("the sample failed: %v", err)
		return true
	}
	if !slices.Contains([]spec.Outcome{spec.Done, spec.Pending}, r.Outcome) {
		p.errorf("on a fresh world the outcome is done or pending, not %s", r.Outcome)
	}
	if p.fake.World() == before {
		p.errorf("it says %s, and the world is as before", r.Outcome)
	}
	if p.action.Reversal == spec.Exact && r.Prior == nil {
		p.errorf("its inverse is exact, so it must return the prior state")
	}
	if r.Outcome == spec.Done {
		p.wanted(r)
	}
	return true
}

// wanted compares the answer with what the sample says of it.
func (p *probe) wanted(r spec.Reply) {
	for name, want := range p.sample.Want {
		if got := r.Output[name]; !reflect.DeepEqual(got, want) {
			p.errorf("the output %s is %v, not %v", name, got, want)
		}
	}
}

func (p *probe) again() bool {
	in, ok := p.begin()
	if !ok {
		return true
	}
	before := p.fake.World()
	r, err := p.act(in)
	if err != nil {
		p.errorf("the second call with the same key failed: %v", err)
		return true
	}
	// A vendor that honours the key may repeat its first answer.
	if r.Outcome != spec.Already && (p.action.Class != spec.Keyed || r.Outcome != spec.Done) {
		p.errorf("the second call with the same key is already, not %s", r.Outcome)
	}
	p.unchanged(before, "the second call with the same key")
	return true
}

func (p *probe) readBack() bool {
	in, ok := p.inputs(p.sample.Inputs)
	if !ok {
		return true
	}
	before := p.fake.World()
	r, err := p.back(in)
	if err != nil {
		p.errorf("the read-back before the effect failed: %v", err)
		return true
	}
	p.unchanged(before, "a read-back")
	if p.action.ReadBack == spec.NoReadBack {
		if r.Outcome != spec.Unsure {
			p.errorf("without a read-back the answer is unsure, not %s", r.Outcome)
		}
		return true
	}
	if r.Outcome != spec.Absent {
		p.errorf("before the effect the read-back says %s, not absent", r.Outcome)
	}
	if _, err := p.act(in); err != nil {
		p.errorf("the sample failed: %v", err)
		return true
	}
	before = p.fake.World()
	p.present(in)
	p.unchanged(before, "a read-back")
	return true
}

// present demands that a read-back sees the effect, as far as it can.
func (p *probe) present(in map[string]any) {
	r, err := p.back(in)
	switch {
	case err != nil:
		p.errorf("the read-back after the effect failed: %v", err)
	case r.Outcome == spec.Present:
	case p.action.ReadBack == spec.Lagging:
		// The vendor's index may lag; absent proves nothing.
	default:
		p.errorf("after the effect the read-back says %s, not present", r.Outcome)
	}
}

func (p *probe) inverse() bool {
	in, ok := p.inputs(p.sample.Inputs)
	if !ok {
		return true
	}
	before := p.fake.World()
	r, err := p.act(in)
	if err != nil {
		p.errorf("the sample failed: %v", err)
		return true
	}
	undone, err := p.undo(in, r.Prior)
	if err != nil {
		p.errorf("the inverse %s failed: %v", p.action.Inverse, err)
		return true
	}
	if !slices.Contains([]spec.Outcome{spec.Done, spec.Pending}, undone.Outcome) {
		p.errorf("the inverse %s had to change something and says %s", p.action.Inverse, undone.Outcome)
	}
	if p.action.Reversal == spec.Exact && p.fake.World() != before {
		p.errorf("the inverse %s is exact, and the world is not as it was.\nbefore: %s\nafter:  %s", p.action.Inverse, before, p.fake.World())
	}
	return true
}

func (p *probe) inverseOfAlready() bool {
	in, ok := p.begin()
	if !ok {
		return true
	}
	// Somebody else, with another key, finds the state there and undoes.
	found, err := p.send(spec.Request{Action: p.action.Name, Mode: spec.Act, Key: p.key() + "/second", Inputs: in}, patience)
	if err != nil {
		p.errorf("the second effect failed: %v", err)
		return true
	}
	if found.Outcome != spec.Already {
		return true // the action has no state that one can find, only events
	}
	before := p.fake.World()
	r, err := p.undo(in, found.Prior)
	if err != nil {
		p.errorf("the inverse %s failed: %v", p.action.Inverse, err)
		return true
	}
	if r.Outcome != spec.Already {
		p.errorf("the inverse %s of an effect that found its state says %s, not already", p.action.Inverse, r.Outcome)
	}
	p.unchanged(before, "the inverse of an effect that found its state")
	return true
}

// undo calls the inverse as Quell does: with the inputs that it declares and
// the prior state.
func (p *probe) undo(in, prior map[string]any) (spec.Reply, error) {
	inverse, _ := p.target.Connector.Manifest().Action(p.action.Inverse)
	args := map[string]any{}
	for _, f := range inverse.Inputs {
		if v, ok := in[f.Name]; ok {
			args[f.Name] = v
		}
	}
	return p.send(spec.Request{Action: inverse.Name, Mode: spec.Act, Key: p.key() + "/undo", Inputs: args, Prior: prior}, patience)
}

// begin brings the sample's effect about.
func (p *probe) begin() (map[string]any, bool) {
	in, ok := p.inputs(p.sample.Inputs)
	if !ok {
		return nil, false
	}
	if _, err := p.act(in); err != nil {
		p.errorf("the sample failed: %v", err)
		return nil, false
	}
	return in, true
}

func (p *probe) unknownInput() bool {
	in, ok := p.inputs(p.sample.Inputs)
	if !ok {
		return true
	}
	before := p.fake.World()
	in = maps.Clone(in)
	in["no_such_input"] = "x"
	_, err := p.act(in)
	p.refused(err, spec.Invalid, before)
	return true
}

func (p *probe) notFound() bool { return p.unmatched(p.sample.Missing, spec.NotFound) }

func (p *probe) ambiguous() bool { return p.unmatched(p.sample.Ambiguous, spec.Ambiguous) }

func (p *probe) unmatched(with map[string]any, want spec.ErrorKind) bool {
	if with == nil {
		return false
	}
	in, ok := p.inputs(with)
	if !ok {
		return true
	}
	before := p.fake.World()
	_, err := p.act(in)
	p.refused(err, want, before)
	return true
}

// refused demands an error of a kind and a world as before.
func (p *probe) refused(err error, want spec.ErrorKind, before string) {
	switch {
	case err == nil:
		p.errorf("it succeeded, and should be refused as %s", want)
	case spec.KindOf(err) != want:
		p.errorf("it is refused as %s and not as %s: %v", spec.KindOf(err), want, err)
	}
	p.unchanged(before, "a refused call")
}

func (p *probe) unchanged(before, what string) {
	if now := p.fake.World(); now != before {
		p.errorf("%s changed the world.\nbefore: %s\nafter:  %s", what, before, now)
	}
}

func (p *probe) ownCheck() bool {
	before := p.fake.World()
	findings := p.way.check(p.t.Context())
	if len(findings) == 0 {
		p.errorf("its check finds nothing, not even what is well")
	}
	for _, f := range findings {
		if !f.OK {
			p.errorf("its check of a healthy vendor says: %s: %s", f.Name, f.Advice)
		}
	}
	p.unchanged(before, "its check")
	return true
}

// slowDeadline is the deadline of a call to a vendor that takes longer.
const slowDeadline = 400 * time.Millisecond

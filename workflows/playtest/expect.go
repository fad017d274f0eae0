package playtest

import (
	"fmt"
	"slices"
	"strings"

	"github.com/quell-soar/quell/activities/task"
	"github.com/quell-soar/quell/connectors/spec/kind"
	"github.com/quell-soar/quell/playbooks/plan"
	"github.com/quell-soar/quell/workflows/run"
)

// Check holds a play against what its test expects, and lists what differs.
func (e Expect) Check(p *plan.Plan, got *Played) []string {
	out := slices.Clone(got.Problems)
	differs := func(what string, want, is any) {
		out = append(out, fmt.Sprintf("%s: expected %v, got %v", what, want, is))
	}
	if e.Closing != "" && e.Closing != got.Result.Closing {
		differs("closing", e.Closing, got.Result.Closing+" ("+got.Result.Reason+")")
	}
	if e.Reason != "" && !strings.Contains(got.Result.Reason, e.Reason) {
		differs("reason", e.Reason, got.Result.Reason)
	}
	if e.has["effects"] && !same(e.Effects, got.Effects) {
		differs("effects", show(e.Effects), showEffects(got.Effects))
	}
	if e.has["in_force"] {
		var left []*Effect
		for _, x := range got.Effects {
			if !x.Undo && !x.Undone && x.Reversal != "unneeded" && x.Outcome != task.Simulated && x.Outcome != task.Already {
				left = append(left, x)
			}
		}
		if !same(e.InForce, left) {
			differs("in_force", show(e.InForce), showEffects(left))
		}
	}
	for _, a := range e.Never {
		if got.Calls[a] > 0 {
			differs("never", a, fmt.Sprintf("%d calls", got.Calls[a]))
		}
	}
	for a, n := range e.Calls {
		if got.Calls[a] != n {
			differs("calls of "+a, n, got.Calls[a])
		}
	}
	out = append(out, e.people(got)...)
	for path, want := range e.Outcomes {
		if is := outcomeOf(got.Result.Tree.Steps, path); is != want {
			differs("outcome of "+path, want, is)
		}
	}
	for what, l := range map[string][2][]string{"reports": {e.Reports, got.Reports}, "notes": {e.Notes, got.Notes}, "holds": {e.Holds, holdsOf(p, got)}} {
		if e.has[what] && !slices.Equal(l[0], l[1]) {
			differs(what, show(l[0]), show(l[1]))
		}
	}
	if e.AtLeast > 0 && got.Took < e.AtLeast {
		differs("takes at least", e.AtLeast, got.Took)
	}
	if e.AtMost > 0 && got.Took > e.AtMost {
		differs("takes at most", e.AtMost, got.Took)
	}
	if e.has["outputs"] {
		raw, err := kind.Canonical(e.Outputs)
		if err != nil || string(raw) != string(got.Result.Outputs) {
			differs("outputs", string(raw), string(got.Result.Outputs))
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func (e Expect) people(got *Played) []string {
	if !e.has["asked"] {
		return nil
	}
	var out []string
	if len(e.Asked) != len(got.Requests) {
		out = append(out, fmt.Sprintf("asked: expected %d requests, got %d: %s", len(e.Asked), len(got.Requests), showRequests(got.Requests)))
		return out
	}
	for i, a := range e.Asked {
		r := got.Requests[i]
		var who []string
		for _, l := range r.Levels {
			who = append(who, l.Who...)
		}
		for _, c := range []struct{ what, want, is string }{
			{"step", a.Step, r.Step}, {"kind", a.Kind, r.Kind}, {"decided", a.Decided, r.Decided}, {"who", joined(a.Who), joined(who)},
		} {
			if c.want != "" && c.want != c.is {
				out = append(out, fmt.Sprintf("asked, number %d: %s: expected %s, got %s", i+1, c.what, c.want, c.is))
			}
		}
	}
	return out
}

func showRequests(list []*Request) string {
	var out []string
	for _, r := range list {
		out = append(out, r.Step+" "+r.Kind+" ("+r.Text+")")
	}
	return show(out)
}

func same(want []Deed, got []*Effect) bool {
	return slices.EqualFunc(want, got, func(d Deed, e *Effect) bool {
		return d.Action == e.Action && (d.Targets == nil || slices.Equal(d.Targets, e.Targets))
	})
}

func show[T any](list []T) string {
	if len(list) == 0 {
		return "none"
	}
	var out []string
	for _, x := range list {
		out = append(out, fmt.Sprint(x))
	}
	return "[" + strings.Join(out, ", ") + "]"
}

func showEffects(list []*Effect) string {
	out := make([]Deed, len(list))
	for i, e := range list {
		out[i] = Deed{Action: e.Action, Targets: e.Targets}
	}
	return show(out)
}

// outcomeOf is how the step of a path ended last; "" where it did not begin.
func outcomeOf(steps []run.StepProgress, path string) string {
	out := ""
	each(steps, func(s run.StepProgress) {
		if s.Path == path && s.Kind != "item" && s.Kind != "round" && s.Kind != "branch" {
			out = s.Status
		}
	})
	return out
}

// each visits every step of a tree.
func each(steps []run.StepProgress, visit func(run.StepProgress)) {
	for _, s := range steps {
		visit(s)
		each(s.Steps, visit)
	}
}

// holdsOf writes the holds as tests do: "isolate 24h ask".
func holdsOf(p *plan.Plan, got *Played) []string {
	names := map[string]string{}
	walk(p, func(st *plan.Step) {
		if st.ID != "" {
			names[st.Path] = st.ID
		}
	})
	out := []string{}
	for _, h := range got.Holds {
		name := h.Step
		if names[name] != "" {
			name = names[name]
		}
		out = append(out, name+" "+kind.FormatDuration(h.For)+" "+h.Then)
	}
	return out
}

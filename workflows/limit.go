package workflows

import (
	"fmt"
	"strings"

	"go.temporal.io/sdk/workflow"

	"github.com/quell-soar/quell/activities/task"
	"github.com/quell-soar/quell/connectors/spec/kind"
	"github.com/quell-soar/quell/playbooks/plan"
)

// allowed reports whether no limit forbids to act on the whole list of a foreach. The
// list is known before its first effect, and before anybody is asked to approve it:
// above a limit nothing acts, and a person sees the list. Then the result or error is
// that of the step.
//
// The effects store counts once more as each effect is admitted. What a condition
// decides for each element is left to it.
func (it *interp) allowed(f frame, st *plan.Step) (res result, ok bool, err error) {
	effects := it.limited(st)
	if len(effects) == 0 {
		return result{}, true, nil // the list need not be looked at
	}
	for {
		items, err := it.elements(f, st)
		if err != nil {
			return result{}, false, err
		}
		fail, asks := it.overLimit(effects, items)
		if fail == nil || workflow.GetVersion(f.ctx, "loop-limit", workflow.DefaultVersion, 1) == workflow.DefaultVersion {
			return result{}, true, nil
		}
		if !asks || st.OnError == plan.OnAsk { // who asks about the step asks about this
			return result{}, false, &stepError{Failure: *fail}
		}
		res, again, err := it.remedy(f, st, fail)
		if !again {
			return res, false, err
		}
	}
}

// limited are the effects of a foreach that each of its rounds brings about, one
// target a round, and that a limit bounds.
func (it *interp) limited(st *plan.Step) []*plan.Step {
	if it.in.Mode == modeObserve {
		return nil
	}
	var out []*plan.Step
	certain(st, func(e *plan.Step) {
		sp, ok := it.plan.ActionSpec(e.Action.Name)
		if !ok || it.limit(sp.Name) == 0 || it.mode(it.instanceOf(sp, nil)) == modeObserve {
			return
		}
		if in, ok := sp.InputType().Field(sp.Targets); ok && in.Type.Kind != kind.List {
			out = append(out, e) // a list is counted as a whole when its call is admitted
		}
	})
	return out
}

// overLimit says which limit the elements of a foreach pass, and whether the effect
// that it holds back asks people where it fails.
func (it *interp) overLimit(effects []*plan.Step, items []any) (fail *task.Failure, asks bool) {
	if len(items) == 0 {
		return nil, false // where no target is left, none is no more than that
	}
	want := map[string]int{}
	for _, e := range effects {
		name := e.Action.Name
		want[name] += len(items)
		limit := it.limit(name)
		if it.reached[name]+want[name] <= limit {
			continue
		}
		text := fmt.Sprintf("limit: the playbook allows %s on %d targets in one run, and here are %d", name, max(0, limit), want[name])
		if n := it.reached[name]; n > 0 {
			text += fmt.Sprintf(" after %d", n)
		}
		return &task.Failure{Kind: string(task.Refused), Message: text + ", so it acted on none of them" + listed(items)}, e.OnError == plan.OnAsk
	}
	return nil, false
}

// How many elements a person is shown, and how much of one, in characters.
const (
	mostListed  = 50
	mostElement = 80
)

func listed(items []any) string {
	var names []string
	for _, item := range items[:min(len(items), mostListed)] {
		if name := []rune(element(item)); len(name) > 0 {
			names = append(names, string(name[:min(len(name), mostElement)]))
		}
	}
	if len(names) == 0 {
		return ""
	}
	text := ": " + strings.Join(names, ", ")
	if more := len(items) - mostListed; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

// element is what people know an element by: its name, or the texts of a record.
func element(v any) string {
	m, ok := v.(map[string]any)
	if !ok {
		return label(v)
	}
	var parts []string
	for _, name := range sortedNames(m) {
		if text := label(m[name]); text != "" {
			parts = append(parts, name+" "+text)
		}
	}
	if len(parts) == 0 {
		return ""
	}
	return "(" + strings.Join(parts, ", ") + ")"
}

// certain visits the effects that each round of a loop has, whatever it finds.
func certain(st *plan.Step, visit func(*plan.Step)) {
	switch st.Kind {
	case plan.Uses:
		if st.Action.Effect {
			visit(st)
		}
	case plan.Do, plan.Parallel:
		for _, steps := range st.Inside() {
			for i := range steps {
				if in := &steps[i]; in.If == nil && in.Approve == nil && in.Foreach == nil && in.Repeat == nil {
					certain(in, visit)
				}
			}
		}
	}
}

package diff

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/quell-soar/quell/playbooks/plan"
)

// Diff is what changes from one version of a playbook to another. Its JSON is
// what `quell plan OLD NEW -o json` prints.
type Diff struct {
	Playbook string `json:"playbook"`
	// Renamed is the id before, where it is another.
	Renamed string `json:"renamed,omitempty"`
	// Before and After are the digests of the two plans.
	Before string `json:"before"`
	After  string `json:"after"`
	// Same says that both do the same: they differ in layout or comments at most.
	Same bool `json:"same"`
	// Changes are those of the playbook around its steps: inputs, settings,
	// triggers, outputs.
	Changes []Change `json:"changes"`
	// Steps are those that changed: of the new version in its order, then those
	// that went.
	Steps []Step `json:"steps"`
	// Reach is, per action of either version, how many targets a run can act on.
	// Only actions where something changes stand here.
	Reach []ReachChange `json:"reach"`
}

// The ways in which a step changes.
const (
	Added   = "added"
	Removed = "removed"
	Changed = "changed"
	Moved   = "moved"
)

// Step is one step that changed.
type Step struct {
	// Path is its path in the new version, or in the old one where it went; ID is
	// empty for a step without one.
	Path string `json:"path"`
	ID   string `json:"id,omitempty"`
	// What is added, removed, changed or moved. A step that moved may have changed
	// too; then Changes are not empty.
	What string `json:"what"`
	Kind string `json:"kind"`
	// Action is that of a step that calls one; Effect says that it changes the
	// world.
	Action string `json:"action,omitempty"`
	Effect bool   `json:"effect,omitempty"`
	// Line is where it stands in the file of that version, from 1.
	Line int `json:"line"`
	// From is the old path of a step that moved, where it is another.
	From    string   `json:"from,omitempty"`
	Changes []Change `json:"changes,omitempty"`
}

// Change is one part that changes. Before or After is empty where there was or is
// none. Values are written as in the playbook.
type Change struct {
	// Part names it: targets, input NAME, action, if, foreach, approval, hold,
	// on_error, limit ACTION, trigger alert 1, …
	Part   string `json:"part"`
	Before string `json:"before,omitempty"`
	After  string `json:"after,omitempty"`
}

// ReachChange is how many targets of an action a run can act on, before and after.
// nil says that the version does not use the action.
type ReachChange struct {
	Action string `json:"action"`
	Before *Reach `json:"before,omitempty"`
	After  *Reach `json:"after,omitempty"`
}

// Of compares two plans. Neither is changed. An error is a plan that cannot be
// encoded, which no compiled one is.
func Of(before, after *plan.Plan) (*Diff, error) {
	d := &Diff{Playbook: after.Playbook, Changes: []Change{}, Steps: []Step{}, Reach: []ReachChange{}}
	if before.Playbook != after.Playbook {
		d.Renamed = before.Playbook
	}
	var err error
	if d.Before, err = before.Digest(); err != nil {
		return nil, err
	}
	if d.After, err = after.Digest(); err != nil {
		return nil, err
	}
	old, err := before.Meaning()
	if err != nil {
		return nil, err
	}
	now, err := after.Meaning()
	if err != nil {
		return nil, err
	}
	if d.Same = old == now; d.Same {
		return d, nil
	}
	a, b := writer{before}, writer{after}
	d.Changes = compare(a.around(), b.around())
	d.Steps = stepsOf(a, b)
	d.Reach = reachOf(before, after)
	return d, nil
}

// parts are named texts in their order.
type parts []Change

func (p *parts) add(name, text string) {
	if text != "" {
		*p = append(*p, Change{Part: name, After: text})
	}
}

// compare lists the parts that differ, in the order of the new ones.
func compare(before, after parts) []Change {
	out := []Change{}
	old := map[string]string{}
	for _, p := range before {
		old[p.Part] = p.After
	}
	seen := map[string]bool{}
	for _, p := range after {
		seen[p.Part] = true
		if old[p.Part] != p.After {
			out = append(out, Change{Part: p.Part, Before: old[p.Part], After: p.After})
		}
	}
	for _, p := range before {
		if !seen[p.Part] {
			out = append(out, Change{Part: p.Part, Before: p.After})
		}
	}
	return out
}

// placed is a step with what stands around it.
type placed struct {
	*plan.Step
	// parent names the list that it stands in.
	parent string
}

// all lists the steps of a plan in the order in which they are written.
func all(p *plan.Plan) []placed {
	var out []placed
	var in func(steps []plan.Step, parent string)
	in = func(steps []plan.Step, parent string) {
		for i := range steps {
			st := &steps[i]
			out = append(out, placed{st, parent})
			for k, inside := range st.Inside() {
				in(inside, fmt.Sprintf("%s/%d", name(st), k))
			}
		}
	}
	for i := range p.Phases {
		in(p.Phases[i].Steps, string(p.Phases[i].Name))
	}
	return out
}

// name is what a step is known by.
func name(st *plan.Step) string { return cmp.Or(st.ID, st.Path) }

func stepsOf(a, b writer) []Step {
	before, after := all(a.Plan), all(b.Plan)
	old, now, moved := map[string]placed{}, map[string]placed{}, overtaken(before, after)
	for _, st := range before {
		old[name(st.Step)] = st
	}
	for _, st := range after {
		now[name(st.Step)] = st
	}
	out := []Step{}
	for _, st := range after {
		was, there := old[name(st.Step)]
		if !there {
			s := described(st.Step, Added)
			s.Changes = compare(nil, b.parts(st.Step))
			out = append(out, s)
			continue
		}
		s := described(st.Step, Changed)
		if was.parent != st.parent || was.Path != st.Path || moved[name(st.Step)] {
			s.What = Moved
			if was.Path != st.Path {
				s.From = was.Path
			}
		}
		if s.Changes = compare(a.parts(was.Step), b.parts(st.Step)); s.What == Moved || len(s.Changes) > 0 {
			out = append(out, s)
		}
	}
	for _, st := range before {
		if _, there := now[name(st.Step)]; !there {
			s := described(st.Step, Removed)
			s.Changes = compare(a.parts(st.Step), nil)
			out = append(out, s)
		}
	}
	return out
}

// overtaken tells which steps changed places with others of the same list: all
// that are not in the longest common order of the list before and after.
func overtaken(before, after []placed) map[string]bool {
	was, now := ordered(before, after), ordered(after, before)
	moved := map[string]bool{}
	for parent, list := range now {
		kept := common(was[parent], list)
		for _, n := range list {
			if !slices.Contains(kept, n) {
				moved[n] = true
			}
		}
	}
	return moved
}

// ordered are the names in each list of steps, of those that the other version has
// in the same list.
func ordered(list, other []placed) map[string][]string {
	at := map[string]string{}
	for _, st := range other {
		at[name(st.Step)] = st.parent
	}
	out := map[string][]string{}
	for _, st := range list {
		if at[name(st.Step)] == st.parent {
			out[st.parent] = append(out[st.parent], name(st.Step))
		}
	}
	return out
}

// common is a longest common subsequence of two lists without doubles.
func common(a, b []string) []string {
	length := make([][]int, len(a)+1)
	for i := range length {
		length[i] = make([]int, len(b)+1)
	}
	for i, x := range slices.Backward(a) {
		for j, y := range slices.Backward(b) {
			if x == y {
				length[i][j] = length[i+1][j+1] + 1
			} else {
				length[i][j] = max(length[i+1][j], length[i][j+1])
			}
		}
	}
	var out []string
	for i, j := 0, 0; i < len(a) && j < len(b); {
		switch {
		case a[i] == b[j]:
			out = append(out, a[i])
			i, j = i+1, j+1
		case length[i+1][j] >= length[i][j+1]:
			i++
		default:
			j++
		}
	}
	return out
}

func described(st *plan.Step, what string) Step {
	s := Step{Path: st.Path, ID: st.ID, What: what, Kind: string(st.Kind), Line: st.Line}
	if st.Action != nil {
		s.Action, s.Effect = st.Action.Name, st.Action.Effect
	}
	return s
}

func reachOf(before, after *plan.Plan) []ReachChange {
	old, now := ReachOf(before), ReachOf(after)
	at := func(list []Reach, action string) *Reach {
		if i := slices.IndexFunc(list, func(r Reach) bool { return r.Action == action }); i >= 0 {
			return &list[i]
		}
		return nil
	}
	out := []ReachChange{}
	for i := range now {
		if was := at(old, now[i].Action); was == nil || !was.equal(now[i]) {
			out = append(out, ReachChange{Action: now[i].Action, Before: was, After: &now[i]})
		}
	}
	for i := range old {
		if at(now, old[i].Action) == nil {
			out = append(out, ReachChange{Action: old[i].Action, Before: &old[i]})
		}
	}
	slices.SortFunc(out, func(x, y ReachChange) int { return cmp.Compare(x.Action, y.Action) })
	return out
}

package compile

import (
	"slices"

	"github.com/quell-soar/quell/connectors/spec/kind"
	"github.com/quell-soar/quell/playbooks/ast"
	"github.com/quell-soar/quell/playbooks/expr"
	"github.com/quell-soar/quell/playbooks/plan"
)

// need is what expressions need of the result of one use of an action.
type need struct {
	fields map[string]bool
	// effect says that its effect is read as a value.
	effect bool
}

// list are the fields, sorted; all of them is "*".
func (n *need) list() []string {
	if n == nil || len(n.fields) == 0 {
		return nil
	}
	if n.fields["*"] {
		return []string{"*"}
	}
	return sortedKeys(n.fields)
}

type needs map[string]*need

func (m needs) of(id string) *need {
	if m[id] == nil {
		m[id] = &need{fields: map[string]bool{}}
	}
	return m[id]
}

// needs collects, per id, what the playbook's expressions need of its result.
// What a loop goes over is needed as far as its variable is read.
func (u *unit) needs() needs {
	out := needs{}
	for i, c := range u.checked {
		paths := c.Reads
		if !u.loops[plan.ExprRef(i)] {
			paths = slices.Concat(paths, c.Flow.All())
		} else if _, ok := u.rounds(c.Flow); !ok {
			paths = slices.Concat(paths, c.Flow.Elem().All())
		}
		for _, p := range paths {
			if len(p) > 1 && p[0] == "steps" {
				u.read(p[1], p[2:], out)
			}
		}
	}
	return out
}

// rounds is the loop whose rounds, and nothing else, are the elements of a list.
func (u *unit) rounds(f expr.Flow) (*name, bool) {
	var found *name
	for _, p := range f.Elem().All() {
		if len(p) != 3 || p[0] != "steps" || p[2] != expr.Element {
			return nil, false
		}
		n, ok := u.ids[p[1]]
		if !ok || !n.step.Foreach.Given() || (found != nil && found != n) {
			return nil, false
		}
		found = n
	}
	return found, found != nil
}

// read follows a path below steps.ID.
func (u *unit) read(id string, below []string, out needs) {
	n, ok := u.ids[id]
	if !ok {
		return
	}
	if n.step.Foreach.Given() {
		u.readRound(n, below, out)
		return
	}
	u.readOne(n.step, below, out)
}

// readRound follows a path into the list that a loop gives.
func (u *unit) readRound(n *name, below []string, out needs) {
	switch {
	case len(below) == 0 || (len(below) == 1 && below[0] == expr.Element):
		u.readAll(n.step, out)
	case below[0] != expr.Element:
		// only whether there is one, or how many
	case below[1] == "item":
		u.readItem(n.step, below[2:], out)
	case isBlock(plan.StepKind(n.step.Kind.String())):
		u.readInner(n.step, below[1:], out)
	case below[1] == plan.EffectField:
		out.of(n.id).effect = true
	case below[1] == "out":
		u.readOne(n.step, below[2:], out)
	}
}

// readItem follows a path into the elements that a loop goes over.
func (u *unit) readItem(st *ast.Step, below []string, out needs) {
	in := u.infos[st].drafted
	if in == nil || in.Foreach == nil {
		return
	}
	for _, p := range u.checked[in.Foreach.In].Flow.Elem().All() {
		if len(p) > 1 && p[0] == "steps" && p[1] != st.ID.String() {
			u.read(p[1], slices.Concat(p[2:], below), out)
		}
	}
}

// readInner follows a path into the ids of a block.
func (u *unit) readInner(st *ast.Step, below []string, out needs) {
	if in, ok := u.ids[below[0]]; ok && in.info.within(u.infos[st]) {
		u.read(below[0], below[1:], out)
	}
}

// readOne follows a path into the result of one run of a step.
func (u *unit) readOne(st *ast.Step, below []string, out needs) {
	switch {
	case len(below) == 0:
		u.readAll(st, out)
	case below[0] == expr.Tested || below[0] == expr.Length:
	case st.Repeat != nil:
		u.readInner(st, below, out)
	case st.Kind.String() != "uses":
	case below[0] == plan.EffectField:
		out.of(st.ID.String()).effect = true
	default:
		out.of(st.ID.String()).fields[below[0]] = true
	}
}

// readAll needs the whole result of a step, and so of what it holds.
func (u *unit) readAll(st *ast.Step, out needs) {
	if st.Foreach.Given() {
		u.readItem(st, nil, out)
	}
	if st.Kind.String() == "uses" {
		n := out.of(st.ID.String())
		n.fields["*"] = true
		in := u.infos[st]
		n.effect = n.effect || (in.action != nil && in.action.Effect())
		return
	}
	for _, list := range st.Inside() {
		for _, s := range list {
			u.readAllNamed(s, out)
		}
	}
}

func (u *unit) readAllNamed(st *ast.Step, out needs) {
	if st.ID.Given() || !isBlock(plan.StepKind(st.Kind.String())) {
		u.readAll(st, out)
		return
	}
	for _, list := range st.Inside() {
		for _, s := range list {
			u.readAllNamed(s, out)
		}
	}
}

// narrow takes out of the type of what a loop goes over what nobody reads of it:
// it does not come back inline, and a value is checked against its type.
func (u *unit) narrow(m needs) {
	for i := range u.draft.Exprs {
		if !u.loops[plan.ExprRef(i)] {
			continue
		}
		n, ok := u.rounds(u.checked[i].Flow)
		e := &u.draft.Exprs[i]
		if ok && e.Type.Elem != nil {
			elem := u.neededRound(*e.Type.Elem, n.step, m)
			e.Type = kind.ListOf(elem)
		}
	}
}

// neededRound is the type of a loop's round as far as it is needed.
func (u *unit) neededRound(t kind.Type, st *ast.Step, m needs) kind.Type {
	if t.Kind != kind.Record {
		return t
	}
	out := kind.Type{Kind: kind.Record}
	for _, f := range t.Fields {
		switch {
		case f.Name == plan.EffectField && !m.of(st.ID.String()).effect:
			continue
		case f.Name == "out" && st.Kind.String() == "uses":
			f.Type = neededOne(f.Type, m[st.ID.String()])
		default:
			if in, ok := u.ids[f.Name]; ok && in.info.within(u.infos[st]) && in.info != u.infos[st] {
				f.Type = u.neededInner(f.Type, in, m)
			}
		}
		out.Fields = append(out.Fields, f)
	}
	return out
}

func (u *unit) neededInner(t kind.Type, n *name, m needs) kind.Type {
	switch {
	case n.step.Foreach.Given() && t.Elem != nil:
		return kind.ListOf(u.neededRound(*t.Elem, n.step, m))
	case n.step.Repeat != nil:
		return u.neededRound(t, n.step, m)
	case n.step.Kind.String() == "uses":
		return neededOne(t, m[n.id])
	}
	return t
}

func neededOne(t kind.Type, n *need) kind.Type {
	if n == nil {
		n = &need{}
	}
	out := kind.Type{Kind: kind.Record}
	for _, f := range t.Fields {
		keep := n.fields["*"] || n.fields[f.Name]
		if f.Name == plan.EffectField && f.Type.Equal(effectField.Type) {
			keep = n.effect
		}
		if keep {
			out.Fields = append(out.Fields, f)
		}
	}
	return out
}

// shown is the type of steps.ID for the plan: without the effect where nothing
// reads it as a value.
func (u *unit) shown(t kind.Type, n *name, m needs) kind.Type {
	switch {
	case n.step.Foreach.Given() && t.Elem != nil:
		return kind.ListOf(u.shownFields(*t.Elem, n, m))
	case n.step.Repeat != nil || n.step.Kind.String() == "uses":
		return u.shownFields(t, n, m)
	}
	return t
}

func (u *unit) shownFields(t kind.Type, n *name, m needs) kind.Type {
	out := t
	out.Fields = nil
	if len(t.Fields) > 0 {
		out.Fields = make([]kind.Field, 0, len(t.Fields))
	}
	for _, f := range t.Fields {
		if f.Name == plan.EffectField && f.Type.Equal(effectField.Type) && !m.of(n.id).effect {
			continue
		}
		if in, ok := u.ids[f.Name]; ok && in != n && in.info.within(n.info) {
			f.Type = u.shown(f.Type, in, m)
		}
		out.Fields = append(out.Fields, f)
	}
	return out
}

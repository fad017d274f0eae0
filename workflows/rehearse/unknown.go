package rehearse

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/quell-soar/quell/connectors/spec"
	"github.com/quell-soar/quell/connectors/spec/kind"
	"github.com/quell-soar/quell/playbooks/plan"
)

// condition is a place where the way hangs on what is not known before the run:
// on an effect's answer, or on what changes while the run waits.
type condition struct {
	// at is the step as people name it, what is if, switch, repeat or approve.
	at, what, text string
	on             []string
	// ways are what it can be; the first is assumed. texts are the expressions that
	// force them; "" leaves the condition as it is.
	ways, texts []string
	// later says that it hangs on what a read will say when its time comes.
	later bool
}

func (c *condition) key() string { return c.what + "|" + c.at }

// unknowns are the conditions of a plan and of those that it calls, and the steps
// whose outcome a condition reads.
type unknowns struct {
	list []*condition
	// judged are the places of effects on whose outcome a condition hangs.
	judged []string
}

// hanging finds them.
func hanging(root *plan.Plan) (*unknowns, error) {
	u := &unknowns{}
	return u, u.of(root, root.Playbook)
}

func (u *unknowns) of(p *plan.Plan, root string) error {
	after, later := answersOf(p), laterOf(p)
	walk(p, func(st *plan.Step) {
		at := qualified(root, p.Playbook, st.Path)
		if st.If != nil {
			u.branch(p, after, later, at, "if", *st.If)
		}
		if st.Approve != nil && st.Approve.When != nil {
			u.branch(p, after, later, at, "approve", *st.Approve.When)
		}
		if st.Choose != nil {
			u.choice(p, after, later, at, st.Choose)
		}
		if st.Repeat != nil {
			u.list = append(u.list, &condition{
				at: at, what: "repeat", text: text(p, st.Repeat.Until), on: after.read(p, st.Repeat.Until),
				ways: []string{"holds in the first round", "never holds"}, texts: []string{"true", "false"},
			})
		}
		for _, ref := range conditionsOf(st) {
			u.judge(p, root, ref)
		}
	})
	for _, ch := range p.Children {
		cp, err := p.ChildPlan(ch.Digest)
		if err != nil {
			return err
		}
		if err := u.of(cp, root); err != nil {
			return err
		}
	}
	return nil
}

func conditionsOf(st *plan.Step) []plan.ExprRef {
	var out []plan.ExprRef
	if st.If != nil {
		out = append(out, *st.If)
	}
	if st.Choose != nil {
		out = append(out, st.Choose.On)
	}
	if st.Approve != nil && st.Approve.When != nil {
		out = append(out, *st.Approve.When)
	}
	return out
}

// asReadNow is the way of a condition that hangs on a read whose time has not come.
const asReadNow = "as it reads now"

func (u *unknowns) branch(p *plan.Plan, after, later answers, at, what string, ref plan.ExprRef) {
	c := &condition{at: at, what: what, text: text(p, ref), on: after.read(p, ref), ways: []string{"true", "false"}, texts: []string{"true", "false"}}
	if len(c.on) == 0 {
		c.on, c.later = later.read(p, ref), true
		c.ways, c.texts = append([]string{asReadNow}, c.ways...), append([]string{""}, c.texts...)
	}
	if len(c.on) > 0 {
		u.list = append(u.list, c)
	}
}

func (u *unknowns) choice(p *plan.Plan, after, later answers, at string, s *plan.SwitchBody) {
	c := &condition{at: at, what: "switch", text: text(p, s.On), on: after.read(p, s.On)}
	if len(c.on) == 0 {
		c.on, c.later = later.read(p, s.On), true
		c.ways, c.texts = []string{asReadNow}, []string{""}
	}
	if len(c.on) == 0 {
		return
	}
	add := func(way, value string) {
		raw, err := json.Marshal(value)
		if err == nil {
			c.ways, c.texts = append(c.ways, way), append(c.texts, string(raw))
		}
	}
	for _, k := range s.Cases {
		if len(k.Keys) > 0 {
			add(strings.Join(k.Keys, " or "), k.Keys[0])
		}
	}
	add("anything else", "no such case")
	u.list = append(u.list, c)
}

// judge notes the effects whose outcome or error an expression reads.
func (u *unknowns) judge(p *plan.Plan, root string, ref plan.ExprRef) {
	for _, use := range p.Exprs[ref].Uses {
		id, isOutcome := strings.CutPrefix(use, "outcome.")
		if !isOutcome {
			if id, isOutcome = strings.CutPrefix(use, "errors."); !isOutcome {
				continue
			}
		}
		walk(p, func(st *plan.Step) {
			at := qualified(root, p.Playbook, st.Path)
			if st.ID == id && st.Action != nil && st.Action.Effect && !slices.Contains(u.judged, at) {
				u.judged = append(u.judged, at)
			}
		})
	}
}

func text(p *plan.Plan, ref plan.ExprRef) string {
	return strings.Join(strings.Fields(p.Exprs[ref].Text), " ")
}

// answers are, per id, the steps whose answers its result hangs on.
type answers map[string][]string

// answersOf follows the answers of effects through a plan: what is computed or read
// with one hangs on it too.
func answersOf(p *plan.Plan) answers {
	out := answers{}
	add := func(id string, steps ...string) {
		for _, s := range steps {
			if id != "" && !slices.Contains(out[id], s) {
				out[id] = append(out[id], s)
			}
		}
	}
	// Ids are unique and read only behind their steps: one pass in order is enough.
	var in func(steps []plan.Step, around []string)
	in = func(steps []plan.Step, around []string) {
		for i := range steps {
			st := &steps[i]
			on := slices.Clone(around)
			if st.Foreach != nil {
				on = append(on, out.read(p, st.Foreach.In)...)
			}
			for _, inside := range st.Inside() {
				in(inside, on)
			}
			switch {
			case st.Action != nil && st.Action.Effect, st.Child != nil, st.Pause != nil && st.Pause.ForAlert != nil:
				add(st.ID, st.Path)
			default:
				add(st.ID, on...)
				for _, ref := range st.Exprs() {
					if st.People == nil { // people answer for themselves
						add(st.ID, out.read(p, ref)...)
					}
				}
			}
		}
	}
	for i := range p.Phases {
		in(p.Phases[i].Steps, nil)
	}
	return out
}

// laterOf follows the reads that a run makes after something happened that may
// change what they say: a wait, a question, an approval, a round of a repeat, a
// called playbook, an effect that changes a state.
func laterOf(p *plan.Plan) answers {
	out := answers{}
	happened := false
	add := func(id string, steps []string) {
		for _, s := range steps {
			if id != "" && !slices.Contains(out[id], s) {
				out[id] = append(out[id], s)
			}
		}
	}
	var in func(steps []plan.Step)
	in = func(steps []plan.Step) {
		for i := range steps {
			st := &steps[i]
			happened = happened || st.Approve != nil || st.Repeat != nil
			for _, inside := range st.Inside() {
				in(inside)
			}
			switch {
			case st.Action != nil && !st.Action.Effect && happened:
				add(st.ID, []string{st.Path})
			case st.Action == nil || !st.Action.Effect:
				for _, ref := range st.Exprs() {
					if st.People == nil {
						add(st.ID, out.read(p, ref))
					}
				}
			}
			happened = happened || st.Pause != nil || st.People != nil || st.Child != nil || changes(p, st)
		}
	}
	for i := range p.Phases {
		in(p.Phases[i].Steps)
	}
	return out
}

// changes reports whether a step changes a state of the world that a read may see.
func changes(p *plan.Plan, st *plan.Step) bool {
	if st.Action == nil || !st.Action.Effect {
		return false
	}
	sp, ok := p.ActionSpec(st.Action.Name)
	return !ok || sp.Reversal != spec.Unneeded
}

// read lists the steps on whose answers an expression hangs. That a step was done,
// and its effect as a value, are no answers.
func (a answers) read(p *plan.Plan, ref plan.ExprRef) []string {
	var out []string
	e := p.Exprs[ref]
	for _, use := range e.Uses {
		id, ok := strings.CutPrefix(use, "steps.")
		if !ok || len(a[id]) == 0 {
			continue
		}
		rest := regexp.MustCompile(`has\(\s*steps\.`+id+`\s*\)|steps\.`+id+`\.`+plan.EffectField+`\b`).ReplaceAllString(e.Text, "")
		if !regexp.MustCompile(`steps\.\??` + id + `\b`).MatchString(rest) {
			continue
		}
		for _, s := range a[id] {
			if !slices.Contains(out, s) {
				out = append(out, s)
			}
		}
	}
	return out
}

// walk visits every step of a plan in the order in which it is written.
func walk(p *plan.Plan, visit func(*plan.Step)) {
	var in func([]plan.Step)
	in = func(steps []plan.Step) {
		for i := range steps {
			visit(&steps[i])
			for _, l := range steps[i].Inside() {
				in(l)
			}
		}
	}
	for i := range p.Phases {
		in(p.Phases[i].Steps)
	}
}

// forced returns a copy of a plan in which conditions go the way that is chosen for
// them: way gives its number by condition.key.
func (u *unknowns) forced(p *plan.Plan, root string, way func(key string) int) (*plan.Plan, error) {
	raw, err := p.Encode()
	if err != nil {
		return nil, err
	}
	out, err := plan.Decode(raw)
	if err != nil {
		return nil, err
	}
	digests := map[string]string{}
	for i := range out.Children {
		ch := &out.Children[i]
		cp, err := out.ChildPlan(ch.Digest)
		if err != nil {
			return nil, err
		}
		forced, err := u.forced(cp, root, way)
		if err != nil {
			return nil, err
		}
		raw, err := forced.Encode()
		if err != nil {
			return nil, err
		}
		was := ch.Digest
		ch.Plan, ch.Digest = raw, plan.DigestOf(raw)
		digests[was] = ch.Digest
	}
	walk(out, func(st *plan.Step) {
		at := qualified(root, out.Playbook, st.Path)
		if st.Child != nil {
			st.Child.Digest = digests[st.Child.Digest]
		}
		for _, c := range u.list {
			if c.at == at {
				c.force(out, st, way(c.key()))
			}
		}
	})
	return out, nil
}

// force puts the expression of one way in the place of the condition's own.
func (c *condition) force(p *plan.Plan, st *plan.Step, way int) {
	if c.texts[way] == "" {
		return
	}
	of := kind.Of(kind.Boolean)
	if c.what == "switch" {
		of = kind.Of(kind.String)
	}
	p.Exprs = append(p.Exprs, plan.Expr{Text: c.texts[way], Type: of, Line: st.Line, Column: 1})
	ref := plan.ExprRef(len(p.Exprs) - 1)
	switch c.what {
	case "if":
		st.If = &ref
	case "approve":
		st.Approve.When = &ref
	case "switch":
		st.Choose.On = ref
	case "repeat":
		st.Repeat.Until = ref
	}
}

func (c *condition) way(n int) string { return fmt.Sprintf("%s %s: %s", c.at, c.what, c.ways[n]) }

package parse

import (
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/quell-soar/quell/playbooks/ast"
)

// phaseKeys are the phases in the order in which they must be written.
var phaseKeys = []string{"triage", "contain", "eradicate", "recover", "review"}

func (p *parser) playbook(root *yaml.Node) *ast.Playbook {
	o, ok := p.object(root, "a playbook", ast.TopKeys())
	if !ok {
		return nil
	}
	pb := &ast.Playbook{
		File: p.file, Span: o.span,
		Version: o.text("quell"), Name: o.text("playbook"), Title: o.text("title"),
		Description: o.text("description"), Owner: o.text("owner"), Tags: o.texts("tags"),
		Inputs:   p.inputs(o, "inputs", []string{"type", "ask", "default", "max", "pattern", "of"}),
		Settings: p.inputs(o, "settings", []string{"type", "default", "of"}),
		Limits:   o.named("limits"), Outputs: o.named("outputs"),
	}
	if n := o.get("on"); n != nil {
		pb.On = p.triggers(n)
	}
	p.phases(o, pb)
	return pb
}

func (p *parser) phases(o *object, pb *ast.Playbook) {
	last := -1
	for _, e := range o.pairs {
		key := e.key.Value
		at := slices.Index(phaseKeys, key)
		if at < 0 {
			continue
		}
		if at < last {
			p.report("phase-order", p.span(e.key), "the order is triage, contain, eradicate, recover, review; `quell fmt` mends it",
				"%s stands behind %s", key, phaseKeys[last])
		}
		last = max(last, at)
	}
	for _, key := range phaseKeys {
		if o.get(key) != nil {
			pb.Phases = append(pb.Phases, &ast.Phase{Name: o.key(key), Steps: p.steps(o, key)})
		}
	}
}

func (p *parser) inputs(o *object, key string, keys []string) []*ast.Input {
	n := o.get(key)
	if n == nil {
		return nil
	}
	m, ok := p.object(n, key, nil)
	if !ok {
		return nil
	}
	var out []*ast.Input
	for _, e := range m.pairs {
		if v := e.value; v.Kind == yaml.ScalarNode && v.Value != "" && v.Style&yaml.TaggedStyle == 0 {
			p.misshapen(v, "write "+e.key.Value+": { type: "+quoted(v.Value)+" }", "an entry of "+key, "a map of keys and values")
			out = append(out, &ast.Input{Name: p.name(e), Span: p.span(v), Type: ast.Text{Scalar: p.scalar(v)}})
			continue
		}
		f, ok := p.object(e.value, "an entry of "+key, keys)
		if !ok {
			continue
		}
		in := &ast.Input{
			Name: p.name(e), Span: f.span, Type: f.text("type"), Ask: f.text("ask"),
			Max: f.text("max"), Pattern: f.text("pattern"), Of: f.texts("of"), Among: f.text("among"),
		}
		if d := f.get("default"); d != nil {
			in.Default = p.value(d)
		}
		out = append(out, in)
	}
	return out
}

func (p *parser) triggers(n *yaml.Node) *ast.Triggers {
	o, ok := p.object(n, "on", []string{"alert", "manual", "schedule"})
	if !ok {
		return nil
	}
	t := &ast.Triggers{Span: o.span}
	for _, e := range o.list("alert") {
		a, ok := p.object(e, "an entry of on.alert", []string{"from", "reason", "when", "inputs", "once_per", "quiet", "incident"})
		if !ok {
			continue
		}
		t.Alerts = append(t.Alerts, &ast.AlertTrigger{
			Span: a.span, From: a.texts("from"), When: a.text("when"), Inputs: a.named("inputs"),
			OncePer: a.texts("once_per"), Quiet: a.text("quiet"), Reason: a.text("reason"), Incident: a.text("incident"),
		})
	}
	if m := o.get("manual"); m != nil {
		if b, ok := p.object(m, "on.manual", []string{"roles"}); ok {
			t.Manual = &ast.ManualTrigger{Span: b.span, Roles: b.texts("roles")}
		}
	}
	if n := o.get("schedule"); n != nil {
		if s, ok := p.object(n, "on.schedule", []string{"cron", "zone", "overlap", "inputs"}); ok {
			t.Clock = &ast.Schedule{
				Span: s.span, Cron: s.text("cron"), Zone: s.text("zone"), Overlap: s.text("overlap"), Inputs: s.named("inputs"),
			}
		}
	}
	return t
}

func (p *parser) steps(o *object, key string) []*ast.Step {
	var out []*ast.Step
	for _, n := range p.room(o.list(key)) {
		if st := p.step(n); st != nil {
			out = append(out, st)
		}
	}
	return out
}

// stepKeys are the keys that may stand in a step of a kind.
var stepKeys = func() map[string][]string {
	all := map[string][]string{}
	for _, k := range ast.Kinds() {
		all[k] = slices.Concat(ast.Modifiers(), []string{k}, ast.BodyKeys(k))
	}
	return all
}()

// step reads one step. Its kind decides which keys may stand beside it.
func (p *parser) step(n *yaml.Node) *ast.Step {
	if n.Kind != yaml.MappingNode {
		p.wrong(n, "a step", "a map of keys and values")
		return nil
	}
	kind, ok := p.kindOf(n)
	var keys []string
	if ok { // without one kind any key may stand, so that one mistake is told once
		keys = stepKeys[kind]
	}
	o, _ := p.object(n, what(kind), keys)
	if o == nil {
		return nil
	}
	st := &ast.Step{
		Span: o.span, ID: o.text("id"), Title: o.text("title"), Phase: o.text("phase"),
		If: o.text("if"), Foreach: o.text("foreach"), AtOnce: o.text("at_once"), OnItemError: o.text("on_item_error"),
		Timeout: o.text("timeout"), OnError: o.text("on_error"),
	}
	p.modifiers(o, st)
	if ok {
		st.Kind = o.key(kind)
		p.body(o, kind, st)
	}
	return st
}

func what(kind string) string {
	if kind == "" {
		return "a step"
	}
	return "a step of kind " + kind
}

// kindOf finds the one kind of a step.
func (p *parser) kindOf(n *yaml.Node) (string, bool) {
	var found []*yaml.Node
	for i := 0; i+1 < len(n.Content); i += 2 {
		k := n.Content[i]
		if slices.Contains(ast.Kinds(), k.Value) {
			if len(found) == 0 || found[len(found)-1].Value != k.Value {
				found = append(found, k)
			}
		}
	}
	switch {
	case len(found) == 0:
		meant := p.noKind(n)
		return meant, meant != ""
	case len(found) > 1:
		p.report("two-kinds", p.span(found[1]), "write two steps", "a step has one kind; this one has %s and %s", found[0].Value, found[1].Value)
		return "", false
	}
	return found[0].Value, true
}

// noKind reports a step without a kind. A key that is near one counts as that, so
// that a slip is told once.
func (p *parser) noKind(n *yaml.Node) string {
	help := "write one of " + strings.Join(ast.Kinds(), ", ")
	at := p.span(n)
	for i := 0; i+1 < len(n.Content); i += 2 {
		k := n.Content[i]
		if slices.Contains(ast.Modifiers(), k.Value) || k.Value == "with" {
			continue
		}
		for _, kind := range ast.Kinds() {
			if nearKind(k.Value, kind) {
				p.report("no-kind", p.span(k), "did you mean "+kind+"?", "%s is not a kind of step", quoted(k.Value))
				p.scalar(k).Value, k.Value = kind, kind
				return kind
			}
		}
	}
	if p.meant != nil && p.meant.damage.Partial() {
		return "" // what it does may be what is lost
	}
	if len(n.Content) > 0 {
		at = p.span(n.Content[0])
	}
	p.report("no-kind", at, help, "the step does not say what it does")
	return ""
}

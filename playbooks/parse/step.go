package parse

import (
	"gopkg.in/yaml.v3"

	"github.com/quell-soar/quell/playbooks/ast"
	"github.com/quell-soar/quell/playbooks/source"
)

func nearKind(name, kind string) bool { return near(name, []string{kind}) == kind }

// foremost is the key of a map that a bare value most likely stands for.
var foremost = map[string]string{"hold": "for", "wait": "for", "retry": "attempts", "accept": "irreversible", "undo_with": "uses"}

// sub reads a map below a step's key.
func (o *object) sub(key string, keys ...string) (*object, bool) {
	n := o.get(key)
	if n == nil {
		return nil, false
	}
	first := foremost[key]
	if n.Kind != yaml.ScalarNode || n.Value == "" || first == "" || n.Style&yaml.TaggedStyle != 0 {
		m, ok := o.p.object(n, key, keys)
		if !ok {
			o.unread(key)
		}
		return m, ok
	}
	o.p.misshapen(n, "write "+key+": { "+first+": "+quoted(n.Value)+" }", key, "a map of keys and values")
	m := &object{p: o.p, span: o.p.span(n), what: key}
	m.add(o.p.named(n, first), n)
	return m, true
}

func (p *parser) modifiers(o *object, st *ast.Step) {
	if r, ok := o.sub("repeat", "until", "every", "within", "max", "late"); ok {
		st.Repeat = &ast.Repeat{
			Span: r.span, Until: r.text("until"), Every: r.text("every"),
			Within: r.text("within"), Max: r.text("max"), Late: r.text("late"),
		}
	}
	if n := o.get("approve"); n != nil && n.Kind == yaml.ScalarNode && n.Value != "" {
		p.misshapen(n, "write approve: { ask: QUESTION, from: [{ who: [oncall.soc], within: 15m }] }", "approve", "a map of keys and values")
		st.Approve = &ast.Approve{Span: p.span(n)}
	} else if a, ok := o.sub("approve", "when", "ask", "from", "quorum", "denied", "silent"); ok {
		st.Approve = &ast.Approve{
			Span: a.span, When: a.text("when"), Ask: a.text("ask"), From: p.levels(a),
			Quorum: a.text("quorum"), Denied: a.text("denied"), Silent: a.text("silent"),
		}
	}
	if r, ok := o.sub("retry", "attempts", "wait"); ok {
		st.Retry = &ast.Retry{Span: r.span, Attempts: r.text("attempts"), Wait: r.text("wait")}
	}
	if h, ok := o.sub("hold", "for", "then"); ok {
		st.Hold = &ast.Hold{Span: h.span, For: h.text("for"), Then: h.text("then")}
	}
	if a, ok := o.sub("accept", "irreversible"); ok {
		st.Accept = &ast.Accept{Span: a.span, Irreversible: a.text("irreversible")}
	}
	if u, ok := o.sub("undo_with", "uses", "with"); ok {
		st.UndoWith = &ast.UndoWith{Span: u.span, Uses: u.text("uses"), With: u.named("with"), WithSpan: u.keySpan("with")}
	}
}

func (p *parser) levels(o *object) []*ast.Level {
	var out []*ast.Level
	list := o.get("from")
	if list == nil {
		return nil
	}
	entries := []*yaml.Node{list}
	if list.Kind != yaml.ScalarNode || list.Value == "" {
		entries = o.list("from")
	}
	for _, n := range entries {
		if n.Kind == yaml.ScalarNode && n.Value != "" && n.Style&yaml.TaggedStyle == 0 {
			p.misshapen(n, "write from: [{ who: ["+quoted(n.Value)+"], within: 15m }]", "an entry of from", "a map of keys and values")
			out = append(out, &ast.Level{Span: p.span(n), Who: []ast.Text{{Scalar: p.scalar(n)}}})
			continue
		}
		if l, ok := p.object(n, "an entry of from", []string{"who", "within"}); ok {
			out = append(out, &ast.Level{Span: l.span, Who: l.texts("who"), Within: l.text("within")})
		}
	}
	return out
}

// body reads what belongs to a step's kind.
func (p *parser) body(o *object, kind string, st *ast.Step) {
	switch kind {
	case "uses", "call", "report":
		st.Body, st.With, st.WithSpan = o.text(kind), o.named("with"), o.keySpan("with")
	case "parallel":
		p.branches(o, st)
	case "note":
		st.Body = o.text(kind)
		if n := o.get("text"); n != nil {
			st.NoteText = p.value(n)
		}
	case "do":
		st.Do = p.steps(o, kind)
	case "switch":
		st.Body = o.text(kind)
		p.cases(o, st)
	case "set":
		st.Set = o.named(kind)
	case "wait":
		p.wait(o, st)
	case "ask":
		st.Body, st.From, st.Silent, st.Show = o.text(kind), p.levels(o), o.text("silent"), o.named("show")
		st.Fields = p.inputs(o, "fields", []string{"type", "of", "max", "pattern", "among", "default"})
		st.Via, st.Within = o.text("via"), o.text("within")
		if n := o.get("subject"); n != nil {
			st.Subject = p.value(n)
		}
	case "undo":
		st.Undo = o.texts(kind)
	case "fail", "stop":
		st.Body = o.text(kind)
	}
}

func (p *parser) cases(o *object, st *ast.Step) {
	n := o.get("cases")
	if n == nil {
		p.report("missing-key", o.keySpan("switch"), "write `cases:` with a list of steps per value", "switch needs cases")
	} else if m, ok := p.object(n, "cases", nil); ok {
		for _, e := range m.pairs {
			st.Cases = append(st.Cases, &ast.Case{Key: p.name(e), Steps: p.steps(m, e.key.Value)})
		}
	}
	if o.get("default") != nil {
		st.DefaultKey = o.key("default")
		st.Default = p.steps(o, "default")
	}
}

func (o *object) keySpan(key string) source.Span { return o.key(key).Span() }

func (p *parser) branches(o *object, st *ast.Step) {
	st.First = o.text("first")
	n := o.get("parallel")
	m, ok := p.object(n, "parallel", nil)
	if !ok {
		return
	}
	for _, e := range m.pairs {
		st.Branches = append(st.Branches, &ast.Branch{Name: p.name(e), Steps: p.steps(m, e.key.Value)})
	}
}

func (p *parser) wait(o *object, st *ast.Step) {
	w, ok := o.sub("wait", "for", "at", "open", "for_alert")
	if !ok {
		return
	}
	st.Wait = &ast.Wait{Span: w.span, Open: w.text("open")}
	if a, ok := w.sub("for_alert", "when", "within", "late"); ok {
		st.Wait.ForAlert = &ast.ForAlert{Span: a.span, When: a.text("when"), Within: a.text("within"), Late: a.text("late")}
	}
	if n := w.get("for"); n != nil {
		st.Wait.For = p.value(n)
	}
	if n := w.get("at"); n != nil {
		st.Wait.At = p.value(n)
	}
}

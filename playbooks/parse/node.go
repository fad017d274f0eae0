package parse

import (
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/quell-soar/quell/playbooks/ast"
	"github.com/quell-soar/quell/playbooks/diag"
	"github.com/quell-soar/quell/playbooks/source"
)

// object is a YAML map whose keys were checked.
type object struct {
	p    *parser
	span source.Span
	what string
	// pairs are the entries in their order; index finds them by key where there
	// are more than few.
	pairs []pair
	index map[string]int
	// adopted is the map of the last entry, where the lines below stood beside it.
	adopted *yaml.Node
}

// pair is one entry of a map.
type pair struct{ key, value *yaml.Node }

// few is how many entries are looked through faster than found by a hash.
const few = 16

func (o *object) find(key string) (pair, bool) {
	if o.index != nil {
		i, ok := o.index[key]
		if !ok {
			return pair{}, false
		}
		return o.pairs[i], true
	}
	for _, p := range o.pairs {
		if p.key.Value == key {
			return p, true
		}
	}
	return pair{}, false
}

func (o *object) add(key, value *yaml.Node) {
	o.pairs = append(o.pairs, pair{key, value})
	switch {
	case o.index != nil:
		o.index[key.Value] = len(o.pairs) - 1
	case len(o.pairs) > few:
		o.index = make(map[string]int, 4*few)
		for i, p := range o.pairs {
			o.index[p.key.Value] = i
		}
	}
}

// object reads a map. Where keys is nil any key may stand. An unknown key is
// reported, with the key that was probably meant.
func (p *parser) object(n *yaml.Node, what string, keys []string) (*object, bool) {
	if n.Kind != yaml.MappingNode {
		p.wrong(n, what, "a map of keys and values", keys...)
		return nil, false
	}
	o := &object{p: p, span: p.span(n), what: what, pairs: make([]pair, 0, len(n.Content)/2)}
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, v := n.Content[i], n.Content[i+1]
		if p.full() {
			break
		}
		if k.Kind != yaml.ScalarNode {
			p.noName(n, k)
			continue
		}
		if k.Tag == "!!merge" {
			continue // told already
		}
		if first, ok := o.find(k.Value); ok {
			p.list = append(p.list, diag.Diagnostic{
				Code: "duplicate-key", Severity: diag.Error, File: p.file, Span: p.span(k),
				Message: "the key " + k.Value + " stands twice in " + what,
				Related: []diag.Related{{Span: p.span(first.key), Message: "it stands here first"}},
				Help:    "keep one of the two",
			})
			continue
		}
		if keys != nil && !slices.Contains(keys, k.Value) {
			if o.adopts(k, v) {
				continue
			}
			if k = p.unknownKey(n, k, what, keys); k == nil {
				continue
			}
		}
		o.add(k, v)
	}
	return o, true
}

// below are keys whose values are maps, which stand deeper.
var below = []string{
	"with", "inputs", "settings", "limits", "on", "outputs", "cases", "fields", "show", "set", "manual", "schedule",
	"approve", "repeat", "retry", "hold", "accept", "undo_with", "wait", "for_alert",
}

// adopts puts an entry that fits nothing into the map that the key above it lacks:
// it stands in the key's column and belongs deeper.
func (o *object) adopts(k, v *yaml.Node) bool {
	if len(o.pairs) == 0 {
		return false
	}
	above := o.pairs[len(o.pairs)-1]
	empty := above.value.Kind == yaml.ScalarNode && above.value.Value == "" && above.value.Style == 0
	if above.value == o.adopted {
		above.value.Content = append(above.value.Content, k, v)
		return true
	}
	if !empty || k.Column != above.key.Column || !slices.Contains(below, above.key.Value) {
		return false
	}
	o.p.report("bad-indentation", o.p.span(k), "indent it, with the lines that belong to it", "this line belongs below %s, and stands beside it", above.key.Value)
	*above.value = yaml.Node{Kind: yaml.MappingNode, Line: k.Line, Column: k.Column, Content: []*yaml.Node{k, v}}
	o.adopted = above.value
	return true
}

// unknownKey reports a key of a map. One that is near a key which the map lacks
// counts as that, so that a slip is told once: the answer is the key as meant, nil
// where there is none.
func (p *parser) unknownKey(n, k *yaml.Node, what string, keys []string) *yaml.Node {
	near := near(k.Value, keys)
	help := "there are " + strings.Join(keys, ", ")
	if near != "" {
		help = "did you mean " + near + "?"
	}
	p.report("unknown-key", p.span(k), help, "%s has no key %s", what, quoted(k.Value))
	if near == "" || hasKey(n, near) {
		return nil
	}
	return p.named(k, near)
}

// named is a node that stands where another does and says something else.
func (p *parser) named(n *yaml.Node, name string) *yaml.Node {
	meant, at := *n, *p.scalar(n)
	meant.Value, at.Value = name, name
	p.scalars[&meant] = &at
	return &meant
}

// elsewhere are what other tools call a key of this language.
var elsewhere = map[string]string{
	"action": "uses", "args": "with", "params": "with", "parameters": "with", "when": "if", "condition": "if",
	"for_each": "foreach", "loop": "foreach", "steps": "do", "on_failure": "on_error", "retries": "retry",
	"vars": "settings", "variables": "settings", "triggers": "on", "trigger": "on", "version": "quell", "cron": "schedule",
	"approvers": "from", "channel": "via", "default_value": "default", "choices": "of", "options": "of", "enum": "of",
}

// near is the key that a name most likely means, "" where none is.
func near(name string, keys []string) string {
	if k := diag.Near(name, keys); k != "" {
		return k
	}
	if k := elsewhere[name]; slices.Contains(keys, k) {
		return k
	}
	return ""
}

func hasKey(n *yaml.Node, key string) bool {
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return true
		}
	}
	return false
}

func quoted(s string) string {
	const most = 60
	r := []rune(s)
	if len(r) > most {
		return string(r[:most]) + "…"
	}
	return s
}

// wrong reports a value of another shape. keys are what the wanted map may have.
func (p *parser) wrong(n *yaml.Node, what, want string, keys ...string) {
	if n.Kind == yaml.AliasNode || n.Style&yaml.TaggedStyle != 0 {
		return // told already
	}
	p.misshapen(n, shapeHelp(n, what, want, keys), what, want)
}

// misshapen reports a value of another shape, of which nothing follows.
func (p *parser) misshapen(n *yaml.Node, help, what, want string) {
	p.report("wrong-shape", p.span(n), help, "%s must be %s; found %s", what, want, shape(n))
	p.unread = append(p.unread, p.span(n))
}

// unread notes an entry whose value was refused: that it is missing is no news.
func (o *object) unread(key string) {
	if e, ok := o.find(key); ok {
		o.p.unread = append(o.p.unread, o.p.file.Span(o.key(key).Span().Start.Offset, o.p.end(e.value)))
	}
}

func shape(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a map"
	case yaml.SequenceNode:
		return "a list"
	default: // other nodes
	}
	if n.Value == "" {
		return "nothing"
	}
	return "a text"
}

func (o *object) get(key string) *yaml.Node {
	p, _ := o.find(key)
	return p.value
}

func (o *object) key(key string) ast.Text {
	if p, ok := o.find(key); ok {
		return ast.Text{Scalar: o.p.scalar(p.key)}
	}
	return ast.Text{}
}

// text reads a scalar; an empty one is an error.
func (o *object) text(key string) ast.Text {
	n := o.get(key)
	if n == nil {
		return ast.Text{}
	}
	return o.p.text(n, key)
}

func (p *parser) text(n *yaml.Node, what string) ast.Text {
	if n.Kind == yaml.AliasNode || n.Style&yaml.TaggedStyle != 0 {
		return ast.Text{}
	}
	if n.Kind != yaml.ScalarNode {
		help := ""
		if n.Kind == yaml.MappingNode && n.Style&yaml.FlowStyle != 0 {
			help = "a value that begins with { must stand in quotes"
		}
		p.report("wrong-shape", p.span(n), help, "%s must be a text; found %s", what, shape(n))
		return ast.Text{}
	}
	if n.Value == "" && n.Style&(yaml.DoubleQuotedStyle|yaml.SingleQuotedStyle) == 0 {
		if n.Anchor != "" {
			return ast.Text{} // told already
		}
		p.report("empty-value", p.span(n), "give it a value or remove the key", "%s is empty", what)
		return ast.Text{}
	}
	return ast.Text{Scalar: p.scalar(n)}
}

// texts reads one scalar or a list of scalars.
func (o *object) texts(key string) []ast.Text {
	n := o.get(key)
	if n == nil {
		return nil
	}
	if n.Kind != yaml.SequenceNode {
		if t := o.p.text(n, key); t.Given() {
			return []ast.Text{t}
		}
		return nil
	}
	var out []ast.Text
	for _, c := range n.Content {
		if t := o.p.text(c, "each entry of "+key); t.Given() {
			out = append(out, t)
		}
	}
	return out
}

// list returns the entries of a list; what is no list is reported.
func (o *object) list(key string) []*yaml.Node {
	n := o.get(key)
	if n == nil {
		return nil
	}
	if n.Kind != yaml.SequenceNode {
		o.p.wrong(n, key, "a list")
		o.unread(key)
		if n.Kind == yaml.MappingNode && slices.ContainsFunc(single, func(k string) bool { return hasKey(n, k) }) {
			return []*yaml.Node{n} // the one entry, without its dash
		}
		return nil
	}
	return n.Content
}

// single are keys of entries of lists, by which one is known that lacks its dash.
var single = slices.Concat(ast.Kinds(), []string{"who", "within", "once_per", "when", "quiet"})

// named reads a map whose keys the author chose.
func (o *object) named(key string) []ast.Named {
	n := o.get(key)
	if n == nil {
		return nil
	}
	m, ok := o.p.object(n, key, nil)
	if !ok {
		o.unread(key)
		return nil
	}
	var out []ast.Named
	for _, e := range m.pairs {
		out = append(out, ast.Named{Name: o.p.name(e), Value: o.p.value(e.value)})
	}
	return out
}

// value reads any value.
func (p *parser) value(n *yaml.Node) *ast.Value {
	v := &ast.Value{Span: p.span(n)}
	switch n.Kind {
	case yaml.SequenceNode:
		v.IsList = true
		for _, c := range n.Content {
			v.List = append(v.List, p.value(c))
		}
	case yaml.MappingNode:
		v.IsMap = true
		if m, ok := p.object(n, "this map", nil); ok {
			for _, e := range m.pairs {
				v.Map = append(v.Map, ast.Named{Name: p.name(e), Value: p.value(e.value)})
			}
		}
	case yaml.ScalarNode:
		if n.Style&yaml.TaggedStyle == 0 {
			v.Text = ast.Text{Scalar: p.scalar(n)}
		}
	default: // other nodes
	}
	return v
}

// name is the key of an entry.
func (p *parser) name(e pair) ast.Text { return ast.Text{Scalar: p.scalar(e.key)} }

package parse

import (
	"gopkg.in/yaml.v3"

	"github.com/quell-soar/quell/playbooks/diag"
	"github.com/quell-soar/quell/playbooks/source"
)

// Raw is the text of a file as YAML sees it, whatever the keys mean. Those who
// write the text anew (the formatter) and those who look for what stands under
// a cursor (the language server) read it.
type Raw struct {
	Span source.Span
	// Scalar is set for a scalar.
	Scalar *source.Scalar
	// IsList and IsMap tell which collection it is; Flow, that it is written in
	// brackets.
	IsList, IsMap, Flow bool
	// List are the entries of a list, Map those of a map, as they are written.
	List []*Raw
	Map  []RawPair
}

// RawPair is an entry of a map.
type RawPair struct{ Key, Value *Raw }

// ReadRaw reads a file. Where the list has errors the tree is nil or leaves out
// what the language has not: tags, anchors, a key that stands twice.
func ReadRaw(f *source.File) (*Raw, diag.List) {
	p := &parser{file: f, scalars: map[*yaml.Node]*source.Scalar{}, ends: map[*yaml.Node]int{}}
	if !p.readable() {
		return nil, p.list
	}
	root, ok := p.document()
	if !ok {
		return nil, p.list
	}
	return p.raw(root), p.list
}

func (p *parser) raw(n *yaml.Node) *Raw {
	r := &Raw{Span: p.span(n), Flow: n.Style&yaml.FlowStyle != 0}
	switch n.Kind {
	case yaml.SequenceNode:
		r.IsList = true
		for _, c := range n.Content {
			r.List = append(r.List, p.raw(c))
		}
	case yaml.MappingNode:
		r.IsMap = true
		o, _ := p.object(n, "this map", nil)
		for _, e := range o.pairs {
			r.Map = append(r.Map, RawPair{Key: p.raw(e.key), Value: p.raw(e.value)})
		}
	default:
		r.Scalar = p.scalar(n)
	}
	return r
}

package parse

import (
	"gopkg.in/yaml.v3"

	"github.com/quell-soar/quell/playbooks/ast"
	"github.com/quell-soar/quell/playbooks/diag"
	"github.com/quell-soar/quell/playbooks/source"
)

// Data reads a file of plain data beside a playbook, such as its tests, under
// the rules and bounds of a playbook: no anchors, aliases, merge keys, tags or
// second document. The value keeps its places in the file. It is nil where the
// text is no YAML at all or breaks a bound; what the data means is the caller's
// to say.
func Data(f *source.File) (*ast.Value, diag.List) {
	p := &parser{file: f, scalars: map[*yaml.Node]*source.Scalar{}, ends: map[*yaml.Node]int{}}
	if !p.readable() {
		return nil, p.list
	}
	root, ok := p.document()
	if !ok {
		return nil, p.list
	}
	return p.value(root), p.list
}

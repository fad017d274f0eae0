package parse

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/quell-soar/quell/playbooks/ast"
	"github.com/quell-soar/quell/playbooks/diag"
	"github.com/quell-soar/quell/playbooks/source"
)

// The bounds of a file.
const (
	// MaxBytes is the largest file.
	MaxBytes = 1 << 20
	// MaxLines is how many lines a file may have.
	MaxLines = 20_000
	// MaxDepth is how deep maps and lists may nest.
	MaxDepth = 48
	// MaxText is the longest scalar, in bytes.
	MaxText = 64 << 10
	// MaxNodes is how many scalars, lists and maps a file may have.
	MaxNodes = 50_000
	// MaxExpressions is how many ${{ … }} a file may have.
	MaxExpressions = 1000
	// MaxSilences is how many comments of a file may allow warnings.
	MaxSilences = 200
	// MaxSteps is how many steps a file may have, MaxList how many one list of
	// steps.
	MaxSteps = 1000
	MaxList  = 200
)

// Parse reads one playbook. The tree is nil only where the text is no YAML map
// at all or breaks a bound; otherwise it is as complete as the text allows.
func Parse(f *source.File) (*ast.Playbook, diag.List) {
	p := &parser{file: f, scalars: map[*yaml.Node]*source.Scalar{}, ends: map[*yaml.Node]int{}}
	if !p.readable() {
		return nil, p.list
	}
	root, ok := p.document()
	if !ok {
		return nil, p.list
	}
	told := len(p.list)
	tree := p.playbook(root)
	if p.meant != nil {
		p.list = slices.Concat(p.list[:told], slices.DeleteFunc(p.list[told:], func(d diag.Diagnostic) bool {
			return p.meant.damage.Hides(p.file, d.Code, d.Span)
		}))
	}
	if tree == nil || p.stepCount > MaxSteps {
		return nil, p.list
	}
	tree.Silences, tree.Damage = p.silences(root), p.damage()
	return tree, p.list
}

// damage is where the tree says less than was meant, nil where it does nowhere.
func (p *parser) damage() *ast.Damage {
	if p.meant == nil && p.unread == nil {
		return nil
	}
	d := ast.Damage{}
	if p.meant != nil {
		d = p.meant.damage
	}
	d.Unclear = slices.Concat(d.Unclear, p.unread)
	return &d
}

type parser struct {
	file *source.File
	list diag.List
	// meant is what YAML reads in place of the file, which has mistakes that keep
	// it from being read; nil where there are none.
	meant *mended
	// tabbed says that lines of meant are indented by a guess.
	tabbed bool
	// scalars and ends keep what was mapped: a node's span is asked for again
	// by everything around it.
	scalars map[*yaml.Node]*source.Scalar
	ends    map[*yaml.Node]int
	// unread are values of a wrong shape.
	unread []source.Span
	// stepCount is how many steps were read.
	stepCount int
}

// full reports whether so much is wrong that more findings help nobody.
func (p *parser) full() bool { return len(p.list) > 5*diag.MaxShown }

func (p *parser) report(code string, at source.Span, help, format string, args ...any) {
	if p.full() {
		return
	}
	p.list = append(p.list, diag.Diagnostic{
		Code: code, Severity: diag.Error, File: p.file, Span: at,
		Message: fmt.Sprintf(format, args...), Help: help,
	})
}

const emptyHelp = "a playbook begins with\n  quell: 1\n  playbook: its-name"

// document reads the one YAML document of the file and refuses what YAML has
// beyond maps, lists and scalars.
func (p *parser) document() (*yaml.Node, bool) {
	text := bytes.TrimPrefix(p.file.Bytes, []byte("\xef\xbb\xbf"))
	if p.meant != nil {
		text = p.meant.bytes()
	}
	dec := yaml.NewDecoder(bytes.NewReader(text))
	doc := new(yaml.Node)
	err := decode(dec, doc)
	if err == nil && braced(doc) && len(usual(p.file)) > 0 {
		err = errColon
	}
	if errors.Is(err, io.EOF) {
		p.report("empty-file", p.file.Span(0, 0), emptyHelp, "the file is empty")
		return nil, false
	}
	if err != nil {
		if dec, doc = p.mend(err); doc == nil {
			return nil, false
		}
	}
	if n := doc.Content; len(n) != 1 || (n[0].Kind == yaml.ScalarNode && n[0].Value == "" && n[0].Style == 0) {
		p.report("empty-file", p.file.Span(0, 0), emptyHelp, "the file has no content")
		return nil, false
	}
	if !p.last(dec, doc.Content[0]) {
		if _, doc = p.mend(errColon); doc == nil {
			return nil, false
		}
	}
	if p.meant != nil {
		p.meant.restore(doc.Content[0])
	}
	count := 0
	if !p.plainYAML(doc.Content[0], false, 0, &count) {
		return nil, false
	}
	return doc.Content[0], true
}

// errColon stands for what YAML does not notice.
var errColon = errors.New("yaml: a colon is missing")

// braced reports whether a key of a map is one without its colon before a map, of
// which YAML makes one key: with { host.
func braced(n *yaml.Node) bool {
	for i, c := range n.Content {
		if (n.Kind == yaml.MappingNode && i%2 == 0 && c.Style == 0 && strings.Contains(c.Value, "{ ")) || braced(c) {
			return true
		}
	}
	return false
}

// last reports a second document. It is false where there is none, and YAML only
// stopped before the end: there a line stands wrong.
func (p *parser) last(dec *yaml.Decoder, first *yaml.Node) bool {
	var second yaml.Node
	err := decode(dec, &second)
	if errors.Is(err, io.EOF) {
		return true
	}
	if err != nil && p.meant == nil && len(usual(p.file)) > 0 {
		return false
	}
	p.secondDocument(first)
	return true
}

// decode keeps a panic of the YAML library from leaving the package.
func decode(dec *yaml.Decoder, n *yaml.Node) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("yaml: %v", r)
		}
	}()
	return dec.Decode(n)
}

func (p *parser) secondDocument(first *yaml.Node) {
	for n := first.Line + 1; n <= p.file.Lines(); n++ {
		if line := p.file.Line(n); strings.HasPrefix(line, "---") || strings.HasPrefix(line, "...") {
			p.report("second-document", p.file.Span(p.file.Offset(n, 1), p.file.Offset(n, 4)),
				"put the second playbook into a file of its own", "a file holds one playbook; a second document begins here")
			return
		}
	}
	p.report("second-document", p.span(first), "put the second playbook into a file of its own", "a file holds one playbook")
}

// plainYAML refuses anchors, aliases, merge keys and tags, and holds the bounds
// on depth and number. It returns false where a bound is broken. flow says that
// the node stands in brackets.
func (p *parser) plainYAML(n *yaml.Node, flow bool, depth int, count *int) bool {
	*count++
	if depth > MaxDepth {
		p.report("too-deep", p.span(n), "flatten it", "maps and lists nest deeper than %d levels", MaxDepth)
		return false
	}
	if *count > MaxNodes {
		p.report("too-large", p.span(n), "split the playbook", "the file has more than %d values", MaxNodes)
		return false
	}
	if len(n.Value) > MaxText {
		p.report("too-large", p.word(n), "keep long texts outside of the playbook", "a text has %d bytes; at most %d are allowed", len(n.Value), MaxText)
		return false
	}
	switch {
	case n.Kind == yaml.AliasNode:
		p.report("alias", p.word(n), "write the value out: a playbook is read by people under pressure", "aliases are not part of the language")
	case n.Anchor != "":
		p.report("anchor", p.word(n), "write the value out where it is used", "anchors are not part of the language")
	case n.Tag == "!!merge":
		p.report("merge-key", p.span(n), "write the keys out", "merge keys are not part of the language")
	case n.Style&yaml.TaggedStyle != 0:
		p.tag(n, flow)
	}
	flow = n.Style&yaml.FlowStyle != 0
	for _, c := range n.Content {
		if !p.plainYAML(c, flow, depth+1, count) {
			return false
		}
	}
	return true
}

// tag tells a YAML tag from an expression that begins with an exclamation mark,
// which YAML takes for one and swallows. The expression is read all the same.
func (p *parser) tag(n *yaml.Node, flow bool) {
	if strings.HasPrefix(n.Tag, "!!") {
		p.report("tag", p.word(n), "leave the tag out: a value's type follows from its field", "tags are not part of the language")
		return
	}
	at := p.word(n)
	line := []rune(p.file.Line(n.Line))
	rest := strings.TrimSpace(cutComment(string(line[min(max(n.Column-1, 0), len(line)):])))
	if !flow {
		at = p.file.Span(at.Start.Offset, at.Start.Offset+len(rest))
	}
	p.report("tag", at, "quote the expression: '"+strings.ReplaceAll(rest, "'", "''")+"'",
		"YAML reads a value that begins with ! as a tag and drops it")
	if n.Kind == yaml.ScalarNode && !flow && n.Style == yaml.TaggedStyle && strings.HasSuffix(rest, n.Value) {
		n.Value, n.Style, n.Tag = rest, 0, "!!str"
	}
}

// room gives the steps of a list that there is room for, and reports the first
// one too many.
func (p *parser) room(list []*yaml.Node) []*yaml.Node {
	fits, what, most := min(len(list), MaxList), "a list", MaxList
	if left := MaxSteps - p.stepCount; left < fits {
		fits, what, most = max(left, 0), "a playbook", MaxSteps
	}
	if fits < len(list) && p.stepCount <= MaxSteps {
		p.report("too-many-steps", p.word(list[fits]), "move a part into a playbook of its own, or loop with foreach", "%s has at most %d steps", what, most)
		p.stepCount = MaxSteps // told once, and there is no tree
	}
	p.stepCount += len(list)
	return list[:fits]
}

// span is where a node stands.
func (p *parser) span(n *yaml.Node) source.Span {
	if n.Kind == yaml.ScalarNode {
		return p.scalar(n).Span()
	}
	return p.file.Span(p.file.Offset(n.Line, n.Column), p.end(n))
}

// end is the offset behind a node.
func (p *parser) end(n *yaml.Node) int {
	if n.Kind == yaml.ScalarNode {
		return p.scalar(n).End()
	}
	if end, ok := p.ends[n]; ok {
		return end
	}
	start := p.file.Offset(n.Line, n.Column)
	end := start
	if len(n.Content) > 0 {
		end = max(end, p.end(n.Content[len(n.Content)-1]))
	}
	if n.Style&yaml.FlowStyle != 0 {
		end = p.closed(n, start, end)
	}
	p.ends[n] = end
	return end
}

// closed is the offset behind the bracket that ends a flow list or map.
func (p *parser) closed(n *yaml.Node, start, end int) int {
	if len(n.Content) == 0 { // [] and {}
		return min(start+2, len(p.file.Bytes))
	}
	for end < len(p.file.Bytes) && bytes.IndexByte([]byte(" \t\r\n,"), p.file.Bytes[end]) >= 0 {
		end++
	}
	if end < len(p.file.Bytes) && bytes.IndexByte([]byte("]}"), p.file.Bytes[end]) >= 0 {
		end++
	}
	return end
}

// word is the run of characters that begins at a node.
func (p *parser) word(n *yaml.Node) source.Span {
	start := p.file.Offset(n.Line, n.Column)
	end := start
	for end < len(p.file.Bytes) && bytes.IndexByte([]byte(" \t\r\n,]}"), p.file.Bytes[end]) < 0 {
		end++
	}
	return p.file.Span(start, end)
}

func (p *parser) scalar(n *yaml.Node) *source.Scalar {
	if s, ok := p.scalars[n]; ok {
		return s
	}
	style := source.Plain
	switch {
	case n.Style&yaml.DoubleQuotedStyle != 0:
		style = source.Double
	case n.Style&yaml.SingleQuotedStyle != 0:
		style = source.Single
	case n.Style&yaml.LiteralStyle != 0:
		style = source.Literal
	case n.Style&yaml.FoldedStyle != 0:
		style = source.Folded
	}
	s := source.NewScalar(p.file, p.file.Offset(n.Line, n.Column), style, n.Value)
	p.scalars[n] = s
	return s
}

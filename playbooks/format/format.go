package format

import (
	"errors"
	"fmt"

	"github.com/quell-soar/quell/playbooks/ast"
	"github.com/quell-soar/quell/playbooks/diag"
	"github.com/quell-soar/quell/playbooks/parse"
	"github.com/quell-soar/quell/playbooks/source"
)

// ErrUnsafe says that the layout would not have kept what the text says; the
// text is left as it is. It is a fault of this package.
var ErrUnsafe = errors.New("the text cannot be laid out without changing what it says; please report it with the playbook")

// Playbook returns a playbook in its layout, in UTF-8 with line feeds. The list
// has errors, and the text is nil, where it is no YAML or uses what the language
// has not; other mistakes do not hinder it, and phases in the wrong order are
// put right. It may be called from many goroutines.
func Playbook(f *source.File) ([]byte, diag.List, error) {
	d, list := read(f)
	if list.HasErrors() {
		return nil, list, nil
	}
	out := d.print()
	again, list := read(source.NewFile(f.Name, out))
	if list.HasErrors() {
		return nil, nil, fmt.Errorf("%w: %s", ErrUnsafe, list[0].Message)
	}
	if at := d.differs(again); at != "" {
		return nil, nil, fmt.Errorf("%w: %s", ErrUnsafe, at)
	}
	return out, nil, nil
}

// document is a file taken apart: entries in their layout's order, each with its
// comments.
type document struct {
	// head are the comments above the first key.
	head []string
	root *entry
	// count counts the comments of the file.
	count map[string]int
}

// entry is one place: the root, an entry of a map or of a list.
type entry struct {
	shape *ast.Shape
	// key is nil at the root and in lists.
	key   *source.Scalar
	value *parse.Raw
	// above are the lines of comments above it; "" is an empty line.
	above []string
	// beside is the comment behind it on its line.
	beside string
	// foot are the comments behind its last entry.
	foot []string
	// inside are the entries of its map or list.
	inside []*entry
	// first says that in the text it was the first of its map.
	first bool
	// spread says that a collection in brackets has to be written in lines: it
	// stood in several, with comments or too long for one.
	spread bool
	parent *entry
}

func read(f *source.File) (*document, diag.List) {
	raw, list := parse.ReadRaw(f)
	if list.HasErrors() {
		return nil, list
	}
	if !raw.IsMap {
		_, list = parse.Parse(f) // it says that this is no playbook
		return nil, list
	}
	d := &document{root: &entry{shape: ast.PlaybookShape(), value: raw}, count: map[string]int{}}
	d.root.fill()
	newComments(f, d).attach()
	d.root.settle()
	return d, nil
}

// fill makes the entries inside an entry, in the order of the text.
func (e *entry) fill() {
	if e.value == nil {
		return
	}
	for i, p := range e.value.Map {
		c := &entry{key: p.Key.Scalar, value: p.Value, parent: e, first: i == 0, shape: e.shapeOf(p.Key.Scalar.Value)}
		e.inside = append(e.inside, c)
		c.fill()
	}
	for _, v := range e.value.List {
		c := &entry{value: v, parent: e, shape: e.item(v)}
		e.inside = append(e.inside, c)
		c.fill()
	}
}

// shapeOf is the shape of what stands under a key.
func (e *entry) shapeOf(key string) *ast.Shape {
	if e.shape == nil {
		return nil
	}
	switch e.shape.Form {
	case ast.Object:
		k, _ := e.shape.Key(key)
		return k.Shape
	case ast.Open:
		return e.shape.Each
	case ast.Any:
		return e.shape
	default: // other forms
	}
	return nil
}

// item is the shape of an entry of a list.
func (e *entry) item(v *parse.Raw) *ast.Shape {
	if e.shape == nil {
		return nil
	}
	switch e.shape.Form {
	case ast.List:
		return e.shape.Each
	case ast.Any:
		return e.shape
	case ast.Expressions:
		return &ast.Shape{Form: ast.Expression}
	case ast.Steps:
		for _, p := range v.Map {
			if s := ast.StepShape(p.Key.Scalar.Value); s != nil {
				return s
			}
		}
	default: // other forms
	}
	return nil
}

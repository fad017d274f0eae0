package expr

import (
	"unicode/utf8"

	celast "cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
)

// spans finds where the nodes of one expression begin and end. CEL keeps one
// token per node: the operator, the dot, the parenthesis. The rest follows from
// the children and from the tokens.
type spans struct {
	src  []rune
	toks []token // made when the first is asked for
	info *celast.SourceInfo
}

func newSpans(text string, info *celast.SourceInfo) *spans {
	src := []rune(text)
	return &spans{src: src, info: info}
}

// tokens are the tokens of the expression. Most expressions have nothing wrong,
// and nobody asks for them.
func (s *spans) tokens() []token {
	if s.toks == nil {
		s.toks = tokens(s.src)
	}
	return s.toks
}

// of is the span of a node, in runes.
func (s *spans) of(e celast.Expr) (from, to int) {
	from, to = s.token(e.ID())
	switch e.Kind() {
	case celast.SelectKind:
		from, _ = s.of(e.AsSelect().Operand())
		_, to = s.field(e)
	case celast.CallKind:
		return s.call(e, from, to)
	case celast.ComprehensionKind:
		open := from
		from, _ = s.of(e.AsComprehension().IterRange())
		to = s.match(open)
	case celast.ListKind, celast.MapKind, celast.StructKind:
		to = s.match(from)
	default: // other nodes
	}
	return from, max(from, to)
}

func (s *spans) call(e celast.Expr, from, to int) (int, int) {
	c := e.AsCall()
	args := c.Args()
	if c.IsMemberFunction() {
		start, _ := s.of(c.Target())
		return start, s.match(from)
	}
	switch c.FunctionName() {
	case operators.Index, operators.OptIndex:
		start, _ := s.of(args[0])
		return start, s.match(from)
	case operators.OptSelect:
		start, _ := s.of(args[0])
		_, end := s.of(args[1])
		return start, end
	}
	if c.FunctionName() == anyName {
		return s.of(args[0])
	}
	if _, known := operators.FindReverse(c.FunctionName()); known && len(args) > 0 {
		start, _ := s.of(args[0])
		_, end := s.of(args[len(args)-1])
		return min(from, start), max(to, end)
	}
	return s.name(from), s.match(from)
}

// token is the span of a node's token. CEL begins it at a character and gives its
// length in bytes.
func (s *spans) token(id int64) (from, to int) {
	r, _ := s.info.GetOffsetRange(id)
	from = min(max(int(r.Start), 0), len(s.src))
	to = from
	for bytes := int(r.Stop - r.Start); bytes > 0 && to < len(s.src); to++ {
		bytes -= utf8.RuneLen(s.src[to])
	}
	return from, to
}

// field is the name behind the dot of a selection.
func (s *spans) field(e celast.Expr) (from, to int) {
	_, after := s.of(e.AsSelect().Operand())
	for _, t := range s.tokens() {
		if t.start >= after && t.kind == tokName && t.text == e.AsSelect().FieldName() {
			return t.start, t.end
		}
	}
	return s.token(e.ID())
}

// match is the end of the bracket that closes the one at a place.
func (s *spans) match(open int) int {
	depth := 0
	for _, t := range s.tokens() {
		if t.start < open {
			continue
		}
		switch t.text {
		case "(", "[", "{":
			depth++
		case ")", "]", "}":
			depth--
			if depth == 0 {
				return t.end
			}
		}
	}
	return len(s.src)
}

// name is the start of the dotted name before a parenthesis.
func (s *spans) name(paren int) int {
	from := paren
	for i := len(s.tokens()) - 1; i >= 0; i-- {
		t := s.tokens()[i]
		if t.end > paren {
			continue
		}
		if t.kind != tokName && t.text != "." {
			break
		}
		from = t.start
	}
	return from
}

// at is the token that covers a place, or an empty range there.
func (s *spans) at(offset int) (from, to int) {
	for _, t := range s.tokens() {
		if offset >= t.start && offset < t.end {
			return t.start, t.end
		}
	}
	offset = min(offset, len(s.src))
	for offset > 0 && offset == len(s.src) && (s.src[offset-1] == ' ' || s.src[offset-1] == '\n') {
		offset--
	}
	return offset, offset
}

package parse

import (
	"bytes"
	"regexp"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/quell-soar/quell/playbooks/ast"
)

var (
	// directive is what a comment to Quell begins with. `# quell: 1` is a line
	// of a playbook that somebody took out, and none.
	directive = regexp.MustCompile(`(?:^|[ \t])#[ \t]*(quell:[ \t]*[A-Za-z].*)$`)
	// allowance takes a directive apart.
	allowance = regexp.MustCompile(`^quell:[ \t]*allow(?:[ \t]+(\S+))?(?:[ \t]+because[ \t]+(\S.*?))?[ \t]*$`)
)

// silences reads the comments that allow warnings. YAML's own reader gives
// comments no exact place, so they are found in the text; what lies within a
// scalar is none.
func (p *parser) silences(root *yaml.Node) []*ast.Silence {
	if !bytes.Contains(p.file.Bytes, []byte("quell:")) || bytes.IndexByte(p.file.Bytes, '#') < 0 {
		return nil
	}
	var out []*ast.Silence
	var texts [][2]int
	for n := 1; n <= p.file.Lines(); n++ {
		line := p.file.Line(n)
		m := directive.FindStringSubmatchIndex(line)
		if m == nil {
			continue
		}
		if texts == nil {
			texts = p.texts(root)
		}
		if start := p.file.Offset(n, 1); !inside(texts, start+m[2]) {
			out = append(out, p.silence(n, start+m[2], strings.TrimRight(line[m[2]:m[3]], " \t"), texts))
		}
	}
	return out
}

// texts are the scalars of the file as offsets of their first and last byte,
// in order; of a block scalar that is without its header.
func (p *parser) texts(n *yaml.Node) [][2]int {
	var out [][2]int
	if n.Kind == yaml.ScalarNode {
		s := p.scalar(n)
		start, end := s.Span().Start.Offset, s.End()
		if n.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0 {
			if i := bytes.IndexByte(p.file.Bytes[start:], '\n'); i >= 0 {
				start = min(start+i, end)
			}
		}
		out = append(out, [2]int{start, end})
	}
	for _, c := range n.Content {
		out = append(out, p.texts(c)...)
	}
	return out
}

func inside(texts [][2]int, at int) bool {
	return slices.ContainsFunc(texts, func(t [2]int) bool { return t[0] <= at && at < t[1] })
}

func (p *parser) silence(line, at int, text string, texts [][2]int) *ast.Silence {
	s := &ast.Silence{Span: p.file.Span(at, at+len(text))}
	s.CodeSpan = s.Span
	if m := allowance.FindStringSubmatchIndex(text); m != nil {
		if m[2] >= 0 {
			s.Code, s.CodeSpan = text[m[2]:m[3]], p.file.Span(at+m[2], at+m[3])
		}
		if m[4] >= 0 {
			s.Reason = text[m[4]:m[5]]
		}
	} else if fields := strings.Fields(text); len(fields) > 2 && fields[1] == "allow" {
		s.Code = fields[2]
	}
	s.First = p.subject(line)
	s.Last = s.First
	for _, t := range texts {
		if from := p.file.At(t[0]).Line; from == s.First {
			s.Last = max(s.Last, p.file.At(t[1]).Line)
		}
	}
	return s
}

// subject is the line that a comment on a line is about, 0 where nothing
// follows.
func (p *parser) subject(line int) int {
	said := func(n int) bool {
		text := strings.TrimSpace(p.file.Line(n))
		return text != "" && !strings.HasPrefix(text, "#")
	}
	for n := line; n <= p.file.Lines(); n++ {
		if said(n) {
			return n
		}
	}
	return 0
}

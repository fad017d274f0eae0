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
	if !commented(p.file.Bytes) {
		return nil
	}
	var out []*ast.Silence
	subject := 0 // the next line that says something
	texts, ends := p.texts(root, nil), map[int]int{}
	for _, t := range texts {
		from := p.file.At(t[0]).Line
		ends[from] = max(ends[from], p.file.At(t[1]).Line)
	}
	for n := p.file.Lines(); n >= 1; n-- {
		line := p.file.Line(n)
		if text := strings.TrimSpace(line); text != "" && text[0] != '#' {
			subject = n
		}
		if !strings.Contains(line, "quell:") { // most lines, and cheaper to see
			continue
		}
		m := directive.FindStringSubmatchIndex(line)
		if m == nil {
			continue
		}
		at := p.file.Offset(n, 1) + m[2]
		if inside(texts, at) {
			continue
		}
		if len(out) == MaxSilences {
			p.report("too-large", p.file.Span(at, at), "mend the warnings instead", "more than %d comments allow warnings", MaxSilences)
			break
		}
		s := p.silence(at, strings.TrimRight(line[m[2]:m[3]], " \t"))
		s.First, s.Last = subject, max(subject, ends[subject])
		out = append(out, s)
	}
	slices.Reverse(out)
	return out
}

// texts are the scalars of the file as offsets of their first and last byte,
// in order; of a block scalar that is without its header.
func (p *parser) texts(n *yaml.Node, out [][2]int) [][2]int {
	if n.Kind == yaml.ScalarNode {
		s := p.scalar(n)
		start, end := p.file.Offset(n.Line, n.Column), s.End()
		if n.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0 {
			if i := bytes.IndexByte(p.file.Bytes[start:], '\n'); i >= 0 {
				start = min(start+i, end)
			}
		}
		out = append(out, [2]int{start, end})
	}
	for _, c := range n.Content {
		out = p.texts(c, out)
	}
	return out
}

func inside(texts [][2]int, at int) bool {
	i, exact := slices.BinarySearchFunc(texts, at, func(t [2]int, at int) int { return t[0] - at })
	return exact || (i > 0 && at < texts[i-1][1])
}

// silence reads one comment.
func (p *parser) silence(at int, text string) *ast.Silence {
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
	return s
}

// commented reports whether somewhere quell: stands behind a # on its line, as
// it does in every directive.
func commented(text []byte) bool {
	for {
		i := bytes.Index(text, []byte("quell:"))
		if i < 0 {
			return false
		}
		line := text[bytes.LastIndexByte(text[:i], '\n')+1 : i]
		if bytes.IndexByte(line, '#') >= 0 {
			return true
		}
		text = text[i+len("quell:"):]
	}
}

package parse

import (
	"bytes"
	"errors"
	"io"
	"iter"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"gopkg.in/yaml.v3"
)

// readable checks what has to be right before YAML is asked: size, encoding,
// control characters and tabs. Each has its place, which the YAML library would
// not tell.
func (p *parser) readable() bool {
	text := p.file.Bytes
	if len(text) > MaxBytes {
		p.report("too-large", p.file.Span(0, 0), "split the playbook", "the file has %d bytes; a playbook has at most %d", len(text), MaxBytes)
		return false
	}
	if n := p.file.Lines(); n > MaxLines {
		at := p.file.Offset(MaxLines+1, 1)
		p.report("too-large", p.file.Span(at, at), "split the playbook", "the file has %d lines; a playbook has at most %d", n, MaxLines)
		return false
	}
	if bytes.HasPrefix(text, []byte("\xff\xfe")) || bytes.HasPrefix(text, []byte("\xfe\xff")) {
		p.report("encoding", p.file.Span(0, 0), "save the file as UTF-8", "the file is UTF-16")
		return false
	}
	p.characters()
	if !p.shallow() {
		return false
	}
	p.tabs()
	return true
}

// characters reports those that no text may have, and puts others in their
// places for YAML to read.
func (p *parser) characters() {
	encoded := true
	for at, text := 0, p.file.Bytes; at < len(text) && !p.full(); {
		r, size := utf8.DecodeRune(text[at:])
		switch {
		case r == utf8.RuneError && size <= 1:
			if encoded { // the others are of the same making
				p.report("encoding", p.file.Span(at, at+1), "save the file as UTF-8", "the byte %#02x is not UTF-8", text[at])
			}
			encoded = false
			p.cover(at, size)
		case control(r), r == '\r' && !bytes.HasPrefix(text[at:], []byte("\r\n")):
			p.report("control-character", p.file.Span(at, at+size), "remove it", "the control character %U is not allowed", r)
			p.cover(at, size)
		case hidden(r) && at > 0:
			p.report("hidden-character", p.file.Span(at, at+size), `remove it, or write it as \u escape in double quotes`,
				"the invisible character %U hides what the text says", r)
		}
		at += size
	}
}

// mended is what YAML reads in place of the file.
func (p *parser) mended() *mended {
	if p.meant == nil {
		p.meant = newMended(p.file)
	}
	return p.meant
}

// cover writes something harmless, as long, over a character.
func (p *parser) cover(at, size int) {
	instead := "?"
	if size > len(instead) {
		instead = "\u00a0"
	}
	line := p.file.At(at).Line
	from := at - bytes.LastIndexByte(p.file.Bytes[:at], '\n') - 1
	if line == 1 && bytes.HasPrefix(p.file.Bytes, []byte("\xef\xbb\xbf")) {
		from -= 3
	}
	if text := p.mended().line(line); from >= 0 && from+size <= len(text) {
		p.meant.replace(line, from, instead)
	}
	p.meant.damage.Unclear = append(p.meant.damage.Unclear, p.file.Span(at, at+size))
}

// What may stand at most before YAML sees the text: its library takes a time
// that grows with the square of open brackets and of dashes in a row.
const (
	maxBrackets = 500
	maxDashes   = 64
)

// opening begins an expression in a text.
var opening = []byte("${{")

// shallow refuses nesting without end before YAML sees it. It counts brackets
// and commas in quotes and comments too, where nobody writes so many.
func (p *parser) shallow() bool {
	depth, entries := 0, 0
	for at, b := range p.file.Bytes {
		switch b {
		case '[', '{':
			depth++
		case ']', '}':
			depth = max(0, depth-1)
		case ',':
			if depth > 0 {
				entries++
			}
		}
		if depth > maxBrackets {
			p.report("too-deep", p.file.Span(at, at+1), "close them, or flatten the value", "more than %d brackets are open here", maxBrackets)
			return false
		}
		if entries > MaxNodes {
			p.report("too-large", p.file.Span(at, at+1), "split the playbook", "the file has more than %d values", MaxNodes)
			return false
		}
	}
	if n := bytes.Count(p.file.Bytes, opening); n > MaxExpressions {
		at := 0
		for range MaxExpressions {
			at += bytes.Index(p.file.Bytes[at:], opening) + len(opening)
		}
		at += bytes.Index(p.file.Bytes[at:], opening)
		p.report("too-large", p.file.Span(at, at+len(opening)), "compute what is used often with set, and read the result", "the file has %d expressions; a playbook has at most %d", n, MaxExpressions)
		return false
	}
	if at := bytes.Index(p.file.Bytes, bytes.Repeat([]byte("- "), maxDashes)); at >= 0 {
		p.report("too-deep", p.file.Span(at, at+1), "flatten it", "lists nest deeper than %d levels here", MaxDepth)
		return false
	}
	return true
}

func control(r rune) bool {
	return (r < 0x20 && r != '\n' && r != '\t' && r != '\r') || (r >= 0x7f && r < 0xa0 && r != 0x85)
}

// hidden finds characters that reorder or hide text on a screen, so that what a
// reviewer reads is not what runs.
func hidden(r rune) bool {
	return (r >= 0x202a && r <= 0x202e) || (r >= 0x2066 && r <= 0x2069) || r == 0x200b || r == 0xfeff || r == 0x85 || r == 0x2028 || r == 0x2029
}

// tabs finds tabs in indentation: YAML forbids them, and its own message has no
// column. Of lines in a row that begin so the first is told. What they mean is
// found out: the width counts with which YAML reads the text.
func (p *parser) tabs() {
	var lines []int
	last := 0
	for n := range p.tabbedLines() {
		indent := indentOf(p.file.Line(n))
		at := p.file.Offset(n, indent+1)
		if lines == nil || strings.TrimSpace(strings.Join(p.between(last, n), "")) != "" {
			p.report("tab", p.file.Span(at, at+1), "indent with spaces", "YAML does not allow a tab as indentation")
		}
		lines, last = append(lines, n), n
	}
	if lines == nil {
		return
	}
	p.tabbed = true
	fewest := -1
	before := p.mended()
	for _, width := range []int{2, 4, 8} {
		m := before.clone()
		for _, n := range lines {
			m.expand(n, width)
		}
		found := 0
		for _, f := range scan(m.clone()) {
			if slices.Contains(mistakesOfForm, f.code) {
				found++
			}
		}
		if fewest < 0 || found < fewest {
			fewest, p.meant = found, m
		}
	}
}

// between are the lines behind one and before another.
func (p *parser) between(first, last int) []string {
	var out []string
	for n := first + 1; n < last; n++ {
		out = append(out, p.file.Line(n))
	}
	return out
}

// tabbedLines yields the lines whose indentation has a tab. Within a block scalar
// a tab behind the block's own spaces is text.
func (p *parser) tabbedLines() iter.Seq[int] {
	return func(yield func(int) bool) {
		const none = -2
		block := none // the column that a block scalar's lines stand deeper than
		first := false
		for n := 1; n <= p.file.Lines(); n++ {
			line := p.file.Line(n)
			if strings.TrimSpace(line) == "" {
				continue
			}
			rest := strings.TrimLeft(line, " ")
			indent := len(line) - len(rest)
			inside := block != none && indent > block
			if inside && !first {
				continue
			}
			// A tab cannot begin a block's first line: there YAML still measures.
			if rest[0] == '\t' {
				if !yield(n) {
					return
				}
				rest = strings.TrimLeft(rest, " \t")
			}
			if first = false; inside {
				continue
			}
			if block = none; strings.ContainsAny(rest, "|>") && blockHeader.MatchString(rest) {
				block, first = blockParent(rest, indent), !explicitIndent.MatchString(rest)
			}
		}
	}
}

var explicitIndent = regexp.MustCompile(`[|>][-+]?[1-9]`)

var blockHeader = regexp.MustCompile(`(^|[:\-]\s+)[|>][-+0-9]*\s*(#.*)?$`)

// blockParent is the column of the key or dash that a block scalar belongs to.
func blockParent(rest string, indent int) int {
	parent := indent - 1
	for strings.HasPrefix(rest, "- ") {
		parent = indent
		cut := strings.TrimLeft(rest[1:], " ")
		indent += len(rest) - len(cut)
		rest = cut
	}
	if rest[0] == '|' || rest[0] == '>' {
		return parent
	}
	return indent
}

var yamlLine = regexp.MustCompile(`line (\d+): (.*)$`)

// mistakesOfForm are what a guess about indentation may cause.
var mistakesOfForm = []string{"bad-indentation", "missing-colon", "missing-space"}

// mend tells the usual mistakes in a text that YAML refused, and reads it as it
// was most likely meant; nil where YAML refuses that too.
func (p *parser) mend(err error) (*yaml.Decoder, *yaml.Node) {
	told := len(p.list) > 0
	m := p.mended()
	for _, f := range scan(m) {
		if p.tabbed && slices.Contains(mistakesOfForm, f.code) {
			continue
		}
		told = true
		p.report(f.code, p.file.Span(f.from, f.to), f.help, "%s", f.message)
	}
	if !told {
		p.unusual(err)
	}
	if m.opaque {
		return nil, nil
	}
	// What YAML still refuses goes away, with what stands deeper.
	const tries = 4
	for range tries {
		dec, doc := yaml.NewDecoder(bytes.NewReader(m.bytes())), new(yaml.Node)
		if err = decode(dec, doc); err == nil {
			return dec, doc
		}
		line, _ := refused(err)
		if errors.Is(err, io.EOF) || !m.drop(line) {
			break
		}
	}
	return nil, nil
}

// refused is where YAML says that it stopped, and why.
func refused(err error) (line int, why string) {
	line, why = 1, strings.TrimPrefix(err.Error(), "yaml: ")
	if m := yamlLine.FindStringSubmatch(err.Error()); m != nil {
		line, _ = strconv.Atoi(m[1])
		why = m[2]
	}
	return line, why
}

// unusual reports an error of the YAML library on the line that it names.
func (p *parser) unusual(err error) {
	line, why := refused(err)
	line = min(max(line, 1), p.file.Lines())
	content := p.file.Line(line)
	lead := len(content) - len(strings.TrimLeft(content, " "))
	p.report("yaml", p.file.Span(p.file.Offset(line, 1)+lead, p.file.Offset(line, 1<<30)),
		"compare the indentation with the lines around it; quote values with special characters", "not valid YAML: %s", why)
}

// shapeHelp says how the shape that is wanted is written.
func shapeHelp(n *yaml.Node, what, want string, keys []string) string {
	empty := n.Kind == yaml.ScalarNode && n.Value == ""
	switch {
	case empty:
		return "write it on the next lines, deeper than its key"
	case strings.HasSuffix(want, "list") && n.Kind == yaml.MappingNode && len(n.Content) > 0 && strings.HasPrefix(n.Content[0].Value, "-"):
		return "a list item needs a space behind its dash: - item"
	case strings.HasSuffix(want, "list"):
		return "begin each entry with a dash: - …"
	case n.Kind == yaml.MappingNode && n.Style&yaml.FlowStyle != 0:
		return "a value that begins with { stands in quotes; an expression is ${{ … }}"
	case strings.HasSuffix(want, "values") && n.Kind == yaml.ScalarNode && len(keys) > 0 && len(keys) <= 8 && !strings.Contains(what, " "):
		return "write " + strings.TrimPrefix(what, "on.") + ": { " + strings.Join(keys, ": …, ") + ": … }, with the keys that you need"
	case strings.HasSuffix(want, "values"):
		return "write key: value, one a line"
	}
	return "write it in one value"
}

// noName reports a key that is no name. A map in a map is most often an
// expression without its dollar sign.
func (p *parser) noName(n, k *yaml.Node) {
	at := p.file.Offset(n.Line, n.Column)
	if bytes.HasPrefix(p.file.Bytes[at:], []byte("{{")) {
		p.report("flow-braces", p.file.Span(at, at+2), "write \"${{ … }}\"", "an expression begins with ${{")
		return
	}
	p.wrong(k, "a key", "a name")
}

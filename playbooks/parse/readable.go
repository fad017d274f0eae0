package parse

import (
	"bytes"
	"regexp"
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
	for at := 0; at < len(text); {
		r, size := utf8.DecodeRune(text[at:])
		if r == utf8.RuneError && size <= 1 {
			p.report("encoding", p.file.Span(at, at+1), "save the file as UTF-8", "the byte %#02x is not UTF-8", text[at])
			return false
		}
		if control(r) || (r == '\r' && !bytes.HasPrefix(text[at:], []byte("\r\n"))) {
			p.report("control-character", p.file.Span(at, at+size), "remove it", "the control character %U is not allowed", r)
			return false
		}
		if hidden(r) && at > 0 {
			p.report("hidden-character", p.file.Span(at, at+size), `remove it, or write it as \u escape in double quotes`,
				"the invisible character %U hides what the text says", r)
		}
		at += size
	}
	return p.shallow() && p.tabs()
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
// column. Within a block scalar a tab behind the block's own spaces is text.
func (p *parser) tabs() bool {
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
			at := p.file.Offset(n, indent+1)
			p.report("tab", p.file.Span(at, at+1), "indent with spaces", "YAML does not allow a tab as indentation")
			return false
		}
		if first = false; inside {
			continue
		}
		if block = none; strings.ContainsAny(rest, "|>") && blockHeader.MatchString(rest) {
			block, first = blockParent(rest, indent), !explicitIndent.MatchString(rest)
		}
	}
	return true
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

// syntax places an error of the YAML library: at a usual mistake where there is
// one, otherwise on the line that YAML names.
func (p *parser) syntax(err error) {
	if m := usual(p.file); m != nil {
		p.report(m.code, p.file.Span(m.from, m.to), m.help, "%s", m.message)
		return
	}
	line, text := 1, strings.TrimPrefix(err.Error(), "yaml: ")
	if m := yamlLine.FindStringSubmatch(err.Error()); m != nil {
		line, _ = strconv.Atoi(m[1])
		text = m[2]
	}
	line = min(max(line, 1), p.file.Lines())
	content := p.file.Line(line)
	lead := len(content) - len(strings.TrimLeft(content, " "))
	p.report("yaml", p.file.Span(p.file.Offset(line, 1)+lead, p.file.Offset(line, 1<<30)),
		"compare the indentation with the lines around it; quote values with special characters", "not valid YAML: %s", text)
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
		return "write " + what + ": { " + strings.Join(keys, ": …, ") + ": … }, with the keys that you need"
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

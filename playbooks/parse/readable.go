package parse

import (
	"bytes"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/quell-soar/quell/playbooks/source"
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
			p.report("too-deep", p.file.Span(at, at+1), "", "more than %d brackets are open here", maxBrackets)
			return false
		}
		if entries > MaxNodes {
			p.report("too-large", p.file.Span(at, at+1), "split the playbook", "the file has more than %d values", MaxNodes)
			return false
		}
	}
	if at := bytes.Index(p.file.Bytes, bytes.Repeat([]byte("- "), maxDashes)); at >= 0 {
		p.report("too-deep", p.file.Span(at, at+1), "", "lists nest deeper than %d levels here", MaxDepth)
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

// tabs finds tabs in indentation outside of block scalars' reach: YAML forbids
// them, and its own message has no column.
func (p *parser) tabs() bool {
	for n := 1; n <= p.file.Lines(); n++ {
		line := p.file.Line(n)
		lead := line[:len(line)-len(strings.TrimLeft(line, " \t"))]
		if i := strings.IndexByte(lead, '\t'); i >= 0 && strings.TrimSpace(line) != "" && !p.inBlock(n, strings.IndexByte(lead, '\t')) {
			at := p.file.Offset(n, i+1)
			p.report("tab", p.file.Span(at, at+1), "indent with spaces", "YAML does not allow a tab as indentation")
			return false
		}
	}
	return true
}

var blockHeader = regexp.MustCompile(`(^|[:\-]\s+)[|>][-+0-9]*\s*(#.*)?$`)

// inBlock reports whether a line belongs to a block scalar, where a tab behind
// the block's own spaces is text.
func (p *parser) inBlock(n, spaces int) bool {
	for above := n - 1; above >= 1; above-- {
		line := p.file.Line(above)
		if strings.TrimSpace(line) == "" {
			continue
		}
		indent := len(line) - len(strings.TrimLeft(line, " "))
		if indent < spaces {
			return blockHeader.MatchString(line)
		}
	}
	return false
}

var yamlLine = regexp.MustCompile(`line (\d+): (.*)$`)

// mistake is one of the usual mistakes that stop YAML, with how to find its
// place within a line.
type mistake struct {
	code, message, help string
	find                *regexp.Regexp
}

// mistakes are tried in order on the line that YAML names and its neighbours.
// The first group of each pattern is the place.
var mistakes = []mistake{
	{
		"flow-braces", "inside { } or [ ] the braces of an expression end the map", "quote the value: \"${{ … }}\", or write the map on lines of its own",
		regexp.MustCompile(`[{\[].*[^"'$](\$\{\{)`),
	},
	{
		"text-after-quote", "there is text behind the closing quote", "put the whole value in quotes of the other sort, or write it in a | block",
		regexp.MustCompile(`:\s+(?:"(?:[^"\\]|\\.)*"|'(?:[^']|'')*')\s*([^\s#,}\]:].*)$`),
	},
	{
		"colon-in-value", "YAML takes `: ` inside a plain value for a new key", "quote the value, or write it in a | block",
		regexp.MustCompile(`^\s*(?:- )?[\w.-]+:\s+[^"'|>\s{\[#].*?(:)(?:\s|$)`),
	},
	{
		"reserved-character", "a plain value cannot begin with this character", "quote the value",
		regexp.MustCompile("^\\s*(?:- )?(?:[\\w.-]+:\\s+)?([@`%])"),
	},
	{
		"missing-space", "a key needs a space behind its colon", "write `key: value`",
		regexp.MustCompile(`^\s*(?:- )?[a-z_]+(:)[^\s:/]`),
	},
	{
		"missing-space", "a list item needs a space behind its dash", "write `- item`",
		regexp.MustCompile(`^\s*(-)[^\s-]`),
	},
	{
		"unclosed-quote", "the quote is not closed", "close it, or write the value in a | block",
		regexp.MustCompile(`:\s+("(?:[^"\\]|\\.)*)$`),
	},
	{
		"unclosed-quote", "the quote is not closed", "close it, or write the value in a | block",
		regexp.MustCompile(`:\s+('(?:[^']|'')*)$`),
	},
	{
		"unclosed-bracket", "the bracket is not closed", "close it on the same line",
		regexp.MustCompile(`:\s+([\[{])[^\]}]*$`),
	},
}

// syntax places an error of the YAML library as well as it can be placed.
func (p *parser) syntax(err error) {
	line, text := 1, strings.TrimPrefix(err.Error(), "yaml: ")
	if m := yamlLine.FindStringSubmatch(err.Error()); m != nil {
		line, _ = strconv.Atoi(m[1])
		text = m[2]
	}
	if line, m, at := p.usual(line); m != nil {
		start := p.file.Offset(line, 1) + at[0]
		p.report(m.code, p.file.Span(start, p.file.Offset(line, 1)+at[1]), m.help, "%s", m.message)
		return
	}
	line = min(max(line, 1), p.file.Lines())
	content := p.file.Line(line)
	lead := len(content) - len(strings.TrimLeft(content, " "))
	p.report("yaml", source.Span{Start: p.file.At(p.file.Offset(line, 1) + lead), End: p.file.At(p.file.Offset(line, 1<<30))},
		"compare the indentation with the lines around it; quote values with special characters", "not valid YAML: %s", text)
}

// usual looks for a usual mistake. YAML's line is off by one now and then, and 0
// for the first line; an unclosed quote or bracket is told at the file's end.
func (p *parser) usual(line int) (int, *mistake, [2]int) {
	near := []int{line, line - 1, line + 1}
	for n := line - 2; n >= 1; n-- {
		near = append(near, n)
	}
	for _, n := range near {
		if n < 1 || n > p.file.Lines() {
			continue
		}
		text := p.file.Line(n)
		for i := range mistakes {
			m := &mistakes[i]
			far := n < line-1
			if far && !strings.HasPrefix(m.code, "unclosed") {
				continue
			}
			if at := m.find.FindStringSubmatchIndex(text); at != nil {
				return n, m, [2]int{at[2], at[3]}
			}
		}
	}
	return 0, nil, [2]int{}
}

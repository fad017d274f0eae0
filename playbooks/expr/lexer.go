package expr

import "strings"

// tokenKind sorts the tokens of CEL as far as spans and templates need it.
type tokenKind int

const (
	tokName tokenKind = iota
	tokNumber
	tokText
	tokMark
	tokBroken
)

// token is one token; its ends are rune offsets.
type token struct {
	kind       tokenKind
	start, end int
	text       string
}

// next reads the token at or behind a rune offset. ok is false at the end.
func next(src []rune, at int) (token, bool) {
	for at < len(src) {
		switch {
		case src[at] == ' ' || src[at] == '\t' || src[at] == '\n' || src[at] == '\r' || src[at] == '\f':
			at++
		case src[at] == '/' && at+1 < len(src) && src[at+1] == '/':
			for at < len(src) && src[at] != '\n' {
				at++
			}
		default:
			end, kind := tokenEnd(src, at)
			return token{kind: kind, start: at, end: end, text: string(src[at:end])}, true
		}
	}
	return token{}, false
}

func tokenEnd(src []rune, at int) (int, tokenKind) {
	c := src[at]
	if c == '"' || c == '\'' {
		return textEnd(src, at, false)
	}
	if letter(c) {
		end := at
		for end < len(src) && (letter(src[end]) || digit(src[end])) {
			end++
		}
		if prefix := strings.ToLower(string(src[at:end])); end < len(src) && (src[end] == '"' || src[end] == '\'') &&
			(prefix == "r" || prefix == "b" || prefix == "rb" || prefix == "br") {
			return textEnd(src, end, strings.Contains(prefix, "r"))
		}
		return end, tokName
	}
	if digit(c) {
		end := at
		for end < len(src) && (letter(src[end]) || digit(src[end]) || (src[end] == '.' && end+1 < len(src) && digit(src[end+1]))) {
			end++
		}
		return end, tokNumber
	}
	return at + 1, tokMark
}

func letter(r rune) bool {
	return r == '_' || r == '@' || (r >= 'a' && r <= 'z') || (r >= 'A' && r <= 'Z')
}

func digit(r rune) bool { return r >= '0' && r <= '9' }

func textEnd(src []rune, at int, raw bool) (int, tokenKind) {
	quote, width := src[at], 1
	if at+2 < len(src) && src[at+1] == quote && src[at+2] == quote {
		width = 3
	}
	for i := at + width; i < len(src); i++ {
		switch {
		case src[i] == '\\' && !raw:
			i++
		case src[i] == '\n' && width == 1:
			return i, tokBroken
		case src[i] == quote && width == 1:
			return i + 1, tokText
		case src[i] == quote && i+2 < len(src) && src[i+1] == quote && src[i+2] == quote:
			return i + 3, tokText
		}
	}
	return len(src), tokBroken
}

// tokens reads a whole expression.
func tokens(src []rune) []token {
	var out []token
	for at := 0; ; {
		t, ok := next(src, at)
		if !ok {
			return out
		}
		out = append(out, t)
		at = t.end
	}
}

// Segment is a piece of a text with expressions in it: literal text, or an
// expression that stands at [From:To] of the text, in bytes.
type Segment struct {
	Text     string
	IsExpr   bool
	From, To int
}

// Split takes a text apart at its ${{ … }}. $${{ stands for a literal ${{. The
// end of an expression is where CEL's tokens end, so that braces and quotes in
// it do not matter. open is the byte offset of an expression without an end,
// or -1.
func Split(text string) (segments []Segment, open int) {
	var lit strings.Builder
	flush := func() {
		if lit.Len() > 0 {
			segments = append(segments, Segment{Text: lit.String()})
			lit.Reset()
		}
	}
	for at := 0; at < len(text); {
		i := strings.Index(text[at:], "${{")
		if i < 0 {
			lit.WriteString(text[at:])
			break
		}
		if i > 0 && text[at+i-1] == '$' {
			lit.WriteString(text[at:at+i-1] + "${{")
			at += i + 3
			continue
		}
		lit.WriteString(text[at : at+i])
		start := at + i + 3
		end := closing(text[start:])
		if end < 0 {
			return segments, at + i
		}
		flush()
		segments = append(segments, Segment{IsExpr: true, From: start, To: start + end})
		at = start + end + 2
	}
	flush()
	return segments, -1
}

// closing finds the }} that ends an expression.
func closing(text string) int {
	src := []rune(text)
	depth := 0
	for at := 0; ; {
		t, ok := next(src, at)
		if !ok {
			return -1
		}
		switch t.text {
		case "{":
			depth++
		case "}":
			if depth == 0 {
				if t.end < len(src) && src[t.end] == '}' {
					return len(string(src[:t.start]))
				}
				return -1
			}
			depth--
		}
		at = t.end
	}
}

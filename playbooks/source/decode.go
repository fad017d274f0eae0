package source

import (
	"bytes"
	"strconv"
	"strings"
	"unicode/utf8"
)

// decoder walks a scalar's source beside its known value. A mismatch ends the
// walk: then places within the value are not known.
type decoder struct {
	src   []byte
	pos   int
	value string
	done  int
	at    []int
}

// emit maps the next n bytes of the value to one source offset.
func (d *decoder) emit(n, at int) {
	for range n {
		d.at = append(d.at, at)
	}
	d.done += n
}

func (d *decoder) rest() string { return d.value[d.done:] }

// char takes one character that stands as itself.
func (d *decoder) char() bool {
	r, size := utf8.DecodeRune(d.src[d.pos:])
	if !strings.HasPrefix(d.rest(), string(d.src[d.pos:d.pos+size])) || (r == utf8.RuneError && size <= 1) {
		return false
	}
	for i := range size {
		d.emit(1, d.pos+i)
	}
	d.pos += size
	return true
}

// space takes a run of white space: as itself within a line, folded across
// lines.
func (d *decoder) space() bool {
	start, end, breaks := d.pos, d.pos, 0
	for end < len(d.src) && bytes.IndexByte([]byte(" \t\r\n"), d.src[end]) >= 0 {
		if d.src[end] == '\n' {
			breaks++
		}
		end++
	}
	if breaks == 0 {
		for d.pos < end && d.done < len(d.value) {
			if !d.char() {
				return false
			}
		}
		d.pos = max(d.pos, end)
		return true
	}
	d.pos = end
	if breaks == 1 {
		return d.take(" ", start)
	}
	return d.take(strings.Repeat("\n", breaks-1), start)
}

// take maps text that the value must have next to one source offset. Behind the
// value's end it maps nothing: there a plain scalar is over.
func (d *decoder) take(text string, at int) bool {
	if d.done == len(d.value) {
		return true
	}
	if !strings.HasPrefix(d.rest(), text) {
		return false
	}
	d.emit(len(text), at)
	return true
}

func (d *decoder) plain() bool {
	for d.done < len(d.value) {
		if d.pos >= len(d.src) {
			return false
		}
		ok := false
		switch d.src[d.pos] {
		case ' ', '\t', '\r', '\n':
			ok = d.space()
		default:
			ok = d.char()
		}
		if !ok {
			return false
		}
	}
	d.at = append(d.at, d.pos)
	return true
}

func (d *decoder) quoted(quote byte) bool {
	if d.pos >= len(d.src) || d.src[d.pos] != quote {
		return false
	}
	for d.pos++; d.pos < len(d.src); {
		ok := false
		switch c := d.src[d.pos]; {
		case c == quote && quote == '\'' && d.pos+1 < len(d.src) && d.src[d.pos+1] == quote:
			ok = strings.HasPrefix(d.rest(), "'")
			d.emit(1, d.pos)
			d.pos += 2
		case c == quote:
			d.at = append(d.at, d.pos)
			d.pos++
			return d.done == len(d.value)
		case c == '\\' && quote == '"':
			ok = d.escape()
		case c == ' ' || c == '\t' || c == '\r' || c == '\n':
			ok = d.space()
		default:
			ok = d.char()
		}
		if !ok || d.done > len(d.value) {
			return false
		}
	}
	return false
}

// escapes are YAML's one-letter escapes in double quotes.
var escapes = map[byte]string{
	'0': "\x00", 'a': "\a", 'b': "\b", 't': "\t", '\t': "\t", 'n': "\n", 'v': "\v", 'f': "\f", 'r': "\r",
	'e': "\x1b", ' ': " ", '"': "\"", '/': "/", '\\': "\\", 'N': "\u0085", '_': "\u00a0", 'L': "\u2028", 'P': "\u2029", '\'': "'",
}

var hexLength = map[byte]int{'x': 2, 'u': 4, 'U': 8}

func (d *decoder) escape() bool {
	if d.pos+1 >= len(d.src) {
		return false
	}
	start, c := d.pos, d.src[d.pos+1]
	if c == '\n' || c == '\r' { // an escaped line break joins the lines; empty ones stay
		breaks := -1
		for d.pos++; d.pos < len(d.src) && bytes.IndexByte([]byte(" \t\r\n"), d.src[d.pos]) >= 0; d.pos++ {
			if d.src[d.pos] == '\n' {
				breaks++
			}
		}
		return d.take(strings.Repeat("\n", max(breaks, 0)), start)
	}
	text, ok := escapes[c]
	length := 2
	if n, isHex := hexLength[c]; isHex && d.pos+2+n <= len(d.src) {
		code, err := strconv.ParseUint(string(d.src[d.pos+2:d.pos+2+n]), 16, 32)
		if err != nil || code > utf8.MaxRune {
			return false
		}
		text, ok, length = string(rune(code)), true, 2+n
	}
	if !ok || !strings.HasPrefix(d.rest(), text) {
		return false
	}
	d.emit(len(text), start)
	d.pos += length
	return true
}

// block walks a literal or folded scalar.
func (d *decoder) block() bool {
	eol := bytes.IndexByte(d.src[d.pos:], '\n')
	if eol < 0 {
		d.pos = len(d.src)
		d.at = append(d.at, d.pos)
		return d.value == ""
	}
	header := d.src[d.pos : d.pos+eol]
	d.pos += eol + 1
	indent := d.indentation(header)
	last := d.pos
	for d.done < len(d.value) && d.pos < len(d.src) {
		d.skipIndent(indent)
		for d.pos < len(d.src) && d.src[d.pos] != '\n' && d.done < len(d.value) {
			if d.src[d.pos] == '\r' && d.pos+1 < len(d.src) && d.src[d.pos+1] == '\n' {
				d.pos++
				break
			}
			if !d.char() {
				return false
			}
		}
		last = d.pos
		if d.pos < len(d.src) && d.src[d.pos] == '\n' {
			d.breaks(indent)
		}
	}
	d.at = append(d.at, last)
	d.pos = last
	return d.done == len(d.value)
}

// breaks takes a line break and the empty lines behind it.
func (d *decoder) breaks(indent int) {
	start, n := d.pos, 0
	for d.pos < len(d.src) && d.src[d.pos] == '\n' {
		n++
		d.pos++
		end := d.pos
		for end < len(d.src) && end-d.pos < indent && d.src[end] == ' ' {
			end++
		}
		if end < len(d.src) && d.src[end] == '\r' {
			end++
		}
		if end >= len(d.src) || d.src[end] != '\n' {
			break
		}
		d.pos = end
	}
	rest := d.rest()
	if strings.HasPrefix(rest, " ") && n == 1 {
		d.emit(1, start)
		return
	}
	d.emit(min(n, len(rest)-len(strings.TrimLeft(rest, "\n"))), start)
}

func (d *decoder) skipIndent(n int) {
	for range n {
		if d.pos < len(d.src) && d.src[d.pos] == ' ' {
			d.pos++
		}
	}
}

// indentation is the number of spaces before the block's lines: of its first
// line that is not empty, less what the value itself begins with where the
// header gives an indicator.
func (d *decoder) indentation(header []byte) int {
	indicators, _, _ := bytes.Cut(header, []byte("#"))
	explicit := bytes.ContainsAny(indicators, "123456789")
	for at := d.pos; at < len(d.src); {
		end := bytes.IndexByte(d.src[at:], '\n')
		if end < 0 {
			end = len(d.src) - at
		}
		line := d.src[at : at+end]
		if text := bytes.TrimLeft(line, " "); len(bytes.TrimSpace(text)) > 0 {
			n := len(line) - len(text)
			if explicit {
				v := strings.TrimLeft(d.value, "\n")
				n -= len(v) - len(strings.TrimLeft(v, " "))
			}
			return max(n, 0)
		}
		at += end + 1
	}
	return 0
}

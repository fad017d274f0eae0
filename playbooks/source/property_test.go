package source_test

import (
	"strings"
	"testing"

	"gopkg.in/yaml.v3"
	"pgregory.net/rapid"

	"github.com/quell-soar/quell/playbooks/source"
)

// author writes a YAML scalar and notes, for each byte of its value, which bytes
// of the text it comes from. It is the plain reference that the offset map is
// held against: it knows because it wrote both.
type author struct {
	t     *rapid.T
	nl    string
	text  strings.Builder
	value strings.Builder
	from  []origin
}

// origin is where a byte of the value comes from. Of what a line break became
// only the region counts: which of its white space it is, nobody can say.
type origin struct {
	start, end int
	fold       bool
}

// write writes source that means a value.
func (a *author) write(src, value string, fold bool) {
	at := a.text.Len()
	a.text.WriteString(src)
	for range len(value) {
		a.from = append(a.from, origin{at, at + len(src), fold})
	}
	a.value.WriteString(value)
}

func (a *author) same(s string) {
	for _, r := range s {
		a.write(string(r), string(r), false)
	}
}

func (a *author) n(most int, label string) int { return rapid.IntRange(0, most).Draw(a.t, label) }

func (a *author) one(label string, of ...string) string {
	return rapid.SampledFrom(of).Draw(a.t, label)
}

func (a *author) word() string {
	return a.one("word", "a", "steps.x", "ü", "漢字", "😀b", "é", "a:b", "c#d", "x'y", `p"q`, "${{x}}", "0")
}

// lineBreak writes a folded line break with empty lines behind it.
func (a *author) lineBreak(indent string) {
	empty := a.n(2, "empty lines")
	src, value := strings.Repeat(" ", a.n(2, "spaces before"))+a.nl, " "
	for range empty {
		src += strings.Repeat(" ", a.n(4, "spaces on an empty line")) + a.nl
	}
	if empty > 0 {
		value = strings.Repeat("\n", empty)
	}
	a.write(src+indent+strings.Repeat(" ", a.n(3, "more indentation")), value, true)
}

// flowing writes words with spaces and line breaks between them, as plain and
// quoted scalars have them. write writes one word.
func (a *author) flowing(indent string, word func()) {
	word()
	for range a.n(8, "words") {
		switch a.n(3, "between") {
		case 0:
			a.lineBreak(indent)
		case 1:
			a.same("\t ")
		default:
			a.same(strings.Repeat(" ", 1+a.n(2, "spaces")))
		}
		word()
	}
}

func (a *author) plain(indent string) {
	a.same("w")
	a.flowing(indent, func() {
		a.same("w" + a.word()) // so that none begins with a mark of YAML's
	})
}

func (a *author) single(indent string) {
	a.text.WriteByte('\'')
	a.flowing(indent, func() {
		for _, r := range a.word() + a.one("quote", "", "'", "''") {
			if r == '\'' {
				a.write("''", "'", false)
				continue
			}
			a.same(string(r))
		}
	})
	a.text.WriteByte('\'')
}

func (a *author) double(indent string) {
	a.text.WriteByte('"')
	a.flowing(indent, func() {
		for range a.n(2, "escapes before") {
			a.escape(indent)
		}
		for _, r := range a.word() {
			if r == '"' {
				a.write(`\"`, `"`, false)
				continue
			}
			a.same(string(r))
		}
		for range a.n(3, "escapes") {
			a.escape(indent)
		}
	})
	a.text.WriteByte('"')
}

func (a *author) escape(indent string) {
	switch a.n(8, "escape") {
	case 0:
		a.write(`\n`, "\n", false)
	case 1:
		a.write(`\t`, "\t", false)
	case 2:
		a.write(`\u00fc`, "ü", false)
	case 3:
		a.write(`\U0001F600`, "😀", false)
	case 4:
		a.write(`\x41`, "A", false)
	case 5:
		a.write(`\\`, `\`, false)
	case 6:
		a.write(`\ `, " ", false)
	case 7:
		a.write(`\_`, "\u00a0", false)
	default:
		empty := a.n(1, "empty lines")
		a.write(`\`+a.nl+strings.Repeat("  "+a.nl, empty)+indent, strings.Repeat("\n", empty), true)
		a.same("x")
	}
}

// block writes a literal or folded scalar with an indentation in spaces.
func (a *author) block(indent int, folded bool) {
	header, explicit := "|", a.n(2, "explicit") == 0
	if folded {
		header = ">"
	}
	if explicit {
		header += string(rune('0' + indent - 2))
	}
	chomp := a.one("chomp", "", "-", "+")
	a.text.WriteString(header + chomp + a.one("comment", "", " # why", "  ") + a.nl)
	pad := strings.Repeat(" ", indent)
	deep := false // the line above was indented deeper
	for i := range 1 + a.n(5, "lines") {
		lead := ""
		if i > 0 || explicit {
			lead = a.one("lead", "", "", "  ", "\t")
		}
		if i == 0 && lead == "\t" {
			lead = ""
		}
		if i > 0 {
			a.between(folded && !deep && lead == "")
		}
		a.text.WriteString(pad)
		deep = lead != ""
		a.same(lead + a.word() + a.one("more", "", " "+a.word(), "\t|", " # no comment"))
	}
	end := a.n(2, "empty lines at the end")
	src := a.nl + strings.Repeat(a.nl, end)
	switch chomp {
	case "":
		a.write(src, "\n", true)
	case "+":
		a.write(src, strings.Repeat("\n", end+1), true)
	default:
		a.write(src, "", true)
	}
}

// between writes the line break between two lines of a block, with empty lines.
func (a *author) between(folds bool) {
	empty := a.n(2, "empty lines")
	src := a.nl
	for range empty {
		src += strings.Repeat(" ", a.n(1, "spaces on an empty line")) + a.nl
	}
	n := empty + 1
	switch {
	case folds && empty == 0:
		a.write(src, " ", true)
		return
	case folds:
		n = empty
	}
	a.write(src, strings.Repeat("\n", n), true)
}

// TestOffsetMap writes scalars of the five styles at random, with wide
// characters, escapes, tabs, CRLF and a byte order mark before them, and holds
// that each character of the decoded value is mapped to where it was written.
func TestOffsetMap(t *testing.T) {
	for name, write := range map[string]func(*author){
		"plain":   func(a *author) { a.plain("    ") },
		"single":  func(a *author) { a.single("    ") },
		"double":  func(a *author) { a.double("    ") },
		"literal": func(a *author) { a.block(4+a.n(2, "deeper"), false) },
		"folded":  func(a *author) { a.block(4+a.n(2, "deeper"), true) },
	} {
		t.Run(name, func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				for range 10 {
					checkScalar(t, write)
				}
			})
		})
	}
}

func checkScalar(t *rapid.T, write func(*author)) {
	a := &author{t: t, nl: rapid.SampledFrom([]string{"\n", "\r\n"}).Draw(t, "line end")}
	a.text.WriteString(rapid.SampledFrom([]string{"", "\ufeff"}).Draw(t, "mark") + "ü: 'ä'" + a.nl + "k:" + a.nl + "  k: ")
	start := a.text.Len()
	write(a)
	if !strings.HasSuffix(a.text.String(), "\n") { // a block ends its last line itself
		a.text.WriteString(a.nl)
	}
	a.text.WriteString("b: 1" + a.nl)
	text, value := a.text.String(), a.value.String()

	var doc struct {
		K struct{ K yaml.Node }
	}
	if err := yaml.Unmarshal([]byte(text), &doc); err != nil {
		t.Fatalf("the reference wrote no YAML: %v\n%s", err, text)
	}
	n := doc.K.K
	if n.Value != value {
		t.Fatalf("the reference means %q, YAML reads %q:\n%s", value, n.Value, text)
	}
	f := source.NewFile("f", []byte(text))
	if at := f.Offset(n.Line, n.Column); at != start {
		t.Fatalf("the scalar is at %d, found at %d", start, at)
	}
	s := source.NewScalar(f, start, styleOf(&n), n.Value)
	if !s.Exact() {
		t.Fatalf("%q is not mapped:\n%s", value, text)
	}
	for i, r := range value {
		at, want := s.Part(i, i+len(string(r))), a.from[i]
		if want.fold {
			if at.Start.Offset < want.start || at.End.Offset > want.end {
				t.Fatalf("the break at %d of %q is at %v, want within %d-%d:\n%s", i, value, at, want.start, want.end, text)
			}
			continue
		}
		if at.Start.Offset != want.start || at.End.Offset != want.end {
			t.Fatalf("%q at %d of %q is at %d-%d, want %d-%d:\n%s", r, i, value, at.Start.Offset, at.End.Offset, want.start, want.end, text)
		}
	}
}

func styleOf(n *yaml.Node) source.Style {
	for s, mine := range map[yaml.Style]source.Style{
		yaml.DoubleQuotedStyle: source.Double, yaml.SingleQuotedStyle: source.Single,
		yaml.LiteralStyle: source.Literal, yaml.FoldedStyle: source.Folded,
	} {
		if n.Style&s != 0 {
			return mine
		}
	}
	return source.Plain
}

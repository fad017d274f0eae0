package diag

import (
	"embed"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// Code is an entry of the registry: what a diagnostic's code means, with an
// example of the mistake and of its cure. One file per code stands in codes/;
// the pages in docs/diagnostics and the rules in SARIF are made of it.
//
// A code is stable: scripts, silences and links name it. It is never given
// another meaning, and is not removed within a version of the language.
type Code struct {
	// Name is what stands behind a message in brackets: unknown-key.
	Name string
	// Title is one line without a full stop.
	Title    string
	Severity Severity
	// Meaning is one or more paragraphs of Markdown.
	Meaning string
	// Cure is one paragraph of Markdown: what to do.
	Cure string
	// Bad has exactly this diagnostic, Good is the same playbook mended and has
	// none. Both are empty where NoExample says why.
	Bad, Good string
	// Escaped says that the examples have characters that do not print, written
	// as \xNN and \uNNNN; Unescape gives the text itself.
	Escaped   bool
	NoExample string
}

//go:embed codes/*.txtar
var codeFiles embed.FS

// registry is read when it is first asked for: running a playbook needs none.
var registry = sync.OnceValues(func() ([]Code, error) {
	entries, err := codeFiles.ReadDir("codes")
	if err != nil {
		return nil, fmt.Errorf("read the codes: %w", err)
	}
	out := make([]Code, 0, len(entries))
	for _, e := range entries {
		raw, err := codeFiles.ReadFile("codes/" + e.Name())
		if err != nil {
			return nil, fmt.Errorf("read the codes: %w", err)
		}
		c, err := parseCode(strings.TrimSuffix(e.Name(), ".txtar"), string(raw))
		if err != nil {
			return nil, err
		}
		out = append(out, c)
	}
	slices.SortFunc(out, func(a, b Code) int { return strings.Compare(a.Name, b.Name) })
	return out, nil
})

// Codes returns the registry, sorted by name. The error is a fault of the
// build, which a test finds.
func Codes() ([]Code, error) {
	all, err := registry()
	return slices.Clone(all), err
}

// Lookup returns the code of a name.
func Lookup(name string) (Code, bool) {
	all, _ := registry()
	i, ok := slices.BinarySearchFunc(all, name, func(c Code, n string) int { return strings.Compare(c.Name, n) })
	if !ok {
		return Code{}, false
	}
	return all[i], true
}

// Page is where the documentation of a code stands, below docs/.
func Page(code string) string { return "diagnostics/" + code + ".md" }

// parseCode reads one file of the registry: the title, fields, an empty line,
// Markdown whose last paragraph begins with "Cure: ", and the two examples.
func parseCode(name, text string) (Code, error) {
	c := Code{Name: name}
	fail := func(format string, args ...any) (Code, error) {
		return Code{}, fmt.Errorf("code %s: %s", name, fmt.Sprintf(format, args...))
	}
	head, examples, _ := strings.Cut(text, "-- bad.yaml --\n")
	c.Bad, c.Good, _ = strings.Cut(examples, "-- good.yaml --\n")
	head, body, ok := strings.Cut(head, "\n\n")
	if !ok {
		return fail("there is no empty line behind the fields")
	}
	title, fields, _ := strings.Cut(head, "\n")
	c.Title = title
	for line := range strings.Lines(fields) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
		switch key {
		case "severity":
			c.Severity = Severity(value)
		case "escaped":
			c.Escaped = value == "true"
		case "no-example":
			c.NoExample = value
		default:
			return fail("there is no field %s", key)
		}
	}
	meaning, cure, ok := strings.Cut(strings.TrimSpace(body), "\n\nCure: ")
	c.Meaning, c.Cure = meaning, cure
	switch {
	case !ok:
		return fail("the last paragraph must begin with `Cure: `")
	case c.Severity != Error && c.Severity != Warning:
		return fail("the severity is %q", c.Severity)
	case c.NoExample == "" && (c.Bad == "" || c.Good == ""):
		return fail("there must be an example of the mistake and of its cure, or no-example with a reason")
	}
	return c, nil
}

var escape = regexp.MustCompile(`\\(x[0-9a-f]{2}|u[0-9a-f]{4})`)

// Unescape gives the text of an example whose code is Escaped.
func Unescape(text string) string {
	return escape.ReplaceAllStringFunc(text, func(s string) string {
		n, err := strconv.ParseInt(s[2:], 16, 32)
		if err != nil {
			return s
		}
		if s[1] == 'x' {
			return string([]byte{byte(n & 0xff)})
		}
		return string(rune(n))
	})
}

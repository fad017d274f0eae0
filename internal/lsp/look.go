package lsp

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"go.lsp.dev/protocol"
	"go.lsp.dev/uri"

	"github.com/quell-soar/quell/connectors/spec/kind"
	"github.com/quell-soar/quell/internal/alert"
	"github.com/quell-soar/quell/playbooks/ast"
	"github.com/quell-soar/quell/playbooks/compile"
	"github.com/quell-soar/quell/playbooks/expr"
	"github.com/quell-soar/quell/playbooks/source"
)

// look is a place in a document as somebody writes there. It reads lines, since
// a text that is being written is often no YAML.
type look struct {
	actions compile.Catalogue
	file    *source.File
	uri     protocol.DocumentURI
	line    int // from 1
	// head and tail are the line before and behind the place.
	head, tail string
}

func (s *server) look(u protocol.DocumentURI, at protocol.Position) look {
	f := source.NewFile(fileName(u), []byte(s.text(u)))
	l := look{actions: s.house.Actions, file: f, uri: u, line: int(at.Line) + 1}
	l.head, l.tail = before(f.Line(l.line), at.Character)
	return l
}

var (
	// keyLine is a line with a key: dashes, the key, what follows.
	keyLine  = regexp.MustCompile(`^(\s*(?:- +)*)["']?([A-Za-z0-9_.-]+)["']?:(?:\s+(.*))?$`)
	wordTail = regexp.MustCompile(`[A-Za-z0-9_.?-]*$`)
	wordHead = regexp.MustCompile(`^[A-Za-z0-9_]*`)
)

// keyOf takes a line apart: how deep its key stands, the key, its value.
func keyOf(line string) (depth int, key, value string) {
	m := keyLine.FindStringSubmatch(line)
	if m == nil {
		return -1, "", ""
	}
	return len(m[1]), m[2], m[3]
}

func indent(line string) int { return len(line) - len(strings.TrimLeft(line, " -")) }

// path are the keys around the line, the outermost first, with the lines where
// they stand.
func (l look) path() (keys []string, lines []int) {
	depth := indent(l.head)
	for n := l.line - 1; n >= 1 && depth > 0; n-- {
		if d, key, _ := keyOf(l.file.Line(n)); key != "" && d < depth {
			keys, lines, depth = append(keys, key), append(lines, n), d
		}
	}
	slices.Reverse(keys)
	slices.Reverse(lines)
	return keys, lines
}

// beside gives the keys that stand beside a line at a depth, with their values:
// the other keys of its map.
func (l look) beside(line, depth int) map[string]string {
	out := map[string]string{}
	for _, step := range []int{-1, 1} {
		for n := line; n >= 1 && n <= l.file.Lines(); n += step {
			text := l.file.Line(n)
			d, key, value := keyOf(text)
			switch {
			case key != "" && d == depth:
				out[key] = value
			case strings.TrimSpace(text) != "" && indent(text) < depth:
				n = -1
			}
			if dash := strings.Index(text, "- "); n > 0 && dash >= 0 && strings.TrimSpace(text[:dash]) == "" && dash+2 == depth {
				if step < 0 {
					break // the map begins here
				}
			}
			if next := l.file.Line(n + 1); step > 0 && strings.HasPrefix(strings.TrimLeft(next, " "), "- ") && indent(next) <= depth {
				break
			}
		}
	}
	return out
}

// shape is the shape of the map that the line stands in, and the action whose
// inputs it holds.
func (l look) shape() (*ast.Shape, string) {
	keys, lines := l.path()
	s := ast.PlaybookShape()
	action := ""
	for i, key := range keys {
		if s == nil {
			return nil, ""
		}
		switch s.Form {
		case ast.Object:
			k, _ := s.Key(key)
			d, _, _ := keyOf(l.file.Line(lines[i]))
			if action = ""; key == "with" {
				action = l.beside(lines[i], d)["uses"]
			}
			s = k.Shape
		case ast.Open:
			s = s.Each
		}
		if s != nil && (s.Form == ast.Steps || s.Form == ast.List) {
			depth, at := indent(l.head), l.line
			if i+1 < len(keys) {
				depth, _, _ = keyOf(l.file.Line(lines[i+1]))
				at = lines[i+1]
			}
			if s.Form == ast.List {
				s = s.Each
			} else {
				s = stepShape(l.beside(at, depth))
			}
		}
	}
	return s, action
}

// stepShape is the shape of a step with these keys; of one without a kind it has
// every key.
func stepShape(keys map[string]string) *ast.Shape {
	all := &ast.Shape{Form: ast.Object}
	for _, k := range ast.Kinds() {
		s := ast.StepShape(k)
		if _, ok := keys[k]; ok {
			return s
		}
		for _, key := range s.Keys {
			if _, ok := all.Key(key.Name); !ok {
				all.Keys = append(all.Keys, key)
			}
		}
	}
	return all
}

// steps gives, by id, the keys of each step of the file.
func (l look) steps() map[string]map[string]string {
	out := map[string]map[string]string{}
	for n := 1; n <= l.file.Lines(); n++ {
		if d, key, value := keyOf(l.file.Line(n)); key == "id" && value != "" {
			out[strings.Fields(value)[0]] = l.beside(n, d)
		}
	}
	return out
}

// below are the keys one deeper than a key of the file's top: inputs, settings.
func (l look) below(top string) []string {
	var out []string
	inside, depth := false, 0
	for n := 1; n <= l.file.Lines(); n++ {
		d, key, _ := keyOf(l.file.Line(n))
		switch {
		case key == "":
		case d == 0:
			inside, depth = key == top, 0
		case inside && (depth == 0 || d == depth):
			depth = d
			out = append(out, key)
		}
	}
	return out
}

// typed is the type of a chain of names such as steps.host.device.
func (l look) typed(chain []string) (kind.Type, bool) {
	if len(chain) == 0 {
		return kind.Type{}, false
	}
	var t kind.Type
	switch rest := chain[1:]; chain[0] {
	case "run":
		t, chain = expr.RunType(), rest
	case "alert":
		t, chain = alert.Type(), rest
	case "steps":
		if len(rest) == 0 {
			return kind.Type{}, false
		}
		a, ok := l.actions.Action(strings.Trim(l.steps()[rest[0]]["uses"], `"' `))
		if !ok {
			return kind.Type{}, false
		}
		t, chain = a.OutputType(), rest[1:]
	default:
		return kind.Type{}, false
	}
	for _, name := range chain {
		f, ok := t.Field(name)
		if !ok {
			return kind.Type{}, false
		}
		t = f.Type
	}
	return t, true
}

// members are the fields that may be read of a type.
func members(t kind.Type) []kind.Field {
	if t.Kind == kind.Handled {
		return kind.Facts(t.Name)
	}
	return t.Fields
}

func fileName(u protocol.DocumentURI) string {
	if strings.HasPrefix(string(u), "file://") {
		return filepath.Base(uri.URI(u).Filename())
	}
	return string(u)
}

// folder is where a document lies; "" where it is no file.
func folder(u protocol.DocumentURI) string {
	if strings.HasPrefix(string(u), "file://") {
		return filepath.Dir(uri.URI(u).Filename())
	}
	return ""
}

// shelf are the playbooks in a folder.
type shelf struct{ folder string }

var playbookName = regexp.MustCompile(`(?m)^playbook:[ \t]*["']?([A-Za-z0-9_-]+)`)

const maxFile = 1 << 20

func (s shelf) each(f func(path, name string, raw []byte) bool) {
	if s.folder == "" {
		return
	}
	paths, err := filepath.Glob(filepath.Join(s.folder, "*.yaml"))
	if err != nil {
		return
	}
	for _, path := range paths {
		if info, err := os.Stat(path); err != nil || !info.Mode().IsRegular() || info.Size() > maxFile {
			continue
		}
		raw, err := os.ReadFile(path)
		if m := playbookName.FindSubmatch(raw); err == nil && m != nil && f(path, string(m[1]), raw) {
			return
		}
	}
}

// Playbook returns the playbook of a name.
func (s shelf) Playbook(name string) (file *source.File, ok bool) {
	s.each(func(path, n string, raw []byte) bool {
		if n == name {
			file, ok = source.NewFile(path, raw), true
		}
		return ok
	})
	return file, ok
}

// Names lists the playbooks.
func (s shelf) Names() (names []string) {
	s.each(func(_, n string, _ []byte) bool {
		names = append(names, n)
		return false
	})
	return names
}

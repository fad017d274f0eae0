package lsp

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"go.lsp.dev/protocol"
	"go.lsp.dev/uri"

	"github.com/quell-soar/quell/connectors/spec"
	"github.com/quell-soar/quell/connectors/spec/kind"
	"github.com/quell-soar/quell/playbooks/expr"
	"github.com/quell-soar/quell/playbooks/source"
)

// bare are the keys whose values are expressions as they stand.
var bare = []string{"if", "when", "until", "foreach", "once_per", "open", "among", "switch", "incident"}

// inExpression reports whether the place lies in an expression.
func (l look) inExpression() bool {
	if open := strings.LastIndex(l.head, "${{"); open >= 0 {
		return !strings.Contains(l.head[open:], "}}")
	}
	_, key, _ := keyOf(l.head + "x") // a value is being written
	_, k2, _ := keyOf(l.head)
	if key == "" {
		key = k2
	}
	return slices.Contains(bare, key) && strings.Contains(l.head, ":")
}

func item(label, detail, doc string, k protocol.CompletionItemKind) protocol.CompletionItem {
	out := protocol.CompletionItem{Label: label, Detail: detail, Kind: k}
	if doc != "" {
		out.Documentation = doc
	}
	return out
}

// complete proposes what may stand at the place.
func (l look) complete() []protocol.CompletionItem {
	out := []protocol.CompletionItem{}
	if l.inExpression() {
		return append(out, l.names()...)
	}
	if _, key, _ := keyOf(l.head); key != "" { // behind a key
		return append(out, l.words(key)...)
	}
	if strings.ContainsAny(strings.TrimLeft(l.head, " -"), ": {[") {
		return out
	}
	s, action := l.shape()
	if a, ok := l.actions.Action(strings.Trim(action, `"' `)); ok {
		for _, f := range a.Inputs {
			out = append(out, item(f.Name, detail(f), f.Doc, protocol.CompletionItemKindField))
		}
		return out
	}
	if s != nil {
		for _, k := range s.Keys {
			out = append(out, item(k.Name, "", k.Doc, protocol.CompletionItemKindProperty))
		}
	}
	return out
}

func detail(f kind.Field) string {
	if f.Optional {
		return f.Type.String() + ", optional"
	}
	return f.Type.String()
}

// words are the values that a key may have.
func (l look) words(key string) []protocol.CompletionItem {
	var out []protocol.CompletionItem
	switch key {
	case "uses":
		for _, name := range l.actions.Names() {
			a, _ := l.actions.Action(name)
			out = append(out, item(name, a.Title, a.Doc, protocol.CompletionItemKindFunction))
		}
		return out
	case "call":
		for _, name := range (shelf{folder(l.uri)}).Names() {
			out = append(out, item(name, "playbook", "", protocol.CompletionItemKindModule))
		}
		return out
	}
	s, _ := l.shape()
	if s == nil {
		return nil
	}
	if k, ok := s.Key(key); ok && k.Shape != nil {
		for _, w := range k.Shape.Of {
			out = append(out, item(w, "", "", protocol.CompletionItemKindEnumMember))
		}
	}
	return out
}

// names are what an expression may go on with.
func (l look) names() []protocol.CompletionItem {
	var out []protocol.CompletionItem
	chain := strings.Split(strings.ReplaceAll(wordTail.FindString(l.head), "?", ""), ".")
	chain = chain[:len(chain)-1]
	add := func(names []string, detail string, k protocol.CompletionItemKind) {
		for _, n := range names {
			out = append(out, item(n, detail, "", k))
		}
	}
	switch {
	case len(chain) == 0:
		add(expr.Roots(), "", protocol.CompletionItemKindVariable)
		add(expr.FunctionNames(), "function", protocol.CompletionItemKindFunction)
	case len(chain) == 1 && (chain[0] == "inputs" || chain[0] == "settings"):
		add(l.below(chain[0]), chain[0], protocol.CompletionItemKindField)
	case len(chain) == 1 && slices.Contains([]string{"steps", "outcome", "errors"}, chain[0]):
		steps := l.steps()
		for _, id := range slices.Sorted(maps.Keys(steps)) {
			out = append(out, item(id, steps[id]["uses"], "", protocol.CompletionItemKindField))
		}
	default:
		if t, ok := l.typed(chain); ok {
			for _, f := range members(t) {
				out = append(out, item(f.Name, detail(f), f.Doc, protocol.CompletionItemKindField))
			}
		}
		add(expr.FunctionNames(), "function", protocol.CompletionItemKindMethod)
	}
	return out
}

// word is the dotted name around the place, up to the end of the part that the
// place stands in.
func (l look) word() string {
	return strings.ReplaceAll(wordTail.FindString(l.head)+wordHead.FindString(l.tail), "?", "")
}

// hover explains what stands at the place, as Markdown; "" is nothing.
func (l look) hover() string {
	word := l.word()
	whole := strings.Trim(wordTail.FindString(l.head)+strings.SplitN(l.tail+" ", " ", 2)[0], `"'`)
	if a, ok := l.actions.Action(whole); ok {
		return about(a)
	}
	chain := strings.Split(word, ".")
	if t, ok := l.typed(chain); ok && len(chain) > 1 {
		return "`" + word + "`: " + describe(t)
	}
	if d, key, _ := keyOf(l.file.Line(l.line)); key == word && d >= 0 {
		s, action := l.shape()
		if a, ok := l.actions.Action(strings.Trim(action, `"' `)); ok {
			if f, ok := a.InputType().Field(word); ok {
				return "`" + word + "`: " + detail(f) + "\n\n" + f.Doc
			}
		}
		if s != nil {
			if k, ok := s.Key(word); ok {
				return "`" + word + "`: " + k.Doc
			}
		}
	}
	return ""
}

func describe(t kind.Type) string {
	out := t.String()
	for _, f := range t.Fields {
		out += fmt.Sprintf("\n- `%s`: %s. %s", f.Name, detail(f), f.Doc)
	}
	return out
}

func about(a spec.Action) string {
	var b strings.Builder
	fmt.Fprintf(&b, "**%s**: %s (%s)\n\n%s\n", a.Name, a.Title, a.Class, a.Doc)
	for _, f := range a.Inputs {
		fmt.Fprintf(&b, "\n- `%s`: %s. %s", f.Name, detail(f), f.Doc)
	}
	if a.Inverse != "" {
		fmt.Fprintf(&b, "\n\nTaken back by `%s`.", a.Inverse)
	}
	return b.String()
}

// definition finds where the playbook of a call, or the step of an id, stands.
func (l look) definition() []protocol.Location {
	out := []protocol.Location{}
	if _, key, value := keyOf(l.file.Line(l.line)); key == "call" {
		shelf{folder(l.uri)}.each(func(path, name string, raw []byte) bool {
			if name != strings.Trim(value, `"' `) {
				return false
			}
			f := source.NewFile(path, raw)
			at := f.At(max(0, strings.Index(string(raw), "playbook:")))
			out = append(out, protocol.Location{URI: uri.File(path), Range: rangeOf(f, source.Span{Start: at, End: at})})
			return true
		})
		return out
	}
	chain := strings.Split(l.word(), ".")
	if len(chain) < 2 || !slices.Contains([]string{"steps", "outcome", "errors"}, chain[0]) {
		return out
	}
	for n := 1; n <= l.file.Lines(); n++ {
		if _, key, value := keyOf(l.file.Line(n)); key == "id" && strings.Trim(value, `"' `) == chain[1] {
			from := l.file.Offset(n, 1)
			out = append(out, protocol.Location{URI: l.uri, Range: rangeOf(l.file, l.file.Span(from, from+len(l.file.Line(n))))})
		}
	}
	return out
}

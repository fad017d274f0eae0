package schema_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/quell-soar/quell/connectors/spec"
	"github.com/quell-soar/quell/connectors/vocabulary"
	"github.com/quell-soar/quell/playbooks/compile"
	"github.com/quell-soar/quell/playbooks/compile/corpus"
	"github.com/quell-soar/quell/playbooks/parse"
	"github.com/quell-soar/quell/playbooks/schema"
	"github.com/quell-soar/quell/playbooks/source"
)

var update = flag.Bool("update", false, "rewrite examples/playbook.schema.json")

const published = "../../examples/playbook.schema.json"

// TestPublished holds the schema beside the examples, which the examples name, to the
// vocabulary.
func TestPublished(t *testing.T) {
	got, err := schema.Playbook(vocabulary.All())
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(published, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(published)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Error("examples/playbook.schema.json is not what the language says; run make docs")
	}
	examples, err := filepath.Glob("../../examples/*.yaml")
	if err != nil || len(examples) == 0 {
		t.Fatal(err, examples)
	}
	for _, name := range examples {
		if strings.HasSuffix(name, ".test.yaml") {
			continue // tests of a playbook
		}
		raw, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.HasPrefix(raw, []byte("# yaml-language-server: $schema=playbook.schema.json\n")) {
			t.Errorf("%s does not begin with the line that names the schema", name)
		}
	}
}

func compiled(t *testing.T) *jsonschema.Schema {
	t.Helper()
	var all []spec.Action
	for _, n := range (corpus.Actions{}).Names() {
		a, _ := (corpus.Actions{}).Action(n)
		all = append(all, a)
	}
	raw, err := schema.Playbook(all)
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("playbook.json", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("playbook.json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestValid: each playbook that compiles fits the schema.
func TestValid(t *testing.T) {
	s, n := compiled(t), 0
	for _, pattern := range []string{"../compile/testdata/valid/*.yaml", "../compile/testdata/plans/*.yaml", "../../examples/*.yaml"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range files {
			if strings.HasSuffix(name, ".test.yaml") {
				continue
			}
			raw, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			if p, list := compile.Compile(source.NewFile(name, raw), corpus.Options()); p == nil {
				t.Fatalf("%s does not compile here: %v", name, list)
			}
			v, ok := read(string(raw))
			if !ok {
				t.Fatal(name)
			}
			if err := s.Validate(v); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			n++
		}
	}
	t.Logf("%d files", n)
}

// structural are the codes of mistakes that a schema can see, and beyond files
// where it cannot, with the reason.
var (
	structural = strings.Fields("unknown-key no-kind two-kinds wrong-shape missing-key unknown-action unknown-action-input missing-input")
	beyond     = map[string]string{
		"trigger-misses-input":  "which inputs a trigger must give stands elsewhere in the file",
		"schedule-misses-input": "as of an alert",
		"missing-input-of-call": "what a playbook takes stands in its own file",
		"any-without-reason":    "that a source is any is a value, and only that needs a reason",
		"via-without-subject":   "the key is known; it needs another beside it",
	}
	repeated = regexp.MustCompile(`(?s)⟦(\d+)\*(.*?)⟧`)
)

// TestMistakes: files of which every mistake is one of structure are refused.
func TestMistakes(t *testing.T) {
	files, err := filepath.Glob("../compile/testdata/mistakes/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	s, refused, unread := compiled(t), 0, 0
	for _, name := range files {
		raw, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		text := strings.NewReplacer("«", "", "»", "").Replace(string(raw))
		first, _, _ := strings.Cut(strings.TrimPrefix(text, "\ufeff"), "\n")
		codes := strings.Fields(strings.TrimPrefix(first, "# want:"))
		if !slices.ContainsFunc(codes, func(c string) bool { return slices.Contains(structural, c) }) || repeated.MatchString(text) {
			continue
		}
		v, ok := read(text)
		base := strings.TrimSuffix(filepath.Base(name), ".yaml")
		switch err := s.Validate(v); {
		case !ok:
			unread++
		case err != nil:
			refused++
			if beyond[base] != "" {
				t.Errorf("%s is refused now; beyond says that it cannot be", base)
			}
		case beyond[base] == "":
			t.Errorf("%s (%v) fits the schema:\n%s", base, codes, text)
		}
	}
	t.Logf("%d files with mistakes of structure refused, %d no YAML for the reader, %d beyond a schema", refused, unread, len(beyond))
	if refused < 20 {
		t.Errorf("%d refused, want 20", refused)
	}
}

// read gives the value that a reader of YAML 1.2 makes of a text.
func read(text string) (any, bool) {
	raw, list := parse.ReadRaw(source.NewFile("f", []byte(text)))
	if raw == nil || list.HasErrors() {
		return nil, false
	}
	return value(raw), true
}

func value(r *parse.Raw) any {
	switch {
	case r.IsMap:
		out := map[string]any{}
		for _, p := range r.Map {
			out[p.Key.Scalar.Value] = value(p.Value)
		}
		return out
	case r.IsList:
		out := []any{}
		for _, e := range r.List {
			out = append(out, value(e))
		}
		return out
	}
	v := r.Scalar.Value
	if r.Scalar.Style != source.Plain {
		return v
	}
	if _, err := strconv.ParseFloat(v, 64); err == nil {
		return json.Number(v)
	}
	switch v {
	case "true", "false":
		return v == "true"
	case "", "~", "null":
		return nil
	}
	return v
}

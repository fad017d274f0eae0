package compile_test

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/quell-soar/quell/playbooks/compile"
	"github.com/quell-soar/quell/playbooks/compile/corpus"
	"github.com/quell-soar/quell/playbooks/diag"
	"github.com/quell-soar/quell/playbooks/source"
)

// TestSchema holds that what `quell check -o json` writes is what the published
// schema says, for every mistake of the corpus.
func TestSchema(t *testing.T) {
	schema, err := jsonschema.NewCompiler().Compile(pages + "/diagnostics.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	for name, m := range mistakes(t) {
		_, list := compile.Compile(source.NewFile(name+".yaml", []byte(m.text)), compile.Options{Actions: corpus.Actions{}})
		var out bytes.Buffer
		if err := diag.JSON(&out, list); err != nil {
			t.Fatal(err)
		}
		var v any
		if err := json.Unmarshal(out.Bytes(), &v); err != nil {
			t.Fatal(err)
		}
		if err := schema.Validate(v); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if schema.Validate([]any{map[string]any{"file": "f"}}) == nil {
		t.Error("the schema accepts anything")
	}
}

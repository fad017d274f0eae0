package vocabulary_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/quell-soar/quell/connectors/spec"
	"github.com/quell-soar/quell/connectors/spec/kind"
	"github.com/quell-soar/quell/connectors/vocabulary"
)

func TestEveryActionKeepsTheContract(t *testing.T) {
	all := vocabulary.All()
	m := spec.Manifest{Name: "vocabulary", Version: "1.0.0", Actions: all}
	if err := m.Validate(); err != nil {
		t.Fatal(err)
	}
	for _, a := range all {
		if a.Title == "" || a.Doc == "" || len(a.Tags) == 0 {
			t.Errorf("%s lacks a title, a text or tags", a.Name)
		}
		for _, f := range slices.Concat(a.Inputs, a.Outputs) {
			if f.Doc == "" {
				t.Errorf("%s: field %s has no text", a.Name, f.Name)
			}
			if f.Type.Kind == kind.Handled && !slices.Contains(kind.Handles(), f.Type.Name) {
				t.Errorf("%s: field %s has the unknown handle %s", a.Name, f.Name, f.Type.Name)
			}
		}
	}
}

// An inverse gets the original's inputs, so it may ask for nothing else.
func TestInversesNeedNoOtherInputs(t *testing.T) {
	for _, a := range vocabulary.All() {
		if a.Inverse == "" {
			continue
		}
		inv, ok := vocabulary.Lookup(a.Inverse)
		if !ok {
			t.Fatalf("%s: its inverse %s is not in the vocabulary", a.Name, a.Inverse)
		}
		for _, f := range inv.Inputs {
			own, ok := a.InputType().Field(f.Name)
			if !f.Optional && (!ok || !own.Type.Equal(f.Type)) {
				t.Errorf("%s: its inverse %s needs %s, which it does not have", a.Name, inv.Name, f.Name)
			}
		}
		if inv.Inverse != a.Name {
			t.Errorf("%s is undone by %s, which is undone by %s", a.Name, inv.Name, inv.Inverse)
		}
	}
}

func TestLookup(t *testing.T) {
	all := vocabulary.All()
	if !slices.IsSortedFunc(all, func(a, b spec.Action) int { return strings.Compare(a.Name, b.Name) }) {
		t.Error("All is not sorted by name")
	}
	if _, ok := vocabulary.Lookup("edr.no_such_thing"); ok {
		t.Error("an unknown action was found")
	}
	a, ok := vocabulary.Lookup("edr.isolate_host")
	if !ok {
		t.Fatal("edr.isolate_host is missing")
	}
	a.Inputs[0].Name = "changed"
	if b, _ := vocabulary.Lookup("edr.isolate_host"); b.Inputs[0].Name != "host" {
		t.Error("a caller's change reached the vocabulary")
	}
}

package compile_test

import (
	"github.com/quell-soar/quell/connectors/spec"
	"github.com/quell-soar/quell/connectors/vocabulary"
)

// generic is the vocabulary as a catalogue.
type generic struct{}

func (generic) Action(name string) (spec.Action, bool) { return vocabulary.Lookup(name) }

func (generic) Names() []string {
	var out []string
	for _, a := range vocabulary.All() {
		out = append(out, a.Name)
	}
	return out
}

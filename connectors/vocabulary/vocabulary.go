package vocabulary

import (
	"slices"
	"strings"

	"github.com/quell-soar/quell/connectors/spec"
	"github.com/quell-soar/quell/connectors/spec/kind"
)

// Lookup returns the generic action of that name. The value is the caller's own:
// changing it changes nothing here.
func Lookup(name string) (spec.Action, bool) {
	for _, a := range All() {
		if a.Name == name {
			return a, true
		}
	}
	return spec.Action{}, false
}

// All returns every generic action, sorted by name. The values are the caller's
// own.
func All() []spec.Action {
	all := slices.Concat(hosts(), files(), ticket(), asset(), intel(), iam(), mail(), notify(), firewall(), sandbox(), search(), alerts())
	slices.SortFunc(all, func(a, b spec.Action) int { return strings.Compare(a.Name, b.Name) })
	return all
}

func field(name string, t kind.Type, doc string) kind.Field {
	return kind.Field{Name: name, Type: t, Doc: doc}
}

func optional(name string, t kind.Type, doc string) kind.Field {
	return kind.Field{Name: name, Type: t, Optional: true, Doc: doc}
}

func text(name, doc string) kind.Field { return field(name, kind.Of(kind.String), doc) }

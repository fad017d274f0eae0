package compile

import (
	"cmp"
	"slices"

	"github.com/quell-soar/quell/connectors/spec/kind"
	"github.com/quell-soar/quell/playbooks/plan"
)

// assignable reports whether a value of one type may go where another is asked
// for, with a cure where not. A string may become a hostname or a hash and is
// checked when it runs; a hostname never becomes an address.
func assignable(want, got kind.Type) (help string, ok bool) {
	switch {
	case want.Kind == "" || got.Kind == "" || want.Equal(got):
		return "", true
	case want.Kind == kind.Secret || got.Kind == kind.Secret:
		return "", false
	case want.Kind == kind.Handled:
		return "find it first: a find action gives a " + want.Name, false
	case want.Kind == kind.Double && got.Kind == kind.Int:
		return "", true
	case want.Kind == kind.String && stringly(got):
		return "", true
	case want.Kind == kind.String && got.Kind == kind.List:
		return "write .join(\", \"), or put it into a text: \"… ${{ … }}\"", false
	case want.Kind == kind.String:
		return "write string(…), or put it into a text: \"… ${{ … }}\"", false
	case want.Text() && got.Kind == kind.String:
		return "", true
	case hostlike(want) && hostlike(got):
		return "", true
	case want.Kind == kind.Choice && (got.Kind == kind.Choice || got.Kind == kind.String):
		return "", got.Kind == kind.String || subset(got.Of, want.Of)
	case want.Kind == got.Kind && (want.Kind == kind.List || want.Kind == kind.Map):
		if want.Elem == nil || got.Elem == nil {
			return "", true
		}
		return assignable(*want.Elem, *got.Elem)
	case want.Kind == kind.Record && got.Kind == kind.Record:
		for _, f := range want.Fields {
			g, has := got.Field(f.Name)
			if !has && !f.Optional {
				return "the field " + f.Name + " is missing", false
			}
			if _, fits := assignable(f.Type, g.Type); has && !fits {
				return "the field " + f.Name + " is a " + g.Type.String(), false
			}
		}
		return "", true
	case want.Kind == kind.List && got.Kind != kind.List:
		return "put it into a list: [ … ]", false
	}
	return "", false
}

func stringly(t kind.Type) bool {
	return t.Text() || t.Kind == kind.Choice || t.Ordered()
}

func hostlike(t kind.Type) bool { return t.Kind == kind.Hostname || t.Kind == kind.Domain }

func subset(a, b []string) bool {
	for _, x := range a {
		if !slices.Contains(b, x) {
			return false
		}
	}
	return true
}

func sortNamed(l []plan.NamedValue) {
	slices.SortFunc(l, func(a, b plan.NamedValue) int { return cmp.Compare(a.Name, b.Name) })
}

func sortFields(l []kind.Field) {
	slices.SortFunc(l, func(a, b kind.Field) int { return cmp.Compare(a.Name, b.Name) })
}

package app

import (
	"cmp"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/quell-soar/quell/connectors/spec"
	"github.com/quell-soar/quell/connectors/spec/kind"
	"github.com/quell-soar/quell/connectors/vocabulary"
	"github.com/quell-soar/quell/playbooks/diag"
)

// actionsCommand is where the compiler sends an author who named an action that
// is not there.
func (c *cli) actionsCommand() *cobra.Command {
	return &cobra.Command{
		Use: "actions [NAME…]", Short: "List the generic actions that playbooks may use, offline",
		Long: "List the generic actions that playbooks may use, with their inputs and results, the\n" +
			"types of these, and what takes an effect back. NAME is an action, which is then shown\n" +
			"with what each field means, or the beginning of names, such as iam.",
		Args: cobra.ArbitraryArgs,
		RunE: func(_ *cobra.Command, args []string) error {
			found, err := actionsNamed(args)
			if err != nil {
				return err
			}
			return c.show(found, func() error {
				p := &page{w: c.out}
				for i, a := range found {
					if i > 0 {
						p.line("", "")
					}
					p.action(a, slices.Contains(args, a.Name))
				}
				return p.err
			})
		},
	}
}

// actionsNamed are the generic actions whose names are given, or begin so; all
// where nothing is given.
func actionsNamed(names []string) ([]spec.Action, error) {
	all := vocabulary.All()
	if len(names) == 0 {
		return all, nil
	}
	var found []spec.Action
	for _, name := range names {
		n := len(found)
		for _, a := range all {
			if a.Name == name || strings.HasPrefix(a.Name, strings.TrimSuffix(name, ".")+".") {
				found = append(found, a)
			}
		}
		if len(found) > n {
			continue
		}
		help := "quell connector actions lists all"
		if near := diag.Near(name, generic{}.Names()); near != "" {
			help = "did you mean " + near + "?"
		}
		return nil, usage("there is no generic action %s; %s", clean(cut(name, 60)), help)
	}
	slices.SortStableFunc(found, func(a, b spec.Action) int { return cmp.Compare(a.Name, b.Name) })
	return slices.CompactFunc(found, func(a, b spec.Action) bool { return a.Name == b.Name }), nil
}

// action writes what an author needs to know of an action; whole adds what it and
// its fields mean.
func (p *page) action(a spec.Action, whole bool) {
	p.line("", a.Name+": "+a.Title)
	p.line("  ", effectText(a))
	if !whole {
		p.fields("  with    ", a.Inputs)
		p.fields("  result  ", a.Outputs)
		return
	}
	if a.Doc != "" {
		p.line("  ", a.Doc)
	}
	if a.Effect() {
		p.line("  ", againText(a))
	}
	p.meanings("  with", a.Inputs)
	p.meanings("  result", a.Outputs)
}

// fields writes fields with their types in one paragraph.
func (p *page) fields(margin string, list []kind.Field) {
	if len(list) == 0 {
		return
	}
	words := make([]string, len(list))
	for i, f := range list {
		words[i] = fieldText(f)
	}
	p.line(margin, strings.Join(words, "; "))
}

// meanings writes fields one below the other.
func (p *page) meanings(head string, list []kind.Field) {
	if len(list) == 0 {
		return
	}
	p.line(head, "")
	for _, f := range list {
		text := fieldText(f)
		if f.Doc != "" {
			text += " - " + f.Doc
		}
		p.line("    ", text)
	}
}

// fieldText is a field as an author may give or read it.
func fieldText(f kind.Field) string {
	text := f.Name + ": " + typeText(f.Type)
	if f.Optional {
		text += ", optional"
	}
	return text
}

// typeText is a type as a playbook writes it, with the fields of records.
func typeText(t kind.Type) string {
	switch {
	case t.Elem != nil:
		return string(t.Kind) + "<" + typeText(*t.Elem) + ">"
	case t.Kind == kind.Record:
		parts := make([]string, len(t.Fields))
		for i, f := range t.Fields {
			name := f.Name
			if f.Optional {
				name += "?"
			}
			parts[i] = name + ": " + typeText(f.Type)
		}
		return "{ " + strings.Join(parts, ", ") + " }"
	}
	return t.String()
}

// effectText says what a call does to the world and what takes that back.
func effectText(a spec.Action) string {
	if !a.Effect() {
		return "read"
	}
	back := ""
	switch a.Reversal {
	case spec.Exact:
		back = "taken back by " + a.Inverse
	case spec.Lossy:
		back = "taken back by " + a.Inverse + ", but not every trace"
	case spec.Irreversible:
		back = "cannot be undone: approve, or accept: { irreversible: REASON }"
	case spec.Unneeded:
		back = "leaves nothing to take back"
	}
	return "effect (" + string(a.Class) + "); " + back
}

// againText says what happens where a call is made twice, and what is counted.
func againText(a spec.Action) string {
	again := map[spec.Class]string{
		spec.Idempotent: "Doing it again changes nothing more", spec.Keyed: "It is done once, whatever is repeated",
		spec.Once: "It is never repeated while its outcome is unknown",
	}[a.Class]
	if a.Targets != "" {
		again += "; limits count " + a.Targets
	}
	return again + "."
}

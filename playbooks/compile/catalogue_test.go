package compile_test

import (
	"github.com/quell-soar/quell/connectors/spec"
	"github.com/quell-soar/quell/connectors/spec/kind"
	"github.com/quell-soar/quell/connectors/vocabulary"
)

// wide is the vocabulary with actions whose contracts it has not: an effect
// that cannot be taken back, one whose target is a text, an input that takes a
// secret. Where the vocabulary has an action of the name, that one counts.
type wide struct{ generic }

func (w wide) Action(name string) (spec.Action, bool) {
	if a, ok := vocabulary.Lookup(name); ok {
		return a, true
	}
	for _, a := range extra {
		if a.Name == name {
			return a, true
		}
	}
	return spec.Action{}, false
}

func (w wide) Names() []string {
	out := w.generic.Names()
	for _, a := range extra {
		out = append(out, a.Name)
	}
	return out
}

var extra = []spec.Action{
	{
		Name: "iam.find_user", Class: spec.Read,
		Inputs:  []kind.Field{{Name: "name", Type: kind.Of(kind.Username), Optional: true}, {Name: "mail", Type: kind.Of(kind.Email), Optional: true}},
		Outputs: []kind.Field{{Name: "user", Type: kind.HandleOf("user")}},
	},
	{
		Name: "iam.revoke_sessions", Class: spec.Idempotent, Reversal: spec.Irreversible, Targets: "user",
		Inputs: []kind.Field{{Name: "user", Type: kind.HandleOf("user")}},
	},
	{
		Name: "firewall.block_ip", Class: spec.Idempotent, Reversal: spec.Exact, Inverse: "firewall.unblock_ip", Targets: "address",
		Inputs: []kind.Field{{Name: "address", Type: kind.Of(kind.IP)}},
	},
	{
		Name: "firewall.unblock_ip", Class: spec.Idempotent, Reversal: spec.Exact, Inverse: "firewall.block_ip", Targets: "address",
		Inputs: []kind.Field{{Name: "address", Type: kind.Of(kind.IP)}},
	},
	{
		Name: "test.use_key", Class: spec.Read,
		Inputs:  []kind.Field{{Name: "key", Type: kind.Of(kind.Secret), Sink: true}},
		Outputs: []kind.Field{{Name: "ok", Type: kind.Of(kind.Boolean)}},
	},
}

package vocabulary

import (
	"github.com/quell-soar/quell/connectors/spec"
	"github.com/quell-soar/quell/connectors/spec/kind"
)

// anyUser is an account that any connector found: it is read about, not acted
// on.
func anyUser() kind.Field {
	f := field("user", kind.HandleOf("user"), "the account, as any iam.find_user returned it; its label is looked for, which is the name to sign in with")
	f.Foreign = true
	return f
}

// asset are the look-ups in the inventory. What is not there is not_found; what
// is there and not rated counts as high.
func asset() []spec.Action {
	worth := func(of, owner, vip string) []kind.Field {
		return []kind.Field{
			field("criticality", kind.Of(kind.Criticality), of+"; high where the inventory does not say"),
			optional("owner", kind.Of(kind.String), owner),
			field("tags", kind.ListOf(kind.Of(kind.String)), "the inventory's own labels"),
			field("vip", kind.Of(kind.Boolean), vip),
		}
	}
	return []spec.Action{
		{
			Name: "asset.find_host", Title: "Look a host up in the asset inventory",
			Doc:     "Reads what a host is worth and whose it is.",
			Inputs:  []kind.Field{field("hostname", kind.Of(kind.Hostname), "the name; upper and lower case are the same")},
			Outputs: worth("how much depends on the host", "who answers for it", "whether its user is one to ask before acting"),
			Class:   spec.Read, Deadline: quickDeadline, Quick: true,
			Tags: []string{"openc2.query.device"},
		},
		{
			Name: "asset.find_user", Title: "Look a person up in the asset inventory",
			Doc:     "Reads what an account is worth and who answers for its owner.",
			Inputs:  []kind.Field{anyUser()},
			Outputs: worth("how much depends on the account", "who answers for the person, such as the manager", "whether the person is one to ask before acting"),
			Class:   spec.Read, Deadline: quickDeadline, Quick: true,
			Tags: []string{"openc2.query.x-quell:account"},
		},
	}
}

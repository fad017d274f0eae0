package subject

import "github.com/quell-soar/quell/connectors/spec/kind"

// Attributes are the facts about a target that guards may ask about.
func Attributes() []kind.Field {
	texts := kind.ListOf(kind.Of(kind.String))
	return []kind.Field{
		{Name: "tags", Type: texts, Doc: "the inventory's labels"},
		{Name: "groups", Type: texts, Doc: "groups it is in"},
		{Name: "addresses", Type: kind.ListOf(kind.Of(kind.IP)), Doc: "its IP addresses"},
		{Name: "criticality", Type: kind.Of(kind.Criticality), Doc: "how much depends on it"},
		{Name: "vip", Type: kind.Of(kind.Boolean), Doc: "whether its user is one to ask before acting"},
		{Name: "owner", Type: kind.Of(kind.String), Doc: "who answers for it"},
		{Name: "mail", Type: kind.Of(kind.Email), Doc: "an account's first mail address"},
		{Name: "privileged", Type: kind.Of(kind.Boolean), Doc: "whether an account has a role that administers others"},
		{Name: "last_admin", Type: kind.Of(kind.Boolean), Doc: "whether no other account that can sign in has the highest role"},
	}
}

// Names are what conditions may read. An attribute of a target that is not known
// makes the evaluation of a condition that reads it fail.
func Names() []kind.Field {
	text := func(name string) kind.Field { return kind.Field{Name: name, Type: kind.Of(kind.String)} }
	target := append([]kind.Field{text("kind"), text("id"), text("label")}, Attributes()...)
	return []kind.Field{
		{Name: "target", Type: kind.RecordOf(target...)},
		text("action"), text("instance"), text("playbook"), text("trigger"), text("source"),
		{Name: "mode", Type: kind.ChoiceOf("observe", "ask", "act")},
	}
}

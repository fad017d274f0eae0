package guard

import (
	"strings"
	"time"

	"github.com/quell-soar/quell/connectors/spec/kind"
)

// Target is what an effect acts on: the vendor's id and what people call it.
type Target struct {
	// ID is KIND:VENDOR-ID of a handle, or the text itself.
	ID    string `json:"id"`
	Label string `json:"label"`
	// Kind is the handle's name (device, user) or the text's kind (ip, domain);
	// empty where it was stored before kinds were.
	Kind string `json:"kind,omitempty"`
	// Facts are what was read about it for this admission; nil for none. They are
	// not stored with the effect.
	Facts *Facts `json:"-"`
}

// vendorID is the id without the handle's name.
func (t Target) vendorID() string {
	if id, ok := strings.CutPrefix(t.ID, t.Kind+":"); ok && t.Kind != "" {
		return id
	}
	return t.ID
}

// Facts are attributes of a target as they were read, in canonical values of the
// types that Names gives them. An attribute that is missing is not known.
type Facts struct {
	Values map[string]any
	// Why says why attributes are missing, for people.
	Why string
	// At is when they were read.
	At time.Time
}

// value returns a fact and whether it is known.
func (t Target) value(name string) (any, bool) {
	if t.Facts == nil {
		return nil, false
	}
	v, ok := t.Facts.Values[name]
	return v, ok && v != nil
}

// texts returns a fact that is a list of texts.
func (t Target) texts(name string) (list []string, known bool) {
	v, ok := t.value(name)
	l, isList := v.([]any)
	if !ok || !isList {
		return nil, false
	}
	for _, e := range l {
		if s, ok := e.(string); ok {
			list = append(list, s)
		}
	}
	return list, true
}

// unknown says that something is not known, and why where that is known.
func (t Target) unknown() string {
	if t.Facts != nil && t.Facts.Why != "" {
		return "not known: " + t.Facts.Why
	}
	return "not known"
}

// described reports whether the inventory can say something about targets of a
// kind: hosts and accounts.
func described(kindOf string) bool { return kindOf == "device" || kindOf == "user" }

// Attributes are the facts that guards may ask about, with their types.
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

// Names are what conditions may read, with their types. An attribute of a target
// that is not known makes a condition that reads it fail, and so refuse.
func Names() []kind.Field {
	text := func(name string) kind.Field { return kind.Field{Name: name, Type: kind.Of(kind.String)} }
	target := append([]kind.Field{text("kind"), text("id"), text("label")}, Attributes()...)
	return []kind.Field{
		{Name: "target", Type: kind.RecordOf(target...)},
		text("action"), text("instance"), text("playbook"), text("trigger"), text("source"),
		{Name: "mode", Type: kind.ChoiceOf(string(Observe), string(Ask), string(Act))},
	}
}

// values are a target and a question as conditions read them.
func values(q Question, t Target) map[string]any {
	rec := map[string]any{"kind": t.Kind, "id": t.vendorID(), "label": t.Label}
	if t.Facts != nil {
		for name, v := range t.Facts.Values {
			rec[name] = v
		}
	}
	if t.Kind == string(kind.IP) {
		rec["addresses"] = []any{t.ID}
	}
	return map[string]any{
		"target": rec, "action": q.Action, "instance": q.Instance, "playbook": q.Playbook,
		"trigger": q.Trigger, "source": q.Source, "mode": string(q.Mode),
	}
}

// Needs says what must be read about targets of a kind before an admission:
// inventory for tags and the like, account for whether it is the last
// administrator.
func (g *Guard) Needs(kindOf string) (inventory, account bool) {
	if !described(kindOf) {
		return false, false
	}
	inventory = len(g.tags)+len(g.groups)+len(g.conditions) > 0 || len(g.protected.prefixes) > 0
	for _, b := range g.budgets {
		inventory = inventory || b.ofClass()
	}
	return inventory, kindOf == "user"
}

package guard

import (
	"maps"
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
// types that package subject gives them. An attribute that is missing is not known.
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

// values are a target and a question as conditions read them.
func values(q Question, t Target) map[string]any {
	rec := map[string]any{"kind": t.Kind, "id": t.vendorID(), "label": t.Label}
	if t.Facts != nil {
		maps.Copy(rec, t.Facts.Values)
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

package kind

import (
	"bytes"
	"fmt"
)

// Handle points at one thing in one connector instance. Only a connector makes
// handles; the host stamps Instance, so an effect goes back to where the thing
// was found.
type Handle struct {
	// Name is the handle's type: device, user, ticket.
	Name string
	// Instance is the configured connector instance that found it.
	Instance string
	// ID is the vendor's own identifier, opaque to us.
	ID string
	// Label is what a person calls it: a hostname, an account, PROJ-12.
	Label string
	// Facts are what was read of the thing when it was found, as the canonical
	// JSON of a record of [Facts](Name); empty where that is nil. It is text so
	// that handles compare with ==.
	Facts string
}

// WithFacts returns the handle with its facts. They must fit Facts(Name).
func (h Handle) WithFacts(facts map[string]any) (Handle, error) {
	raw, err := Encode(RecordOf(Facts(h.Name)...), facts)
	h.Facts = string(raw)
	return h, err
}

// ReadFacts returns the handle's facts as canonical values; nil where there are
// none.
func (h Handle) ReadFacts() (map[string]any, error) {
	if h.Facts == "" {
		return nil, nil
	}
	v, err := Decode(RecordOf(Facts(h.Name)...), []byte(h.Facts))
	m, _ := v.(map[string]any)
	return m, err
}

// handleJSON is the form of a handle in JSON; the key "handle" marks it.
type handleJSON struct{ Handle, ID, Instance, Label string }

// writeHandle writes a handle; its facts are a record of their own in it.
func writeHandle(b *bytes.Buffer, h Handle) error {
	m := map[string]any{"handle": h.Name, "id": h.ID, "instance": h.Instance, "label": h.Label}
	if h.Facts != "" {
		facts, err := h.ReadFacts()
		if err != nil {
			return err
		}
		m["facts"] = facts
	}
	return writeMap(b, m)
}

func handleFromJSON(t Type, v any, path string) (any, error) {
	m, ok := v.(map[string]any)
	if !ok {
		return nil, &ValueError{Path: path, Want: t.String(), Problem: "a handle comes only from a find action; found " + jsonName(v)}
	}
	var h handleJSON
	for _, part := range []struct {
		key string
		dst *string
	}{{"handle", &h.Handle}, {"id", &h.ID}, {"instance", &h.Instance}, {"label", &h.Label}} {
		text, ok := m[part.key].(string)
		if !ok {
			return nil, &ValueError{Path: path, Want: t.String(), Problem: "its " + part.key + " is missing"}
		}
		*part.dst = text
	}
	if h.Handle != t.Name || h.ID == "" {
		return nil, &ValueError{Path: path, Want: t.String(), Problem: fmt.Sprintf("it is a handle of %q", h.Handle)}
	}
	out := Handle{Name: h.Handle, Instance: h.Instance, ID: h.ID, Label: h.Label}
	raw, has := m["facts"]
	known := Facts(t.Name)
	if has != (known != nil) || len(m) != map[bool]int{false: 4, true: 5}[has] {
		return nil, &ValueError{Path: path, Want: t.String(), Problem: "it has not the parts of such a handle"}
	}
	if !has {
		return out, nil
	}
	facts, err := fromJSON(RecordOf(known...), raw, join(path, "facts"))
	if err != nil {
		return nil, err
	}
	canonical, err := Canonical(facts)
	out.Facts = string(canonical)
	return out, err
}

func checkHandle(t Type, h Handle, path string) error {
	if t.Kind != Handled || h.Name != t.Name || h.ID == "" {
		return &ValueError{Path: path, Want: t.String(), Problem: "found " + goName(h)}
	}
	if (h.Facts != "") != (Facts(h.Name) != nil) {
		return &ValueError{Path: path, Want: t.String(), Problem: "it has not the parts of such a handle"}
	}
	if _, err := h.ReadFacts(); err != nil {
		return &ValueError{Path: join(path, "facts"), Want: t.String(), Problem: err.Error()}
	}
	return nil
}

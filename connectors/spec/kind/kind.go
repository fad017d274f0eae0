package kind

import (
	"fmt"
	"slices"
	"strings"
)

// Kind names one sort of value.
type Kind string

// The kinds of the language, in the order in which the reference lists them.
const (
	String      Kind = "string"
	Int         Kind = "int"
	Double      Kind = "double"
	Boolean     Kind = "boolean"
	Timestamp   Kind = "timestamp"
	Duration    Kind = "duration"
	Severity    Kind = "severity"
	Criticality Kind = "criticality"
	Hostname    Kind = "hostname"
	IP          Kind = "ip"
	CIDR        Kind = "cidr"
	Domain      Kind = "domain"
	URL         Kind = "url"
	Email       Kind = "email"
	Username    Kind = "username"
	Hash        Kind = "hash"
	Path        Kind = "path"
	MessageID   Kind = "message_id"
	Artifact    Kind = "artifact"
	Secret      Kind = "secret"
	Calendar    Kind = "calendar"
	Choice      Kind = "choice"
	List        Kind = "list"
	Map         Kind = "map"
	Record      Kind = "record"
	// Handled is a thing that a find action returned: a device, a user, a
	// ticket. Its name stands in Type.Name. No text converts to a handle.
	Handled Kind = "handle"
)

// Scalars returns the kinds that a playbook's input may name alone, in the
// order of the reference.
func Scalars() []Kind {
	return []Kind{
		String, Int, Double, Boolean, Timestamp, Duration, Severity, Criticality,
		Hostname, IP, CIDR, Domain, URL, Email, Username, Hash, Path, MessageID,
		Artifact, Secret, Calendar, Choice,
	}
}

// Handles returns the handle names of the vocabulary, sorted.
func Handles() []string {
	return []string{"consent", "device", "effect", "mail_rule", "message", "quarantined_file", "scan", "ticket", "user"}
}

// Facts returns what expressions may read of a handle of that name, as c.granted;
// nil for a handle that can only be passed on. A find action that returns such a
// handle fills them in. They say what was found at that moment, and are no part
// of what the handle points at.
func Facts(handle string) []Field {
	field := func(name string, t Type, doc string) Field { return Field{Name: name, Type: t, Doc: doc} }
	dated := field("dated", Of(Boolean), "whether the vendor tells that time; where not, it is the time of reading, so that no filter for what is recent loses it")
	switch handle {
	case "consent":
		return []Field{
			field("app", Of(String), "the application's name; its maker chose it"),
			field("scopes", ListOf(Of(String)), "what it may do, in the vendor's words"),
			field("granted", Of(Timestamp), "when it was granted, or later"),
			dated,
		}
	case "mail_rule":
		return []Field{
			field("name", Of(String), "the rule's name; whoever made it chose it"),
			field("enabled", Of(Boolean), "whether it is in force"),
			field("changed", Of(Timestamp), "when it was last changed, or later"),
			dated,
			field("forwards_to", ListOf(Of(String)), "the addresses to which it sends mail on"),
			field("deletes", Of(Boolean), "whether it deletes mail"),
		}
	}
	return nil
}

// Type is the type of a value. Which fields are set follows from Kind: Elem for
// list and map, Fields for record, Of for choice, Name for a handle.
type Type struct {
	Kind   Kind     `json:"kind"`
	Name   string   `json:"name,omitempty"`
	Elem   *Type    `json:"elem,omitempty"`
	Fields []Field  `json:"fields,omitempty"`
	Of     []string `json:"of,omitempty"`
}

// Field is one named member of a record, of an action's inputs or of its
// outputs.
type Field struct {
	Name     string `json:"name"`
	Type     Type   `json:"type"`
	Optional bool   `json:"optional,omitempty"`
	// Sink marks an input that may take a secret.
	Sink bool `json:"sink,omitempty"`
	// Foreign marks an input of a read whose handle may be another instance's: it
	// names what is read about, and does not say which instance is called.
	Foreign bool `json:"foreign,omitempty"`
	// Command marks an input that the vendor interprets: a script, a query. No text
	// of an alert or of a product may become part of it.
	Command bool `json:"command,omitempty"`
	// Doc is one line for the reference and for completion.
	Doc string `json:"doc,omitempty"`
}

// Of builds a type without parts.
func Of(k Kind) Type { return Type{Kind: k} }

// ListOf builds list<T>.
func ListOf(t Type) Type { return Type{Kind: List, Elem: &t} }

// MapOf builds map<T>; its keys are always text.
func MapOf(t Type) Type { return Type{Kind: Map, Elem: &t} }

// RecordOf builds a record of the given fields.
func RecordOf(f ...Field) Type { return Type{Kind: Record, Fields: f} }

// HandleOf builds the type of a handle, such as HandleOf("device").
func HandleOf(name string) Type { return Type{Kind: Handled, Name: name} }

// ChoiceOf builds a choice among names.
func ChoiceOf(names ...string) Type { return Type{Kind: Choice, Of: names} }

// Field returns the field of that name of a record type.
func (t Type) Field(name string) (Field, bool) {
	for _, f := range t.Fields {
		if f.Name == name {
			return f, true
		}
	}
	return Field{}, false
}

// Text reports whether values of t stand as a Go string that is free text or
// text of a checked form; enums are not.
func (t Type) Text() bool {
	switch t.Kind {
	case String, Hostname, IP, CIDR, Domain, URL, Email, Username, Hash, Path, MessageID, Artifact, Secret, Calendar:
		return true
	}
	return false
}

// Enum returns the names that a value of t may have, lowest first, and whether
// t is an enumeration at all.
func (t Type) Enum() ([]string, bool) {
	switch t.Kind {
	case Severity:
		return []string{"info", "low", "medium", "high", "critical"}, true
	case Criticality:
		return []string{"low", "medium", "high", "critical"}, true
	case Choice:
		return slices.Clone(t.Of), true
	}
	return nil, false
}

// Ordered reports whether values of t compare by rank: severity and
// criticality do, a choice does not.
func (t Type) Ordered() bool { return t.Kind == Severity || t.Kind == Criticality }

// Rank returns the place of a name within its enumeration, from 0, or -1.
func (t Type) Rank(name string) int {
	names, _ := t.Enum()
	return slices.Index(names, name)
}

// String writes t as a playbook writes it: list<hash>, map<string>, device.
func (t Type) String() string {
	switch t.Kind {
	case List, Map:
		if t.Elem == nil {
			return string(t.Kind)
		}
		return fmt.Sprintf("%s<%s>", t.Kind, t.Elem)
	case Handled:
		return t.Name
	case Choice:
		return "choice of " + strings.Join(t.Of, ", ")
	}
	return string(t.Kind)
}

// elem is the type of the elements. A type that came from elsewhere may lack it:
// then no value is one of its elements.
func (t Type) elem() Type {
	if t.Elem == nil {
		return Type{}
	}
	return *t.Elem
}

// Equal reports whether two types are the same, documentation aside.
func (t Type) Equal(o Type) bool {
	if t.Kind != o.Kind || t.Name != o.Name || !slices.Equal(t.Of, o.Of) {
		return false
	}
	if (t.Elem == nil) != (o.Elem == nil) || (t.Elem != nil && !t.Elem.Equal(*o.Elem)) {
		return false
	}
	return slices.EqualFunc(t.Fields, o.Fields, func(a, b Field) bool {
		return a.Name == b.Name && a.Optional == b.Optional && a.Foreign == b.Foreign && a.Type.Equal(b.Type)
	})
}

// ParseType reads a type as a playbook writes it: string, list<hash>,
// map<int>, device. Records and choices have a form of their own and are not
// read here.
func ParseType(s string) (Type, error) { return parseType(s, Handles(), 0) }

// ParseTypeWith reads a type as ParseType does, with these names of handles.
func ParseTypeWith(s string, handles []string) (Type, error) { return parseType(s, handles, 0) }

// maxNesting is how deep list<…> and map<…> may nest.
const maxNesting = 8

func parseType(s string, handles []string, depth int) (Type, error) {
	s = strings.TrimSpace(s)
	if depth > maxNesting {
		return Type{}, fmt.Errorf("the type nests deeper than %d levels", maxNesting)
	}
	for _, k := range []Kind{List, Map} {
		if inner, ok := strings.CutPrefix(s, string(k)+"<"); ok && strings.HasSuffix(inner, ">") {
			elem, err := parseType(inner[:len(inner)-1], handles, depth+1)
			if err != nil {
				return Type{}, err
			}
			return Type{Kind: k, Elem: &elem}, nil
		}
	}
	if slices.Contains(Scalars(), Kind(s)) {
		return Of(Kind(s)), nil
	}
	if slices.Contains(handles, s) {
		return HandleOf(s), nil
	}
	return Type{}, fmt.Errorf("unknown type %q", s)
}

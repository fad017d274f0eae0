package expr

import (
	"encoding/json"
	"fmt"
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"

	"github.com/quell-soar/quell/connectors/spec/kind"
)

// recordPrefix starts the CEL names of record types. The names are an inner
// matter: no playbook can write them and no message shows them.
const recordPrefix = "quell.record."

// handlePrefix starts the CEL names of handles of which expressions read facts.
const handlePrefix = "quell.handle."

var (
	severityType    = cel.OpaqueType("severity").WithTraits(traits.ComparerType)
	criticalityType = cel.OpaqueType("criticality").WithTraits(traits.ComparerType)
	secretType      = cel.OpaqueType("secret")
)

// registry knows the record types that the expressions of one playbook meet. It
// is CEL's type provider and value adapter. A record type that was seen gets a
// CEL name by its structure, in order of first use.
type registry struct {
	names   map[string]string // canonical JSON of the type -> CEL name
	records map[string]*recordType
	// seen finds a record by where its fields stand in memory; nobody changes a
	// type once it is made.
	seen map[fieldsAt]*recordType
	// scope holds the fields of the roots whose members differ from place to
	// place: the checker sets it before each expression, which is why a
	// registry serves one goroutine until it is sealed by Load.
	scope map[string]kind.Type
}

// fieldsAt is one list of fields in memory.
type fieldsAt struct {
	first *kind.Field
	n     int
}

// recordType is one record as CEL sees it.
type recordType struct {
	name   string
	cel    *cel.Type
	fields map[string]kind.Field
	// shapes say how the fields' values are wrapped at run time.
	shapes map[string]*shape
	order  []string
	// label is how messages call a value of the type.
	label string
}

// shape is a type made ready for wrapping values: nothing is looked up by
// structure any more, and nothing is written, so that evaluations may run at
// once. nil is a type that is not known.
type shape struct {
	typ  kind.Type
	elem *shape
	rec  *recordType
}

// shape makes the shape of a type, registering the records in it.
func (r *registry) shape(t kind.Type) *shape {
	s := &shape{typ: t}
	switch t.Kind {
	case "":
		return nil
	case kind.List, kind.Map:
		s.elem = r.shape(elemOf(t))
	case kind.Record:
		s.rec = r.record(t)
	case kind.Handled:
		s.rec = r.handle(t)
	default: // other types
	}
	return s
}

func newRegistry() *registry {
	return &registry{
		names: map[string]string{}, records: map[string]*recordType{}, seen: map[fieldsAt]*recordType{},
		scope: map[string]kind.Type{},
	}
}

// rootType gives the CEL type of a root such as steps, whose fields are looked
// up in the scope.
func rootType(root string) *cel.Type { return cel.ObjectType(recordPrefix + "root." + root) }

// celType translates a type; the zero Type is dyn.
func (r *registry) celType(t kind.Type) *cel.Type {
	if t.Text() && t.Kind != kind.Secret {
		return cel.StringType
	}
	switch t.Kind {
	case kind.Int:
		return cel.IntType
	case kind.Double:
		return cel.DoubleType
	case kind.Boolean:
		return cel.BoolType
	case kind.Timestamp:
		return cel.TimestampType
	case kind.Duration:
		return cel.DurationType
	case kind.Severity:
		return severityType
	case kind.Criticality:
		return criticalityType
	case kind.Choice:
		return cel.StringType
	case kind.Secret:
		return secretType
	case kind.List:
		return cel.ListType(r.celType(elemOf(t)))
	case kind.Map:
		return cel.MapType(cel.StringType, r.celType(elemOf(t)))
	case kind.Record:
		return r.record(t).cel
	case kind.Handled:
		if rt := r.handle(t); rt != nil {
			return rt.cel
		}
		return cel.OpaqueType(t.Name)
	default: // other types
	}
	return cel.DynType
}

// elemOf is the element type of a list or map; the zero Type where it is not
// known.
func elemOf(t kind.Type) kind.Type {
	if t.Elem == nil {
		return kind.Type{}
	}
	return *t.Elem
}

// record returns the record type of t, registering it at first sight.
func (r *registry) record(t kind.Type) *recordType {
	if len(t.Fields) == 0 {
		return r.structure(t)
	}
	at := fieldsAt{&t.Fields[0], len(t.Fields)}
	rt, ok := r.seen[at]
	if !ok {
		rt = r.structure(t)
		r.seen[at] = rt
	}
	return rt
}

// structure finds a record type by what it is.
func (r *registry) structure(t kind.Type) *recordType {
	raw, err := json.Marshal(t)
	if err != nil { // plain data: json.Marshal cannot fail on it
		raw = []byte(fmt.Sprint(t))
	}
	name, ok := r.names[string(raw)]
	if !ok {
		name = fmt.Sprintf("%s%d", recordPrefix, len(r.names)+1)
		r.names[string(raw)] = name
		r.records[name] = r.newRecordType(name, t, "the record")
	}
	return r.records[name]
}

// handle returns the facts of a handle as a record type, registering it at first
// sight; nil for a handle that can only be passed on.
func (r *registry) handle(t kind.Type) *recordType {
	facts := kind.Facts(t.Name)
	if facts == nil {
		return nil
	}
	name := handlePrefix + t.Name
	if r.records[name] == nil {
		r.records[name] = r.newRecordType(name, kind.RecordOf(facts...), "the "+t.Name)
	}
	return r.records[name]
}

// readable is the record of what may be read of a value with a dot: a handle's
// facts, or the type itself.
func readable(t kind.Type) kind.Type {
	if facts := kind.Facts(t.Name); t.Kind == kind.Handled && facts != nil {
		return kind.RecordOf(facts...)
	}
	return t
}

func (r *registry) newRecordType(name string, t kind.Type, label string) *recordType {
	rt := &recordType{
		name: name, cel: cel.ObjectType(name), label: label,
		fields: make(map[string]kind.Field, len(t.Fields)), shapes: make(map[string]*shape, len(t.Fields)),
	}
	for _, f := range t.Fields {
		rt.fields[f.Name] = f
		rt.shapes[f.Name] = r.shape(f.Type)
		rt.order = append(rt.order, f.Name)
	}
	return rt
}

// kindOf translates a CEL type back as far as it says: text kinds have all
// become string, and dyn is the zero Type.
func (r *registry) kindOf(t *cel.Type) kind.Type {
	switch t.Kind() {
	case types.StringKind:
		return kind.Of(kind.String)
	case types.IntKind, types.UintKind:
		return kind.Of(kind.Int)
	case types.DoubleKind:
		return kind.Of(kind.Double)
	case types.BoolKind:
		return kind.Of(kind.Boolean)
	case types.TimestampKind:
		return kind.Of(kind.Timestamp)
	case types.DurationKind:
		return kind.Of(kind.Duration)
	case types.ListKind:
		return kind.ListOf(r.kindOf(t.Parameters()[0]))
	case types.MapKind:
		return kind.MapOf(r.kindOf(t.Parameters()[1]))
	case types.StructKind:
		return r.kindOfRecord(t.TypeName())
	case types.OpaqueKind:
		return r.kindOfOpaque(t)
	default: // other types
	}
	return kind.Type{}
}

func (r *registry) kindOfRecord(name string) kind.Type {
	if h, ok := strings.CutPrefix(name, handlePrefix); ok {
		return kind.HandleOf(h)
	}
	rt, ok := r.records[name]
	if !ok {
		return kind.Type{}
	}
	out := kind.Type{Kind: kind.Record}
	for _, n := range rt.order {
		out.Fields = append(out.Fields, rt.fields[n])
	}
	return out
}

func (r *registry) kindOfOpaque(t *cel.Type) kind.Type {
	switch name := t.TypeName(); name {
	case "severity":
		return kind.Of(kind.Severity)
	case "criticality":
		return kind.Of(kind.Criticality)
	case "secret":
		return kind.Of(kind.Secret)
	case "optional_type":
		return r.kindOf(t.Parameters()[0])
	default:
		return kind.HandleOf(name) // of the vocabulary, or of an action's own
	}
}

// fieldsOf finds the record behind a CEL type name, roots included.
func (r *registry) fieldsOf(name string) (func(string) (kind.Field, bool), []string, bool) {
	if root, ok := cutRoot(name); ok {
		t := r.scope[root]
		names := make([]string, 0, len(t.Fields))
		for _, f := range t.Fields {
			names = append(names, f.Name)
		}
		return t.Field, names, true
	}
	rt, ok := r.records[name]
	if !ok {
		return nil, nil, false
	}
	return func(n string) (kind.Field, bool) { f, ok := rt.fields[n]; return f, ok }, rt.order, true
}

func cutRoot(name string) (string, bool) {
	const prefix = recordPrefix + "root."
	if len(name) > len(prefix) && name[:len(prefix)] == prefix {
		return name[len(prefix):], true
	}
	return "", false
}

// EnumValue implements types.Provider; there are no protobuf enums.
func (r *registry) EnumValue(name string) ref.Val { return types.NewErr("no enum %s", name) }

// FindIdent implements types.Provider.
func (r *registry) FindIdent(string) (ref.Val, bool) { return nil, false }

// FindStructType implements types.Provider.
func (r *registry) FindStructType(name string) (*types.Type, bool) {
	if _, _, ok := r.fieldsOf(name); ok {
		return types.NewTypeTypeWithParam(types.NewObjectType(name)), true
	}
	return nil, false
}

// FindStructFieldNames implements types.Provider.
func (r *registry) FindStructFieldNames(name string) ([]string, bool) {
	_, names, ok := r.fieldsOf(name)
	return names, ok
}

// FindStructFieldType implements types.Provider.
func (r *registry) FindStructFieldType(name, field string) (*types.FieldType, bool) {
	lookup, _, ok := r.fieldsOf(name)
	if !ok {
		return nil, false
	}
	f, ok := lookup(field)
	if !ok {
		return nil, false
	}
	return &types.FieldType{Type: r.celType(f.Type)}, true
}

// NewValue implements types.Provider; expressions cannot make records.
func (r *registry) NewValue(name string, _ map[string]ref.Val) ref.Val {
	return types.NewErr("a value of %s cannot be made in an expression", name)
}

var (
	_ types.Provider = (*registry)(nil)
	_ types.Adapter  = (*registry)(nil)
)

package expr

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"cel.dev/cel-go/cel"
	celast "cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"

	"github.com/quell-soar/quell/connectors/spec/kind"
)

// Env is what stands at one place of a playbook: the names that an expression
// there may read, with their types. The roots are records; a field that may be
// absent is Optional.
type Env struct {
	Inputs, Settings, Steps, Outcome, Errors kind.Type
	// Over are the ids of which Outcome and Errors tell, in place of these two:
	// their types are made only for an expression that may read them.
	Over []string
	// Alert says that the place is a trigger, where `alert` may be read.
	Alert bool
	// OnlyRoots, where it is not empty, lists the only roots that may be read.
	OnlyRoots []string
	// Locals are the loop variables around the place, outermost first.
	Locals []kind.Field
	// Flows say where the values of Locals come from.
	Flows map[string]Flow
	// Present lists paths that are known to be there although their field is
	// Optional: "steps.asset".
	Present []string
	// Why says, for a name below a root that exists and cannot be read here, why
	// not: Why("steps", "scan").
	Why func(root, name string) string
}

// told makes the types of outcome and errors for a text in which they stand.
func (e *Env) told(text string) {
	if len(e.Over) == 0 {
		return
	}
	if strings.Contains(text, rootOutcome) {
		e.Outcome = kind.Type{Kind: kind.Record, Fields: make([]kind.Field, len(e.Over))}
		for i, id := range e.Over {
			e.Outcome.Fields[i] = kind.Field{Name: id, Type: OutcomeType()}
		}
	}
	if strings.Contains(text, rootErrors) {
		e.Errors = kind.Type{Kind: kind.Record, Fields: make([]kind.Field, len(e.Over))}
		for i, id := range e.Over {
			e.Errors.Fields[i] = kind.Field{Name: id, Type: ErrorType(), Optional: true}
		}
	}
}

// Tested ends a path whose value is only tested with has and not read.
const Tested = "?"

// Checked is an expression that is well typed.
type Checked struct {
	Type kind.Type
	// Uses are the roots and the first name below each, sorted.
	Uses []string
	// Paths are the chains of names that are read, from the root: steps, host,
	// device.
	Paths [][]string
	// Reads are the chains whose values the expression itself looks at, Flow is
	// where its value comes from. A chain may have Element, Length and Tested in
	// it. What neither names is not needed.
	Reads [][]string
	Flow  Flow
	// Optional says that the value may be absent: it ends a chain of .?
	Optional bool
	// Present lists what is present where the value is true, Guarded what is
	// where it is false.
	Present, Guarded []string
	// Most is a static bound of a list's length, 0 where there is none.
	Most int
}

// Problem is a mistake in an expression. From and To are rune offsets in its
// text.
type Problem struct {
	Code, Message, Help string
	From, To            int
}

// Checker types the expressions of one playbook. It is for one goroutine, and is
// closed when the playbook is done.
type Checker struct {
	shared *shared
	reg    *registry
	envs   map[string]*cel.Env
	// bounds are the known lengths of lists, by path: inputs.hashes.
	bounds map[string]int
	// whole keeps the checker from the short way, for a test that compares both.
	whole bool
}

// NewChecker makes a checker. bounds gives the longest length of the lists whose
// bound is known, by path, such as "inputs.hashes".
func NewChecker(bounds map[string]int) *Checker {
	s, _ := sharing.Get().(*shared)
	return &Checker{shared: s, reg: s.reg, envs: s.envs, bounds: bounds}
}

// Check types one expression. Where there are problems Checked is the zero
// value.
func (c *Checker) Check(text string, env Env) (Checked, []Problem) {
	if n := len([]rune(text)); n > maxExpression {
		return Checked{}, []Problem{{Code: "too-long", To: n, Message: fmt.Sprintf("the expression is longer than %d characters", maxExpression), Help: "compute parts of it with set, and give them names"}}
	}
	if !utf8.ValidString(text) {
		return Checked{}, []Problem{{Code: "encoding", Message: "the expression is not valid UTF-8", Help: "save the file as UTF-8"}}
	}
	if strings.TrimSpace(text) == "" {
		return Checked{}, []Problem{{Code: "empty-expression", To: len([]rune(text)), Message: "the expression is empty", Help: "write it, or remove it"}}
	}
	env.told(text)
	c.enter(env)
	if got, ok := c.simple(text, env); ok && !c.whole {
		return got, nil
	}
	celEnv, err := c.celEnv(env.Locals)
	if err != nil {
		return Checked{}, []Problem{{Code: "internal", Message: "the expression cannot be checked: " + err.Error()}}
	}
	parsed, iss := c.shared.parse(celEnv, text)
	if iss.Err() != nil {
		return Checked{}, syntaxProblems(text, iss)
	}
	t := &checking{c: c, env: env, spans: newSpans(text, parsed.NativeRep().SourceInfo()), root: parsed.NativeRep().Expr()}
	t.kinds = &kinds{reg: c.reg, vars: localKinds(env.Locals)}
	if t.roots(); len(t.found) > 0 {
		return Checked{}, t.found
	}
	ast, iss, changed := check(celEnv, parsed)
	if changed {
		delete(c.shared.parsed, text) // it is what it is for these types only
	}
	if iss.Err() != nil {
		t.typeErrors(iss)
		return Checked{}, t.found
	}
	return t.finish(ast)
}

func localKinds(locals []kind.Field) map[string]kind.Type {
	out := make(map[string]kind.Type, len(locals))
	for _, l := range locals {
		out[l.Name] = l.Type
	}
	return out
}

// celEnv returns the CEL environment for a set of loop variables.
func (c *Checker) celEnv(locals []kind.Field) (*cel.Env, error) {
	var key strings.Builder
	for _, l := range locals {
		fmt.Fprintf(&key, "%s=%s;", l.Name, c.reg.celType(l.Type))
	}
	if e, ok := c.envs[key.String()]; ok {
		return e, nil
	}
	e, err := newCELEnv(c.reg, locals)
	if err == nil {
		c.envs[key.String()] = e
	}
	return e, err
}

// checking is one call of Check.
type checking struct {
	c     *Checker
	env   Env
	spans *spans
	root  celast.Expr
	kinds *kinds
	found []Problem
	paths [][]string
}

func (t *checking) problem(code string, from, to int, help, format string, args ...any) {
	t.found = append(t.found, Problem{Code: code, From: from, To: to, Help: help, Message: fmt.Sprintf(format, args...)})
}

// finish runs the checks that need types.
func (t *checking) finish(ast *cel.Ast) (Checked, []Problem) {
	native := ast.NativeRep()
	t.kinds.checks = native.TypeMap()
	root := native.Expr()
	ab := &absences{spans: t.spans, root: root, top: t.kinds}
	ab.walk(root, t.kinds, facts{}.with(t.env.Present))
	t.found = append(t.found, ab.found...)
	t.closedSets(root, t.kinds)
	t.cost(ast)
	if len(t.found) > 0 {
		return Checked{}, t.found
	}
	out := Checked{
		Type: t.kinds.of(root), Paths: t.paths,
		Present: whenTrue(root, t.kinds), Guarded: whenFalse(root, t.kinds), Most: t.most(root),
	}
	if out.Type.Kind == "" {
		out.Type = t.c.reg.kindOf(native.GetType(root.ID()))
	}
	for _, p := range t.paths {
		use := p[0]
		if len(p) > 1 {
			use += "." + p[1]
		}
		out.Uses = append(out.Uses, use)
	}
	slices.Sort(out.Uses)
	out.Uses = slices.Compact(out.Uses)
	rd := &reader{}
	out.Flow = rd.of(root, t.env.Flows)
	out.Reads = rd.reads
	out.Optional = optional(root, t.kinds)
	return out, nil
}

// roots checks every name and every field that is read against the scope,
// before CEL does: here it is known what a name is and why it cannot be read.
func (t *checking) roots() { t.visit(t.root, t.kinds, nil) }

func (t *checking) visit(e celast.Expr, k *kinds, below []string) {
	switch e.Kind() {
	case celast.IdentKind:
		t.name(e, k, below)
	case celast.SelectKind:
		s := e.AsSelect()
		if s.IsTestOnly() {
			below = []string{Tested}
		}
		t.visit(s.Operand(), k, append([]string{s.FieldName()}, below...))
		t.member(e, k)
	case celast.CallKind:
		t.visitCall(e, k, below)
	case celast.ListKind:
		for _, x := range e.AsList().Elements() {
			t.visit(x, k, nil)
		}
	case celast.MapKind:
		for _, en := range e.AsMap().Entries() {
			t.mapKey(en.AsMapEntry().Key())
			t.visit(en.AsMapEntry().Key(), k, nil)
			t.visit(en.AsMapEntry().Value(), k, nil)
		}
	case celast.StructKind:
		from, to := t.spans.of(e)
		t.problem("syntax", from, to, "write a map: {'key': value}", "expressions cannot make records")
	case celast.ComprehensionKind:
		c := e.AsComprehension()
		t.visit(c.IterRange(), k, nil)
		t.shadow(e, c.IterVar())
		inner := k.bind(c)
		inner.vars[c.AccuVar()] = kind.Type{}
		t.visit(c.LoopStep(), inner, nil)
	default: // other nodes
	}
}

// mapKey refuses keys that are no text: a map of a playbook is JSON at last.
func (t *checking) mapKey(key celast.Expr) {
	if key.Kind() != celast.LiteralKind {
		return
	}
	if _, ok := key.AsLiteral().(types.String); !ok {
		from, to := t.spans.of(key)
		t.problem("wrong-type", from, to, "put it in quotes", "the keys of a map are texts")
	}
}

func (t *checking) visitCall(e celast.Expr, k *kinds, below []string) {
	c := e.AsCall()
	if c.IsMemberFunction() {
		// cidr.contains and its like parse as calls of a member; their target is
		// part of the function's name.
		target := c.Target()
		switch {
		case target.Kind() == celast.IdentKind && t.namespace(target.AsIdent(), k):
			t.inNamespace(e, target.AsIdent()+"."+c.FunctionName())
		default:
			t.visit(target, k, nil)
		}
	}
	args := c.Args()
	if c.FunctionName() == operators.OptSelect && len(args) == 2 && args[1].Kind() == celast.LiteralKind {
		if name, ok := args[1].AsLiteral().(types.String); ok {
			t.visit(args[0], k, append([]string{string(name)}, below...))
			t.field(k.of(args[0]), args[0], string(name), func() (int, int) { return t.spans.of(args[1]) })
			return
		}
	}
	for _, x := range args {
		t.visit(x, k, nil)
	}
}

// name checks a free name and notes the path that begins with it.
func (t *checking) name(e celast.Expr, k *kinds, below []string) {
	name := e.AsIdent()
	if _, local := k.vars[name]; local {
		return
	}
	from, to := t.spans.of(e)
	isEnum := name == string(kind.Severity) || name == string(kind.Criticality)
	switch {
	case isEnum:
		return
	case name == rootAlert && !t.env.Alert:
		t.problem("unknown-name", from, to, "map what you need to an input in on.alert", "alert can be read only under on.alert, so that a playbook runs the same by hand")
	case slices.Contains(Roots(), name):
		if len(t.env.OnlyRoots) > 0 && !slices.Contains(t.env.OnlyRoots, name) {
			t.outOfPlace(name, from, to)
			return
		}
		t.paths = append(t.paths, append([]string{name}, below...))
	default:
		t.unknownName(name, from, to)
	}
}

func (t *checking) unknownName(name string, from, to int) {
	if why := t.why("", name); why != "" {
		t.problem("unknown-name", from, to, "a loop variable is read inside its loop", "%s cannot be read here: %s", name, why)
		return
	}
	known := slices.Concat(Roots(), []string{string(kind.Severity), string(kind.Criticality)})
	for _, l := range t.env.Locals {
		known = append(known, l.Name)
	}
	help := nearest(name, known)
	for _, root := range []string{rootInputs, rootSteps, rootSettings} {
		if _, ok := t.c.reg.scope[root].Field(name); ok && help == "" {
			help = "did you mean " + root + "." + name + "?"
		}
	}
	t.problem("unknown-name", from, to, cmp.Or(help, "a text stands in quotes; a value is read as inputs."+name+" or steps."+name), "there is no %s here", name)
}

func (t *checking) why(root, name string) string {
	if t.env.Why == nil {
		return ""
	}
	return t.env.Why(root, name)
}

// member checks the field of a selection.
func (t *checking) member(e celast.Expr, k *kinds) {
	t.field(k.of(e.AsSelect().Operand()), e.AsSelect().Operand(), e.AsSelect().FieldName(), func() (int, int) { return t.spans.field(e) })
}

// field checks that a record has a field, which stands at where.
func (t *checking) field(over kind.Type, operand celast.Expr, name string, where func() (from, to int)) {
	over = readable(over)
	if over.Kind != kind.Record {
		return // CEL's checker tells
	}
	if _, ok := over.Field(name); ok {
		return
	}
	from, to := where()
	root := pathOf(operand)
	if why := t.why(root, name); why != "" && (root == rootSteps || root == rootOutcome || root == rootErrors) {
		t.problem("unknown-step", from, to, whyHelp(why, root, name), "%s.%s cannot be read here: %s", root, name, why)
		return
	}
	names := make([]string, len(over.Fields))
	for i, f := range over.Fields {
		names[i] = f.Name
	}
	help := nearest(name, names)
	switch {
	case help != "":
	case len(names) > 0 && len(names) <= 12:
		help = "known are " + strings.Join(names, ", ")
	case len(names) == 0:
		help = "none is declared"
	}
	switch root {
	case rootSteps, rootOutcome, rootErrors:
		t.problem("unknown-step", from, to, help, "there is no step %s", name)
	case rootInputs:
		t.problem("unknown-input", from, to, help, "there is no input %s", name)
	case rootSettings:
		t.problem("unknown-setting", from, to, help, "there is no setting %s", name)
	default:
		t.problem("unknown-field", from, to, help, "there is no field %s", name)
	}
}

// shadow refuses a variable that hides another name.
func (t *checking) shadow(e celast.Expr, v string) {
	_, local := t.kinds.vars[v]
	if !local && !slices.Contains(Roots(), v) && v != string(kind.Severity) && v != string(kind.Criticality) {
		return
	}
	r, _ := t.spans.info.GetOffsetRange(e.ID())
	for _, tok := range t.spans.tokens() {
		if tok.start > int(r.Start) && tok.text == v {
			t.problem("shadowed-name", tok.start, tok.end, "choose another name", "%s hides a name that exists already", v)
			return
		}
	}
}

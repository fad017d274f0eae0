package expr

import (
	"regexp"
	"slices"
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common"
	celast "cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"

	"github.com/quell-soar/quell/connectors/spec/kind"
	"github.com/quell-soar/quell/playbooks/diag"
)

func nearest(name string, known []string) string {
	if n := diag.Near(name, known); n != "" {
		return "did you mean " + n + "?"
	}
	return ""
}

// offsetOf turns CEL's line and column, 1-based and 0-based, into a rune offset.
func offsetOf(src []rune, loc common.Location) int {
	line, at := 1, 0
	for at < len(src) && line < loc.Line() {
		if src[at] == '\n' {
			line++
		}
		at++
	}
	return min(at+max(loc.Column(), 0), len(src))
}

// syntaxProblems tells the first syntax error; those behind it follow from it.
func syntaxProblems(text string, iss *cel.Issues) []Problem {
	s := newSpans(text, nil)
	for _, t := range s.tokens() {
		if t.kind == tokBroken {
			return []Problem{{Code: "syntax", From: t.start, To: t.end, Message: "the text is not closed", Help: "close it with the quote that it began with"}}
		}
	}
	e := iss.Errors()[0]
	from, to := s.at(offsetOf(s.src, e.Location))
	msg := strings.TrimPrefix(e.Message, "Syntax error: ")
	help := ""
	switch word := string(s.src[from:to]); {
	case from == to && strings.Contains(msg, "<EOF>"):
		msg, help = "the expression ends too early", "something is missing at its end: a value, or a closing bracket"
	case word == "=":
		msg, help = "= is not an operator", "compare with =="
	case word == "and" || word == "or" || word == "not":
		msg = word + " is not an operator"
		help = "write " + map[string]string{"and": "&&", "or": "||", "not": "!"}[word]
	case strings.Contains(msg, "token recognition"):
		msg = string(s.src[from:min(from+1, len(s.src))]) + " has no meaning in an expression"
	case strings.Contains(msg, "reserved identifier"):
		msg = word + " is a reserved word"
	case strings.Contains(msg, "expecting") || strings.Contains(msg, "viable") || strings.Contains(msg, "extraneous") || strings.Contains(msg, "mismatched"):
		msg = "this does not belong here: " + word
	}
	if len(msg) > 200 {
		msg = msg[:200]
	}
	if help == "" {
		help = "look at what stands before it: an operator, a quote or a bracket may be missing"
	}
	return []Problem{{Code: "syntax", From: from, To: to, Message: msg, Help: help}}
}

var (
	overloadMessage   = regexp.MustCompile(`found no matching overload for '(.*?)' applied to '(.*)'`)
	undeclaredMessage = regexp.MustCompile(`undeclared reference to '([^']*)'`)
	expectedMessage   = regexp.MustCompile(`expected type '([^']*)' but found '([^']*)'`)
)

// typeErrors translates what CEL's checker says.
func (t *checking) typeErrors(iss *cel.Issues) {
	nodes := map[int64]celast.Expr{}
	celast.PostOrderVisit(t.root, celast.NewExprVisitor(func(e celast.Expr) { nodes[e.ID()] = e }))
	for _, e := range iss.Errors() {
		from, to := t.spans.at(offsetOf(t.spans.src, e.Location))
		node := nodes[e.ExprID]
		if node != nil {
			from, to = t.spans.of(node)
		}
		msg := cleanMessage(e.Message)
		if m := undeclaredMessage.FindStringSubmatch(msg); m != nil {
			t.undeclared(m[1], node, from, to)
			continue
		}
		if m := overloadMessage.FindStringSubmatch(msg); m != nil {
			t.overload(m[1], m[2], node, from, to)
			continue
		}
		if m := expectedMessage.FindStringSubmatch(msg); m != nil {
			t.problem("wrong-type", from, to, "convert it, or use a value of that type", "a value of type %s is needed here; this is of type %s", typeNames(m[1]), typeNames(m[2]))
			continue
		}
		if strings.Contains(msg, "does not support field selection") {
			t.problem("unknown-field", from, to, "leave the field out", "a value of this type has no fields")
			continue
		}
		t.problem("expression", from, to, "the language page shows what an expression may be", "%s", msg)
	}
	slices.SortStableFunc(t.found, func(a, b Problem) int { return a.From - b.From })
}

func (t *checking) undeclared(name string, node celast.Expr, from, to int) {
	if node != nil && node.Kind() == celast.CallKind {
		r, _ := t.spans.info.GetOffsetRange(node.ID())
		start, end := t.functionName(int(r.Start))
		help := nearest(name, FunctionNames())
		if ours, ok := elsewhere[strings.ToLower(strings.ReplaceAll(name, "_", ""))]; ok {
			help = "did you mean " + ours + "?"
		}
		t.problem("unknown-function", start, end, help, "there is no function %s", name)
		return
	}
	t.problem("unknown-name", from, to, nearest(name, Roots()), "there is no %s", name)
}

// elsewhere are functions as other languages call them.
var elsewhere = map[string]string{
	"length": "size", "len": "size", "lenght": "size", "count": "size", //nolint:misspell // as people write it
	"lower": "lowerAscii", "tolower": "lowerAscii", "lowercase": "lowerAscii",
	"upper": "upperAscii", "toupper": "upperAscii", "uppercase": "upperAscii",
	"strip": "trim", "includes": "contains", "any": "exists", "some": "exists", "every": "all",
	"unique": "distinct", "uniq": "distinct", "limit": "take", "head": "take", "first": "take",
	"fromjson": "json.parse", "parsejson": "json.parse", "default": "orValue", "coalesce": "orValue",
	"exist": "has", "defined": "has", "isdefined": "has", "tostring": "string", "str": "string", "toint": "int", "match": "matches",
}

// functionName is the name before a call's parenthesis.
func (t *checking) functionName(paren int) (from, to int) {
	for i := len(t.spans.tokens()) - 1; i >= 0; i-- {
		if tok := t.spans.tokens()[i]; tok.end <= paren && tok.kind == tokName {
			return tok.start, tok.end
		}
	}
	return paren, paren
}

// absentOf is a value for an optional operand of an operator, whose types CEL
// writes.
func absentOf(args string) string {
	for name, value := range map[string]string{"int": "0", "double": "0.0", "bool": "false", "list": "[]"} {
		if strings.Contains(args, "optional_type("+name) {
			return value
		}
	}
	return `""`
}

func (t *checking) overload(fn, args string, node celast.Expr, from, to int) {
	shown, isOp := operators.FindReverse(fn)
	help := ""
	switch {
	case strings.Contains(args, "optional_type"):
		help = "end the chain of .? with a value for what is absent, such as .orValue(" + absentOf(args) + ")"
	case strings.Contains(args, "int") && strings.Contains(args, "double"):
		help = "write the whole number as a double: 5.0, or double(x)"
	case (strings.Contains(args, "severity") || strings.Contains(args, "criticality")) && strings.Contains(args, "string"):
		help = "compare with a constant: severity.high, criticality.low"
	}
	if isOp && shown != "" {
		verb := "take"
		if slices.Contains([]string{"==", "!=", "<", "<=", ">", ">="}, shown) {
			verb = "compare"
		}
		t.problem("wrong-type", from, to, help, "%s cannot %s %s", shown, verb, typeNames(args))
		return
	}
	if node != nil {
		r, _ := t.spans.info.GetOffsetRange(node.ID())
		if a, b := t.functionName(int(r.Start)); b > a {
			from, to = a, b
		}
	}
	t.problem("wrong-type", from, to, help, "%s cannot take %s", fn, typeNames(args))
}

// typeNames writes CEL's list of argument types as people say it.
func typeNames(args string) string {
	args = strings.NewReplacer("optional_type", "optional", "google.protobuf.Timestamp", "timestamp", "google.protobuf.Duration", "duration").Replace(args)
	return strings.ReplaceAll(strings.Trim(args, "()"), ", ", " and ")
}

// closedSets finds comparisons of a choice or an outcome with a text that it can
// never be.
func (t *checking) closedSets(e celast.Expr, k *kinds) {
	switch e.Kind() {
	case celast.SelectKind:
		t.closedSets(e.AsSelect().Operand(), k)
	case celast.ListKind:
		for _, x := range e.AsList().Elements() {
			t.closedSets(x, k)
		}
	case celast.ComprehensionKind:
		c := e.AsComprehension()
		t.closedSets(c.IterRange(), k)
		inner := k.bind(c)
		inner.vars[c.AccuVar()] = k.of(e)
		t.closedSets(c.LoopStep(), inner)
	case celast.CallKind:
		c := e.AsCall()
		if c.IsMemberFunction() {
			t.closedSets(c.Target(), k)
		}
		for _, x := range c.Args() {
			t.closedSets(x, k)
		}
		switch c.FunctionName() {
		case operators.Equals, operators.NotEquals:
			t.among(k.of(c.Args()[0]), c.Args()[1])
			t.among(k.of(c.Args()[1]), c.Args()[0])
		case operators.In:
			if c.Args()[1].Kind() == celast.ListKind {
				for _, x := range c.Args()[1].AsList().Elements() {
					t.among(k.of(c.Args()[0]), x)
				}
			}
		}
	default: // other nodes
	}
}

func (t *checking) among(set kind.Type, e celast.Expr) {
	if set.Kind != kind.Choice || e.Kind() != celast.LiteralKind {
		return
	}
	s, ok := e.AsLiteral().(types.String)
	if !ok || set.Rank(string(s)) >= 0 {
		return
	}
	from, to := t.spans.of(e)
	help := nearest(string(s), set.Of)
	if help == "" {
		help = "it is one of " + strings.Join(set.Of, ", ")
	}
	t.problem("unknown-choice", from, to, help, "the value is never %q", string(s))
}

// outOfPlace tells a name that exists and cannot be read at this place.
func (t *checking) outOfPlace(name string, from, to int) {
	var may []string
	for _, r := range t.env.OnlyRoots {
		if slices.Contains(Roots(), r) {
			may = append(may, r)
		}
	}
	if len(may) == 0 {
		t.problem("unknown-name", from, to, "write the value itself", "nothing can be read here: the value is a constant")
		return
	}
	t.problem("unknown-name", from, to, "compute it in a step", "only %s can be read here, not %s", strings.Join(may, ", "), name)
}

// whyHelp is the cure for a step that cannot be read here.
func whyHelp(why, root, name string) string {
	switch {
	case strings.HasPrefix(why, "it runs later"):
		return "move the step up, or read it further down"
	case strings.Contains(why, "not over"):
		return "read it behind the step"
	case strings.Contains(why, "in a loop"):
		return "give the loop an id, and read the list steps.ID that it makes"
	case strings.Contains(why, "no result"):
		return "read outcome." + name
	}
	return "read " + root + "." + name + " where it is known"
}

// namespace reports whether a name stands before functions of the library, as
// cidr in cidr.contains, and is no variable here.
func (t *checking) namespace(name string, k *kinds) bool {
	_, local := k.vars[name]
	return !local && slices.ContainsFunc(FunctionNames(), func(f string) bool { return strings.HasPrefix(f, name+".") })
}

// inNamespace tells a function that its namespace has not.
func (t *checking) inNamespace(e celast.Expr, name string) {
	if slices.Contains(FunctionNames(), name) {
		return
	}
	from, _ := t.spans.of(e.AsCall().Target())
	r, _ := t.spans.info.GetOffsetRange(e.ID())
	_, to := t.functionName(int(r.Start))
	help := nearest(name, FunctionNames())
	if help == "" {
		help = "see the functions of the language page"
	}
	t.problem("unknown-function", from, max(from, to), help, "there is no function %s", name)
}

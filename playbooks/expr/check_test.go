package expr_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/quell-soar/quell/connectors/spec/kind"
	"github.com/quell-soar/quell/playbooks/expr"
)

func TestCheck(t *testing.T) {
	e := env()
	e.Locals = []kind.Field{{Name: "h", Type: kind.Of(kind.Hash)}}
	c := expr.NewChecker(map[string]int{"inputs.names": 20})
	for _, tc := range []struct {
		text string
		want expr.Checked
	}{
		{"h", expr.Checked{Type: kind.Of(kind.Hash)}},
		{"steps.find.device", expr.Checked{
			Type: kind.HandleOf("device"), Uses: []string{"steps.find"}, Paths: [][]string{{"steps", "find", "device"}},
		}},
		{"has(steps.asset) && steps.asset.criticality == criticality.high", expr.Checked{
			Type: kind.Of(kind.Boolean), Uses: []string{"steps.asset"}, Present: []string{"steps.asset"},
			Paths: [][]string{{"steps", "asset", "?"}, {"steps", "asset", "criticality"}},
		}},
		{"!has(steps.asset) || inputs.ratio > 0.5", expr.Checked{
			Type: kind.Of(kind.Boolean), Uses: []string{"inputs.ratio", "steps.asset"}, Guarded: []string{"steps.asset"},
			Paths: [][]string{{"steps", "asset", "?"}, {"inputs", "ratio"}},
		}},
		{"inputs.names.filter(n, n != '').take(50)", expr.Checked{
			Type: kind.ListOf(kind.Of(kind.String)), Uses: []string{"inputs.names"}, Paths: [][]string{{"inputs", "names"}}, Most: 20,
		}},
		{"steps.find.rows.map(r, r.user).distinct().take(5)", expr.Checked{
			Type: kind.ListOf(kind.Of(kind.Username)), Uses: []string{"steps.find"}, Paths: [][]string{{"steps", "find", "rows"}}, Most: 5,
		}},
		{"inputs.ratio > 0.5 ? 'a' : inputs.host", expr.Checked{
			Type: kind.Of(kind.String), Uses: []string{"inputs.host", "inputs.ratio"}, Paths: [][]string{{"inputs", "ratio"}, {"inputs", "host"}},
		}},
		{"steps.find.grants.filter(c, c.granted > now)", expr.Checked{
			Type: kind.ListOf(kind.HandleOf("consent")), Uses: []string{"now", "steps.find"}, Paths: [][]string{{"steps", "find", "grants"}, {"now"}},
		}},
		{"inputs.ratio == 1 || size(inputs.names) != 0.5", expr.Checked{
			Type: kind.Of(kind.Boolean), Uses: []string{"inputs.names", "inputs.ratio"}, Paths: [][]string{{"inputs", "ratio"}, {"inputs", "names"}},
		}},
		{"steps.?asset.owner", expr.Checked{
			Type: kind.Of(kind.String), Uses: []string{"steps.asset"}, Paths: [][]string{{"steps", "asset", "owner"}}, Optional: true,
		}},
		{"now - days(1)", expr.Checked{Type: kind.Of(kind.Timestamp), Uses: []string{"now"}, Paths: [][]string{{"now"}}}},
	} {
		got, problems := c.Check(tc.text, e)
		if len(problems) > 0 {
			t.Errorf("%s: %+v", tc.text, problems)
			continue
		}
		if diff := cmp.Diff(tc.want, got, cmpopts.IgnoreFields(expr.Checked{}, "Reads", "Flow")); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tc.text, diff)
		}
	}
}

func TestSplit(t *testing.T) {
	text := func(s string) expr.Segment { return expr.Segment{Text: s} }
	at := func(from, to int) expr.Segment { return expr.Segment{IsExpr: true, From: from, To: to} }
	for in, want := range map[string][]expr.Segment{
		"":                           nil,
		"plain }} text":              {text("plain }} text")},
		"${{a}}":                     {at(3, 4)},
		"x ${{ a }} y":               {text("x "), at(5, 8), text(" y")},
		"${{ {'a': {'b': 1}} }}":     {at(3, 20)},
		"${{ '}}' + \"}}\" }}":       {at(3, 16)},
		"costs $${{ a }} and ${{b}}": {text("costs ${{ a }} and "), at(23, 24)},
		"ü${{ r'\\' }}":              {text("ü"), at(5, 11)},
	} {
		got, open := expr.Split(in)
		if diff := cmp.Diff(want, got); diff != "" || open != -1 {
			t.Errorf("%q, open %d (-want +got):\n%s", in, open, diff)
		}
	}
	for in, want := range map[string]int{"a ${{ b": 2, "${{ '}}": 0, "${{ { }}": 0} {
		if _, open := expr.Split(in); open != want {
			t.Errorf("%q: open at %d, want %d", in, open, want)
		}
	}
}

// TestReads holds what an expression looks at and where its value comes from.
func TestReads(t *testing.T) {
	e := env()
	e.Locals = []kind.Field{{Name: "v", Type: kind.RecordOf(kind.Field{Name: "item", Type: kind.Of(kind.Hash)})}}
	e.Flows = map[string]expr.Flow{"v": {Paths: [][]string{{"steps", "loop", "[]"}}}}
	c := expr.NewChecker(nil)
	for text, want := range map[string]struct{ reads, flow string }{
		"steps.find.device":                                    {"", "steps.find.device"},
		"has(steps.asset)":                                     {"steps.asset.?", ""},
		"steps.?asset.owner.orValue('')":                       {"", "steps.asset.owner"},
		"size(steps.find.rows)":                                {"steps.find.rows.#", ""},
		"steps.find.rows.filter(r, r.risk > 1).map(r, r.user)": {"steps.find.rows.[].risk", "steps.find.rows.[].user"},
		"steps.find.rows.distinct_by(r, r.user).take(5)":       {"steps.find.rows.[].user", "steps.find.rows"},
		"steps.find.rows[0].user == inputs.host":               {"steps.find.rows.[].user inputs.host", ""},
		"v.item":                                               {"", "steps.loop.[].item"},
		"inputs.ratio > 1 ? steps.find.rows : steps.find.rows": {"inputs.ratio", "steps.find.rows"},
		"steps.find.rows.all(r, r.risk > 1 && has(r.ip))":      {"steps.find.rows.[].risk steps.find.rows.[].ip.?", ""},
	} {
		got, problems := c.Check(text, e)
		if len(problems) > 0 {
			t.Errorf("%s: %+v", text, problems)
			continue
		}
		if reads := chains(got.Reads); reads != want.reads {
			t.Errorf("%s reads %q, want %q", text, reads, want.reads)
		}
		if flow := chains(got.Flow.All()); flow != want.flow {
			t.Errorf("%s comes from %q, want %q", text, flow, want.flow)
		}
	}
}

func chains(paths [][]string) string {
	var out []string
	for _, p := range paths {
		if s := strings.Join(p, "."); !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return strings.Join(out, " ")
}

// TestCuresCanBePasted writes what the help for a value that may be absent says
// in its place, and wants an expression without a mistake.
func TestCuresCanBePasted(t *testing.T) {
	e := env()
	e.Locals = []kind.Field{{Name: "h", Type: kind.Of(kind.Hash)}}
	c := expr.NewChecker(nil)
	for text, ways := range map[string]int{
		"steps.asset.criticality == criticality.high":                                2,
		"inputs.ratio > 0.5 || steps.asset.criticality == criticality.high":          2,
		"steps.asset.criticality":                                                    1,
		"has(steps.asset.owner) && inputs.ratio > 0.5":                               1,
		"'owner: ' + steps.asset.criticality":                                        0,
		"steps.find.rows.exists(r, r.ip == '10.0.0.1')":                              1,
		"steps.find.rows.filter(r, has(r.ip)).all(x, x.ip != steps.find.rows[0].ip)": 1,
	} {
		_, problems := c.Check(text, e)
		if ways == 0 {
			continue
		}
		if len(problems) == 0 || problems[0].Code != "maybe-absent" {
			t.Errorf("%s: %+v", text, problems)
			continue
		}
		help, ok := strings.CutPrefix(problems[0].Help, "write ")
		if !ok || len(problems) > 1 {
			t.Errorf("%s: %+v", text, problems)
			continue
		}
		list := strings.Split(help, "\nor    ")
		if len(list) != ways {
			t.Errorf("%s: %d ways, want %d: %q", text, len(list), ways, list)
		}
		for _, way := range list {
			mended := way
			if !strings.HasPrefix(way, "has(") {
				chain, _, _ := strings.Cut(strings.Replace(way, ".?", ".", 1), ".orValue(")
				mended = strings.Replace(text, chain, way, 1)
			}
			if _, left := c.Check(mended, e); len(left) > 0 {
				t.Errorf("%s: mended to %s: %+v", text, mended, left)
			}
		}
	}
}

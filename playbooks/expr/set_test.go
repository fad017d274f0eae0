package expr_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/quell-soar/quell/connectors/spec/kind"
	"github.com/quell-soar/quell/playbooks/expr"
	"github.com/quell-soar/quell/playbooks/plan"
)

var device = kind.Handle{Name: "device", Instance: "falcon", ID: "a1", Label: "WEB-1"}

// grant is a handle of which expressions may read facts.
func grant(app string, at time.Time) kind.Handle {
	h, err := kind.Handle{Name: "consent", Instance: "entra", ID: app, Label: app}.WithFacts(map[string]any{
		"app": app, "scopes": []any{"Mail.Read"}, "granted": at, "dated": true,
	})
	if err != nil {
		panic(err)
	}
	return h
}

var (
	oldGrant = grant("calendar", time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC))
	newGrant = grant("harvester", time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC))
)

// world is a plan whose expressions see a bit of everything.
func world(texts ...string) *plan.Plan {
	field := func(name string, t kind.Type) kind.Field { return kind.Field{Name: name, Type: t} }
	opt := func(name string, t kind.Type) kind.Field { return kind.Field{Name: name, Type: t, Optional: true} }
	row := kind.RecordOf(field("user", kind.Of(kind.Username)), field("risk", kind.Of(kind.Int)), opt("ip", kind.Of(kind.IP)))
	p := &plan.Plan{
		Playbook: "t",
		Inputs: []plan.Input{
			{Name: "host", Type: kind.Of(kind.Hostname)},
			{Name: "names", Type: kind.ListOf(kind.Of(kind.String))},
			{Name: "counts", Type: kind.MapOf(kind.Of(kind.Int))},
			{Name: "ratio", Type: kind.Of(kind.Double)},
		},
		Settings: []plan.Setting{{Name: "window", Type: kind.Of(kind.Duration)}},
		Results: []plan.Result{
			{ID: "asset", Type: kind.RecordOf(field("criticality", kind.Of(kind.Criticality)), opt("owner", kind.Of(kind.String)))},
			{ID: "find", Type: kind.RecordOf(field("device", kind.HandleOf("device")), field("rows", kind.ListOf(row)), field("grants", kind.ListOf(kind.HandleOf("consent"))))},
		},
	}
	for _, t := range texts {
		p.Exprs = append(p.Exprs, plan.Expr{Text: t, Line: 7, Column: 3})
	}
	return p
}

func scope() expr.Scope {
	return expr.Scope{
		Inputs: map[string]any{
			"host": "web-1", "names": []any{"b", "a", "b"}, "ratio": 0.5,
			"counts": map[string]any{"z": int64(26), "a": int64(1), "m": int64(13)},
		},
		Settings: map[string]any{"window": 14 * 24 * time.Hour},
		Steps: map[string]any{"find": map[string]any{
			"device": device,
			"grants": []any{oldGrant, newGrant},
			"rows": []any{
				map[string]any{"user": "eve", "risk": int64(9), "ip": "10.0.0.1"},
				map[string]any{"user": "bob", "risk": int64(2)},
				map[string]any{"user": "eve", "risk": int64(1)},
			},
		}},
		Outcome: map[string]any{"find": "done"},
		Run:     map[string]any{"started": time.Date(2026, 1, 31, 17, 0, 0, 0, time.UTC)},
		Now:     time.Date(2026, 1, 31, 18, 0, 0, 0, time.UTC),
	}
}

func load(t testing.TB, texts ...string) *expr.Set {
	t.Helper()
	s, err := expr.Load(world(texts...))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestEval(t *testing.T) {
	for _, tc := range []struct {
		text string
		want any
	}{
		{"inputs.host", "web-1"},
		{"steps.find.device", device},
		{"steps.find.grants.filter(c, c.granted >= run.started - days(7))", []any{newGrant}},
		{"steps.find.grants.map(c, c.app + ': ' + c.scopes.join(', '))", []any{"calendar: Mail.Read", "harvester: Mail.Read"}},
		{"steps.find.grants[0] == steps.find.grants[1]", false},
		{"steps.find.grants[1] in steps.find.grants", true},
		{"steps.find.rows.filter(r, r.risk > 1).map(r, r.user)", []any{"eve", "bob"}},
		{"steps.find.rows.distinct_by(r, r.user).map(r, r.risk)", []any{int64(9), int64(2)}},
		{"inputs.names.distinct()", []any{"b", "a"}},
		{"inputs.names.take(2)", []any{"b", "a"}},
		{"inputs.names.take(0)", []any{}},
		{"inputs.names.chunks(2)", []any{[]any{"b", "a"}, []any{"b"}}},
		{"inputs.names.join(\"+\")", "b+a+b"},
		{"inputs.counts.map(k, k)", []any{"a", "m", "z"}},
		{"inputs.counts.m", int64(13)},
		{"{'z': 1, 'b': 2, 'a': 3}", map[string]any{"z": int64(1), "b": int64(2), "a": int64(3)}},
		{"now - run.started", time.Hour},
		{"run.started - days(7)", time.Date(2026, 1, 24, 17, 0, 0, 0, time.UTC)},
		{"settings.window > duration('2w') - hours(1)", true},
		{"duration('1h30m') == minutes(90)", true},
		{"string(days(1))", "1d"},
		{"string(severity.high) + ' ' + string(now)", "high 2026-01-31T18:00:00Z"},
		{"severity.high > severity.low && severity.info < severity.critical", true},
		{"severity.high == severity.low", false},
		{"criticality.low >= criticality.medium", false},
		{"has(steps.asset)", false},
		{"has(steps.asset) && steps.asset.criticality == criticality.high", false},
		{"steps.?asset.criticality.orValue(criticality.high) >= criticality.high", true},
		{"steps.?asset.owner.orValue('nobody')", "nobody"},
		{"steps.find.rows[1].?ip.orValue('none')", "none"},
		{"steps.?asset.owner", nil},
		{"outcome.find in ['done', 'already']", true},
		{"inputs.ratio < 1", true},
		{"1 == inputs.ratio * 2.0 && inputs.ratio != 1 && [1.0, 2.5].exists(x, x == 1)", true},
		{"cidr.contains('10.0.0.0/8', '10.1.2.3')", true},
		{"is_private('192.168.1.1') && !is_private('8.8.8.8')", true},
		{"defang('https://a.example/x')", "hxxps://a[.]example/x"},
		{"refang(defang('https://a.example/x'))", "https://a.example/x"},
		{"domain.parent('www.example.org')", "example.org"},
		{"hash.kind('d41d8cd98f00b204e9800998ecf8427e')", "md5"},
		{"json.parse('{\"b\": [1, 2.5, null], \"a\": true}').map(k, k)", []any{"a", "b"}},
		{"' Ab '.trim().lowerAscii() + 'x'.upperAscii()", "abX"},
		{"'a,b'.split(',')", []any{"a", "b"}},
		{"'aXa'.replace('a', 'b')", "bXb"},
		{"size('äö') + size(inputs.names)", int64(5)},
	} {
		got, err := load(t, tc.text).Eval(0, scope())
		if err != nil {
			t.Errorf("%s: %v", tc.text, err)
			continue
		}
		if diff := cmp.Diff(tc.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tc.text, diff)
		}
	}
}

// TestErrors holds that || and && take operands in order and absorb nothing,
// and that an error has its place.
func TestErrors(t *testing.T) {
	for _, tc := range []struct{ text, want string }{
		{"1 / 0 == 1 || true", "division by zero"},
		{"1 / 0 == 1 && false", "division by zero"},
		{"false || 1 / 0 == 1", "division by zero"},
		{"[1, 0].all(x, 1 / x > 1)", ""},
		{"[0, 1].exists(x, 1 / x == 1)", "division by zero"},
		{"[0, 2].all(x, 1 / x > 1)", "division by zero"},
		{"true || 1 / 0 == 1", ""},
		{"false && 1 / 0 == 1", ""},
		{"steps.asset.criticality == criticality.high", "steps.asset is absent"},
		{"inputs.names[7] == 'x'", "index out of bounds"},
		{"inputs.counts.nope == 1", "nope"},
		{"inputs.names.all(a, inputs.names.all(b, a != b)) && [1,2,3,4,5,6,7,8,9,10].map(a, [1,2,3,4,5,6,7,8,9,10].map(b, [1,2,3,4,5,6,7,8,9,10].map(c, [1,2,3,4,5,6,7,8,9,10].map(d, [1,2,3,4,5,6,7,8,9,10].map(e, [1,2,3,4,5,6,7,8,9,10].map(f, a)))))).size() > 0", ""},
		{"[1,2,3,4,5,6,7,8,9,10].map(a, [1,2,3,4,5,6,7,8,9,10].map(b, [1,2,3,4,5,6,7,8,9,10].map(c, [1,2,3,4,5,6,7,8,9,10].map(d, [1,2,3,4,5,6,7,8,9,10].map(e, [1,2,3,4,5,6,7,8,9,10].map(f, a)))))).size() > 0", "cost limit"},
	} {
		_, err := load(t, tc.text).Eval(0, scope())
		if tc.want == "" {
			if err != nil {
				t.Errorf("%s: %v", tc.text, err)
			}
			continue
		}
		var ee *expr.EvalError
		if !errors.As(err, &ee) || ee.Line != 7 || !strings.Contains(ee.Message, tc.want) {
			t.Errorf("%s: %v, want %q", tc.text, err, tc.want)
		}
	}
}

// TestMapOrder evaluates comprehensions over map variables and literals a
// thousand times: there is one order. Stock CEL gives many.
func TestMapOrder(t *testing.T) {
	keys := strings.Fields("k b z a q m x c y d w e v f u g")
	var entries []string
	counts := map[string]any{}
	for i, k := range keys {
		entries = append(entries, fmt.Sprintf("'%s': %d", k, i))
		counts[k] = int64(i)
	}
	lit := "{" + strings.Join(entries, ", ") + "}"
	s := load(t, "inputs.counts.map(k, k)", lit+".map(k, k)", lit+".filter(k, k > 'f').map(k, inputs.counts[k])",
		"json.parse('{\"x\": 1, \"b\": 2, \"a\": 3}').map(k, k)", "[{'b': 1, 'a': 2}].map(m, m.map(k, k))", "{'n': "+lit+"}.n.map(k, k)")
	sc := scope()
	sc.Inputs["counts"] = counts
	sorted := slices.Sorted(slices.Values(keys))
	for ref := range 6 {
		first := ""
		for range 1000 {
			v, err := s.Eval(plan.ExprRef(ref), sc)
			if err != nil {
				t.Fatal(err)
			}
			got := fmt.Sprint(v)
			if first == "" {
				first = got
			}
			if got != first {
				t.Fatalf("expression %d: %s, before %s", ref, got, first)
			}
		}
		if ref < 2 && first != fmt.Sprint(sorted) {
			t.Errorf("expression %d: %s, want %v", ref, first, sorted)
		}
	}
}

// TestAtOnce evaluates from many goroutines; the race detector looks on.
func TestAtOnce(t *testing.T) {
	s := load(t, "steps.find.rows.filter(r, r.risk > 1).map(r, r.user)", "json.parse('{\"a\": 1}')", "inputs.counts.map(k, k)")
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for i := range 300 {
				if _, err := s.Eval(plan.ExprRef(i%3), scope()); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
}

func TestValue(t *testing.T) {
	ref := func(n plan.ExprRef) *plan.ExprRef { return &n }
	s := load(t, "steps.find.device", "inputs.names", "size(inputs.names)", "inputs.host")
	for name, tc := range map[string]struct {
		in   plan.Value
		want any
		err  string
	}{
		"literal":  {in: plan.Value{Literal: []byte(`"2h"`), Type: kind.Of(kind.Duration)}, want: 2 * time.Hour},
		"untyped":  {in: plan.Value{Literal: []byte(`{"a":[1,true]}`)}, want: map[string]any{"a": []any{int64(1), true}}},
		"whole":    {in: plan.Value{Expr: ref(0), Type: kind.HandleOf("device")}, want: device},
		"double":   {in: plan.Value{Expr: ref(2), Type: kind.Of(kind.Double)}, want: 3.0},
		"refused":  {in: plan.Value{Expr: ref(3), Type: kind.Of(kind.IP)}, err: "not a ip"},
		"template": {in: plan.Value{Template: []plan.Part{{Text: "Host "}, {Expr: ref(0)}, {Text: ": "}, {Expr: ref(1)}}, Type: kind.Of(kind.String)}, want: "Host WEB-1: b, a, b"},
		"list":     {in: plan.Value{List: []plan.Value{{Expr: ref(3)}, {Literal: []byte(`"x"`)}}, Type: kind.ListOf(kind.Of(kind.String))}, want: []any{"web-1", "x"}},
		"map":      {in: plan.Value{Map: []plan.NamedValue{{Name: "a", Value: plan.Value{Expr: ref(2)}}}, Type: kind.MapOf(kind.Of(kind.Int))}, want: map[string]any{"a": int64(3)}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := s.Value(tc.in, scope())
			if tc.err != "" {
				if err == nil || !strings.Contains(err.Error(), tc.err) {
					t.Fatalf("error %v, want %q", err, tc.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
	if _, err := s.Eval(99, scope()); err == nil {
		t.Error("an expression that is not there was evaluated")
	}
}

func BenchmarkEval(b *testing.B) {
	for _, text := range []string{
		"steps.find.device",
		"steps.?asset.criticality.orValue(criticality.high) >= criticality.high",
		"has(steps.asset) && steps.asset.criticality == criticality.high",
		"steps.find.rows.filter(r, r.risk > 1).map(r, r.user)",
	} {
		b.Run(strings.ReplaceAll(text[:min(24, len(text))], " ", ""), func(b *testing.B) {
			s, sc := load(b, text), scope()
			for b.Loop() {
				if _, err := s.Eval(0, sc); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkLoad30(b *testing.B) {
	var texts []string
	for i := range 30 {
		texts = append(texts, fmt.Sprintf("steps.find.rows.filter(r, r.risk > %d).map(r, r.user).size() > 0 && has(steps.asset)", i))
	}
	p := world(texts...)
	for b.Loop() {
		if _, err := expr.Load(p); err != nil {
			b.Fatal(err)
		}
	}
}

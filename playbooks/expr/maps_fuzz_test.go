package expr_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/quell-soar/quell/connectors/spec/kind"
	"github.com/quell-soar/quell/playbooks/expr"
)

// This file holds a second, slow evaluator of expressions over maps, written
// from the rules and not from CEL: a map is a sorted list of pairs that is
// searched from its beginning, operands are taken in order, the first error
// ends everything. FuzzMaps grows expressions from bytes and wants both to
// agree.

// pair is an entry of a slow map.
type pair struct {
	key   string
	value int64
}

type slowMap []pair

// put keeps the pairs sorted; a later entry of the same key replaces.
func (m slowMap) put(key string, value int64) slowMap {
	for i, p := range m {
		if p.key == key {
			out := slices.Clone(m)
			out[i].value = value
			return out
		}
		if p.key > key {
			return slices.Insert(slices.Clone(m), i, pair{key, value})
		}
	}
	return append(slices.Clone(m), pair{key, value})
}

func (m slowMap) find(key string) (int64, bool) {
	for _, p := range m {
		if p.key == key {
			return p.value, true
		}
	}
	return 0, false
}

var errSlow = errors.New("fails")

// vars are the loop variables around a node.
type vars map[string]string

// grown is an expression in both worlds.
type grown struct {
	text string
	eval func(vars) (any, error)
}

// garden grows expressions of a type from bytes. Its end gives the smallest.
type garden struct {
	raw   []byte
	maps  map[string]slowMap
	names []string
	next  int
}

func (g *garden) byte() int {
	if len(g.raw) == 0 {
		return 0
	}
	b := g.raw[0]
	g.raw = g.raw[1:]
	return int(b)
}

var keys = []string{"a", "b", "c", "z", "aa", "ü", "", "B", "in", "a b"}

func (g *garden) key() string { return keys[g.byte()%len(keys)] }

func quote(s string) string { return strconv.Quote(s) }

func (g *garden) mapOf(depth int) grown {
	choice := g.byte() % 5
	if depth <= 0 {
		choice %= 3
	}
	switch choice {
	case 1, 2:
		name := []string{"counts", "other"}[choice-1]
		return grown{"inputs." + name, func(vars) (any, error) { return g.maps[name], nil }}
	case 3:
		c, a, b := g.boolOf(depth-1), g.mapOf(depth-1), g.mapOf(depth-1)
		return grown{fmt.Sprintf("(%s ? %s : %s)", c.text, a.text, b.text), choose(c, a, b)}
	case 4:
		return g.parsed()
	}
	return g.literal(depth)
}

// parsed is a map that comes out of JSON, whose type CEL does not know.
func (g *garden) parsed() grown {
	var m slowMap
	var parts []string
	for range g.byte() % 4 {
		k, v := g.key(), int64(g.byte()%7)
		if _, ok := m.find(k); !ok {
			m, parts = m.put(k, v), append(parts, quote(k)+": "+strconv.FormatInt(v, 10))
		}
	}
	return grown{"json.parse(" + quote("{"+strings.Join(parts, ", ")+"}") + ")", func(vars) (any, error) { return m, nil }}
}

func (g *garden) literal(depth int) grown {
	var ks, vs []grown
	var parts []string
	for range g.byte() % 4 {
		k, v := g.textOf(), g.intOf(depth-1)
		ks, vs, parts = append(ks, k), append(vs, v), append(parts, k.text+": "+v.text)
	}
	return grown{"{" + strings.Join(parts, ", ") + "}", func(at vars) (any, error) {
		var m slowMap
		for i := range ks {
			k, err := ks[i].eval(at)
			if err != nil {
				return nil, err
			}
			v, err := vs[i].eval(at)
			if err != nil {
				return nil, err
			}
			m = m.put(k.(string), v.(int64))
		}
		return m, nil
	}}
}

func choose(c, a, b grown) func(vars) (any, error) {
	return func(at vars) (any, error) {
		x, err := c.eval(at)
		switch {
		case err != nil:
			return nil, err
		case x.(bool):
			return a.eval(at)
		}
		return b.eval(at)
	}
}

func (g *garden) textOf() grown {
	if n := len(g.names); n > 0 && g.byte()%2 == 0 {
		v := g.names[g.byte()%n]
		return grown{v, func(at vars) (any, error) { return at[v], nil }}
	}
	k := g.key()
	return grown{quote(k), func(vars) (any, error) { return k, nil }}
}

func (g *garden) intOf(depth int) grown {
	choice := g.byte() % 4
	if depth <= 0 {
		choice = 0
	}
	switch choice {
	case 1:
		m := g.mapOf(depth - 1)
		return grown{"size(" + m.text + ")", func(at vars) (any, error) {
			x, err := m.eval(at)
			if err != nil {
				return nil, err
			}
			return int64(len(x.(slowMap))), nil
		}}
	case 2:
		m, k := g.mapOf(depth-1), g.textOf()
		return grown{m.text + "[" + k.text + "]", func(at vars) (any, error) {
			x, err := m.eval(at)
			if err != nil {
				return nil, err
			}
			key, _ := k.eval(at)
			v, ok := x.(slowMap).find(key.(string))
			if !ok {
				return nil, errSlow
			}
			return v, nil
		}}
	}
	n := int64(g.byte() % 7)
	return grown{strconv.FormatInt(n, 10), func(vars) (any, error) { return n, nil }}
}

// two evaluates operands in order.
func two(a, b grown, f func(x, y any) any) func(vars) (any, error) {
	return func(at vars) (any, error) {
		x, err := a.eval(at)
		if err != nil {
			return nil, err
		}
		y, err := b.eval(at)
		if err != nil {
			return nil, err
		}
		return f(x, y), nil
	}
}

func constant(b bool) grown {
	return grown{strconv.FormatBool(b), func(vars) (any, error) { return b, nil }}
}

func (g *garden) boolOf(depth int) grown {
	choice := g.byte() % 10
	if depth <= 0 {
		return constant(choice%2 == 0)
	}
	switch choice {
	case 0, 1:
		a, b := g.mapOf(depth-1), g.mapOf(depth-1)
		return grown{a.text + []string{" == ", " != "}[choice] + b.text, two(a, b, func(x, y any) any {
			return slices.Equal(x.(slowMap), y.(slowMap)) == (choice == 0)
		})}
	case 2:
		k, m := g.textOf(), g.mapOf(depth-1)
		return grown{k.text + " in " + m.text, two(k, m, func(x, y any) any { _, ok := y.(slowMap).find(x.(string)); return ok })}
	case 3:
		a, b := g.intOf(depth-1), g.intOf(depth-1)
		return grown{a.text + " < " + b.text, two(a, b, func(x, y any) any { return x.(int64) < y.(int64) })}
	case 4:
		a, b := g.boolOf(depth-1), g.boolOf(depth-1)
		return grown{"(" + a.text + " && " + b.text + ")", choose(a, b, constant(false))}
	case 5:
		a, b := g.boolOf(depth-1), g.boolOf(depth-1)
		return grown{"(" + a.text + " || " + b.text + ")", choose(a, constant(true), b)}
	case 6:
		m, k := g.mapOf(0), []string{"a", "b", "z"}[g.byte()%3]
		return grown{"has(" + m.text + "." + k + ")", func(at vars) (any, error) {
			x, err := m.eval(at)
			if err != nil {
				return nil, err
			}
			_, ok := x.(slowMap).find(k)
			return ok, nil
		}}
	}
	return g.macro(depth, []string{"all", "exists", "exists_one"}[choice-7])
}

// loop is a fresh variable and what grows under it.
func (g *garden) loop(grow func() grown) (string, grown) {
	g.next++
	v := "v" + strconv.Itoa(g.next)
	g.names = append(g.names, v)
	body := grow()
	g.names = g.names[:len(g.names)-1]
	return v, body
}

// each runs a body per key in order, until it says that it has enough.
func each(m grown, v string, body grown, f func(key string, x any) (enough bool)) func(vars) error {
	return func(at vars) error {
		over, err := m.eval(at)
		if err != nil {
			return err
		}
		inner := maps.Clone(at)
		for _, p := range over.(slowMap) {
			inner[v] = p.key
			x, err := body.eval(inner)
			if err != nil {
				return err
			}
			if f(p.key, x) {
				return nil
			}
		}
		return nil
	}
}

func (g *garden) macro(depth int, name string) grown {
	m := g.mapOf(depth - 1)
	v, body := g.loop(func() grown { return g.boolOf(depth - 1) })
	return grown{fmt.Sprintf("%s.%s(%s, %s)", m.text, name, v, body.text), func(at vars) (any, error) {
		held, out := 0, 0
		err := each(m, v, body, func(_ string, x any) bool {
			if held++; x.(bool) {
				out++
			}
			return (name == "all" && !x.(bool)) || (name == "exists" && x.(bool))
		})(at)
		switch name {
		case "all":
			return out == held, err
		case "exists":
			return out > 0, err
		}
		return out == 1, err
	}}
}

func (g *garden) listOf(depth int) grown {
	m := g.mapOf(depth - 1)
	if g.byte()%2 == 0 {
		v, body := g.loop(func() grown { return g.boolOf(depth - 1) })
		return grown{fmt.Sprintf("%s.filter(%s, %s)", m.text, v, body.text), func(at vars) (any, error) {
			out := []any{}
			err := each(m, v, body, func(k string, x any) bool {
				if x.(bool) {
					out = append(out, k)
				}
				return false
			})(at)
			return out, err
		}}
	}
	v, body := g.loop(func() grown {
		if g.byte()%2 == 0 {
			return g.textOf()
		}
		return g.intOf(depth - 1)
	})
	return grown{fmt.Sprintf("%s.map(%s, %s)", m.text, v, body.text), func(at vars) (any, error) {
		out := []any{}
		err := each(m, v, body, func(_ string, x any) bool { out = append(out, x); return false })(at)
		return out, err
	}}
}

func (g *garden) any() grown {
	const depth = 4
	switch g.byte() % 4 {
	case 0:
		return g.boolOf(depth)
	case 1:
		return g.listOf(depth)
	case 2:
		return g.intOf(depth)
	}
	return g.mapOf(depth)
}

// canonicalOf writes a slow value as Eval gives values.
func canonicalOf(v any) any {
	m, ok := v.(slowMap)
	if !ok {
		return v
	}
	out := map[string]any{}
	for _, p := range m {
		out[p.key] = p.value
	}
	return out
}

// agree evaluates one grown expression in both worlds.
func agree(t *testing.T, raw []byte) string {
	g := &garden{raw: raw, maps: map[string]slowMap{}}
	sc := expr.Scope{Inputs: map[string]any{}}
	for _, name := range []string{"counts", "other"} {
		var m slowMap
		for range g.byte() % 6 {
			m = m.put(g.key(), int64(g.byte()%7))
		}
		g.maps[name], sc.Inputs[name] = m, canonicalOf(m)
	}
	e := g.any()
	want, wantErr := e.eval(vars{})
	p := world(e.text)
	p.Inputs[3].Name, p.Inputs[3].Type = "other", kind.MapOf(kind.Of(kind.Int))
	s, err := expr.Load(p)
	if err != nil {
		t.Fatalf("%s: %v", e.text, err)
	}
	got, err := s.Eval(0, sc)
	if err != nil && strings.Contains(err.Error(), "cost limit") {
		return e.text
	}
	if (err != nil) != (wantErr != nil) {
		t.Fatalf("%s over %v: %v, want %v (%v, want %v)", e.text, sc.Inputs, err, wantErr, got, want)
	}
	if err == nil {
		if diff := cmp.Diff(canonicalOf(want), got); diff != "" {
			t.Fatalf("%s over %v (-want +got):\n%s", e.text, sc.Inputs, diff)
		}
	}
	return e.text
}

// FuzzMaps holds that maps of expressions behave as the slow evaluator says:
// their order, equality, has, in, index and the macros over them.
func FuzzMaps(f *testing.F) {
	for i := range 64 {
		f.Add([]byte{3, 0, 1, 1, 2, 2, 3, 2, 4, 4, 5, 5, byte(i), byte(i * 7), byte(i * 13), 3, 2, 1, byte(i), 9, 8, 7, byte(i * 3), 4, 4, 4, 1, 2, 3})
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		if len(raw) > 200 {
			t.Skip()
		}
		agree(t, raw)
	})
}

// TestMapsAgree runs the two evaluators over a fixed stretch of random
// expressions and holds that it saw every operation.
func TestMapsAgree(t *testing.T) {
	seen := map[string]int{}
	state := uint64(20260131)
	for range 1500 {
		raw := make([]byte, 60)
		for i := range raw {
			state = state*6364136223846793005 + 1442695040888963407
			raw[i] = byte(state >> 56)
		}
		text := agree(t, raw)
		for _, op := range []string{" == ", " != ", " in ", "has(", "[", "size(", ".all(", ".exists(", ".exists_one(", ".map(", ".filter(", " && ", " || ", " ? ", "json.parse("} {
			if strings.Contains(text, op) {
				seen[op]++
			}
		}
	}
	if len(seen) < 15 {
		t.Errorf("only %v was tried", seen)
	}
}

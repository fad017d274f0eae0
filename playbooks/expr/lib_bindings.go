package expr

import (
	"bytes"
	"encoding/json"
	"io"
	"net/netip"
	"strings"
	"time"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common"
	celast "cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"

	"github.com/quell-soar/quell/connectors/spec/kind"
)

func durationOf(nanos int64) time.Duration { return time.Duration(nanos) }

func parseDuration(v ref.Val) ref.Val {
	d, err := kind.ParseDuration(string(v.(types.String)))
	if err != nil {
		return types.NewErr("%s", err)
	}
	return types.Duration{Duration: d}
}

func textOf(v ref.Val) ref.Val {
	c, err := fromVal(v)
	if err != nil {
		return types.NewErr("%s", err)
	}
	return types.String(Text(c))
}

func take(l, n ref.Val) ref.Val {
	list, ok := l.(traits.Lister)
	most, isInt := n.(types.Int)
	if !ok || !isInt || most < 0 {
		return types.NewErr("take needs a number from 0")
	}
	size := list.Size().(types.Int)
	if size <= most {
		return l
	}
	out := make([]ref.Val, 0, most)
	for i := range most {
		out = append(out, list.Get(i))
	}
	return types.NewRefValList(types.DefaultTypeAdapter, out)
}

func chunks(l, n ref.Val) ref.Val {
	list, ok := l.(traits.Lister)
	size, isInt := n.(types.Int)
	if !ok || !isInt || size < 1 {
		return types.NewErr("chunks needs a number from 1")
	}
	total := list.Size().(types.Int)
	var out []ref.Val
	var chunk []ref.Val
	for i := range total {
		chunk = append(chunk, list.Get(i))
		if types.Int(len(chunk)) == size || i == total-1 {
			out = append(out, types.NewRefValList(types.DefaultTypeAdapter, chunk))
			chunk = nil
		}
	}
	return types.NewRefValList(types.DefaultTypeAdapter, out)
}

// distinctBy keeps the first element of each key, in order. Keys compare by
// their canonical bytes, so that lists and records are keys too.
func distinctBy(l, keys ref.Val) ref.Val {
	list, ok := l.(traits.Lister)
	by, isList := keys.(traits.Lister)
	if !ok || !isList {
		return types.MaybeNoSuchOverloadErr(l)
	}
	n := list.Size().(types.Int)
	seen := make(map[string]bool, int(n))
	out := make([]ref.Val, 0, int(n))
	for i := range n {
		c, err := fromVal(by.Get(i))
		if err != nil {
			return types.NewErr("distinct: %s", err)
		}
		raw, err := kind.Canonical(c)
		if err != nil {
			return types.NewErr("distinct: %s", err)
		}
		if !seen[string(raw)] {
			seen[string(raw)] = true
			out = append(out, list.Get(i))
		}
	}
	return types.NewRefValList(types.DefaultTypeAdapter, out)
}

// distinctByName is the function behind the macro: @ keeps it out of reach.
const distinctByName = "@distinct_by"

// distinctByMacro expands xs.distinct_by(x, key) to a call over xs and the list
// of keys. xs stands twice; it is pure, so that is only a matter of cost.
func distinctByMacro(f cel.MacroExprFactory, target celast.Expr, args []celast.Expr) (celast.Expr, *common.Error) {
	if args[0].Kind() != celast.IdentKind {
		return nil, f.NewError(args[0].ID(), "distinct_by needs a variable's name first")
	}
	v := args[0].AsIdent()
	accu := f.NewAccuIdent()
	step := f.NewCall(operators.Add, accu, f.NewList(args[1]))
	keys := f.NewComprehension(f.Copy(target), v, f.AccuIdentName(), f.NewList(),
		f.NewLiteral(types.True), step, f.NewAccuIdent())
	return f.NewCall(distinctByName, target, keys), nil
}

func joinTexts(l, sep ref.Val) ref.Val {
	list, ok := l.(traits.Lister)
	s, isText := sep.(types.String)
	if !ok || !isText {
		return types.MaybeNoSuchOverloadErr(l)
	}
	var b strings.Builder
	n := list.Size().(types.Int)
	for i := range n {
		e, ok := list.Get(i).(types.String)
		if !ok {
			return types.NewErr("join needs a list of texts")
		}
		if i > 0 {
			b.WriteString(string(s))
		}
		b.WriteString(string(e))
		if b.Len() > kind.MaxText {
			return tooLong()
		}
	}
	return types.String(b.String())
}

func tooLong() ref.Val { return types.NewErr("the text is longer than %d bytes", kind.MaxText) }

func lowerASCII(s string) ref.Val {
	return types.String(strings.Map(func(r rune) rune {
		if r >= 'A' && r <= 'Z' {
			return r + ('a' - 'A')
		}
		return r
	}, s))
}

func upperASCII(s string) ref.Val {
	return types.String(strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' {
			return r - ('a' - 'A')
		}
		return r
	}, s))
}

func trim(s string) ref.Val { return types.String(strings.TrimSpace(s)) }

func split(s, sep ref.Val) ref.Val {
	parts := strings.Split(string(s.(types.String)), string(sep.(types.String)))
	out := make([]ref.Val, len(parts))
	for i, p := range parts {
		out[i] = types.String(p)
	}
	return types.NewRefValList(types.DefaultTypeAdapter, out)
}

func replace(args ...ref.Val) ref.Val {
	s, old, with := string(args[0].(types.String)), string(args[1].(types.String)), string(args[2].(types.String))
	if grown := strings.Count(s, old) * (len(with) - len(old)); len(s)+grown > kind.MaxText {
		return tooLong()
	}
	return types.String(strings.ReplaceAll(s, old, with))
}

// parseJSON reads a text as JSON; what it gives has no static type.
func parseJSON(s string) ref.Val {
	if len(s) > kind.MaxText {
		return tooLong()
	}
	dec := json.NewDecoder(bytes.NewReader([]byte(s)))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		return types.NewErr("json.parse: not valid JSON")
	}
	if _, err := dec.Token(); err != io.EOF {
		return types.NewErr("json.parse: more than one JSON value")
	}
	return fromJSON(v)
}

func fromJSON(v any) ref.Val {
	switch x := v.(type) {
	case json.Number:
		if n, err := x.Int64(); err == nil {
			return types.Int(n)
		}
		f, err := x.Float64()
		if err != nil {
			return types.NewErr("json.parse: a number is out of range")
		}
		return types.Double(f)
	case []any:
		out := make([]ref.Val, len(x))
		for i, e := range x {
			if out[i] = fromJSON(e); types.IsError(out[i]) {
				return out[i]
			}
		}
		return types.NewRefValList(types.DefaultTypeAdapter, out)
	case map[string]any:
		m := make(map[ref.Val]ref.Val, len(x))
		for k, e := range x {
			val := fromJSON(e)
			if types.IsError(val) {
				return types.NewErr("json.parse: a number is out of range")
			}
			m[types.String(k)] = val
		}
		return newOrderedMap(m)
	case nil:
		return types.NullValue
	}
	return types.DefaultTypeAdapter.NativeToValue(v)
}

func cidrContains(net, ip ref.Val) ref.Val {
	p, err := netip.ParsePrefix(string(net.(types.String)))
	if err != nil {
		return types.NewErr("cidr.contains: the first text is not a network such as 10.0.0.0/8")
	}
	a, err := netip.ParseAddr(string(ip.(types.String)))
	if err != nil {
		return types.NewErr("cidr.contains: the second text is not an IP address")
	}
	return types.Bool(p.Contains(a.Unmap().WithZone("")))
}

func isPrivate(s string) ref.Val {
	a, err := netip.ParseAddr(s)
	if err != nil {
		return types.NewErr("is_private: not an IP address")
	}
	a = a.Unmap()
	return types.Bool(a.IsPrivate() || a.IsLoopback() || a.IsLinkLocalUnicast())
}

var (
	defanger = strings.NewReplacer("http://", "hxxp://", "https://", "hxxps://", ".", "[.]", "@", "[@]")
	refanger = strings.NewReplacer("hxxp://", "http://", "hxxps://", "https://", "[.]", ".", "(.)", ".", "[@]", "@", "[:]", ":")
)

func defang(s string) ref.Val { return types.String(defanger.Replace(s)) }

func refang(s string) ref.Val { return types.String(refanger.Replace(s)) }

func domainParent(s string) ref.Val {
	_, parent, ok := strings.Cut(strings.TrimSuffix(s, "."), ".")
	if !ok {
		return types.NewErr("domain.parent: the domain has no parent")
	}
	return types.String(parent)
}

func hashKind(s string) ref.Val {
	switch len(s) {
	case 32:
		return types.String("md5")
	case 40:
		return types.String("sha1")
	case 64:
		return types.String("sha256")
	case 128:
		return types.String("sha512")
	}
	return types.NewErr("hash.kind: not an MD5, SHA-1, SHA-256 or SHA-512 in hex")
}

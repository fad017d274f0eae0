package kind_test

import (
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/quell-soar/quell/connectors/spec/kind"
)

func TestParse(t *testing.T) {
	for _, tc := range []struct {
		k    kind.Kind
		text string
		want any // nil: refused
	}{
		{kind.String, "", ""},
		{kind.String, "a\x00b", nil},
		{kind.String, "\xff", nil},
		{kind.Int, "0", int64(0)},
		{kind.Int, "-9223372036854775808", int64(math.MinInt64)},
		{kind.Int, "9223372036854775808", nil},
		{kind.Int, "0755", nil},
		{kind.Int, "+1", nil},
		{kind.Int, "1e3", nil},
		{kind.Int, "-0", int64(0)},
		{kind.Double, "1e3", 1000.0},
		{kind.Double, "NaN", nil},
		{kind.Double, "Inf", nil},
		{kind.Double, "1e999", nil},
		{kind.Boolean, "true", true},
		{kind.Boolean, "yes", nil},
		{kind.Timestamp, "2026-01-31T17:00:00+02:00", time.Date(2026, 1, 31, 15, 0, 0, 0, time.UTC)},
		{kind.Timestamp, "2026-01-31", nil},
		{kind.Duration, "2w", 14 * 24 * time.Hour},
		{kind.Duration, "1h30m", 90 * time.Minute},
		{kind.Duration, "1.5h", 90 * time.Minute},
		{kind.Duration, "15", nil},
		{kind.Duration, "15 m", nil},
		{kind.Duration, "999999999w", nil},
		{kind.Severity, "high", "high"},
		{kind.Severity, "High", nil},
		{kind.Hostname, "web-1.example.org", "web-1.example.org"},
		{kind.Hostname, "web 1", nil},
		{kind.Hostname, "a;rm -rf", nil},
		{kind.Hostname, "", nil},
		{kind.Hostname, strings.Repeat("a.", 130), nil},
		{kind.IP, "10.0.0.1", "10.0.0.1"},
		{kind.IP, "fe80::1%eth0", nil},
		{kind.IP, "010.0.0.1", nil},
		{kind.CIDR, "10.0.0.0/8", "10.0.0.0/8"},
		{kind.CIDR, "10.0.0.0", nil},
		{kind.URL, "https://a.example/x?y=1", "https://a.example/x?y=1"},
		{kind.URL, "/etc/passwd", nil},
		{kind.URL, "https://a.example/\nHost: b", nil},
		{kind.Email, "a@b.example", "a@b.example"},
		{kind.Email, "A <a@b.example>", nil},
		{kind.Email, "a@b.example\r\nBcc: c@d.example", nil},
		{kind.Hash, strings.Repeat("a", 64), strings.Repeat("a", 64)},
		{kind.Hash, strings.Repeat("a", 63), nil},
		{kind.Hash, "1234567e12", nil},
		{kind.Path, "C:\\Windows\\x.exe", "C:\\Windows\\x.exe"},
		{kind.Path, "a\nb", nil},
		{kind.MessageID, "<a@b>", "<a@b>"},
		{kind.MessageID, "a@b", nil},
		{kind.Artifact, "sha256:" + strings.Repeat("0", 64), "sha256:" + strings.Repeat("0", 64)},
		{kind.Artifact, "sha256:" + strings.Repeat("0", 65), nil},
		{kind.Username, "DOMAIN\\eve", "DOMAIN\\eve"},
		{kind.Username, "eve;drop", nil},
	} {
		got, err := kind.Parse(kind.Of(tc.k), tc.text)
		if tc.want == nil {
			var ve *kind.ValueError
			if !errors.As(err, &ve) {
				t.Errorf("%s %q: %v, %v; want a ValueError", tc.k, tc.text, got, err)
			}
			continue
		}
		if err != nil || !cmp.Equal(tc.want, got) {
			t.Errorf("%s %q: %#v, %v; want %#v", tc.k, tc.text, got, err, tc.want)
		}
	}
	if _, err := kind.Parse(kind.Of(kind.String), strings.Repeat("a", kind.MaxText+1)); err == nil {
		t.Error("a text above MaxText was accepted")
	}
	for _, typ := range []kind.Type{kind.HandleOf("device"), kind.ListOf(kind.Of(kind.Int)), kind.RecordOf()} {
		if _, err := kind.Parse(typ, "x"); err == nil {
			t.Errorf("a text became a %s", typ)
		}
	}
}

func TestParseType(t *testing.T) {
	for _, s := range []string{"string", "list<hash>", "map<int>", "list<list<device>>", "device", "choice"} {
		typ, err := kind.ParseType(s)
		if err != nil {
			t.Errorf("%s: %v", s, err)
			continue
		}
		if s != "choice" && typ.String() != s {
			t.Errorf("%s is written %s", s, typ)
		}
	}
	for _, s := range []string{"", "list", "list<>", "list<x>", "record", "handle", "list<int", "Map<int>", strings.Repeat("list<", 200) + "int" + strings.Repeat(">", 200)} {
		if typ, err := kind.ParseType(s); err == nil {
			t.Errorf("%.20q was read as %s", s, typ.Kind)
		}
	}
}

// full is a record with a field of every kind.
func full() kind.Type {
	var fields []kind.Field
	for _, k := range kind.Scalars() {
		typ := kind.Of(k)
		if k == kind.Choice {
			typ = kind.ChoiceOf("a", "b")
		}
		fields = append(fields, kind.Field{Name: string(k), Type: typ, Optional: true})
	}
	fields = append(fields,
		kind.Field{Name: "list", Type: kind.ListOf(kind.RecordOf(kind.Field{Name: "n", Type: kind.Of(kind.Int)})), Optional: true},
		kind.Field{Name: "map", Type: kind.MapOf(kind.Of(kind.Double)), Optional: true},
		kind.Field{Name: "device", Type: kind.HandleOf("device"), Optional: true})
	return kind.RecordOf(fields...)
}

func TestCanonical(t *testing.T) {
	v := map[string]any{
		"string": "<&>\u2028", "int": int64(7), "double": 2.0, "boolean": true,
		"timestamp": time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC), "duration": 90 * time.Minute, "severity": "low", "choice": "b",
		"list": []any{map[string]any{"n": int64(1)}}, "map": map[string]any{"b": 1.5, "a": 0.0},
		"device": kind.Handle{Name: "device", Instance: "falcon", ID: "1", Label: "WEB"},
	}
	raw, err := kind.Encode(full(), v)
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"boolean":true,"choice":"b","device":{"handle":"device","id":"1","instance":"falcon","label":"WEB"},` +
		`"double":2.0,"duration":"1h30m","int":7,"list":[{"n":1}],"map":{"a":0.0,"b":1.5},"severity":"low","string":"<&>\u2028","timestamp":"2026-01-02T03:04:05.000000006Z"}`
	if string(raw) != want {
		t.Errorf("got  %s\nwant %s", raw, want)
	}
	back, err := kind.Decode(full(), raw)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(any(v), back); diff != "" {
		t.Error(diff)
	}
	for _, bad := range []any{math.NaN(), math.Inf(1), struct{}{}, []string{"a"}, map[string]any{"a": uint8(1)}, float32(1)} {
		if _, err := kind.Canonical(bad); err == nil {
			t.Errorf("%T was written", bad)
		}
	}
}

func TestDecodeRefuses(t *testing.T) {
	rec := kind.RecordOf(
		kind.Field{Name: "a", Type: kind.Of(kind.Int)},
		kind.Field{Name: "d", Type: kind.HandleOf("device"), Optional: true})
	for _, raw := range []string{
		``, `null`, `{}`, `{"a":"1"}`, `{"a":1.5}`, `{"a":null}`, `{"a":1,"b":2}`, `{"a":1} {}`, `[1]`, `{"a":1e40}`, `{"a":true}`,
		`{"a":1,"d":"web"}`, `{"a":1,"d":{"handle":"user","id":"1","instance":"x","label":"y"}}`, `{"a":1,"d":{"handle":"device","id":"","instance":"x","label":"y"}}`,
		`{"a":1,"d":{"handle":"device","id":"1","instance":"x","label":"y","more":1}}`,
	} {
		v, err := kind.Decode(rec, []byte(raw))
		var ve *kind.ValueError
		if !errors.As(err, &ve) {
			t.Errorf("%s: %v, %v", raw, v, err)
		}
	}
}

func TestDurations(t *testing.T) {
	for _, d := range []time.Duration{0, 1, time.Microsecond, 90 * time.Second, 24 * time.Hour, 36*time.Hour + 5, -time.Minute, math.MaxInt64, math.MinInt64 + 1} {
		s := kind.FormatDuration(d)
		if back, err := kind.ParseDuration(s); err != nil || back != d {
			t.Errorf("%d is written %s and read %d (%v)", d, s, back, err)
		}
	}
}

// FuzzKind holds that any text is refused or read as a value that is checked,
// written and read back unchanged, for every kind.
func FuzzKind(f *testing.F) {
	for _, s := range []string{"a", "10.0.0.1", "15m", "1.5h", "2026-01-31T17:00:00Z", "high", `{"a":1}`, "<a@b>", "https://x.example", "0x1p-2", "1e400", `{"device":{"handle":"device","id":"1","instance":"x","label":"y"}}`} {
		f.Add(s)
	}
	rec := full()
	f.Fuzz(func(t *testing.T, s string) {
		for _, field := range rec.Fields {
			v, err := kind.Parse(field.Type, s)
			if err != nil {
				continue
			}
			again(t, field.Type, v)
		}
		if v, err := kind.Decode(rec, []byte(s)); err == nil {
			again(t, rec, v)
		}
	})
}

func again(t *testing.T, typ kind.Type, v any) {
	t.Helper()
	if err := kind.Check(typ, v); err != nil {
		t.Fatalf("%s: read %#v, and the check refuses it: %v", typ, v, err)
	}
	raw, err := kind.Encode(typ, v)
	if err != nil {
		t.Fatalf("%s: %#v: %v", typ, v, err)
	}
	back, err := kind.Decode(typ, raw)
	if err != nil {
		t.Fatalf("%s: %s is not read back: %v", typ, raw, err)
	}
	second, err := kind.Encode(typ, back)
	if err != nil || string(raw) != string(second) {
		t.Fatalf("%s: %s, then %s (%v)", typ, raw, second, err)
	}
}

// A handle with facts travels whole; one that lacks them, has too many, or whose
// facts do not fit, is refused.
func TestFacts(t *testing.T) {
	typ := kind.HandleOf("consent")
	facts := map[string]any{"app": "Mail Sync", "scopes": []any{"Mail.Read"}, "granted": time.Unix(1_790_000_000, 0).UTC(), "dated": true}
	h, err := kind.Handle{Name: "consent", Instance: "entra", ID: "g1", Label: "Mail Sync"}.WithFacts(facts)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := kind.Encode(typ, h)
	if err != nil {
		t.Fatal(err)
	}
	back, err := kind.Decode(typ, raw)
	if err != nil || back != any(h) {
		t.Errorf("%s came back as %+v (%v)", raw, back, err)
	}
	read, err := h.ReadFacts()
	if err != nil || !read["granted"].(time.Time).Equal(facts["granted"].(time.Time)) {
		t.Errorf("facts are %v (%v)", read, err)
	}
	if _, err := (kind.Handle{Name: "consent", ID: "g1"}).WithFacts(map[string]any{"app": "x"}); err == nil {
		t.Error("facts with holes were taken")
	}
	bare := kind.Handle{Name: "consent", ID: "g1"}
	forged := bare
	forged.Facts = `{"app":1}`
	stray := kind.Handle{Name: "device", ID: "d", Facts: h.Facts}
	for _, bad := range []kind.Handle{bare, forged, stray} {
		if kind.Check(kind.HandleOf(bad.Name), bad) == nil {
			t.Errorf("%+v passed", bad)
		}
	}
	for _, text := range []string{
		`{"handle":"consent","id":"g","instance":"e","label":"l"}`,
		`{"handle":"consent","id":"g","instance":"e","label":"l","facts":{}}`,
		`{"handle":"consent","id":"g","instance":"e","label":"l","more":{}}`,
		`{"handle":"device","id":"g","instance":"e","label":"l","facts":{}}`,
	} {
		name := "consent"
		if strings.Contains(text, "device") {
			name = "device"
		}
		if v, err := kind.Decode(kind.HandleOf(name), []byte(text)); err == nil {
			t.Errorf("%s was read as %+v", text, v)
		}
	}
}

package splunk

import (
	"net/url"
	"regexp"
	"testing"
	"unicode/utf8"

	"github.com/quell-soar/quell/connectors/spec/kind"
)

var harmless = regexp.MustCompile(`^[A-Za-z0-9._%-]*$`)

// A value arrives as itself and means nothing on its way.
func FuzzEncode(f *testing.F) {
	for _, s := range []string{"ann", `" | delete`, "a,b", "$args.x$", "ü"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := encode(s)
		back, err := url.PathUnescape(got)
		if !harmless.MatchString(got) || err != nil || back != s {
			t.Fatalf("%q became %q, and that %q (%v)", s, got, back, err)
		}
	})
}

// What a cell becomes fits its column, or it is refused.
func FuzzCast(f *testing.F) {
	for _, s := range []string{"1", "true", "1772366400.5", "198.51.100.7", "1e400", "NaN"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if !utf8.ValidString(s) {
			return // JSON has none
		}
		for _, name := range cells().Of {
			typ := kind.Of(kind.Kind(name))
			if v, err := cast(typ, s); err == nil && kind.Check(typ, v) != nil {
				t.Fatalf("%q became %v, which is no %s", s, v, name)
			}
		}
	})
}

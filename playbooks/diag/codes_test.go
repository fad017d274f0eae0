package diag_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/quell-soar/quell/playbooks/diag"
)

// TestCodes holds the registry to its form.
func TestCodes(t *testing.T) {
	all, err := diag.Codes()
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 80 {
		t.Fatalf("%d codes", len(all))
	}
	name, titles := regexp.MustCompile(`^[a-z]+(-[a-z]+)*$`), map[string]string{}
	for _, c := range all {
		if !name.MatchString(c.Name) || len(c.Name) > 40 {
			t.Errorf("%s is not the name of a code", c.Name)
		}
		if len(c.Title) > 80 || strings.HasSuffix(c.Title, ".") || titles[c.Title] != "" {
			t.Errorf("%s: title %q (also of %q)", c.Name, c.Title, titles[c.Title])
		}
		titles[c.Title] = c.Name
		if c.NoExample == "" && diag.Unescape(c.Bad) == diag.Unescape(c.Good) {
			t.Errorf("%s: the cure changes nothing", c.Name)
		}
		if got, ok := diag.Lookup(c.Name); !ok || got != c {
			t.Errorf("Lookup(%s) finds another code", c.Name)
		}
	}
	if _, ok := diag.Lookup("no-such-code"); ok {
		t.Error("a code was found that does not exist")
	}
}

func TestUnescape(t *testing.T) {
	if got := diag.Unescape(`a\x07b\u202e\n\xfc`); got != "a\x07b\u202e\\n\xfc" {
		t.Errorf("%q", got)
	}
}

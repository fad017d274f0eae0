package jira

import (
	"regexp"
	"testing"
)

func FuzzFileName(f *testing.F) {
	f.Add("message.eml", "sha256:0123456789abcdef0123")
	f.Add(`..\..\x`, "")
	f.Add("-rf", "sha256:0")
	safe := regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,120}$`)
	f.Fuzz(func(t *testing.T, name, ref string) {
		if !regexp.MustCompile(`^(sha256:)?[0-9a-f]*$`).MatchString(ref) {
			return
		}
		if got := fileName(name, ref); !safe.MatchString(got) {
			t.Errorf("%q became %q", name, got)
		}
	})
}

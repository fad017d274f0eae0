package asset

import (
	"testing"

	"github.com/quell-soar/quell/connectors/sdk"
	"github.com/quell-soar/quell/connectors/spec"
)

// What a file says is an index of answers that fit, or an error.
func FuzzParse(f *testing.F) {
	f.Add([]byte("kind,name,aliases,criticality,owner,tags,vip\nhost,a,b;c,low,o,x;y,yes\n"))
	f.Add([]byte("\xef\xbb\xbfkind,name\nuser,\"a\nb\"\n"))
	f.Add([]byte("kind,name\n#\n"))
	find, _ := New().Manifest().Action("asset.find_host")
	f.Fuzz(func(t *testing.T, raw []byte) {
		got, err := parse(raw)
		if err != nil {
			return
		}
		for _, entries := range got {
			for name, list := range entries {
				for _, i := range list {
					if !i.named(name) {
						t.Fatalf("%+v stands under %q", i, name)
					}
					if err := sdk.CheckReply(find, spec.Act, spec.Reply{Outcome: spec.Done, Output: i.output()}); err != nil {
						t.Fatal(err)
					}
				}
			}
		}
	})
}

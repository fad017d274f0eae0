package registry_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/quell-soar/quell/connectors/spec"
	"github.com/quell-soar/quell/connectors/vocabulary"
	"github.com/quell-soar/quell/internal/guard"
	"github.com/quell-soar/quell/internal/ledger"
	"github.com/quell-soar/quell/internal/registry"
	"github.com/quell-soar/quell/internal/store"
	"github.com/quell-soar/quell/internal/store/storetest"
	"github.com/quell-soar/quell/playbooks/compile"
	"github.com/quell-soar/quell/playbooks/source"
)

type words struct{}

func (words) Action(name string) (spec.Action, bool) { return vocabulary.Lookup(name) }
func (words) Names() []string                        { return nil }

// press compiles; a text with the word untested fails its tests.
func press(_ context.Context, t registry.Text, others compile.Playbooks) (registry.Made, error) {
	p, list := compile.Compile(source.NewFile(t.File, t.Body), compile.Options{Actions: words{}, Playbooks: others})
	if p == nil {
		return registry.Made{}, errors.New(list.Error())
	}
	if strings.Contains(string(t.Tests), "untested") {
		return registry.Made{}, errors.New("a test fails")
	}
	return registry.Made{Plan: p, Tested: len(t.Tests)}, nil
}

// book is a playbook that notes a word, and calls another where one is named.
func book(name, word, call string) string {
	s := fmt.Sprintf("quell: 1\nplaybook: %s\ntitle: T\nowner: o\non:\n  manual: { roles: [analyst] }\ntriage:\n  - note: seen\n    text: %s\n", name, word)
	if call != "" {
		s += "  - call: " + call + "\n"
	}
	return s
}

type house struct {
	*testing.T
	db  *store.DB
	led *ledger.Ledger
	reg *registry.Registry
}

func each(t *testing.T, f func(h house)) {
	storetest.Each(t, []store.Schema{ledger.Schema(), registry.Schema()}, func(t *testing.T, db *store.DB) {
		key, err := ledger.LoadKey(filepath.Join(t.TempDir(), "key"))
		if err != nil {
			t.Fatal(err)
		}
		l := ledger.New(db, key, time.Now)
		f(house{t, db, l, registry.New(db, l, "t", time.Now)})
	})
}

// api publishes by hand, and gives what became of it.
func (h house) api(files ...string) []registry.Taken {
	h.Helper()
	return h.take(registry.Offer{Origin: "api", Actor: "user:ann"}, files...)
}

// dir makes a standing offer of a folder.
func (h house) dir(files ...string) []registry.Taken {
	h.Helper()
	return h.take(registry.Offer{Origin: "dir", Actor: "system:folder", Standing: true, Basis: "1"}, files...)
}

func (h house) take(o registry.Offer, files ...string) []registry.Taken {
	h.Helper()
	for i := 0; i < len(files); i += 2 {
		o.Texts = append(o.Texts, registry.Text{File: files[i], Body: []byte(files[i+1])})
	}
	out, err := h.reg.Take(h.Context(), o, press)
	if err != nil {
		h.Fatal(err)
	}
	return out
}

func (h house) entry(name string) registry.Entry {
	h.Helper()
	e, err := h.reg.Get(h.Context(), name)
	if err != nil {
		h.Fatal(err)
	}
	return e
}

func (h house) entries(kind string) int {
	h.Helper()
	list, err := h.led.Read(h.Context(), ledger.Filter{})
	if err != nil {
		h.Fatal(err)
	}
	n := 0
	for _, e := range list {
		if e.Kind == kind {
			n++
		}
	}
	return n
}

func statuses(list []registry.Taken) string {
	var out []string
	for _, t := range list {
		out = append(out, fmt.Sprintf("%s:%s:%d", t.Playbook, t.Status, t.N))
	}
	return strings.Join(out, " ")
}

// A version is named by its digest and never changes; the old text makes it
// current again under its old number; layout is no change in meaning.
func TestVersions(t *testing.T) {
	each(t, func(h house) {
		one := h.api("a.yaml", book("a", "one", ""))
		two := h.api("a.yaml", book("a", "two", ""))
		if got := statuses(one) + " " + statuses(two); got != "a:published:1 a:published:2" || two[0].Before != one[0].Digest || two[0].SameMeaning {
			t.Error(got, two[0])
		}
		if got := h.api("a.yaml", book("a", "two", "")); statuses(got) != "a:unchanged:2" {
			t.Error(statuses(got))
		}
		laid := h.api("a.yaml", "# a comment\n"+book("a", "two", ""))
		if statuses(laid) != "a:published:3" || !laid[0].SameMeaning {
			t.Error(statuses(laid), laid[0])
		}
		back := h.api("a.yaml", book("a", "one", ""))
		if statuses(back) != "a:published:1" || h.entry("a").Current.Digest != one[0].Digest {
			t.Error(statuses(back))
		}
		v, err := h.reg.Version(t.Context(), "a", two[0].Digest[:10])
		if err != nil || string(v.Text.Body) != book("a", "two", "") || v.By != "user:ann" || v.N != 2 {
			t.Error(v, err)
		}
		if _, err := h.reg.Version(t.Context(), "a", "00000000"); !errors.Is(err, registry.ErrUnknown) {
			t.Error(err)
		}
		if n := h.entries("playbook.published"); n != 4 {
			t.Errorf("%d publications on record", n)
		}
	})
}

// By hand it is all or nothing; of a folder what holds is taken, and what does not
// keeps what was current, with its fault told until it is mended.
func TestBroken(t *testing.T) {
	each(t, func(h house) {
		bad := strings.Replace(book("b", "x", ""), "note:", "nte:", 1)
		if got := h.api("a.yaml", book("a", "one", ""), "b.yaml", bad); statuses(got) != "a:passed:0 b:refused:0" {
			t.Error(statuses(got))
		}
		if _, err := h.reg.Get(t.Context(), "a"); !errors.Is(err, registry.ErrUnknown) {
			t.Error("half an offer was published")
		}
		if got := h.dir("a.yaml", book("a", "one", "b"), "b.yaml", book("b", "one", "")); statuses(got) != "a:published:1 b:published:1" {
			t.Error(statuses(got))
		}
		if got := h.dir("a.yaml", book("a", "one", "b"), "b.yaml", book("b", "one", "")); got != nil {
			t.Error("the same offer again:", statuses(got))
		}
		first := h.entry("b").Current.Digest
		// b breaks: a, which calls it, changes and holds with the b that is current.
		if got := h.dir("a.yaml", book("a", "two", "b"), "b.yaml", bad); statuses(got) != "a:published:2 b:refused:0" {
			t.Error(statuses(got), got)
		}
		e := h.entry("b")
		if e.Current.Digest != first || len(e.Problems) != 1 || !strings.Contains(e.Problems[0].Text, "nte") {
			t.Errorf("%+v", e)
		}
		if n := h.entries("playbook.refused"); n != 1 {
			t.Errorf("%d refusals on record", n)
		}
		// Not even the name can be read.
		h.dir("a.yaml", book("a", "two", "b"), "b.yaml", "{")
		if e := h.entry("b"); len(e.Problems) != 1 || e.Current.Digest != first {
			t.Errorf("%+v", e)
		}
		// b's meaning changes, so a's plan does.
		if got := h.dir("a.yaml", book("a", "two", "b"), "b.yaml", book("b", "two", "")); statuses(got) != "a:published:3 b:published:2" {
			t.Error(statuses(got))
		}
		if e := h.entry("b"); len(e.Problems) != 0 {
			t.Errorf("%+v", e.Problems)
		}
		// The file goes: the playbook stays.
		h.dir("a.yaml", book("a", "two", "b"))
		if e := h.entry("b"); len(e.Problems) != 1 || !strings.Contains(e.Problems[0].Text, "gone") {
			t.Errorf("%+v", e.Problems)
		}
		if got := h.dir("a.yaml", book("a", "two", "b")); got != nil {
			t.Error("a file that is gone is news twice:", statuses(got))
		}
		// Two of one name.
		got := h.dir("a.yaml", book("a", "two", ""), "b.yaml", book("b", "two", ""), "c.yaml", book("b", "three", ""))
		if len(got) != 3 || got[2].Status != registry.Refused || !strings.Contains(got[2].Problem, "b.yaml and in c.yaml") {
			t.Error(got)
		}
	})
}

// What a person decided is not undone by a folder that says what it always said.
func TestDecisions(t *testing.T) {
	each(t, func(h house) {
		h.dir("a.yaml", book("a", "one", ""))
		h.dir("a.yaml", book("a", "two", ""))
		h.api("a.yaml", book("a", "one", "")) // back by hand
		basis := registry.Offer{Origin: "dir", Actor: "system:folder", Standing: true, Basis: "2"}
		if got := h.take(basis, "a.yaml", book("a", "two", "")); statuses(got) != "a:passed:0" || h.entry("a").Current.N != 1 {
			t.Error("another program undid what a person decided:", statuses(got))
		}
		if got := h.take(basis, "a.yaml", book("a", "three", "")); statuses(got) != "a:published:3" {
			t.Error(statuses(got))
		}
		d := registry.Decision{Playbook: "a", Actor: "user:lena", Why: "r"}
		if e, err := h.reg.Promote(t.Context(), d, guard.Act); err != nil || e.Mode != guard.Act || e.Moded.By != "user:lena" {
			t.Error(e, err)
		}
		digest := h.entry("a").Current.Digest
		h.take(basis, "a.yaml", book("a", "four", ""))
		if e := h.entry("a"); e.Mode != guard.Act {
			t.Error("a new version lost the mode")
		}
		if _, err := h.reg.Retire(t.Context(), registry.Decision{Playbook: "a", Digest: digest, Actor: "u", Why: "r"}); !errors.Is(err, registry.ErrMoved) {
			t.Error(err)
		}
		before, _ := h.reg.Revision(t.Context())
		if e, err := h.reg.Retire(t.Context(), d); err != nil || e.Retired == nil || e.Retired.Why != "r" {
			t.Error(e, err)
		}
		if after, _ := h.reg.Revision(t.Context()); after != before+1 {
			t.Errorf("revision %d after %d", after, before)
		}
		if got := h.take(basis, "a.yaml", book("a", "five", "")); statuses(got) != "a:passed:0" || h.entry("a").Retired == nil {
			t.Error("a folder brought a retired playbook back:", statuses(got))
		}
		if got := h.api("a.yaml", book("a", "five", "")); statuses(got) != "a:published:5" || h.entry("a").Retired != nil {
			t.Error(statuses(got))
		}
		git := registry.Offer{Origin: "git:x", Actor: "system:git", Standing: true}
		if got := h.take(git, "a.yaml", book("a", "six", "")); got[0].Status != registry.Refused || !strings.Contains(got[0].Problem, "dir (a.yaml)") {
			t.Error("two sources take turns:", got)
		}
		if n := h.entries("playbook.retired"); n != 1 {
			t.Errorf("%d retirements on record", n)
		}
	})
}

// Several processes with one folder publish one version each time.
func TestTogether(t *testing.T) {
	each(t, func(h house) {
		for round := range 3 {
			var wg sync.WaitGroup
			for range 4 {
				wg.Go(func() {
					r := registry.New(h.db, h.led, "t", time.Now)
					o := registry.Offer{Origin: "dir", Actor: "system:folder", Standing: true, Texts: []registry.Text{{File: "a.yaml", Body: []byte(book("a", fmt.Sprint("w", round), ""))}}}
					if _, err := r.Take(t.Context(), o, press); err != nil {
						t.Error(err)
					}
				})
			}
			wg.Wait()
		}
		list, err := h.reg.Versions(t.Context(), "a")
		if err != nil || len(list) != 3 || h.entry("a").Current.N != 3 || h.entries("playbook.published") != 3 {
			t.Errorf("%d versions, %d on record, %v", len(list), h.entries("playbook.published"), err)
		}
	})
}

// A failing test keeps a playbook out; the tests beside a file are found.
func TestFolder(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"a.yaml": book("a", "one", ""), "a.test.yaml": "untested", "b.yml": book("b", "one", ""), "notes.txt": "", ".c.yaml": ""} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("/etc/passwd", filepath.Join(dir, "d.yaml")); err != nil {
		t.Fatal(err)
	}
	texts, err := registry.ReadFolder([]string{dir, filepath.Join(dir, "a.yaml")})
	if err != nil || len(texts) != 2 || string(texts[0].Tests) != "untested" || texts[1].Tests != nil {
		t.Fatalf("%v %v", texts, err)
	}
	each(t, func(h house) {
		got, err := h.reg.Take(t.Context(), registry.Offer{Origin: "dir", Standing: true, Actor: "system:folder", Texts: texts}, press)
		if err != nil || statuses(got) != "a:refused:0 b:published:1" {
			t.Error(statuses(got), err)
		}
		_, loose, err := h.reg.List(t.Context())
		if err != nil || len(loose) != 1 || loose[0].Text != "a test fails" {
			t.Error(loose, err)
		}
	})
	big := strings.Repeat("#", registry.MaxFile+1)
	if err := os.WriteFile(filepath.Join(dir, "e.yaml"), []byte(big), 0o600); err != nil {
		t.Fatal(err)
	}
	if texts, err := registry.ReadFolder([]string{dir}); err != nil || len(texts) != 3 || !strings.Contains(texts[2].Fault, "e.yaml is longer") {
		t.Error(texts, err)
	}
}

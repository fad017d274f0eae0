package compile_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/quell-soar/quell/connectors/spec"
	"github.com/quell-soar/quell/playbooks/compile"
	"github.com/quell-soar/quell/playbooks/compile/corpus"
	"github.com/quell-soar/quell/playbooks/expr"
	"github.com/quell-soar/quell/playbooks/plan"
	"github.com/quell-soar/quell/playbooks/source"
)

var update = flag.Bool("update", false, "rewrite the golden plans")

const example = "../../examples/contain-infected-host.yaml"

func compileFile(t testing.TB, name string) *plan.Plan {
	t.Helper()
	raw, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	p, list := compile.Compile(source.NewFile(name, raw), options())
	if len(list) > 0 || p == nil {
		t.Fatalf("%s: %v", name, list)
	}
	return p
}

// TestGoldenPlans compiles the examples without a diagnostic, compares the plan with
// the golden one, and reads it back.
func TestGoldenPlans(t *testing.T) {
	files, err := filepath.Glob("testdata/plans/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range append(files, example) {
		t.Run(filepath.Base(name), func(t *testing.T) {
			p := compileFile(t, name)
			raw, err := p.Encode()
			if err != nil {
				t.Fatal(err)
			}
			back, err := plan.Decode(raw)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(p, back); diff != "" {
				t.Errorf("the plan does not survive its bytes:\n%s", diff)
			}
			if _, err := expr.Load(back); err != nil {
				t.Error(err)
			}
			compareGolden(t, strings.TrimSuffix(filepath.Base(name), ".yaml"), raw)
		})
	}
}

func compareGolden(t *testing.T, name string, raw []byte) {
	t.Helper()
	var got bytes.Buffer
	if err := json.Indent(&got, raw, "", "  "); err != nil {
		t.Fatal(err)
	}
	got.WriteByte('\n')
	golden := filepath.Join("testdata", "plans", name+".json")
	if *update {
		if err := os.WriteFile(golden, got.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got.String()); diff != "" {
		t.Errorf("plan (-want +got):\n%s", diff)
	}
}

// TestDigest compiles the example again and again, on one processor and on
// several, alone and at once: the digest never differs.
func TestDigest(t *testing.T) {
	want, err := compileFile(t, example).Digest()
	if err != nil {
		t.Fatal(err)
	}
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	for _, procs := range []int{1, 2, 8} {
		runtime.GOMAXPROCS(procs)
		var wg sync.WaitGroup
		for range 10 {
			wg.Go(func() {
				for range 10 {
					if got, err := compileFile(t, example).Digest(); err != nil || got != want {
						t.Errorf("digest %s, want %s (%v)", got, want, err)
						return
					}
				}
			})
		}
		wg.Wait()
	}
}

// shuffled gives the same actions in another order at each call, with their
// names in another order too.
type shuffled struct{ r *rand.Rand }

func (s shuffled) Action(name string) (spec.Action, bool) { return (corpus.Actions{}).Action(name) }

func (s shuffled) Names() []string {
	names := (corpus.Actions{}).Names()
	s.r.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
	return names
}

// TestDigestOfAll compiles every valid playbook, with the catalogue's names
// shuffled, after and between others, so that what checkers share is never the
// same: bytes and digests do not differ. Go itself shuffles the order of maps.
func TestDigestOfAll(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	files := valid(t)
	want := map[string]string{}
	for range 5 {
		r.Shuffle(len(files), func(i, j int) { files[i], files[j] = files[j], files[i] })
		for _, name := range files {
			raw, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			o := options()
			o.Actions = shuffled{r}
			p, list := compile.Compile(source.NewFile(name, raw), o)
			if p == nil {
				t.Fatal(list)
			}
			got, err := p.Digest()
			if err != nil {
				t.Fatal(err)
			}
			if want[name] == "" {
				want[name] = got
			}
			if got != want[name] {
				t.Errorf("%s has the digests %s and %s", name, got, want[name])
			}
		}
	}
}

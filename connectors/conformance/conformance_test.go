package conformance

import (
	"errors"
	"fmt"
	"maps"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/quell-soar/quell/connectors/conformance/internal/reference"
	"github.com/quell-soar/quell/connectors/sdk/secret"
	"github.com/quell-soar/quell/connectors/spec/kind"
)

var binary string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "conformance-")
	if err != nil {
		panic(err)
	}
	binary = filepath.Join(dir, "reference")
	if out, err := exec.Command("go", "build", "-o", binary, "./testdata/reference").CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "building the reference connector: %v\n%s", err, out)
		os.Exit(1)
	}
	if err := errors.Join(os.Chmod(dir, 0o700), os.Chmod(binary, 0o755)); err != nil {
		panic(err)
	}
	code := m.Run()
	_ = os.RemoveAll(dir)
	if code == 0 {
		if err := goleak.Find(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

// target is the reference connector as its author would test it.
func target(bugs reference.Bugs) Target {
	ws1 := Found{Action: "lab.find_host", Inputs: map[string]any{"hostname": "ws-1"}, Output: "device"}
	gone := kind.Handle{Name: "device", Instance: Instance, ID: "99", Label: "gone"}
	return Target{
		Connector: reference.Connector{Bugs: bugs},
		Binary:    binary,
		Lookup:    reference.Lookup,
		Start:     startVendor,
		Samples: map[string]Sample{
			"lab.find_host": {
				Inputs: map[string]any{"hostname": "ws-1"}, Missing: map[string]any{"hostname": "nobody"}, Ambiguous: map[string]any{"hostname": "twin"},
			},
			"lab.isolate_host": {Inputs: map[string]any{"host": ws1}, Missing: map[string]any{"host": gone}},
			"lab.release_host": {
				Before: []Step{{Action: "lab.isolate_host", Inputs: map[string]any{"host": ws1}}},
				Inputs: map[string]any{"host": ws1}, Missing: map[string]any{"host": gone},
			},
			"lab.ring_bell": {},
		},
		Faults:  Faults{RateLimited: "limit", Expired: "expire", Unauthorized: "deny", SoftError: "soft", Lost: "lost", Slow: "slow"},
		Without: map[string]string{"lab.find_host/soft error": "the vendor answers so to changes only"},
	}
}

func startVendor(t testing.TB) Fake {
	v := reference.NewVendor()
	s := httptest.NewServer(v)
	t.Cleanup(s.Close)
	return Fake{
		Settings: map[string]string{"url": s.URL},
		Secrets:  map[string]secret.Value{"secret": secret.New(reference.Secret)},
		Fault:    v.Fault, World: v.World,
	}
}

func TestReference(t *testing.T) { Run(t, target(reference.Bugs{})) }

// Each planted fault turns the suite red, at the check that is there for it.
func TestPlantedFaults(t *testing.T) {
	for name, c := range map[string]struct {
		bugs reference.Bugs
		// at is action/check; others may turn red too.
		at string
	}{
		"a read that writes":      {reference.Bugs{ReadWrites: true}, "lab.find_host/reads"},
		"trusts a 2xx":            {reference.Bugs{TrustsSuccess: true}, "lab.isolate_host/soft error"},
		"repeats the effect":      {reference.Bugs{RepeatsEffect: true}, "lab.isolate_host/again is already"},
		"lost is transient":       {reference.Bugs{LostIsTransient: true}, "lab.isolate_host/lost answer"},
		"leaks the secret":        {reference.Bugs{LeaksSecret: true}, "lab.find_host/unauthorized"},
		"picks the first":         {reference.Bugs{PicksFirst: true}, "lab.find_host/ambiguous"},
		"releases what was found": {reference.Bugs{NoPrior: true}, "lab.isolate_host/inverse leaves what was found"},
		"forgets RetryAfter":      {reference.Bugs{ForgetsRetryAfter: true}, "lab.isolate_host/rate limited"},
		"does not refresh":        {reference.Bugs{NoRefresh: true}, "lab.find_host/expired token"},
		"ignores the deadline":    {reference.Bugs{IgnoresDeadline: true}, "lab.find_host/deadline"},
		"forges handles":          {reference.Bugs{ForgesHandles: true}, "lab.find_host/reads"},
		"guesses present":         {reference.Bugs{GuessesPresent: true}, "lab.isolate_host/read-back"},
	} {
		t.Run(name, func(t *testing.T) {
			if red := redAt(t, target(c.bugs), c.at); len(red) == 0 {
				t.Errorf("%s stayed green", c.at)
			} else {
				t.Log(strings.Join(red, "\n"))
			}
		})
	}
}

// redAt runs one check in process and returns its problems.
func redAt(t *testing.T, target Target, at string) []string {
	t.Helper()
	action, name, _ := strings.Cut(at, "/")
	a, _ := target.Connector.Manifest().Action(action)
	i := slices.IndexFunc(checks, func(c check) bool { return c.name == name })
	if i < 0 || !checks[i].fits(a) {
		t.Fatalf("there is no check %s", at)
	}
	problems, ran := inspect(t, target, openDirect, a, checks[i])
	if !ran {
		t.Fatalf("%s was not run", at)
	}
	return problems
}

func TestManifestProblems(t *testing.T) {
	good := target(reference.Bugs{})
	if p := inspectManifest(good); len(p) > 0 {
		t.Errorf("the reference connector's manifest: %q", p)
	}
	extra := good
	extra.Samples = maps.Clone(good.Samples)
	extra.Samples["lab.nothing"] = Sample{}
	if p := inspectManifest(extra); len(p) != 1 {
		t.Errorf("a sample too many: %q", p)
	}
	missing := good
	missing.Samples = nil
	if p := redAt(t, missing, "lab.find_host/reads"); len(p) != 1 {
		t.Errorf("no sample: %q", p)
	}
}

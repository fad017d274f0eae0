package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/quell-soar/quell/connectors/labdata"
	"github.com/quell-soar/quell/connectors/spec"
	"github.com/quell-soar/quell/connectors/spec/kind"
)

// narrowLab is a later version of the connector labdata: it says less of a hash,
// in other words. The test binary serves it.
type narrowLab struct{ labdata.Connector }

// Manifest has the narrower action.
func (n narrowLab) Manifest() spec.Manifest {
	m := n.Connector.Manifest()
	m.Version, m.Actions = "2.0.0", slices.Clone(m.Actions)
	for i, a := range m.Actions {
		if a.Name != "intel.lookup_hash" {
			continue
		}
		a.Outputs = slices.Clone(a.Outputs)
		for o, f := range a.Outputs {
			if f.Name == "verdict" {
				a.Outputs[o].Type = kind.ChoiceOf("bad", "clean")
			}
		}
		m.Actions[i] = a
	}
	return m
}

const (
	hashPlaybook = `quell: 1
playbook: hash
inputs:
  hash: { type: hash }
on:
  manual: { roles: [analyst] }
triage:
  - id: seen
    uses: intel.lookup_hash
    with: { value: "${{ inputs.hash }}" }
  - if: steps.seen.verdict == "malicious"
    fail: It is bad
`
	worthPlaybook = `quell: 1
playbook: worth
inputs:
  host: { type: hostname }
on:
  manual: { roles: [analyst] }
triage:
  - id: asset
    uses: asset.find_host
    with: { hostname: "${{ inputs.host }}" }
  - note: worth
    text: ${{ steps.asset.criticality }}
`
	unservedPlaybook = `quell: 1
playbook: unserved
inputs:
  name: { type: username }
on:
  manual: { roles: [analyst] }
triage:
  - id: user
    uses: iam.find_user
    with: { name: "${{ inputs.name }}" }
`
)

// TestInstalled runs one configuration with two versions of a connector. With the
// first a playbook is good; with the second the server refuses it and serves the
// others, and quell check finds why, at the server and without it.
func TestInstalled(t *testing.T) {
	alongside(t)
	h := &house{t: t, dir: t.TempDir(), log: logFile(t, "serve.log")}
	t.Cleanup(h.stop)
	if err := os.Mkdir(filepath.Join(h.dir, "playbooks"), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"hash": hashPlaybook, "worth": worthPlaybook, "unserved": unservedPlaybook} {
		h.write("playbooks/"+name+".yaml", text)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	with := func(binary string) {
		h.write("quell.yaml", `data_dir: data
listen: 127.0.0.1:0
playbooks: [playbooks]
access: {local_roles: [analyst]}
connectors:
  lab: {connector: labdata, binary: `+binary+`}
`)
	}
	conf := filepath.Join(h.dir, "quell.yaml")
	cli := func(args ...string) (string, int) {
		cmd := exec.CommandContext(t.Context(), bin(t, "quell"), append([]string{"--config", conf}, args...)...)
		out, _ := cmd.CombinedOutput()
		return string(out), cmd.ProcessState.ExitCode()
	}
	check := func(want int, wanted ...string) {
		t.Helper()
		out, code := cli("check", filepath.Join(h.dir, "playbooks"))
		for _, w := range wanted {
			if !strings.Contains(out, w) {
				t.Errorf("quell check does not say %q", w)
			}
		}
		if code != want || t.Failed() {
			t.Fatalf("exit code %d, want %d:\n%s", code, want, out)
		}
	}
	const (
		unserved = "unserved.yaml:9:11: error: no connector instance serves iam.find_user [action-not-bound]"
		narrowed = "hash.yaml:11:31: error: "
	)
	loaded := func(names ...string) {
		t.Helper()
		got, err := h.client().Playbooks(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var have []string
		for _, p := range got.Playbooks {
			have = append(have, p.Name)
		}
		if !slices.Equal(have, names) || len(got.Refused) != 3-len(names) {
			t.Errorf("loaded %v, want %v; refused %v", have, names, got.Refused)
		}
	}

	with(bin(t, "quell-connector"))
	check(1, unserved, "3 playbooks, 1 error; checked against the connectors of "+conf+" (1 connector)")
	h.start()
	loaded("hash", "worth")
	check(1, unserved, "3 playbooks, 1 error; checked against the server at "+filepath.Join(h.dir, "data"))
	h.stop()

	with(self)
	check(1, unserved, narrowed, "3 playbooks, 2 errors; checked against the connectors of")
	h.start()
	loaded("worth")
	check(1, unserved, narrowed, "3 playbooks, 2 errors; checked against the server at")
	if out, code := cli("playbook", "list"); code != 0 || !strings.Contains(out, "refused: ") || !strings.Contains(out, narrowed) {
		t.Errorf("quell playbook list: exit code %d\n%s", code, out)
	}
	if out, _ := cli("doctor"); !strings.Contains(out, narrowed) {
		t.Errorf("quell doctor:\n%s", out)
	}
}

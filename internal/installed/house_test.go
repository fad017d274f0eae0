package installed_test

import (
	"strings"
	"testing"
	"time"

	"github.com/quell-soar/quell/connectors/spec"
	"github.com/quell-soar/quell/connectors/spec/kind"
	"github.com/quell-soar/quell/internal/installed"
	"github.com/quell-soar/quell/playbooks/compile"
	"github.com/quell-soar/quell/playbooks/source"
)

func find(outputs ...string) spec.Action {
	a := spec.Action{Name: "lab.find_host", Class: spec.Read, Deadline: time.Second, Inputs: []kind.Field{{Name: "hostname", Type: kind.Of(kind.Hostname)}}}
	a.Outputs = []kind.Field{{Name: "device", Type: kind.HandleOf("device")}}
	for _, o := range outputs {
		a.Outputs = append(a.Outputs, kind.Field{Name: o, Type: kind.Of(kind.String)})
	}
	return a
}

func look(outputs ...string) spec.Action {
	a := find(outputs...)
	a.Name, a.Inputs = "lab.look_at_host", []kind.Field{{Name: "host", Type: kind.HandleOf("device")}}
	return a
}

// enrich takes a handle that it only reads about.
func enrich() spec.Action {
	a := look()
	a.Name, a.Inputs[0].Foreign = "lab.enrich_host", true
	return a
}

func instance(name, version string, actions ...spec.Action) installed.Instance {
	return installed.Of(name, spec.Manifest{Name: "lab", Version: version, Actions: actions})
}

const playbook = `quell: 1
playbook: p
triage:
  - id: host
    uses: lab.find_host
    with: { hostname: ws-1 }
  - id: seen
    uses: lab.look_at_host
    with: { host: "${{ steps.host.device }}" }
  - uses: lab.enrich_host
    with: { host: "${{ steps.host.device }}" }
  - note: os
    text: ${{ steps.seen.os }}
`

// TestUnbound compiles one playbook in several houses.
func TestUnbound(t *testing.T) {
	all := []spec.Action{find("os"), look("os"), enrich()}
	for name, c := range map[string]struct {
		house installed.House
		want  string
		help  string
	}{
		"one instance": {installed.House{Instances: []installed.Instance{instance("a", "1", all...)}}, "", ""},
		"two, of which one is bound": {
			installed.House{Instances: []installed.Instance{instance("a", "1", all...), instance("b", "1", all...)}, Bindings: map[string]string{"lab": "b"}}, "", "",
		},
		"two, unbound: who acts on a handle is clear": {
			installed.House{Instances: []installed.Instance{instance("b", "1", all...), instance("a", "1", look("os"))}}, "", "",
		},
		"two of one form, unbound": {
			installed.House{Instances: []installed.Instance{instance("b", "1", all...), instance("a", "1", all...)}},
			"a and b serve lab.find_host, and none of them is bound", "bindings: { lab.find_host: a }",
		},
		"two for a foreign handle": {
			installed.House{Instances: []installed.Instance{instance("b", "1", all...), instance("a", "1", enrich())}},
			"a and b serve lab.enrich_host, and none of them is bound", "bindings: { lab.enrich_host: a }",
		},
		"two forms": {
			installed.House{Instances: []installed.Instance{instance("b", "2.0.0", all...), instance("a", "1.0.0", look("os", "kernel"))}},
			"a (lab 1.0.0) and b (lab 2.0.0) serve lab.look_at_host in two forms", "bring them to one version",
		},
		"two forms, bound: that one counts": {
			installed.House{Instances: []installed.Instance{instance("b", "2", find("os"), look(), enrich()), instance("a", "1", look("os"))}, Bindings: map[string]string{"lab.look_at_host": "b"}},
			"there is no field os", "",
		},
		"bound to who has it not": {
			installed.House{Instances: []installed.Instance{instance("a", "1", all...), instance("c", "1")}, Bindings: map[string]string{"lab.look_at_host": "c"}},
			"lab.look_at_host is bound to c, which does not serve it", "bind it to one that does: a",
		},
		"nobody, and the vocabulary does not know it": {
			installed.House{Instances: []installed.Instance{instance("a", "1", find("os"), enrich())}}, "lab.look_at_host", "",
		},
	} {
		t.Run(name, func(t *testing.T) {
			_, list := compile.Compile(source.NewFile("p.yaml", []byte(playbook)), compile.Options{Actions: c.house.Actions(), Installed: c.house.Installation()})
			if c.want == "" {
				if list.HasErrors() {
					t.Fatal(list)
				}
				return
			}
			if len(list) == 0 || !strings.Contains(list[0].Message, c.want) || !strings.Contains(list[0].Help, c.help) {
				t.Errorf("got %v (%v), want %q with %q", list, c.house.Bindings, c.want, c.help)
			}
		})
	}
}

// TestVocabulary holds that an action of the vocabulary that nobody serves is told
// as that, and not as misspelt, and that people who are not there are told.
func TestVocabulary(t *testing.T) {
	h := installed.House{People: installed.People{Roles: []string{"analyst"}, OnCall: []string{"soc"}}}
	text := `quell: 1
playbook: p
triage:
  - uses: intel.lookup_domain
    with: { value: example.org }
  - ask: Well?
    from:
      - { who: [oncall.sco, ir-lead], within: 5m }
      - { who: [analyst], within: 5m }
`
	f := source.NewFile("p.yaml", []byte(text))
	_, list := compile.Compile(f, compile.Options{Actions: h.Actions(), Installed: h.Installation()})
	if len(list) != 2 || list[0].Message != "no connector instance serves intel.lookup_domain" || list[1].Code != "nobody-can" {
		for _, d := range list {
			t.Errorf("found %v", d)
		}
	}
	for _, in := range []*compile.Installation{h.Connected(), {AnyRole: true, AnyDuty: true}} {
		if _, list := compile.Compile(f, compile.Options{Actions: h.Actions(), Installed: in}); len(list) > 0 && list[len(list)-1].Code == "nobody-can" {
			t.Errorf("people are not asked about, found %v", list)
		}
	}
}

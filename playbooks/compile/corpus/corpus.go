package corpus

import (
	"fmt"
	"maps"
	"slices"

	"github.com/quell-soar/quell/connectors/spec"
	"github.com/quell-soar/quell/connectors/spec/kind"
	"github.com/quell-soar/quell/connectors/vocabulary"
	"github.com/quell-soar/quell/playbooks/compile"
	"github.com/quell-soar/quell/playbooks/source"
)

// Options are what a playbook of the corpus is compiled against.
func Options() compile.Options {
	return compile.Options{Actions: catalogue, Playbooks: Playbooks{}}
}

// Actions are the vocabulary with actions whose contracts it has not: an effect
// that cannot be taken back, an input that takes a secret, one that is
// interpreted. Where the vocabulary has an action of the name, that one counts.
type Actions struct{}

var catalogue = compile.NewFixed(slices.Concat(vocabulary.All(), Extra)...)

// Action is the contract of an action.
func (Actions) Action(name string) (spec.Action, bool) { return catalogue.Action(name) }

// Names are in no particular order.
func (Actions) Names() []string { return catalogue.Names() }

// Extra are the actions beyond the vocabulary.
var Extra = []spec.Action{
	{
		Name: "alert.close", Class: spec.Idempotent, Reversal: spec.Unneeded,
		Inputs: []kind.Field{{Name: "as", Type: kind.ChoiceOf(
			"true_positive", "benign", "false_positive", "duplicate", "completed", "failed", "denied", "cancelled")}},
	},
	{
		Name: "ticket.attach_file", Class: spec.Keyed, Reversal: spec.Unneeded, Targets: "ticket",
		Inputs: []kind.Field{{Name: "ticket", Type: kind.HandleOf("ticket")}, {Name: "file", Type: kind.Of(kind.Artifact)}},
	},
	{
		Name: "test.use_key", Class: spec.Read,
		Inputs:  []kind.Field{{Name: "key", Type: kind.Of(kind.Secret), Sink: true}},
		Outputs: []kind.Field{{Name: "ok", Type: kind.Of(kind.Boolean)}},
	},
	{
		Name: "test.run_query", Class: spec.Read,
		Inputs:  []kind.Field{{Name: "query", Type: kind.Of(kind.String), Command: true}, {Name: "about", Type: kind.Of(kind.String), Optional: true}},
		Outputs: []kind.Field{{Name: "rows", Type: kind.Of(kind.Int)}},
	},
	{
		Name: "test.find_vm", Class: spec.Read,
		Inputs:  []kind.Field{{Name: "name", Type: kind.Of(kind.String)}},
		Outputs: []kind.Field{{Name: "vm", Type: kind.HandleOf("vm")}, {Name: "vms", Type: kind.ListOf(kind.HandleOf("vm"))}},
	},
	{
		// An effect whose vendor has no way back; the author may name one.
		Name: "test.tag_vm", Class: spec.Idempotent, Reversal: spec.Irreversible, Targets: "vm",
		Inputs:  []kind.Field{{Name: "vm", Type: kind.HandleOf("vm")}, {Name: "tag", Type: kind.Of(kind.String)}},
		Outputs: []kind.Field{{Name: "tags", Type: kind.Of(kind.Int)}},
	},
	{
		Name: "test.untag_vm", Class: spec.Idempotent, Reversal: spec.Irreversible, Targets: "vm",
		Inputs: []kind.Field{{Name: "vm", Type: kind.HandleOf("vm")}, {Name: "tag", Type: kind.Of(kind.String)}},
	},
}

// Playbooks are those that a playbook of the corpus may call.
type Playbooks struct{}

var shelved = map[string]string{
	"look-at-host": `
inputs:
  hostname: { type: hostname }
triage:
  - id: host
    uses: edr.find_host
    with: { hostname: "${{ inputs.hostname }}" }
outputs:
  os: ${{ steps.?host.os }}
`,
	"contain-host": `
inputs:
  hostname: { type: hostname }
  why: { type: string, default: none }
limits: { edr.isolate_host: 1 }
triage:
  - id: host
    uses: edr.find_host
    with: { hostname: "${{ inputs.hostname }}" }
contain:
  - id: isolate
    uses: edr.isolate_host
    with: { host: "${{ steps.host.device }}" }
    hold: { for: 4h }
review:
  - note: why
    text: ${{ inputs.why }}
outputs:
  contained: ${{ outcome.isolate == "done" }}
`,
	"broken":      "triage: [{ report: \"${{ nothing }}\" }]\n",
	"calls-t":     "triage: [{ call: t }]\n",
	"calls-other": "triage: [{ call: look-at-host, with: { hostname: web1 } }]\n",
}

// Playbook is the text of a playbook. Those called deep-1, deep-2 … call each other
// without end.
func (Playbooks) Playbook(name string) (*source.File, bool) {
	body, ok := shelved[name]
	var n int
	if _, err := fmt.Sscanf(name, "deep-%d", &n); err == nil {
		body, ok = fmt.Sprintf("triage: [{ call: deep-%d }]\n", n+1), n > 0
	}
	return source.NewFile(name+".yaml", []byte("quell: 1\nplaybook: "+name+"\n"+body)), ok
}

// Names are sorted.
func (Playbooks) Names() []string { return slices.Sorted(maps.Keys(shelved)) }

package schema_test

import (
	"github.com/quell-soar/quell/connectors/spec"
	"github.com/quell-soar/quell/connectors/spec/kind"
	"github.com/quell-soar/quell/connectors/vocabulary"
	"github.com/quell-soar/quell/playbooks/compile"
	"github.com/quell-soar/quell/playbooks/source"
)

// actions are the vocabulary and what the compiler's corpus uses beyond it.
type actions struct{}

func (actions) Action(name string) (spec.Action, bool) {
	if a, ok := vocabulary.Lookup(name); ok {
		return a, true
	}
	field := func(name string, t kind.Type) kind.Field { return kind.Field{Name: name, Type: t} }
	text, vm := kind.Of(kind.String), kind.HandleOf("vm")
	effect := spec.Action{Name: name, Class: spec.Idempotent, Reversal: spec.Unneeded}
	read := spec.Action{Name: name, Class: spec.Read}
	switch name {
	case "alert.close":
		effect.Inputs = []kind.Field{field("as", kind.ChoiceOf("true_positive", "benign", "false_positive", "duplicate", "completed", "failed", "denied", "cancelled"))}
		return effect, true
	case "ticket.attach_file":
		effect.Inputs, effect.Targets = []kind.Field{field("ticket", kind.HandleOf("ticket")), field("file", kind.Of(kind.Artifact))}, "ticket"
		return effect, true
	case "test.use_key":
		read.Inputs = []kind.Field{{Name: "key", Type: kind.Of(kind.Secret), Sink: true}}
		read.Outputs = []kind.Field{field("ok", kind.Of(kind.Boolean))}
		return read, true
	case "test.run_query":
		read.Inputs = []kind.Field{{Name: "query", Type: text, Command: true}, {Name: "about", Type: text, Optional: true}}
		read.Outputs = []kind.Field{field("rows", kind.Of(kind.Int))}
		return read, true
	case "test.find_vm":
		read.Inputs, read.Outputs = []kind.Field{field("name", text)}, []kind.Field{field("vm", vm), field("vms", kind.ListOf(vm))}
		return read, true
	case "test.tag_vm", "test.untag_vm":
		effect.Reversal, effect.Targets, effect.Inputs = spec.Irreversible, "vm", []kind.Field{field("vm", vm), field("tag", text)}
		effect.Outputs = []kind.Field{field("tags", kind.Of(kind.Int))}
		return effect, true
	}
	return spec.Action{}, false
}

func (actions) Names() []string {
	names := []string{"alert.close", "ticket.attach_file", "test.use_key", "test.run_query", "test.find_vm", "test.tag_vm", "test.untag_vm"}
	for _, a := range vocabulary.All() {
		names = append(names, a.Name)
	}
	return names
}

// shelf has the playbooks that those of the corpus call.
type shelf struct{}

func (shelf) Playbook(name string) (*source.File, bool) {
	body := map[string]string{
		"look-at-host": "triage:\n  - id: host\n    uses: edr.find_host\n    with: { hostname: \"${{ inputs.hostname }}\" }\noutputs: { os: \"${{ steps.?host.os }}\" }\n",
		"contain-host": "limits: { edr.isolate_host: 1 }\ntriage:\n  - id: host\n    uses: edr.find_host\n    with: { hostname: \"${{ inputs.hostname }}\" }\n" +
			"contain:\n  - id: isolate\n    uses: edr.isolate_host\n    with: { host: \"${{ steps.host.device }}\" }\n    hold: { for: 4h }\n" +
			"review:\n  - note: why\n    text: ${{ inputs.why }}\noutputs: { contained: \"${{ outcome.isolate == 'done' }}\" }\n",
		"calls-other": "triage: [{ call: look-at-host, with: { hostname: web1 } }]\n",
	}[name]
	inputs := "inputs: { hostname: { type: hostname } }\n"
	switch name {
	case "calls-other":
		inputs = ""
	case "contain-host":
		inputs = "inputs: { hostname: { type: hostname }, why: { type: string, default: none } }\n"
	}
	return source.NewFile(name+".yaml", []byte("quell: 1\nplaybook: "+name+"\n"+inputs+body)), body != ""
}

func (shelf) Names() []string { return nil }

var options = compile.Options{Actions: actions{}, Playbooks: shelf{}}

package compile_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/quell-soar/quell/connectors/spec"
	"github.com/quell-soar/quell/connectors/spec/kind"
	"github.com/quell-soar/quell/connectors/vocabulary"
	"github.com/quell-soar/quell/playbooks/compile"
	"github.com/quell-soar/quell/playbooks/compile/corpus"
	"github.com/quell-soar/quell/playbooks/source"
)

// changed is the catalogue of the tests with one action as a connector's new
// version has it.
func changed(t *testing.T, name string, edit func(*spec.Action)) *compile.Fixed {
	t.Helper()
	a, ok := (corpus.Actions{}).Action(name)
	if !ok {
		t.Fatalf("there is no action %s", name)
	}
	a.Inputs, a.Outputs = slices.Clone(a.Inputs), slices.Clone(a.Outputs)
	edit(&a)
	return compile.NewFixed(slices.Concat([]spec.Action{a}, vocabulary.All(), corpus.Extra)...)
}

// output changes one output of an action; a type of the zero value takes it out.
func output(name string, to kind.Type, optional bool) func(*spec.Action) {
	return func(a *spec.Action) {
		i := slices.IndexFunc(a.Outputs, func(f kind.Field) bool { return f.Name == name })
		if to.Kind == "" {
			a.Outputs = slices.Delete(a.Outputs, i, i+1)
			return
		}
		a.Outputs[i].Type, a.Outputs[i].Optional = to, optional
	}
}

type seed struct {
	name, file  string
	from, to    string
	action      string
	edit        func(*spec.Action)
	code, shown string
}

// text is the seed's playbook with its mistake.
func (s seed) text(t *testing.T) (text, name string) {
	t.Helper()
	name = filepath.Join("../../examples", s.file+".yaml")
	raw, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if s.from != "" && !strings.Contains(string(raw), s.from) {
		t.Fatalf("%s has no %q", s.file, s.from)
	}
	return strings.Replace(string(raw), s.from, s.to, 1), name
}

// seeds are mistakes about results: each an example with one line changed, or
// with an action as a new version of a connector has it. The code and the text
// of its span say what must be found, and nothing else may be.
var seeds = []seed{
	{name: "wrong field of a result", file: "contain-infected-host", from: "steps.host.device }}\n    approve", to: "steps.host.devise }}\n    approve", code: "unknown-field", shown: "devise"},
	{name: "wrong field of a row", file: "compromised-account", from: "r.risky", to: "r.is_risky", code: "unknown-field", shown: "is_risky"},
	{name: "wrong field of a round", file: "reported-phishing", from: `v.ok && v.out.verdict == "malicious").map(v, v.item) }}
      bad_files`, to: `v.ok && v.verdict == "malicious").map(v, v.item) }}
      bad_files`, code: "unknown-field", shown: "verdict"},
	{name: "wrong field of a handle", file: "compromised-account", from: "c.granted", to: "c.given", code: "unknown-field", shown: "given"},
	{name: "wrong field of an answer", file: "reported-phishing", from: "steps.decision.block_sender ", to: "steps.decision.block_senders ", code: "unknown-field", shown: "block_senders"},
	{name: "wrong field of an error", file: "contain-infected-host", from: "Isolation: ${{ outcome.isolate }}", to: "Isolation: ${{ errors.?isolate.code.orValue('') }}", code: "unknown-field", shown: "code"},

	{name: "a number for a text", file: "compromised-account", from: "deliver: manager", to: "deliver: ${{ size(steps.signins.rows) }}", code: "wrong-type", shown: "size(steps.signins.rows)"},
	{name: "a text compared with a time", file: "compromised-account", from: "steps.state.password_changed > run.started", to: "steps.state.name > run.started", code: "wrong-type", shown: "steps.state.name > run.started"},
	{name: "a list for one", file: "reported-phishing", from: "address: ${{ steps.original.sender }}", to: "address: ${{ [steps.original.sender] }}", code: "wrong-type", shown: "[steps.original.sender]"},
	{name: "one for a list", file: "reported-phishing", from: "messages: ${{ steps.copies.messages }}", to: "messages: ${{ steps.original.message }}", code: "wrong-type", shown: "steps.original.message"},
	{name: "a result for a field of it", file: "contain-infected-host", from: "until: steps.scan.findings == 0", to: "until: steps.scan.scan == 0", code: "wrong-type", shown: "steps.scan.scan == 0"},
	{name: "a loop over what is no list", file: "compromised-account", from: "foreach: r in steps.choose.rules", to: "foreach: r in steps.user.user", code: "wrong-type", shown: "steps.user.user"},

	{name: "a result that may be absent", file: "contain-infected-host", from: "steps.?asset.criticality.orValue(criticality.high)", to: "steps.asset.criticality", code: "maybe-absent", shown: "steps.asset"},
	{name: "an optional field", file: "contain-infected-host", from: "Malware on ${{ inputs.hostname }}", to: "Malware seen ${{ steps.host.last_seen }}", code: "maybe-absent", shown: "steps.host.last_seen"},
	{name: "a result of another phase in review", file: "contain-infected-host", from: "- if: has(steps.case)\n    uses", to: "- uses", code: "maybe-absent", shown: "steps.case"},
	{name: "a failed round", file: "reported-phishing", from: `v.ok && v.out.verdict == "malicious").map(v, v.item) }}
      bad_files`, to: `v.out.verdict == "malicious").map(v, v.item) }}
      bad_files`, code: "maybe-absent", shown: "v.out"},
	{name: "an answer that nobody may give", file: "reported-phishing", from: "has(steps.confirm) && steps.confirm.right", to: "steps.confirm.right", code: "maybe-absent", shown: "steps.confirm"},
	{name: "an optional of an alert", file: "contain-infected-host", from: "hostname: ${{ alert.hosts[0].name }}", to: "hostname: ${{ alert.hosts[0].device_id }}", code: "maybe-absent", shown: "alert.hosts[0].device_id"},

	{name: "a value of an enum that a new version dropped", file: "reported-phishing", action: "intel.lookup_url", edit: output("verdict", kind.ChoiceOf("bad", "clean", "unknown"), false), code: "unknown-choice", shown: `"malicious"`},
	{name: "a value that a choice never had", file: "reported-phishing", from: `steps.decision.verdict == "benign"`, to: `steps.decision.verdict == "harmless"`, code: "unknown-choice", shown: `"harmless"`},
	{name: "an outcome that there is not", file: "reported-phishing", from: `outcome.purge == "done"`, to: `outcome.purge == "ok"`, code: "unknown-choice", shown: `"ok"`},
	{name: "a severity that there is not", file: "compromised-account", from: "severity.high", to: "severity.severe", code: "unknown-field", shown: "severe"},
	{name: "a value that an input lost", file: "compromised-account", action: "iam.reset_password", edit: func(a *spec.Action) {
		a.Inputs[slices.IndexFunc(a.Inputs, func(f kind.Field) bool { return f.Name == "deliver" })].Type = kind.ChoiceOf("user", "nobody")
	}, code: "bad-value", shown: "manager"},

	{name: "a handle of another domain", file: "compromised-account", from: "    uses: iam.disable_user\n        with:\n          user: ${{ steps.user.user }}", to: "    uses: iam.disable_user\n        with:\n          user: ${{ steps.case.ticket }}", code: "wrong-type", shown: "steps.case.ticket"},
	{name: "a list of handles of another domain", file: "compromised-account", from: "among: steps.rules.rules.filter(r, r.changed >= inputs.since)", to: "among: steps.consents.consents", code: "wrong-type", shown: "steps.consents.consents"},
	{name: "a message for a ticket", file: "reported-phishing", from: "ticket: ${{ steps.case.ticket }}", to: "ticket: ${{ steps.original.message }}", code: "wrong-type", shown: "steps.original.message"},
	{name: "text for a handle", file: "contain-infected-host", from: "host: ${{ steps.host.device }}\n    approve", to: "host: ${{ inputs.hostname }}\n    approve", code: "wrong-type", shown: "inputs.hostname"},

	{name: "an output that a new version dropped", file: "compromised-account", action: "iam.find_user", edit: output("privileged", kind.Type{}, false), code: "unknown-field", shown: "privileged"},
	{name: "an output that became optional", file: "compromised-account", action: "iam.find_user", edit: output("password_changed", kind.Of(kind.Timestamp), true), code: "maybe-absent", shown: "steps.state.password_changed"},
	{name: "an output that became text", file: "contain-infected-host", action: "edr.scan_host", edit: output("findings", kind.Of(kind.String), false), code: "wrong-type", shown: "steps.scan.findings == 0"},
	{name: "an output that became one of another kind", file: "reported-phishing", action: "mail.get_message", edit: output("sender", kind.Of(kind.Hostname), false), code: "wrong-type", shown: "steps.original.sender"},
	{name: "a row that lost a column", file: "compromised-account", action: "search.sign_ins", edit: output("rows", kind.ListOf(kind.RecordOf(kind.Field{Name: "address", Type: kind.Of(kind.IP)})), false), code: "unknown-field", shown: "risky"},
	{name: "an input that a new version needs", file: "contain-infected-host", action: "edr.isolate_host", edit: func(a *spec.Action) {
		a.Inputs = append(a.Inputs, kind.Field{Name: "why", Type: kind.Of(kind.String)})
	}, code: "missing-input", shown: "with"},
	{name: "an inverse that a new version lost", file: "contain-infected-host", action: "edr.isolate_host", edit: func(a *spec.Action) {
		a.Inverse, a.Reversal = "", spec.Irreversible
	}, code: "veto-window", shown: "act"},
}

// TestSeeds holds that each seeded mistake about a result is found at its place.
// A second finding is allowed where the change has two consequences.
func TestSeeds(t *testing.T) {
	for _, s := range seeds {
		t.Run(s.name, func(t *testing.T) {
			text, name := s.text(t)
			o := options()
			if s.action != "" {
				o.Actions = changed(t, s.action, s.edit)
			}
			f := source.NewFile(name, []byte(text))
			p, list := compile.Compile(f, o)
			if p != nil {
				t.Fatal("nothing was found")
			}
			if d := list[0]; d.Code != s.code || !strings.HasPrefix(f.Text(d.Span), s.shown) {
				t.Errorf("found %s at %q, want %s at %q\n%v", d.Code, f.Text(d.Span), s.code, s.shown, list)
			}
		})
	}
	t.Logf("%d seeded mistakes about results", len(seeds))
}

// TestNewVersion holds that what a new version of a connector adds is no mistake.
func TestNewVersion(t *testing.T) {
	for _, name := range valid(t) {
		raw, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range (corpus.Actions{}).Names() {
			if !strings.Contains(string(raw), a) {
				continue
			}
			o := options()
			o.Actions = changed(t, a, func(a *spec.Action) {
				a.Inputs = append(a.Inputs, kind.Field{Name: "added", Type: kind.Of(kind.String), Optional: true})
				a.Outputs = append(a.Outputs, kind.Field{Name: "added", Type: kind.Of(kind.Int)})
			})
			if _, list := compile.Compile(source.NewFile(name, raw), o); len(list) > 0 {
				t.Errorf("%s with a wider %s: %v", name, a, list)
			}
		}
	}
}

package spec

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"regexp"
	"time"

	"github.com/quell-soar/quell/connectors/spec/kind"
)

// Class says what repeating an action does.
type Class string

// The effect classes.
const (
	// Read changes nothing and may be called at will.
	Read Class = "read"
	// Idempotent brings the world to a state; doing it twice is doing it once.
	Idempotent Class = "idempotent"
	// Keyed changes the world once per key because the vendor honours the key.
	Keyed Class = "keyed"
	// Once changes the world again at each call. It is never repeated unless a
	// read-back proves that the first call did nothing.
	Once Class = "once"
)

// ReadBack says how surely the vendor can be asked whether an effect happened.
type ReadBack string

// The read-back classes.
const (
	// Strong: once the settle time is over, the answer is the truth.
	Strong ReadBack = "strong"
	// Lagging: "present" is the truth, "absent" proves nothing.
	Lagging ReadBack = "lagging"
	// NoReadBack: the vendor cannot be asked.
	NoReadBack ReadBack = "none"
)

// Reversal says how well an action's inverse restores what was there.
type Reversal string

// The reversal classes.
const (
	// Exact: the inverse restores the state that was found.
	Exact Reversal = "exact"
	// Lossy: the inverse undoes the effect but not every trace of it.
	Lossy Reversal = "lossy"
	// Irreversible: no inverse; the compiler asks for approve or accept.
	Irreversible Reversal = "none"
	// Unneeded: it leaves nothing that anyone would take back, such as a comment
	// on a ticket or a scan.
	Unneeded Reversal = "unneeded"
)

// Manifest is what a connector tells of itself in answer to Describe. It never
// contains a secret and does not depend on configuration.
type Manifest struct {
	// Name is the connector's id: crowdstrike, jira.
	Name string `json:"name"`
	// Version is the connector's own version, in SemVer without "v".
	Version string `json:"version"`
	// Title is what people call the product.
	Title string `json:"title"`
	// Doc is one paragraph for the reference.
	Doc string `json:"doc"`
	// Settings are the keys of the instance's configuration.
	Settings []Setting `json:"settings,omitempty"`
	// Actions are what it can do, sorted by name.
	Actions []Action `json:"actions"`
}

// Setting is one key of an instance's configuration.
type Setting struct {
	Name     string    `json:"name"`
	Type     kind.Type `json:"type"`
	Optional bool      `json:"optional,omitempty"`
	// Default is the text used where an optional key is not set.
	Default string `json:"default,omitempty"`
	// Secret settings are given by reference (env:, file:) and reach the
	// connector over the wire only.
	Secret bool   `json:"secret,omitempty"`
	Doc    string `json:"doc,omitempty"`
}

// Action is one thing a connector does.
type Action struct {
	// Name is domain.verb_noun and stands in the vocabulary: edr.isolate_host.
	Name  string `json:"name"`
	Title string `json:"title"`
	Doc   string `json:"doc,omitempty"`

	Inputs  []kind.Field `json:"inputs,omitempty"`
	Outputs []kind.Field `json:"outputs,omitempty"`

	Class    Class    `json:"class"`
	ReadBack ReadBack `json:"read_back,omitempty"`
	// Settle is how long after an attempt's deadline the vendor may still apply
	// it. A read-back before that proves nothing.
	Settle time.Duration `json:"settle,omitempty"`
	// Deadline bounds one call, all of the connector's own requests included.
	// It is shorter than the activity's StartToClose.
	Deadline time.Duration `json:"deadline"`
	// Quick reads end within 2 s and may run as local activities.
	Quick bool `json:"quick,omitempty"`

	Reversal Reversal `json:"reversal,omitempty"`
	// Inverse is the action that takes this one back. It is called with the
	// same targets, and with the prior state that this action returned.
	Inverse string `json:"inverse,omitempty"`
	// Targets names the input that holds what is acted on: one handle or text,
	// or a list of them. limits, guards and holders count these.
	Targets string `json:"targets,omitempty"`

	// Permissions are the vendor's names of what the credential needs.
	Permissions []string `json:"permissions,omitempty"`
	// Tags relate it to RE&CT, D3FEND and OpenC2.
	Tags []string `json:"tags,omitempty"`
}

// Effect reports whether the action changes the world.
func (a Action) Effect() bool { return a.Class != Read }

// InputType returns the record type of the action's inputs.
func (a Action) InputType() kind.Type { return kind.RecordOf(a.Inputs...) }

// OutputType returns the record type of the action's outputs.
func (a Action) OutputType() kind.Type { return kind.RecordOf(a.Outputs...) }

// Action returns the action of that name.
func (m Manifest) Action(name string) (Action, bool) {
	for _, a := range m.Actions {
		if a.Name == name {
			return a, true
		}
	}
	return Action{}, false
}

// SchemaDigest covers what a plan relies on: types of inputs and outputs, class,
// read-back, reversal, inverse and targets; not texts and time limits. A run
// may be served by any connector version whose action has the same digest.
func (a Action) SchemaDigest() string {
	bare := Action{
		Name: a.Name, Inputs: undocumented(a.Inputs), Outputs: undocumented(a.Outputs),
		Class: a.Class, ReadBack: a.ReadBack, Reversal: a.Reversal, Inverse: a.Inverse, Targets: a.Targets,
	}
	raw, err := json.Marshal(bare)
	if err != nil { // plain data: json.Marshal cannot fail on it
		return ""
	}
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:])
}

func undocumented(in []kind.Field) []kind.Field {
	out := make([]kind.Field, len(in))
	for i, f := range in {
		f.Doc = ""
		f.Type.Fields = undocumented(f.Type.Fields)
		if f.Type.Elem != nil {
			e := *f.Type.Elem
			e.Fields = undocumented(e.Fields)
			f.Type.Elem = &e
		}
		out[i] = f
	}
	return out
}

var actionName = regexp.MustCompile(`^[a-z]+\.[a-z][a-z0-9_]*$`)

// Validate reports the first thing in the manifest that breaks the contract.
// The host calls it before it trusts a connector; the conformance suite too.
func (m Manifest) Validate() error {
	if m.Name == "" || m.Version == "" {
		return fmt.Errorf("manifest: name and version are needed")
	}
	seen := map[string]bool{}
	for _, a := range m.Actions {
		if seen[a.Name] {
			return fmt.Errorf("manifest %s: action %s stands twice", m.Name, a.Name)
		}
		seen[a.Name] = true
		if err := a.validate(); err != nil {
			return fmt.Errorf("manifest %s: action %s: %w", m.Name, a.Name, err)
		}
		if a.Inverse != "" {
			if _, ok := m.Action(a.Inverse); !ok {
				return fmt.Errorf("manifest %s: action %s: its inverse %s is not served", m.Name, a.Name, a.Inverse)
			}
		}
	}
	return nil
}

func (a Action) validate() error {
	if !actionName.MatchString(a.Name) {
		return fmt.Errorf("the name is not domain.verb_noun")
	}
	if a.Deadline <= 0 || a.Deadline > 10*time.Minute {
		return fmt.Errorf("the deadline must be above 0 and at most 10m")
	}
	if a.Class == Read {
		if a.Inverse != "" || a.ReadBack != "" || a.Reversal != "" {
			return fmt.Errorf("a read has no inverse, reversal or read-back")
		}
		return nil
	}
	for _, f := range a.Inputs {
		if f.Foreign {
			return fmt.Errorf("an effect acts on what its own instance found: input %s cannot be foreign", f.Name)
		}
	}
	switch a.Class {
	case Idempotent, Keyed, Once:
	default:
		return fmt.Errorf("unknown class %q", a.Class)
	}
	switch a.ReadBack {
	case Strong, Lagging, NoReadBack:
	default:
		return fmt.Errorf("an effect states its read-back: strong, lagging or none")
	}
	switch a.Reversal {
	case Exact, Lossy:
		if a.Inverse == "" {
			return fmt.Errorf("reversal %s needs an inverse", a.Reversal)
		}
	case Irreversible, Unneeded:
		if a.Inverse != "" {
			return fmt.Errorf("reversal %s has no inverse", a.Reversal)
		}
	default:
		return fmt.Errorf("an effect states its reversal: exact, lossy, none or unneeded")
	}
	if a.Targets != "" {
		if _, ok := a.InputType().Field(a.Targets); !ok {
			return fmt.Errorf("targets names %q, which is not an input", a.Targets)
		}
	}
	return nil
}

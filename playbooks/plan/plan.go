package plan

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/quell-soar/quell/connectors/spec"
	"github.com/quell-soar/quell/connectors/spec/kind"
)

// Format is the version of the plan's form. A reader refuses any other.
const Format = 1

// Plan is one compiled playbook.
type Plan struct {
	Format int `json:"format"`
	// Language is the playbook's `quell:` version.
	Language int    `json:"language"`
	Playbook string `json:"playbook"`
	Title    string `json:"title"`
	Owner    string `json:"owner,omitempty"`
	// Tags are ATT&CK and RE&CT ids and the author's own.
	Tags []string `json:"tags,omitempty"`

	Inputs   []Input   `json:"inputs,omitempty"`
	Settings []Setting `json:"settings,omitempty"`
	Triggers Triggers  `json:"triggers"`
	// Limits bound, per action, how many targets one run may act on; sorted by
	// action.
	Limits []Limit `json:"limits,omitempty"`
	// Phases stand in the order triage, contain, eradicate, recover, review;
	// empty ones are left out.
	Phases  []Phase  `json:"phases"`
	Outputs []Output `json:"outputs,omitempty"`

	// Actions are the actions that the plan uses, with what it relies on,
	// sorted by name.
	Actions []Action `json:"actions,omitempty"`
	// Results are the ids that expressions know under steps, outcome and errors,
	// sorted by id.
	Results []Result `json:"results,omitempty"`
	// Exprs are the expressions; a node refers to one by its index.
	Exprs []Expr `json:"exprs,omitempty"`
	// Children are the plans of the playbooks that steps call, sorted by
	// playbook: what was checked is what is called.
	Children []Child `json:"children,omitempty"`
}

// Child is the locked plan of a called playbook.
type Child struct {
	Playbook string `json:"playbook"`
	// Digest is DigestOf(Plan).
	Digest string `json:"digest"`
	// Plan are the child's canonical bytes, its own children in them.
	Plan json.RawMessage `json:"plan"`
}

// ChildPlan decodes the plan of a called playbook by its digest.
func (p *Plan) ChildPlan(digest string) (*Plan, error) {
	for _, c := range p.Children {
		if c.Digest != digest {
			continue
		}
		if got := DigestOf(c.Plan); got != digest {
			return nil, fmt.Errorf("the plan of %s in %s has the digest %s, not %s", c.Playbook, p.Playbook, got, digest)
		}
		return Decode(c.Plan)
	}
	return nil, fmt.Errorf("the plan of %s has no child of the digest %s", p.Playbook, digest)
}

// Input is one typed input of the playbook.
type Input struct {
	Name string    `json:"name"`
	Type kind.Type `json:"type"`
	// Ask is the question put to a person who launches by hand.
	Ask string `json:"ask,omitempty"`
	// Default is used where nothing is given; nil means the input is required.
	// It may read settings, run and now.
	Default *Value `json:"default,omitempty"`
	// Max bounds the length of a list or text; 0 means the kind's own bound.
	Max     int    `json:"max,omitempty"`
	Pattern string `json:"pattern,omitempty"`
}

// Setting is a typed constant whose value comes from the installation.
type Setting struct {
	Name    string    `json:"name"`
	Type    kind.Type `json:"type"`
	Default *Value    `json:"default,omitempty"`
}

// Triggers say what starts the playbook.
type Triggers struct {
	Alerts []AlertTrigger `json:"alerts,omitempty"`
	Manual *ManualTrigger `json:"manual,omitempty"`
	// Schedules start runs by the clock.
	Schedules []ScheduleTrigger `json:"schedules,omitempty"`
}

// ScheduleTrigger starts a run at each time of a cron line. Inputs see settings
// and now, which is the time that the line names.
type ScheduleTrigger struct {
	// Cron has the five fields minute, hour, day, month, weekday; names and
	// ranges as crontab(5) has them, no @ forms.
	Cron string `json:"cron"`
	// Zone is an IANA name.
	Zone   string       `json:"zone"`
	Inputs []NamedValue `json:"inputs,omitempty"`
	// Overlap says what happens where the run before still goes.
	Overlap Overlap `json:"overlap"`
}

// Overlap is what a schedule does while its last run still goes.
type Overlap string

// The overlaps.
const (
	// OverlapSkip drops the new run, on record.
	OverlapSkip Overlap = "skip"
	// OverlapQueue keeps one run waiting until the last has ended.
	OverlapQueue Overlap = "queue"
	// OverlapAllow starts it beside the last.
	OverlapAllow Overlap = "allow"
)

// AlertTrigger starts a run from an alert of one of the sources in From. Its
// expressions see `alert`, and OncePer sees `inputs`.
type AlertTrigger struct {
	From   []string     `json:"from"`
	When   *ExprRef     `json:"when,omitempty"`
	Inputs []NamedValue `json:"inputs,omitempty"`
	// OncePer names what a run is about: one live run per value.
	OncePer []ExprRef `json:"once_per,omitempty"`
	// Quiet is how long after a run's end the same value starts no new one.
	Quiet time.Duration `json:"quiet,omitempty"`
	// Incident names what the run belongs to, as text: run.incident. It sees
	// alert, inputs and settings. Where it is nil the engine names it.
	Incident *ExprRef `json:"incident,omitempty"`
	// Reason says why From is ["any"]; empty elsewhere.
	Reason string `json:"reason,omitempty"`
}

// ManualTrigger lets people launch by hand; Roles may.
type ManualTrigger struct {
	Roles []string `json:"roles,omitempty"`
}

// Limit bounds the targets of one action in one run.
type Limit struct {
	Action  string `json:"action"`
	Targets int    `json:"targets"`
}

// Action is what the plan relies on of one action.
type Action struct {
	Name string `json:"name"`
	// Schema is spec.Action.SchemaDigest at compile time.
	Schema string      `json:"schema"`
	Spec   spec.Action `json:"spec"`
}

// PhaseName is one of the five phases of a response.
type PhaseName string

// The phases, in their order (NIST SP 800-61r3 folds them into CSF 2.0's
// Respond and Recover; the names are those of r2, which responders use).
const (
	Triage    PhaseName = "triage"
	Contain   PhaseName = "contain"
	Eradicate PhaseName = "eradicate"
	Recover   PhaseName = "recover"
	Review    PhaseName = "review"
)

// PhaseOrder lists the phases in the order in which they run.
func PhaseOrder() []PhaseName { return []PhaseName{Triage, Contain, Eradicate, Recover, Review} }

// Phase is one phase with its steps.
type Phase struct {
	Name  PhaseName `json:"name"`
	Steps []Step    `json:"steps"`
}

// Expr is one CEL expression of the playbook.
type Expr struct {
	Text string `json:"text"`
	// Type is the type of its value; Kind "" means that any is accepted.
	Type kind.Type `json:"type"`
	// Line and Column, 1-based, say where it stands, for errors at run time.
	Line   int `json:"line"`
	Column int `json:"column"`
	// Uses are the roots and the first name below them that it reads, sorted:
	// "inputs.hostname", "steps.host", "now".
	Uses []string `json:"uses,omitempty"`
}

// Result is what one id means to expressions.
type Result struct {
	ID string `json:"id"`
	// Type is the type of steps.ID; Kind "" means that the step has an outcome
	// and no result.
	Type kind.Type `json:"type"`
}

// ExprRef is an index into Plan.Exprs.
type ExprRef int

// Value says how a value is made; exactly one field is set.
type Value struct {
	// Literal is the canonical JSON of a constant of Type.
	Literal json.RawMessage `json:"literal,omitempty"`
	// Expr is the whole value.
	Expr *ExprRef `json:"expr,omitempty"`
	// Template is a text with expressions in it; their values are written as
	// people read them and are never scanned again.
	Template []Part       `json:"template,omitempty"`
	List     []Value      `json:"list,omitempty"`
	Map      []NamedValue `json:"map,omitempty"`
	Type     kind.Type    `json:"type"`
}

// Exprs lists the expressions of a value.
func (v *Value) Exprs() []ExprRef {
	var out []ExprRef
	if v.Expr != nil {
		out = append(out, *v.Expr)
	}
	for _, p := range v.Template {
		if p.Expr != nil {
			out = append(out, *p.Expr)
		}
	}
	for i := range v.List {
		out = append(out, v.List[i].Exprs()...)
	}
	for i := range v.Map {
		out = append(out, v.Map[i].Value.Exprs()...)
	}
	return out
}

// Part is a piece of a template: Text, or Expr where that is set.
type Part struct {
	Text string   `json:"text,omitempty"`
	Expr *ExprRef `json:"expr,omitempty"`
}

// NamedValue is a value with its name; lists of them are sorted by name.
type NamedValue struct {
	Name  string `json:"name"`
	Value Value  `json:"value"`
}

// Output is one output of the playbook, for a caller.
type Output struct {
	Name  string `json:"name"`
	Value Value  `json:"value"`
	// Optional says that the value may be absent.
	Optional bool `json:"optional,omitempty"`
}

// Encode writes the plan's canonical bytes: JSON with struct fields in their
// declared order and without maps. It keeps encoding/json's escapes of <, > and
// &, so that the bytes stay the same when they travel inside another document.
func (p *Plan) Encode() ([]byte, error) {
	raw, err := json.Marshal(p)
	if err != nil {
		return nil, fmt.Errorf("encode plan %s: %w", p.Playbook, err)
	}
	return raw, nil
}

// Digest is the SHA-256 of the canonical bytes, in hex.
func (p *Plan) Digest() (string, error) {
	raw, err := p.Encode()
	if err != nil {
		return "", err
	}
	return DigestOf(raw), nil
}

// DigestOf is the digest of a plan's canonical bytes.
func DigestOf(raw []byte) string {
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:])
}

// Decode reads canonical bytes. It refuses unknown fields, another format and
// trailing bytes; it does not check the plan's sense.
func Decode(raw []byte) (*Plan, error) {
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	var p Plan
	if err := dec.Decode(&p); err != nil {
		return nil, fmt.Errorf("decode plan: %w", err)
	}
	if _, err := dec.Token(); err != io.EOF {
		return nil, fmt.Errorf("decode plan: bytes after the end")
	}
	if p.Format != Format {
		return nil, fmt.Errorf("decode plan: format %d; this build reads format %d", p.Format, Format)
	}
	return &p, nil
}

// ActionSpec returns the spec that the plan was compiled against.
func (p *Plan) ActionSpec(name string) (spec.Action, bool) {
	for _, a := range p.Actions {
		if a.Name == name {
			return a.Spec, true
		}
	}
	return spec.Action{}, false
}

// LimitOf returns how many targets of an action one run may act on; 0 means
// that the playbook sets no limit.
func (p *Plan) LimitOf(action string) int {
	for _, l := range p.Limits {
		if l.Action == action {
			return l.Targets
		}
	}
	return 0
}

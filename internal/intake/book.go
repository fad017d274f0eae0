package intake

import (
	"github.com/quell-soar/quell/internal/runs"
	"github.com/quell-soar/quell/playbooks/expr"
	"github.com/quell-soar/quell/playbooks/plan"
	"github.com/quell-soar/quell/workflows/run"
)

// Book knows the active playbooks. Its answers are read only; it may change
// between two calls, never within an answer.
type Book interface {
	// ForSource returns the playbooks with an alert trigger for a source,
	// ordered by name.
	ForSource(source string) []Loaded
}

// Loaded is one active playbook, ready to evaluate.
type Loaded struct {
	Plan   *plan.Plan
	Digest string
	// Raw are the plan's canonical bytes.
	Raw []byte
	Set *expr.Set
	// Settings are the installation's values, canonical.
	Settings map[string]any
	Bindings []run.Binding
	// Mode is observe, ask or act: the lowest of trigger, playbook, instance.
	Mode string
	// Calendars are those that the settings name; Calls the playbooks that a run
	// may call, at whatever depth.
	Calendars []run.Calendar
	Calls     []runs.Callee
}

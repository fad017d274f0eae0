package telemetry

import "slices"

// Other is the value of a label for whatever is not known.
const Other = "other"

// Known tells which names the installation has. Each function is called whenever
// something happens and answers from memory; nil knows nothing.
type Known struct {
	Source, Playbook, Connector, Action func(name string) bool
}

// bound gives a name back where it is known.
func bound(known func(string) bool, name string) string {
	if known == nil || !known(name) {
		return Other
	}
	return name
}

// words are the values of a label that this program gives itself.
type words []string

func (w words) bound(v string) string {
	if slices.Contains(w, v) {
		return v
	}
	return Other
}

// The words of the labels. They are those of the rooms that tell them; a test of
// internal/serve holds the two together.
var (
	// AlertResults: what became of a delivery.
	AlertResults = words{"accepted", "duplicate", "unauthenticated", "invalid", "rate_limited", "backlogged", "no_space", "failed"}
	// VerdictWords: what an alert meant to a playbook.
	VerdictWords = words{"started", "joined", "silenced", "refused", "failed"}
	// Triggers: what started a run.
	Triggers = words{"alert", "manual", "schedule"}
	// Closings: how a run ended.
	Closings = words{"true_positive", "benign", "false_positive", "duplicate", "completed", "failed", "denied", "cancelled"}
	// Outcomes: how an effect ended.
	Outcomes = words{"done", "already", "partial", "simulated", "skipped", "refused", "failed", "unknown"}
	// Classes: what repeating an effect does.
	Classes = words{"read", "idempotent", "keyed", "once"}
	// Modes: what a call does.
	Modes = words{"read", "act", "read_back"}
	// Results: how a call ended, ok or the kind of its error.
	Results = words{"ok", "busy", "auth", "permission", "not_found", "ambiguous", "invalid", "conflict", "rate_limited", "transient", "uncertain", "unavailable", "internal"}
	// Admissions: what was said to an effect that wanted to leave.
	Admissions = words{"admitted", "refused", "simulated", "skipped", "put_off", "wait", "read_back", "settled"}
	// Rules: the guard that refused; none where none did.
	Rules = words{"none", "kill_switch", "source", "protected", "condition", "freeze", "budget", "limit", "ask", "clock"}
	// Kinds: what people are asked for.
	Kinds = words{"approval", "question", "failure", "hold"}
	// Decisions: how a request ended.
	Decisions = words{"approved", "denied", "expired", "withdrawn"}
	// Waits: what a call waited for before it left.
	Waits = words{"slot", "rate_limit", "circuit", "restart"}
	// Transactions: what a transaction of the store does.
	Transactions = words{"update", "view"}
	// ConnectorStates: what an instance is doing.
	ConnectorStates = words{"starting", "ready", "broken", "quarantined", "stopped"}
)

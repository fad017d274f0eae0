package vocabulary

import (
	"github.com/quell-soar/quell/connectors/spec"
	"github.com/quell-soar/quell/connectors/spec/kind"
)

// Closings are what an alert can turn out to be. The first four are classes of
// `stop`; the others are how a run ends without one.
func Closings() []string {
	return []string{"true_positive", "benign", "false_positive", "duplicate", "completed", "failed", "denied", "cancelled"}
}

// alerts are the actions on the alerts of the run itself.
func alerts() []spec.Action {
	return []spec.Action{{
		Name: "alert.close", Title: "Close the run's alerts",
		Doc: "Marks the alerts that started or joined the run as closed in Quell, with what they turned out to be. " +
			"A run without alerts has none to close. Closing them again as something else corrects it.",
		Inputs:  []kind.Field{field("as", kind.ChoiceOf(Closings()...), "what they turned out to be, such as run.closing")},
		Outputs: []kind.Field{field("alerts", kind.Of(kind.Int), "how many alerts the run has")},
		Class:   spec.Idempotent, ReadBack: spec.Strong, Deadline: effectDeadline,
		Reversal: spec.Unneeded,
		Tags:     []string{"openc2.update.x-quell:alert"},
	}}
}

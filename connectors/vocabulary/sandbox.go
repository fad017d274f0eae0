package vocabulary

import (
	"time"

	"github.com/quell-soar/quell/connectors/spec"
	"github.com/quell-soar/quell/connectors/spec/kind"
)

// detonateDeadline bounds one call; a sandbox that takes longer is asked again.
const detonateDeadline = 90 * time.Second

// sandbox are the analyses of files by running them.
func sandbox() []spec.Action {
	return []spec.Action{{
		Name: "sandbox.detonate", Title: "Detonate a file",
		Doc: "Has a file analysed by its content and waits for the verdict. A file that was analysed already is not handed in again. " +
			"Handing a file in may show it to others: see the connector.",
		Inputs:  []kind.Field{field("file", kind.Of(kind.Artifact), "the file's content in the evidence store")},
		Outputs: judgement(),
		// The content is its own key: handing it in twice is handing it in once. A
		// source may show a new file late, so absent proves nothing. What was seen
		// cannot be unseen, and there is nothing to restore.
		Class: spec.Idempotent, ReadBack: spec.Lagging, Settle: effectSettle, Deadline: detonateDeadline,
		Reversal: spec.Unneeded,
		Tags:     []string{"react.~RA2312", "d3fend.D3-DA", "openc2.detonate.file"},
	}}
}

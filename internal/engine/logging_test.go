package engine

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/rs/zerolog"
	"go.temporal.io/server/common/log/tag"
)

// TestLogNamesTheRun: what Temporal and its SDK say of a workflow says which run it
// is of, whatever the workflow.
func TestLogNamesTheRun(t *testing.T) {
	const id = "contain/3fa9/2"
	for workflow, want := range map[string]any{
		id: id, "undo/" + id + "/17": id, "hold/t|" + id + "|contain.isolate||do|1": id, "doubt/t|" + id + "|contain.isolate|3|do|1": id,
		"schedule/sweep/1-2026-01-01T00:00:00Z": nil, "temporal-sys-scheduler:x": nil,
	} {
		for name, say := range map[string]func(zerolog.Logger){
			"sdk":    func(l zerolog.Logger) { sdkLogger{l}.Error("x", "WorkflowID", workflow, "Attempt", 2) },
			"server": func(l zerolog.Logger) { serverLogger{l}.Error("x", tag.WorkflowID(workflow)) },
		} {
			var out bytes.Buffer
			say(zerolog.New(&out))
			var line map[string]any
			if err := json.Unmarshal(out.Bytes(), &line); err != nil || line["run"] != want {
				t.Errorf("%s of %s: %s, %v", name, workflow, out.Bytes(), err)
			}
		}
	}
}

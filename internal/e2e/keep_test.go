package e2e

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/quell-soar/quell/connectors/fake/lab"
	"github.com/quell-soar/quell/workflows"
)

// keep fetches a history, holds it against what every history must be, and writes
// it where QUELL_RECORD says.
func (k *keeper) keep(what, id, execution string) {
	k.t.Helper()
	eventually(k.t, time.Minute, id+" closes", func() (bool, error) {
		d, err := k.temp.DescribeWorkflowExecution(k.t.Context(), id, execution)
		return err == nil && d.GetWorkflowExecutionInfo().GetStatus() != enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING, err
	})
	name := k.name
	if what != "" {
		name += "." + what
	}
	raw, err := historyOf(k.t.Context(), k.temp, id, execution)
	if err != nil {
		k.t.Fatal(err)
	}
	h, err := client.HistoryFromJSON(bytes.NewReader(raw), client.HistoryJSONOptions{})
	if err != nil {
		k.t.Fatal(err)
	}
	r := worker.NewWorkflowReplayer()
	workflows.New().Register(r)
	if err := r.ReplayWorkflowHistoryWithOptions(nil, h, worker.ReplayWorkflowHistoryOptions{OriginalExecution: workflow.Execution{ID: id, RunID: "replayed"}}); err != nil {
		k.t.Errorf("%s does not replay: %v", name, err)
	}
	for _, secret := range []string{lab.FalconClientSecret, lab.JiraToken, os.TempDir()} {
		if strings.Contains(opened(raw), secret) {
			k.t.Errorf("%s has %q in it", name, secret)
		}
	}
	if to := os.Getenv("QUELL_RECORD"); to != "" {
		if err := os.WriteFile(filepath.Join(to, name+".json"), raw, 0o644); err != nil {
			k.t.Fatal(err)
		}
		return
	}
	if _, err := os.Stat(filepath.Join(theHistories, name+".json")); err != nil {
		k.t.Errorf("no build has kept a history %s: QUELL_RECORD=DIR writes it", name)
	}
}

// historyOf is a history as the replay tests keep it: an event a line, without what
// names a machine or a process, which no replay looks at.
func historyOf(ctx context.Context, c client.Client, workflow, execution string) ([]byte, error) {
	var out bytes.Buffer
	out.WriteString("{\"events\":[")
	it := c.GetWorkflowHistory(ctx, workflow, execution, false, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	for sep := "\n"; it.HasNext(); sep = ",\n" {
		e, err := it.Next()
		if err != nil {
			return nil, err
		}
		raw, err := protojson.Marshal(e)
		if err != nil {
			return nil, err
		}
		var event any
		if err := json.Unmarshal(raw, &event); err != nil {
			return nil, err
		}
		if raw, err = json.Marshal(nameless(event)); err != nil { // keys in order
			return nil, err
		}
		out.WriteString(sep)
		out.Write(raw)
	}
	out.WriteString("\n]}\n")
	return out.Bytes(), nil
}

// nameless leaves out what tells of the machine.
func nameless(v any) any {
	switch x := v.(type) {
	case []any:
		for i := range x {
			x[i] = nameless(x[i])
		}
	case map[string]any:
		for _, key := range []string{"taskId", "requestId", "identity", "workerVersion", "meteringMetadata", "historySizeBytes"} {
			delete(x, key)
		}
		if x["kind"] == "TASK_QUEUE_KIND_STICKY" {
			x["name"] = "sticky"
		}
		for key := range x {
			x[key] = nameless(x[key])
		}
	}
	return v
}

// opened is a history with its payloads in the clear.
func opened(history []byte) string {
	var v any
	if err := json.Unmarshal(history, &v); err != nil {
		return string(history)
	}
	out := string(history)
	var walk func(any)
	walk = func(v any) {
		switch x := v.(type) {
		case []any:
			for _, e := range x {
				walk(e)
			}
		case map[string]any:
			if text, ok := x["data"].(string); ok {
				if raw, err := base64.StdEncoding.DecodeString(text); err == nil {
					out += "\n" + string(raw)
				}
			}
			for _, e := range x {
				walk(e)
			}
		}
	}
	walk(v)
	return out
}

// chain lists the executions of a run, the first first.
func (s *stage) chain(id string) []string {
	s.t.Helper()
	d, err := s.temp.DescribeWorkflowExecution(s.t.Context(), id, "")
	if err != nil {
		s.t.Fatal(err)
	}
	var out []string
	for execution := d.GetWorkflowExecutionInfo().GetFirstRunId(); execution != ""; {
		out = append(out, execution)
		it := s.temp.GetWorkflowHistory(s.t.Context(), id, execution, false, enumspb.HISTORY_EVENT_FILTER_TYPE_CLOSE_EVENT)
		if !it.HasNext() {
			break
		}
		e, err := it.Next()
		if err != nil {
			s.t.Fatal(err)
		}
		execution = e.GetWorkflowExecutionContinuedAsNewEventAttributes().GetNewExecutionRunId()
	}
	return out
}

package e2e

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	enumspb "go.temporal.io/api/enums/v1"

	"github.com/quell-soar/quell/playbooks/compile"
	"github.com/quell-soar/quell/playbooks/diag"
	"github.com/quell-soar/quell/playbooks/source"
)

// TestLong runs a loop over many elements on the embedded server: 8,000, or
// 50,000 in the soak. It finishes, and none of its executions has more than
// 10,000 events.
func TestLong(t *testing.T) {
	alongside(t)
	n := many(8000, 50_000)
	s := newStage(t)
	text := fmt.Sprintf(`quell: 1
playbook: long
title: Many verdicts
inputs:
  hashes: { type: list<hash>, max: %d }
on:
  manual: { roles: [analyst] }
triage:
  - id: each
    foreach: h in inputs.hashes
    at_once: 16
    on_item_error: continue
    uses: intel.lookup_hash
    with:
      value: ${{ h }}
review:
  - note: sum
    text: it is ${{ outcome.each }}
`, n)
	p, list := compile.Compile(source.NewFile("long.yaml", []byte(text)), compile.Options{Actions: served{s.host.Catalogue()}})
	if p == nil {
		t.Fatal(diag.List(list))
	}
	raw, err := p.Encode()
	if err != nil {
		t.Fatal(err)
	}
	hashes := make([]string, n)
	for i := range hashes {
		sum := sha256.Sum256([]byte(fmt.Sprint(i)))
		hashes[i] = hex.EncodeToString(sum[:16])
	}
	inputs, err := json.Marshal(map[string]any{"hashes": hashes})
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	id := s.launchWith(p, raw, []byte(`["long"]`), inputs)
	eventually(t, 20*time.Minute, "the run ends", func() (bool, error) {
		rec, err := s.set.Recorder.Runs.Get(t.Context(), id)
		return err == nil && rec.Status == "ended", err
	})
	rec, err := s.set.Recorder.Runs.Get(t.Context(), id)
	if err != nil || rec.Closing != "completed" {
		t.Fatalf("%s (%s) %v", rec.Closing, rec.Reason, err)
	}
	events := s.executions(id)
	for i, e := range events {
		if e > 10_000 {
			t.Errorf("execution %d has %d events", i+1, e)
		}
	}
	t.Logf("%d elements in %s, events of the executions: %v", n, time.Since(began).Round(time.Millisecond), events)
}

// executions counts the events of all executions of a run, the first first.
func (s *stage) executions(id string) []int {
	s.t.Helper()
	first := ""
	it := s.temp.GetWorkflowHistory(s.t.Context(), id, "", false, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	for it.HasNext() {
		e, err := it.Next()
		if err != nil {
			s.t.Fatal(err)
		}
		if a := e.GetWorkflowExecutionStartedEventAttributes(); a != nil {
			first = a.GetFirstExecutionRunId()
		}
	}
	var out []int
	for execution := first; execution != ""; {
		n, next := 0, ""
		it := s.temp.GetWorkflowHistory(s.t.Context(), id, execution, false, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
		for it.HasNext() {
			e, err := it.Next()
			if err != nil {
				s.t.Fatal(err)
			}
			n++
			if a := e.GetWorkflowExecutionContinuedAsNewEventAttributes(); a != nil {
				next = a.GetNewExecutionRunId()
			}
		}
		out, execution = append(out, n), next
	}
	return out
}

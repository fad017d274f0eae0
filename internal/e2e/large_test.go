package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"
	enumspb "go.temporal.io/api/enums/v1"

	"github.com/quell-soar/quell/connectors/host"
	"github.com/quell-soar/quell/playbooks/compile"
	"github.com/quell-soar/quell/playbooks/diag"
	"github.com/quell-soar/quell/playbooks/source"
)

// Sizes of results: the largest that a local activity brings, the largest that
// comes back into a history (package activities), and what no connector may say at
// once, but only give out in pieces.
const (
	mostLocal  = 15 << 10
	mostInline = 511 << 10
	tooMuch    = 100 << 20
)

// bulkPlaybook has a body in triage that reads texts.
func bulkPlaybook(name, body string) string {
	return fmt.Sprintf("quell: 1\nplaybook: %s\ntitle: Much at once\ninputs:\n  sizes: { type: list<string>, max: 500 }\non:\n  manual: { roles: [analyst] }\ntriage:\n%sreview:\n  - note: end\n    text: it ends\n", name, body)
}

// branches are n parallel reads.
func branches(n int, action string, size int) string {
	var b strings.Builder
	b.WriteString("  - id: all\n    on_error: continue\n    parallel:\n")
	for i := range n {
		fmt.Fprintf(&b, "      b%d:\n        - id: r%d\n          uses: %s\n          with: { size: %q }\n", i, i, action, fmt.Sprint(size))
	}
	return b.String()
}

// TestLarge reads as much as may be read, in as many branches as there may be, and
// more than that. Every run ends by itself: none is terminated by the server, and
// no execution has more than 10,240 events.
func TestLarge(t *testing.T) {
	n := many(20, 500)
	evidence := t.TempDir()
	s := bulkStage(t, host.EvidenceDir(evidence))
	each := func(action, read string) string {
		return "  - id: each\n    foreach: n in inputs.sizes\n    at_once: 50\n    on_item_error: continue\n    do:\n      - id: got\n        uses: " + action + "\n        with: { size: \"${{ n }}\" }\n      - id: long\n        if: " + read + "\n        note: long\n        text: it is long\n  - id: less\n    if: outcome.each != \"done\"\n    fail: not all was read\n"
	}
	for _, c := range []struct {
		name, body string
		size       int
		closing    string
		reason     string
	}{
		{"parallel-quick", branches(n, "bulk.quick_read", mostLocal) + reads(n), mostLocal, "completed", ""},
		{"parallel-unread", branches(n, "bulk.slow_read", 3<<20), 3 << 20, "completed", ""},
		{"parallel-read", branches(n, "bulk.slow_read", mostInline) + reads(n), mostInline, "", ""},
		{"each-read", each("bulk.slow_read", "size(steps.got.lines) > 600"), mostInline, "completed", ""},
		{"beyond", "  - id: got\n    uses: bulk.slow_read\n    with: { size: \"" + fmt.Sprint(tooMuch) + "\" }\n", tooMuch, "failed", "more than"},
		{"dump", "  - id: got\n    uses: bulk.dump\n    with: { size: \"" + fmt.Sprint(tooMuch) + "\" }\n  - id: kept\n    note: kept\n    text: ${{ steps.got.content }}\n", tooMuch, "completed", ""},
		{"beyond-and-on", "  - id: got\n    uses: bulk.slow_read\n    on_error: continue\n    with: { size: \"" + fmt.Sprint(tooMuch) + "\" }\n", tooMuch, "completed", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			sizes := slices.Repeat([]string{fmt.Sprint(c.size)}, n)
			inputs, err := json.Marshal(map[string]any{"sizes": sizes})
			if err != nil {
				t.Fatal(err)
			}
			began := time.Now()
			p, list := compile.Compile(source.NewFile(c.name+".yaml", []byte(bulkPlaybook(c.name, c.body))), compile.Options{Actions: served{s.host.Catalogue()}})
			if p == nil {
				var out strings.Builder
				_ = diag.Render(&out, list)
				t.Fatalf("%.3000s", out.String())
			}
			raw, err := p.Encode()
			if err != nil {
				t.Fatal(err)
			}
			id := s.launchWith(p, raw, []byte(`["`+c.name+`"]`), inputs)
			t.Cleanup(func() { s.lastEvents(t, id) })
			eventually(t, 20*time.Minute, "the run ends", func() (bool, error) {
				rec, err := s.set.Recorder.Runs.Get(t.Context(), id)
				if err == nil && rec.Status != "ended" {
					if d, derr := s.temp.DescribeWorkflowExecution(t.Context(), id, ""); derr == nil {
						if st := d.GetWorkflowExecutionInfo().GetStatus(); st != enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING && st != enumspb.WORKFLOW_EXECUTION_STATUS_CONTINUED_AS_NEW && st != enumspb.WORKFLOW_EXECUTION_STATUS_COMPLETED {
							t.Fatalf("the server ended it: %s", st)
						}
					}
				}
				return err == nil && rec.Status == "ended", err
			})
			rec, err := s.set.Recorder.Runs.Get(t.Context(), id)
			if err != nil {
				t.Fatal(err)
			}
			if c.closing != "" && rec.Closing != c.closing || !strings.Contains(rec.Reason, c.reason) {
				t.Errorf("closed %s: %.300s", rec.Closing, rec.Reason)
			}
			events := s.executions(id)
			if most := slices.Max(events); most > 10_240 {
				t.Errorf("an execution has %d events", most)
			}
			t.Logf("%d results of %d bytes: %s (%.120s) in %s, events of the executions %v, %d workflow tasks were too late", n, c.size, rec.Closing, rec.Reason, time.Since(began).Round(time.Millisecond), events, s.late(id))
		})
	}
	if got := largest(t, evidence); got != tooMuch {
		t.Errorf("the largest evidence has %d bytes, not the %d that were given out", got, tooMuch)
	}
}

// largest is the size of the largest file in a directory.
func largest(t *testing.T, dir string) (size int64) {
	t.Helper()
	err := filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		info, err := d.Info()
		if err == nil {
			size = max(size, info.Size())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return size
}

// late counts the workflow tasks of a run's last execution that were not ended in
// time and had to be repeated.
func (s *stage) late(id string) (n int) {
	s.t.Helper()
	it := s.temp.GetWorkflowHistory(s.t.Context(), id, "", false, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	for it.HasNext() {
		e, err := it.Next()
		if err != nil {
			s.t.Fatal(err)
		}
		if e.GetEventType() == enumspb.EVENT_TYPE_WORKFLOW_TASK_TIMED_OUT {
			n++
		}
	}
	return n
}

// lastEvents shows how the history of a run ends that failed its test.
func (s *stage) lastEvents(t *testing.T, id string) {
	if !t.Failed() {
		return
	}
	it := s.temp.GetWorkflowHistory(context.Background(), id, "", false, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	var lines []string
	for it.HasNext() {
		e, err := it.Next()
		if err != nil {
			t.Log(err)
			return
		}
		lines = append(lines, fmt.Sprintf("%d %s %s %.300s", e.GetEventId(), e.GetEventTime().AsTime().Format(time.TimeOnly), e.GetEventType(), e.GetWorkflowTaskFailedEventAttributes().String()))
	}
	t.Logf("the history ends:\n%s", strings.Join(lines[max(0, len(lines)-12):], "\n"))
}

// reads makes notes of all results, so that they come back into the run. An
// expression has at most 4,096 characters.
func reads(n int) string {
	var b strings.Builder
	for from := 0; from < n; from += 50 {
		var list []string
		for i := from; i < min(n, from+50); i++ {
			list = append(list, fmt.Sprintf("has(steps.r%d) && size(steps.r%d.lines) > 600", i, i))
		}
		fmt.Fprintf(&b, "  - id: long%d\n    if: %s\n    note: long\n    text: it is long\n", from, strings.Join(list, " || "))
	}
	return b.String()
}

// bulkStage is a stage with the connector bulk, whose evidence goes to a directory.
func bulkStage(t *testing.T, evidence host.EvidenceDir) *stage {
	t.Helper()
	out := filepath.Join(t.TempDir(), "bulk")
	if text, err := exec.Command("go", "build", "-o", out, "./testdata/bulk").CombinedOutput(); err != nil {
		t.Fatalf("build bulk: %v\n%s", err, text)
	}
	h, err := host.New(host.Options{Log: zerolog.Nop(), Evidence: evidence, Instances: []host.Instance{{Name: "bulk", Connector: "bulk", Binary: out}}})
	if err != nil {
		t.Fatal(err)
	}
	if err := h.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.Close(context.Background()) })
	return stageOn(t, nil, h)
}

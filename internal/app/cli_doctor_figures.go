package app

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/quell-soar/quell/server/api"
)

// lateCheckpoint is how old an entry of the ledger may be without a checkpoint
// before that is an alarm; one is signed within a second.
const lateCheckpoint = 30 * time.Second

// lateExport is the same for the export, which goes on every ten minutes.
const lateExport = time.Hour

// figures tells what the server's metrics say of its record, its data and its
// engine.
func (d *doctor) figures(ctx context.Context, cl *api.Client) {
	m, err := cl.Metrics(ctx)
	if err != nil {
		d.warn("figures", "the server's metrics cannot be read: %v", err)
		return
	}
	if m["quell_state_up"] != 1 {
		d.bad("figures", "the server cannot read how things stand; see the store above and its log")
		return
	}
	lag := time.Duration(m["quell_ledger_checkpoint_lag_seconds"] * float64(time.Second))
	text := count(int(m["quell_ledger_entries"]), "row")
	if lag > lateCheckpoint {
		d.bad("record", "%s, and none was signed for %s; quell audit verify, and the server's log", text, lag.Round(time.Second))
	} else {
		d.ok("record", "%s, signed", text)
	}
	if lag := time.Duration(m["quell_ledger_export_lag_seconds"] * float64(time.Second)); lag > lateExport {
		d.bad("export", "%s were not exported for %s, and nothing that is past its time is deleted meanwhile; see retention.export and the server's log",
			count(int(m["quell_ledger_unexported_entries"]), "row"), lag.Round(time.Second))
	}
	var sizes []string
	for _, part := range []string{"store", "engine", "evidence"} {
		if n, ok := m[`quell_data_bytes{part="`+part+`"}`]; ok {
			sizes = append(sizes, fmt.Sprintf("%s %.1f MiB", part, n/(1<<20)))
		}
	}
	if len(sizes) > 0 {
		d.ok("data", "%s", strings.Join(sizes, ", "))
	}
	if n := m["quell_effects_unknown"]; n > 0 {
		d.warn("effects", "of %s nobody knows whether they happened; quell approval list", count(int(n), "effect"))
	}
	blocked := 0.0
	for name, n := range m {
		if strings.HasPrefix(name, "quell_engine_workflow_tasks_failed_total{") && strings.Contains(name, `failure_reason="NonDeterminismError"`) {
			blocked += n
		}
	}
	if blocked > 0 {
		d.bad("runs", "the engine could not go on with a run %d times since it started: it was begun by another build; the server's log names it", int(blocked))
	}
}

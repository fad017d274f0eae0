package e2e

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	enumspb "go.temporal.io/api/enums/v1"

	"github.com/quell-soar/quell/connectors/crowdstrike/fakefalcon"
	"github.com/quell-soar/quell/connectors/fake"
	"github.com/quell-soar/quell/connectors/fake/lab"
	"github.com/quell-soar/quell/internal/effects"
	"github.com/quell-soar/quell/workflows/run"
)

// drift is a host whose state at the vendor and whose record at Quell part while it
// is held, and what must come of it.
type drift struct {
	name string
	// steps are what happens, in order: "A brief" and "A long" launch a run that holds
	// for a second and then releases, or for a day; "A ends" waits for the end of the
	// first's hold; "undo A" takes the run back; "hand contains" and "hand releases"
	// are somebody at the vendor's console.
	steps []string
	// contained and lifted count the calls of Quell's that changed something.
	contained, lifted int
	state             string
	// back is how the releases ended, in order.
	back []string
	// fault is a rule of the vendor's script without the vendor, with %s for the host,
	// which is then held for its two seconds from when it was contained.
	fault string
}

// TestDrift holds hosts that others change by hand meanwhile. What Quell releases
// is what its own record says: what was released by hand is not called for again,
// what was contained before Quell came stays, and a second run that contains anew
// holds it from then on.
func TestDrift(t *testing.T) {
	alongside(t)
	table := []drift{
		{"nobody touches it", []string{"A brief", "A ends"}, 1, 1, "normal", []string{"done"}, ""},
		{"released by hand, then its time is over", []string{"A brief", "hand releases", "A ends"}, 1, 0, "normal", []string{"already"}, ""},
		{"released by hand, then undone", []string{"A long", "hand releases", "undo A"}, 1, 0, "normal", []string{"already"}, ""},
		{"contained before Quell came, its time is over", []string{"hand contains", "A brief", "A ends"}, 0, 0, "contained", nil, ""},
		{"contained before Quell came, undone", []string{"hand contains", "A long", "undo A"}, 0, 0, "contained", nil, ""},
		{"contained before, released by hand, contained by the next run", []string{"hand contains", "A long", "hand releases", "B long", "undo A", "undo B"}, 1, 1, "normal", []string{"done"}, ""},
		{"contained before, joined by two runs", []string{"hand contains", "A long", "B long", "undo B", "undo A"}, 0, 0, "contained", nil, ""},
		{"released by hand, contained anew by another run", []string{"A long", "hand releases", "B long", "undo A", "undo B"}, 2, 1, "normal", []string{"skipped", "done"}, ""},
		{"released by hand, contained anew by another run, which goes first", []string{"A long", "hand releases", "B long", "undo B", "undo A"}, 2, 1, "normal", []string{"skipped", "done"}, ""},
		{"released by hand under two runs", []string{"A long", "B long", "hand releases", "undo A", "undo B"}, 1, 0, "normal", []string{"skipped", "already"}, ""},
		// Between two looks at the vendor nobody sees who contained it: the record says
		// that it is ours.
		{"released and contained anew by hand, its time is over", []string{"A brief", "hand releases", "hand contains", "A ends"}, 1, 1, "normal", []string{"done"}, ""},
		// The hold is there before the call, and its time is over before that happens.
		{"the vendor is read for longer than the hold's time", []string{"A brief", "A ends"}, 1, 1, "normal", []string{"done"}, "get-hosts %s: ok; slow 4s"},
		{"the vendor puts it off for longer than the hold's time", []string{"A brief", "A ends"}, 1, 1, "normal", []string{"done"}, "contain %s: 3x 429 retry=1s"},
	}
	l, err := lab.Start(lab.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	if _, err := l.Falcon.SeedMany(len(table), "drift-"); err != nil {
		t.Fatal(err)
	}
	var faults []string
	for i, c := range table {
		if c.fault != "" {
			faults = append(faults, "crowdstrike "+fmt.Sprintf(c.fault, driftHost(i)))
		}
	}
	if err := l.World.SetScript(strings.Join(faults, "\n")); err != nil {
		t.Fatal(err)
	}
	s := stageOn(t, l, labHost(t, l))
	for i, c := range table {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			d := &drifting{stage: s.of(t), host: driftHost(i), runs: map[string]string{}, index: i}
			for _, step := range c.steps {
				d.step(step)
			}
			d.judge(c)
		})
	}
}

func driftHost(i int) string { return fmt.Sprintf("drift-%05d", i+1) }

// drifting is one row under way.
type drifting struct {
	*stage
	host  string
	index int
	runs  map[string]string
}

func (d *drifting) step(step string) {
	d.t.Helper()
	who, what, _ := strings.Cut(step, " ")
	switch {
	case who == "hand":
		state := map[string]string{"contains": "contained", "releases": "normal"}[what]
		if err := d.lab.Falcon.SeedHosts(fakefalcon.Host{Hostname: d.host, State: state}); err != nil {
			d.t.Fatal(err)
		}
	case who == "undo":
		if _, err := d.undoOf(d.runs[what], 1); err != nil {
			d.t.Fatal(err)
		}
		d.closed(d.runs[what])
	case what == "ends":
		d.closed(d.runs[who])
	default:
		hold := map[string]string{"brief": "for: 2s, then: release", "long": "for: 1d, then: ask"}[what]
		name := fmt.Sprintf("drift-%d-%s", d.index, strings.ToLower(who))
		p, raw := d.plan(name, strings.NewReplacer("hold-host", name, "for: 1h, then: ask", hold).Replace(holdHost))
		d.runs[who] = d.launch(p, raw, d.host)
		if err := d.endsAs(d.runs[who], "completed"); err != nil {
			d.t.Fatal(err)
		}
	}
}

// closed waits until the hold of a run has ended.
func (d *drifting) closed(id string) {
	d.t.Helper()
	hold := run.HoldID(run.Key{Tenant: "default", Run: id, Step: "contain.isolate", Direction: run.Do, Generation: 1}.String())
	eventually(d.t, time.Minute, hold+" ends", func() (bool, error) {
		w, err := d.temp.DescribeWorkflowExecution(d.t.Context(), hold, "")
		if err != nil {
			return false, err
		}
		switch status := w.GetWorkflowExecutionInfo().GetStatus(); status {
		case enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING:
			return false, nil
		case enumspb.WORKFLOW_EXECUTION_STATUS_COMPLETED:
			return true, nil
		default:
			return false, errors.New(status.String())
		}
	})
}

func (d *drifting) judge(c drift) {
	d.t.Helper()
	state, contained, lifted := c.state, 0, 0
	var since, until time.Time
	for _, e := range d.lab.World.Journal().List(fake.Filter{Object: d.host}) {
		if e.Before == e.After {
			continue
		}
		switch e.Operation {
		case "contain":
			contained++
			since = e.At
		case "lift":
			lifted++
			until = e.At
		}
	}
	if contained != c.contained || lifted != c.lifted {
		d.t.Errorf("contained %d times, released %d times; want %d, %d", contained, lifted, c.contained, c.lifted)
	}
	if held := until.Sub(since); c.fault != "" && held < 2*time.Second {
		d.t.Errorf("it was held for %s, not for two seconds", held)
	}
	list, err := d.set.Recorder.Effects.List(d.t.Context(), effects.Filter{Direction: string(run.Undo)})
	if err != nil {
		d.t.Fatal(err)
	}
	var back []string
	for _, e := range list {
		for _, id := range d.runs {
			if e.Run == id {
				back = append(back, e.Outcome)
			}
		}
	}
	if !slices.Equal(back, c.back) {
		d.t.Errorf("the releases ended %v, want %v", back, c.back)
	}
	if now := d.stateOf(); now != state {
		d.t.Errorf("the host is %s, want %s", now, state)
	}
}

// stateOf is the host's state at the vendor.
func (d *drifting) stateOf() string {
	d.t.Helper()
	world, err := d.lab.World.Dump("crowdstrike")
	if err != nil {
		d.t.Fatal(err)
	}
	falcon, _ := world["crowdstrike"].(map[string]any)
	hosts, _ := falcon["hosts"].([]map[string]any)
	for _, h := range hosts {
		if h["hostname"] == d.host {
			return fmt.Sprint(h["status"])
		}
	}
	return "not there"
}

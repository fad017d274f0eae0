package report

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/quell-soar/quell/connectors/spec"
	"github.com/quell-soar/quell/internal/effects"
	"github.com/quell-soar/quell/playbooks/plan"
	"github.com/quell-soar/quell/workflows/run"
)

// phases lists the phases with their steps, as the run's tree has them.
func (d *draft) phases() []Phase {
	if d.tree == nil {
		return nil
	}
	var out []Phase
	left := maxSteps
	for _, name := range plan.PhaseOrder() {
		p := Phase{Name: string(name)}
		for _, s := range d.tree.Steps {
			if s.Phase == p.Name {
				d.step(&p, s, 0, &left)
			}
		}
		if len(p.Steps) > 0 {
			out = append(out, p)
		}
	}
	return out
}

func (d *draft) step(p *Phase, s run.StepProgress, depth int, left *int) {
	if *left--; *left < 0 {
		d.report.Left["steps"]++
		return
	}
	if p.Began.IsZero() || !s.Began.IsZero() && s.Began.Before(p.Began) {
		p.Began = s.Began
	}
	if s.Ended.After(p.Ended) {
		p.Ended = s.Ended
	}
	p.Steps = append(p.Steps, Step{
		Path: s.Path, Iteration: s.Iteration, Title: d.stepTitle(s.Path, s.Title), Kind: s.Kind, Outcome: s.Status,
		Detail: s.Detail, Facts: s.Facts, Began: s.Began, Ended: s.Ended, Depth: depth,
	})
	if st := d.steps[s.Path]; st != nil {
		p.Steps[len(p.Steps)-1].If = d.condition(st.If)
	}
	for _, c := range s.Steps {
		d.step(p, c, depth+1, left)
	}
}

// effectList lists what was done, with how it was taken back.
func (d *draft) effectList() []Effect {
	approved := map[string][]string{}
	for _, q := range d.asked {
		for _, v := range q.Votes {
			if v.Approve && q.Decision == "approved" {
				approved[q.ID] = append(approved[q.ID], v.Actor)
			}
		}
	}
	undos := map[string][]Undo{}
	for _, e := range d.effects {
		if e.Direction == string(run.Undo) {
			undos[e.Of] = append(undos[e.Of], Undo{At: later(e.Settled, e.Created), By: d.undoer(e), Outcome: outcomeOf(e), Detail: e.Detail, Row: e.Seq})
		}
	}
	var out []Effect
	for _, e := range d.effects {
		if e.Direction != string(run.Do) {
			continue
		}
		if len(out) == maxEffects {
			d.report.Left["effects"]++
			continue
		}
		x := Effect{
			Key: e.Key, Phase: phaseOf(e.Step), Step: e.Step, Iteration: e.Iteration, Action: e.Action, Title: d.titleOf(e.Action),
			Instance: e.Instance, Outcome: outcomeOf(e), Verified: e.Verified, Detail: e.Detail, Reversal: e.Reversal,
			Actor: e.Actor, Approval: e.Approval, Approved: approved[e.Approval], Began: e.Created, Settled: e.Settled,
			Held: d.held[e.Key], Undos: undos[e.Key], Row: e.Seq,
		}
		for _, t := range e.Targets {
			x.Targets = append(x.Targets, t.Label)
		}
		x.Unasked = d.notAsked(&x)
		x.With, x.Gave, x.Result = plain(e.Inputs), handles(e.Output), plain(e.Output)
		out = append(out, x)
	}
	return out
}

// undoer says who had an effect taken back: a person whose request stands in the
// ledger before it, or the playbook.
func (d *draft) undoer(e *effects.Effect) string {
	if e.Actor != d.rec.Trigger.Actor {
		return e.Actor
	}
	for _, x := range d.entries {
		if x.Kind == "undo.requested" && x.Actor == e.Actor && !x.At().After(e.Created) {
			return e.Actor
		}
	}
	return "the playbook"
}

// plain lists the fields of an effect's inputs or output that are texts, numbers
// or truths; what it acts on stands among the targets.
func plain(raw json.RawMessage) []string {
	var in map[string]any
	if json.Unmarshal(raw, &in) != nil {
		return nil
	}
	var out []string
	for _, name := range slices.Sorted(maps.Keys(in)) {
		switch v := in[name].(type) {
		case string:
			out = append(out, name+": "+v)
		case float64, bool:
			out = append(out, fmt.Sprint(name, ": ", v))
		}
	}
	return out
}

// handles lists the names of the handles in an effect's output.
func handles(raw json.RawMessage) []string {
	var in map[string]json.RawMessage
	if json.Unmarshal(raw, &in) != nil {
		return nil
	}
	if names := labels(in); names != "" {
		return []string{names}
	}
	return nil
}

// outcomeOf is an effect's outcome; one without is on its way.
func outcomeOf(e *effects.Effect) string {
	switch {
	case e.Outcome == "":
		return "on its way"
	case e.Outcome == effects.Unknown && e.Resolved != "":
		return "unknown, " + strings.ReplaceAll(e.Resolved, "_", " ")
	}
	return e.Outcome
}

func later(a, b time.Time) time.Time {
	if a.IsZero() {
		return b
	}
	return a
}

// happened says that an effect is, or was, in force.
func (e *Effect) happened() bool {
	return e.Outcome == effects.Done || e.Outcome == effects.Already || e.Outcome == effects.Partial
}

// undone says that it was taken back, or left to others who hold it too.
func (e *Effect) undone() bool {
	for _, u := range e.Undos {
		if u.Outcome == effects.Done || u.Outcome == effects.Already || u.Outcome == effects.Skipped {
			return true
		}
	}
	return false
}

// reversible says that there is something to take back and a way to do it.
func (e *Effect) reversible() bool {
	return e.Reversal == string(spec.Exact) || e.Reversal == string(spec.Lossy)
}

package app

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/quell-soar/quell/server/api"
	"github.com/quell-soar/quell/workflows/run"
)

// view is what is known of a watched run.
type view struct {
	now  func() time.Time
	tree *run.Progress
	end  *api.Run
	// decided says, per step, who decided what.
	decided map[string][]string
}

func newView(now func() time.Time) *view {
	return &view{now: now, decided: map[string][]string{}}
}

// note keeps what an entry of the ledger says about people. The same entry twice
// is one.
func (v *view) note(e *api.Entry) {
	word := decisionOf(e)
	if word == "" {
		return
	}
	line := word + " by " + e.Actor
	if by, reason, ok := strings.Cut(word, ": "); ok {
		line = by + " by " + e.Actor + ": " + reason
	}
	if !slices.Contains(v.decided[e.Step], line) {
		v.decided[e.Step] = append(v.decided[e.Step], line)
	}
}

// lines draws the run: a head and its steps.
func (v *view) lines() []string {
	if v.tree == nil {
		if v.end != nil {
			return []string{clean(v.end.ID + "  ended  " + v.end.Closing)}
		}
		return []string{"waiting for the run to begin"}
	}
	words := []string{v.tree.Run, v.tree.Status}
	if v.tree.Phase != "" {
		words = append(words, v.tree.Phase)
	}
	if v.end != nil {
		words = []string{v.end.ID, "ended", v.end.Closing, v.end.Reason}
	}
	if d := v.elapsed(v.tree.Steps); d > 0 {
		words = append(words, span(d))
	}
	words = slices.DeleteFunc(words, func(w string) bool { return w == "" })
	return append([]string{clean(strings.Join(words, "  "))}, v.steps()...)
}

// steps draws the steps under the names of their phases.
func (v *view) steps() []string {
	var out []string
	phase := ""
	for _, s := range v.tree.Steps {
		if s.Phase != phase {
			phase = s.Phase
			out = append(out, clean(phase))
		}
		out = v.step(out, s, 1)
	}
	return out
}

func (v *view) step(out []string, s run.StepProgress, depth int) []string {
	name := s.Path[strings.LastIndexByte(s.Path, '.')+1:]
	name = name[strings.LastIndexByte(name, '/')+1:] + round(s.Iteration)
	words := []string{fmt.Sprintf("%-24s", name), fmt.Sprintf("%-20s", s.Status)}
	if s.Status == "" {
		words[1] = fmt.Sprintf("%-20s", "-")
	}
	words = append(words, fmt.Sprintf("%7s", v.took(s)))
	for _, w := range []string{s.Title, s.Detail} {
		if w != "" {
			words = append(words, w)
		}
	}
	line := strings.Repeat("  ", depth) + mark(s.Status) + " " + clean(strings.Join(words, "  "))
	out = append(out, strings.TrimRight(line, " "))
	for _, d := range v.decided[s.Path] {
		out = append(out, strings.Repeat("  ", depth+1)+clean(d))
	}
	for _, child := range s.Steps {
		out = v.step(out, child, depth+1)
	}
	return out
}

// round writes an iteration path: [2] for the third round.
func round(iteration string) string {
	if iteration == "" {
		return ""
	}
	return "[" + iteration + "]"
}

// mark is a step's status at a glance.
func mark(status string) string {
	switch status {
	case "done", "already", "simulated":
		return "✓"
	case "failed", "refused", "denied":
		return "✗"
	case "unknown", "partial":
		return "?"
	case "skipped", "ended":
		return "–"
	}
	return "▸"
}

func (v *view) took(s run.StepProgress) string {
	switch {
	case s.Began.IsZero():
		return ""
	case s.Ended.IsZero():
		return span(v.now().Sub(s.Began))
	}
	return span(s.Ended.Sub(s.Began))
}

// elapsed is the time since the first step began, up to the end.
func (v *view) elapsed(steps []run.StepProgress) time.Duration {
	if len(steps) == 0 || steps[0].Began.IsZero() {
		return 0
	}
	if v.end != nil && !v.end.Ended.IsZero() {
		return v.end.Ended.Sub(steps[0].Began)
	}
	return v.now().Sub(steps[0].Began)
}

package playtest

import (
	"fmt"
	"strings"

	"github.com/quell-soar/quell/playbooks/plan"
	"github.com/quell-soar/quell/workflows/run"
)

// Way is one way through a step that some test has to take.
type Way struct {
	Path string `json:"path"`
	Line int    `json:"line"`
	// What is if true, if false, case KEY, default, no case, on_error, approval
	// given, denied or silent, none, one, many, first round, further rounds,
	// late, or reached.
	What  string `json:"what"`
	Taken int    `json:"taken"`
}

// The ways.
const (
	ifTrue, ifFalse             = "if true", "if false"
	given, denied, silent       = "approval given", "approval denied", "approval silent"
	none, one, many             = "foreach over none", "foreach over one", "foreach over many"
	onError, reached            = "on_error", "reached"
	answered, unanswered        = "answered", "not answered"
	firstRound, furtherRounds   = "done in the first round", "further rounds"
	late                        = "late"
	casePrefix, noCase, byError = "case ", "no case", "default"
)

// Ways lists every way through a plan's own steps, in the order of the file. What
// a called playbook does is covered by its own tests.
func Ways(p *plan.Plan) []Way {
	var out []Way
	walk(p, func(st *plan.Step) {
		for _, what := range waysOf(st) {
			out = append(out, Way{Path: st.Path, Line: st.Line, What: what})
		}
	})
	return out
}

func waysOf(st *plan.Step) []string {
	out := []string{}
	if st.If != nil {
		out = append(out, ifTrue, ifFalse)
	} else {
		out = append(out, reached)
	}
	if st.Approve != nil {
		out = append(out, given, denied)
		if last := st.Approve.From[len(st.Approve.From)-1]; last.Within > 0 {
			out = append(out, silent)
		}
	}
	if st.Foreach != nil {
		out = append(out, none, one)
		if st.Foreach.Max != 1 {
			out = append(out, many)
		}
	}
	if st.Repeat != nil {
		out = append(out, firstRound, furtherRounds)
		if st.Repeat.Within > 0 || st.Repeat.Max > 0 {
			out = append(out, late)
		}
	}
	if st.Choose != nil {
		for _, c := range st.Choose.Cases {
			out = append(out, casePrefix+strings.Join(c.Keys, ", "))
		}
		out = append(out, byError)
		if !st.Choose.HasDefault {
			out[len(out)-1] = noCase
		}
	}
	if st.People != nil {
		out = append(out, answered)
		if len(st.People.From) > 0 && st.People.From[len(st.People.From)-1].Within > 0 {
			out = append(out, unanswered)
		}
	}
	if (st.Kind == plan.Uses || st.Kind == plan.Do || st.Kind == plan.Call || st.Kind == plan.Parallel) && (st.Action != nil || st.OnError == plan.OnContinue || st.Kind == plan.Call) {
		out = append(out, onError)
	}
	return out
}

// Cover counts, in ways, those that a play took.
func Cover(p *plan.Plan, ways []Way, got *Played) {
	took := map[string]int{}
	steps := map[string]*plan.Step{}
	walk(p, func(st *plan.Step) { steps[st.Path] = st })
	each(got.Result.Tree.Steps, func(s run.StepProgress) {
		if st := steps[s.Path]; st != nil {
			note(took, st, s)
		}
	})
	for _, r := range got.Requests {
		st := steps[r.Step]
		if st == nil {
			continue
		}
		switch {
		case r.Kind == "approval" && r.Decided == "approved":
			took[r.Step+"|"+given]++
		case r.Kind == "approval" && r.Decided == "denied":
			took[r.Step+"|"+denied]++
		case r.Kind == "approval" && r.Decided == "expired":
			took[r.Step+"|"+silent]++
		case r.Kind == "question" && r.Decided == "expired":
			took[r.Step+"|"+unanswered]++
		case r.Kind == "question" && r.Decided != "":
			took[r.Step+"|"+answered]++
		case r.Kind == "failure" && st.Repeat != nil && strings.Contains(r.Text, "did not hold after"):
			took[r.Step+"|"+late]++
		case r.Kind == "failure":
			took[r.Step+"|"+onError]++
		}
	}
	for i := range ways {
		ways[i].Taken += took[ways[i].Path+"|"+ways[i].What]
	}
}

// note counts what one node of a run's tree tells.
func note(took map[string]int, st *plan.Step, s run.StepProgress) {
	add := func(what string) { took[st.Path+"|"+what]++ }
	failed := s.Status == "failed" || s.Status == "unknown" || s.Status == "refused" || s.Status == "denied" && st.Approve == nil
	if s.Kind == "item" || s.Kind == "round" {
		if failed {
			add(onError)
		}
		return
	}
	if s.Status == "skipped" && s.Detail == "its condition is false" {
		add(ifFalse)
		return
	}
	if st.If != nil {
		add(ifTrue)
	} else {
		add(reached)
	}
	rounds := 0
	for _, c := range s.Steps {
		if c.Kind == "item" || c.Kind == "round" {
			rounds++
		}
	}
	switch {
	case st.Foreach != nil && s.Status == "ended", st.Foreach != nil && s.Status == "denied":
	case st.Foreach != nil:
		add(map[bool]string{true: none, false: map[bool]string{true: one, false: many}[rounds == 1]}[rounds == 0])
	case st.Repeat != nil && strings.Contains(s.Detail, "did not hold after"):
		add(late)
		add(furtherRounds)
	case st.Repeat != nil && rounds == 1 && s.Status == "done":
		add(firstRound)
	case st.Repeat != nil && rounds > 1:
		add(furtherRounds)
	}
	if st.Choose != nil {
		switch {
		case s.Status == "skipped":
			add(noCase)
		case s.Detail == byError:
			add(byError)
		}
		for _, c := range st.Choose.Cases {
			for _, k := range c.Keys {
				if s.Detail == casePrefix+k {
					add(casePrefix + strings.Join(c.Keys, ", "))
				}
			}
		}
	}
	if failed {
		add(onError)
	}
}

// Annotate writes a playbook's source with the ways that no test took beside their
// steps; the sign before a line is ! where one is missing, + where all are taken.
func Annotate(text []byte, ways []Way) string {
	missing, all := map[int][]string{}, map[int]bool{}
	for _, w := range ways {
		all[w.Line] = true
		if w.Taken == 0 {
			missing[w.Line] = append(missing[w.Line], w.What)
		}
	}
	var b strings.Builder
	n := 0
	for line := range strings.Lines(string(text)) {
		n++
		sign, tail := " ", ""
		if all[n] {
			sign = "+"
		}
		if m := missing[n]; len(m) > 0 {
			sign, tail = "!", "    # never: "+strings.Join(m, ", ")
		}
		fmt.Fprintf(&b, "%s %4d  %s%s\n", sign, n, strings.TrimRight(line, "\r\n"), tail)
	}
	return b.String()
}

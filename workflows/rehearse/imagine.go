package rehearse

import (
	"context"
	"encoding/json"
	"slices"
	"strings"

	"github.com/quell-soar/quell/activities"
	"github.com/quell-soar/quell/activities/task"
	"github.com/quell-soar/quell/connectors/spec"
	"github.com/quell-soar/quell/internal/guard"
	"github.com/quell-soar/quell/server/api"
	"github.com/quell-soar/quell/workflows/run"
)

// imagining is the script of one way of a preview.
type imagining struct {
	*preview
	v *variant
}

// Read makes a read once and answers all ways with it. One that needs what an
// effect would answer is not called.
func (s *imagining) Read(ctx context.Context, q task.ReadRequest) task.ReadResult {
	at := qualified(s.Plan.Playbook, q.Playbook, q.Step)
	key := strings.Join([]string{at, q.Action, q.Instance, string(q.Inputs), strings.Join(q.Fields, ",")}, "\x00")
	s.mu.Lock()
	m := s.reads[key]
	if m == nil {
		m = &made{q: q, at: at, after: knownAfter(q.Inputs), done: make(chan struct{})}
		s.reads[key], s.order = m, append(s.order, m)
		go s.make(m)
	}
	s.mu.Unlock()
	select {
	case <-m.done:
		return m.res
	case <-ctx.Done():
		return task.ReadResult{Busy: true} // a quick read gives up; the full one waits
	}
}

func (s *imagining) make(m *made) {
	defer close(m.done)
	if len(m.after) > 0 {
		raw, err := imagine(s.specs[m.q.Action], m.q.Fields, m.q.Instance, strings.Join(m.after, ", "))
		if err != nil {
			m.res.Failure = &task.Failure{Kind: string(spec.Internal), Message: err.Error()}
		}
		m.res.Output = raw
		return
	}
	q := m.q
	q.Quick = false
	var err error
	if m.res, err = s.Sources.Read(s.ctx, q); err != nil {
		m.res.Failure = &task.Failure{Kind: string(spec.Unavailable), Message: err.Error()}
	}
	m.res.Busy = false
}

// Act says what guards say of an effect, and imagines that it is done.
func (s *imagining) Act(_ context.Context, q task.ActRequest, e *Effect) task.ActResult {
	f := s.foresee(q)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.v.choose["outcome|"+e.Step] == 1 {
		return task.ActResult{Outcome: task.Failed, Failure: &task.Failure{Kind: string(spec.Permission), Message: "as this way of the preview has it"}}
	}
	if f != nil {
		verdict := s.verdict(f, q.Approval != "")
		s.v.verdicts[e.Key] = verdict
		switch {
		case verdict.Verdict == "ask" && q.Approval == "":
			return task.ActResult{Outcome: task.Refused, Detail: verdict.Rule + ": " + verdict.Reason, Ask: true}
		case verdict.Verdict == "refuse":
			return task.ActResult{Outcome: task.Refused, Detail: verdict.Rule + ": " + verdict.Reason}
		}
	}
	raw, err := imagine(s.specs[q.Action], q.Fields, q.Inst, e.Step)
	if err != nil {
		return task.ActResult{Outcome: task.Failed, Failure: &task.Failure{Kind: string(spec.Internal), Message: err.Error()}}
	}
	out := task.ActResult{Outcome: task.Done, Output: raw, Held: s.specs[q.Action].Inverse != ""}
	if f != nil && f.Found == spec.Present {
		out.Outcome, out.Held = task.Already, len(f.HeldBy) > 0
	}
	return out
}

// foresee asks about an effect once, approved and not.
func (s *imagining) foresee(q task.ActRequest) *activities.Foreseen {
	approved := "asked"
	if q.Approval == "" {
		approved = ""
	}
	key := strings.Join([]string{q.Action, q.Inst, string(q.Inputs), approved}, "\x00")
	s.mu.Lock()
	f, known := s.foreseen[key]
	s.mu.Unlock()
	if known {
		return f
	}
	f, err := s.Sources.Foresee(s.ctx, q)
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil && s.failed == nil {
		s.failed = err
	}
	s.foreseen[key] = f
	return f
}

// verdict is the guards' word, with the budgets as the effects before this one
// leave them. Both hold the lock.
func (s *imagining) verdict(f *activities.Foreseen, approved bool) *api.PlanGuard {
	g := &api.PlanGuard{Verdict: "allow", Mode: string(f.Mode), HeldBy: f.HeldBy}
	no := f.Refusal
	for _, c := range f.Charges {
		left := c.Targets - c.Spent - s.v.spent[c.Name]
		g.Budgets = append(g.Budgets, api.PlanBudget{Name: c.Name, Takes: c.Takes, Left: max(0, left), Of: c.Targets, Per: duration(c.Per)})
		if no == nil && c.Takes > left && (c.Then != guard.AskFirst || !approved) {
			no = &guard.Refusal{Rule: "budget", Ask: c.Then == guard.AskFirst, Reason: "the budget " + c.Name + " would be exceeded"}
		}
	}
	if no == nil || f.Mode == guard.Observe {
		for _, c := range f.Charges {
			s.v.spent[c.Name] += c.Takes
		}
	}
	if no != nil {
		g.Rule, g.Reason = no.Rule, no.Reason
		if g.Verdict = "refuse"; no.Ask {
			g.Verdict = "ask"
		}
	}
	if f.Mode == guard.Observe {
		g.Verdict = "simulate"
	}
	return g
}

// Say gives what this way has people say, or what every preview assumes.
func (s *imagining) Say(r *Request) Said {
	says, _ := sayings(r)
	n := s.v.choose[r.ID]
	if n >= len(says) {
		n = 0
	}
	return says[n]
}

// Call gives a called run what the installation adds.
func (s *imagining) Call(q task.CallRequest, parent run.Input) task.CallResult {
	in := run.Input{
		ABI: run.ABI, Tenant: q.Tenant, Run: run.CalledID(q.Callee, q.Run, q.Step, q.Iteration, q.Generation), Playbook: q.Callee, Digest: q.CalleeDigest,
		Inputs: q.Inputs, Mode: parent.Mode, Incident: parent.Incident, Trigger: parent.Trigger, Parent: q.Run, Depth: parent.Depth + 1,
	}
	if c, ok := s.Callees[q.Callee]; ok {
		in.Settings, in.Calendars, in.Bindings = c.Settings, c.Calendars, slices.Clone(c.Bindings)
		for i := range in.Bindings {
			in.Bindings[i].Mode = shown(in.Bindings[i].Mode)
		}
	}
	return task.CallResult{Input: in}
}

// Joined: no alert comes while a preview waits for one.
func (s *imagining) Joined() []Joined { return nil }

// sayings are the things that people can say to a request, what is assumed first,
// and a label for each.
func sayings(r *Request) (says []Said, labels []string) {
	add := func(label string, s Said) {
		for _, l := range r.Levels {
			if s.By == nil && !s.Silent {
				s.By = l.Who[:min(1, len(l.Who))]
			}
		}
		says, labels = append(says, s), append(labels, label)
	}
	switch r.Kind {
	case "approval":
		add("approved", Said{Approve: true})
		add("denied", Said{})
		add("silence", Said{Silent: true})
	case "failure":
		choices(r, add)
	default:
		answersTo(r, add)
		add("silence", Said{Silent: true})
	}
	return says, labels
}

// again are choices of a failure that would only ask the same again.
var again = []string{"retry", "not_done", "wait", "again", "longer"}

// choices are those of a failed step: it is left out, and what else there is.
func choices(r *Request, add func(string, Said)) {
	var fields []struct {
		Name string `json:"name"`
		Type struct {
			Of []string `json:"of"`
		} `json:"type"`
	}
	if json.Unmarshal(r.Fields, &fields) != nil || len(fields) != 1 {
		add("stop", Said{})
		return
	}
	list := slices.Clone(fields[0].Type.Of)
	slices.SortStableFunc(list, func(a, b string) int { return rank(a) - rank(b) })
	for _, c := range list {
		if slices.Contains(again, c) {
			continue
		}
		raw, err := json.Marshal(map[string]string{fields[0].Name: c})
		if err == nil {
			add(c, Said{Approve: true, Answer: raw})
		}
	}
}

// rank puts first what leaves the rest of the run as it is.
func rank(choice string) int {
	switch choice {
	case "skip", "continue":
		return 0
	case "stop":
		return 2
	}
	return 1
}

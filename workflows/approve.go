package workflows

import (
	"strings"

	"go.temporal.io/sdk/workflow"

	"github.com/quell-soar/quell/activities/task"
	"github.com/quell-soar/quell/connectors/spec/kind"
	"github.com/quell-soar/quell/playbooks/plan"
)

// seal is what an approval covers: the exact effects, by place, as the person
// saw them.
type seal struct {
	request string
	effects map[string]string // place to digest
	step    *plan.Step
}

// shown is one effect as the person sees it.
type shown struct {
	place  string
	digest string
	value  map[string]any
}

// maxWould bounds what is kept of a question that observe mode spared people, in
// characters.
const maxWould = 300

// wouldAsk says whom the approval of a step would have asked and what, for the
// record of what observe mode kept from happening; empty where nobody would have
// been. An expression of it that fails is told here and stops nothing.
func (it *interp) wouldAsk(f frame, st *plan.Step) string {
	if st.Approve.When != nil {
		needed, err := it.truth(f, *st.Approve.When)
		if err != nil {
			return "whether the playbook asks is not known: " + asFailure(err).Error()
		}
		if !needed {
			return ""
		}
	}
	var who []string
	for _, l := range st.Approve.From {
		who = append(who, strings.Join(l.Who, " or "))
	}
	text, err := it.text(f, &st.Approve.Ask)
	if err != nil {
		text = st.Path
	}
	said := []rune("the playbook asks " + strings.Join(who, ", then ") + ": " + text)
	return string(said[:min(len(said), maxWould)])
}

// approve asks before the effects of a step. It returns the seal to act under,
// or a result where the step shall not act.
func (it *interp) approve(f frame, st *plan.Step) (*seal, *result, error) {
	if st.Approve.When != nil {
		needed, err := it.truth(f, *st.Approve.When)
		if err != nil || !needed {
			return nil, nil, err
		}
	}
	effects, err := it.preview(f, st)
	if err != nil {
		return nil, nil, err
	}
	if len(effects) == 0 && workflow.GetVersion(f.ctx, "approve-nothing", workflow.DefaultVersion, 1) > workflow.DefaultVersion {
		// Nobody is woken for nothing. An effect that turns up all the same is
		// asked about alone.
		return &seal{effects: map[string]string{}, step: st}, nil, nil
	}
	return it.ask(f, st, st, effects)
}

// ask puts effects of st before the people of by's approval.
func (it *interp) ask(f frame, st, by *plan.Step, effects []shown) (*seal, *result, error) {
	a := by.Approve
	text, err := it.text(f, &a.Ask)
	if err != nil {
		return nil, nil, err
	}
	list := make([]any, len(effects))
	s := &seal{effects: map[string]string{}, step: by}
	for i, e := range effects {
		list[i] = e.value
		s.effects[e.place] = e.digest
	}
	show, err := kind.Canonical(list)
	if err != nil {
		return nil, nil, asFailure(err)
	}
	digest, err := kind.Digest(list)
	if err != nil {
		return nil, nil, asFailure(err)
	}
	s.request = it.requestID(f, st)
	t, err := it.decide(f, task.OpenRequest{
		Place: it.place(f, st), ID: s.request, Kind: "approval", Text: text, Seal: digest, Show: show,
		Levels: levels(a.From), Quorum: a.Quorum, Requester: it.in.Trigger.Actor,
		Silent: string(a.Silent), Opened: workflow.Now(f.ctx).UTC(),
	})
	if err != nil {
		return nil, nil, err
	}
	return it.verdict(a, s, t)
}

// verdict turns the people's word into what happens.
func (it *interp) verdict(a *plan.Approve, s *seal, t task.TallyResult) (*seal, *result, error) {
	what := a.Silent
	switch t.State {
	case "approved":
		return s, nil, nil
	case "denied":
		what = a.Denied
	}
	switch what {
	case plan.OnAct:
		return s, nil, nil
	case plan.OnSkip:
		return nil, &result{outcome: task.Denied, detail: said(t)}, nil
	case plan.OnFail:
		return nil, nil, failed("denied", "%s", said(t))
	}
	return nil, nil, &ending{closing: closedDenied, reason: said(t)}
}

// The modes of a run and of a connector instance; the lowest wins.
const (
	modeObserve = "observe"
	modeAsk     = "ask"
)

// mode is the mode of an effect on an instance, as it was when the run began.
// The effects store has the last word: it knows the modes of now.
func (it *interp) mode(instance string) string {
	m := it.in.Mode
	for _, b := range it.in.Bindings {
		if b.Instance != instance {
			continue
		}
		if b.Mode == modeObserve || (b.Mode == modeAsk && m != modeObserve) {
			m = b.Mode
		}
	}
	return m
}

// permitted makes sure that a person approved an effect where one must: where
// the step is under an approval, and in mode ask everywhere. It returns the
// seal to act under, or a result where the step shall not act.
func (it *interp) permitted(f frame, st *plan.Step, c call) (*seal, *result, error) {
	switch {
	case f.sealed != nil:
		return it.covered(f, st, c)
	case it.mode(c.instance) != modeAsk:
		return nil, nil, nil
	}
	return it.askFor(f, st, c, title(st)+"?")
}

// guardAsks asks for an effect that a guard lets out only on a person's word. It
// is called after the admission, and only where no person gave that word: an
// approval of the step was enough.
func (it *interp) guardAsks(f frame, st *plan.Step, c call, why string) (*seal, *result, error) {
	return it.askFor(f, st, c, title(st)+"? "+why)
}

// askFor puts one effect before those who may decide about the step.
func (it *interp) askFor(f frame, st *plan.Step, c call, question string) (*seal, *result, error) {
	e, err := showEffect(f, st, c)
	if err != nil {
		return nil, nil, err
	}
	text, err := kind.Canonical(question)
	if err != nil {
		return nil, nil, asFailure(err)
	}
	by := *st
	by.Approve = &plan.Approve{
		Ask:  plan.Value{Literal: text, Type: kind.Of(kind.String)},
		From: []plan.Level{{Who: it.troubleshooters(st)}}, Quorum: 1, Denied: plan.OnStop, Silent: plan.OnStop,
	}
	return it.ask(f, st, &by, []shown{e})
}

// covered checks an effect that is about to happen against the seal around it.
// A new or changed one is asked again, alone; fewer than were sealed need no
// one.
func (it *interp) covered(f frame, st *plan.Step, c call) (*seal, *result, error) {
	e, err := showEffect(f, st, c)
	if err != nil {
		return nil, nil, err
	}
	if f.sealed.effects[e.place] == e.digest {
		return f.sealed, nil, nil
	}
	return it.ask(f, st, f.sealed.step, []shown{e})
}

func showEffect(f frame, st *plan.Step, c call) (shown, error) {
	v := map[string]any{
		"step": st.Path, "iteration": f.iter, "action": c.action.Name, "instance": c.instance, "inputs": c.values,
	}
	d, err := kind.Digest(v)
	if err != nil {
		return shown{}, asFailure(err)
	}
	return shown{place: place(st, f), digest: d, value: v}, nil
}

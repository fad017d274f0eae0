package workflows

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"go.temporal.io/sdk/workflow"

	"github.com/quell-soar/quell/activities/task"
	"github.com/quell-soar/quell/connectors/spec/kind"
	"github.com/quell-soar/quell/playbooks/plan"
	"github.com/quell-soar/quell/workflows/run"
)

// requestID gives the next request at a place its id.
func (it *interp) requestID(f frame, st *plan.Step) string {
	p := place(st, f)
	it.asked[p]++
	return run.RequestID(it.in.Run, st.Path, f.iter, it.asked[p])
}

// decide puts a request before people and waits until it is decided or its time
// is over. It reads the stored votes; an Update only says when to look.
func (it *interp) decide(f frame, req task.OpenRequest) (task.TallyResult, error) {
	if err := execute(f.ctx, task.OpenActivity, req, nil); err != nil {
		return task.TallyResult{}, err
	}
	before := f.node.step.Status
	f.node.step.Status, f.node.step.Detail = "waiting for "+req.Kind, req.ID
	it.waits = append(it.waits, req.Kind)
	f.people.start(workflow.Now(f.ctx))
	defer func() {
		f.node.step.Status = before
		it.waits = slices.Delete(it.waits, slices.Index(it.waits, req.Kind), slices.Index(it.waits, req.Kind)+1)
		f.people.stop(workflow.Now(f.ctx))
	}()
	for {
		seen := it.voted
		var t task.TallyResult
		if err := execute(f.ctx, task.TallyActivity, task.TallyRequest{ID: req.ID, Now: workflow.Now(f.ctx).UTC()}, &t); err != nil {
			return t, err
		}
		if t.State != "open" {
			err := execute(f.ctx, task.CloseActivity, task.CloseRequest{Place: req.Place, ID: req.ID, Decision: t.State}, nil)
			return t, err
		}
		wake := func() bool { return it.voted != seen || f.ctl.ordered() }
		var err error
		if t.Next.IsZero() {
			err = workflow.Await(f.ctx, wake)
		} else {
			_, err = workflow.AwaitWithTimeout(f.ctx, until(f.ctx, t.Next), wake)
		}
		if err == nil && f.ctl.ordered() {
			err = errOrdered
		}
		if err != nil {
			return task.TallyResult{}, it.withdraw(f, req, err)
		}
	}
}

// errOrdered says that a verb answered in place of the people who were asked.
var errOrdered = errors.New("a verb answered")

// withdraw ends a request that nobody waits for any more: its run was cancelled,
// or the time of a block around it is over.
func (it *interp) withdraw(f frame, req task.OpenRequest, why error) error {
	ctx, _ := workflow.NewDisconnectedContext(f.ctx)
	if err := execute(ctx, task.CloseActivity, task.CloseRequest{Place: req.Place, ID: req.ID, Decision: "withdrawn"}, nil); err != nil {
		return err
	}
	return why
}

func levels(from []plan.Level) []task.Level {
	out := make([]task.Level, len(from))
	for i, l := range from {
		out[i] = task.Level{Who: l.Who, Within: l.Within}
	}
	return out
}

// question runs an ask step.
func (it *interp) question(f frame, st *plan.Step) (result, error) {
	req, err := it.questionRequest(f, st)
	if err != nil {
		return result{}, err
	}
	t, err := it.decide(f, req)
	if err != nil {
		return result{}, err
	}
	switch {
	case t.State == "approved":
		out, err := it.answer(f, st.People.Fields, t.Answer)
		if err != nil {
			return result{}, err
		}
		detail := "answered by " + join(t.By)
		if t.Untrusted {
			detail += ", the affected person: untrusted"
		}
		return result{outcome: task.Done, out: out, detail: detail}, nil
	case t.State == "denied" && !t.Withdrawn && len(st.People.Fields) == 0:
		out := map[string]any{"done": false}
		if t.Reason != "" {
			out["why"] = t.Reason
		}
		return result{outcome: task.Done, out: out, detail: "not done: " + said(t)}, nil
	}
	return it.unanswered(st.People.Silent, t)
}

func (it *interp) questionRequest(f frame, st *plan.Step) (task.OpenRequest, error) {
	req := task.OpenRequest{
		Place: it.place(f, st), Kind: "question", Levels: levels(st.People.From),
		Quorum: 1, Silent: string(st.People.Silent), Opened: workflow.Now(f.ctx).UTC(),
	}
	var err error
	if req.Text, err = it.text(f, &st.People.Text); err != nil {
		return req, err
	}
	show := map[string]any{}
	for _, s := range st.People.Show {
		v, err := it.value(f, s.Value)
		if err != nil {
			return req, err
		}
		show[s.Name] = v
	}
	if req.Show, err = kind.Canonical(show); err != nil {
		return req, asFailure(err)
	}
	if req.Fields, err = it.askFields(f, st); err != nil {
		return req, err
	}
	if st.People.Subject != nil {
		if err := it.askSubject(f, st, &req); err != nil {
			return req, err
		}
	}
	req.ID = it.requestID(f, st)
	return req, nil
}

// askSubject puts the affected person before the people of the chain.
func (it *interp) askSubject(f frame, st *plan.Step, req *task.OpenRequest) error {
	v, err := it.value(f, *st.People.Subject)
	if err != nil {
		return err
	}
	h, ok := v.(kind.Handle)
	if !ok {
		return failed("invalid", "ask.subject is no account")
	}
	req.Subject, req.Via = run.Subject(h.Instance, h.ID), st.People.Via
	req.Levels = append([]task.Level{{Who: []string{req.Subject}, Within: st.People.Within}}, req.Levels...)
	return nil
}

// askFields describes the fields for the form, with the choices of `among` as
// they are now.
func (it *interp) askFields(f frame, st *plan.Step) ([]byte, error) {
	type form struct {
		Name    string          `json:"name"`
		Type    kind.Type       `json:"type"`
		Max     int             `json:"max,omitempty"`
		Pattern string          `json:"pattern,omitempty"`
		Among   json.RawMessage `json:"among,omitempty"`
		Default json.RawMessage `json:"default,omitempty"`
	}
	out := make([]form, 0, len(st.People.Fields))
	for _, fd := range st.People.Fields {
		e := form{Name: fd.Name, Type: fd.Type, Max: fd.Max, Pattern: fd.Pattern}
		if fd.Among != nil {
			v, err := it.eval(f, *fd.Among)
			if err != nil {
				return nil, err
			}
			if e.Among, err = kind.Canonical(v); err != nil {
				return nil, asFailure(err)
			}
		}
		if fd.Default != nil {
			v, err := it.value(f, *fd.Default)
			if err != nil {
				return nil, err
			}
			if e.Default, err = kind.Canonical(v); err != nil {
				return nil, asFailure(err)
			}
		}
		out = append(out, e)
	}
	raw, err := json.Marshal(out)
	return raw, asFailure(err)
}

// unanswered decides what a refusal or silence means.
func (it *interp) unanswered(silent plan.OnError, t task.TallyResult) (result, error) {
	if t.State == "denied" {
		return result{outcome: task.Denied, detail: said(t)}, nil
	}
	switch silent {
	case plan.OnSkip, plan.OnContinue:
		return result{outcome: task.Skipped, detail: "nobody answered"}, nil
	case plan.OnFail:
		return result{}, failed("timeout", "nobody answered")
	}
	return result{}, &ending{closing: closedDenied, reason: "nobody answered"}
}

// troubleChoice is what a person said about a step that went wrong.
type troubleChoice struct{ choice, actor, reason string }

func (c troubleChoice) said() string {
	if c.reason == "" {
		return c.choice + " by " + c.actor
	}
	return c.choice + " by " + c.actor + ": " + c.reason
}

// trouble asks people what to do about a step that went wrong. It waits for as
// long as it takes: containment stays as it is, and nothing is guessed.
func (it *interp) trouble(f frame, st *plan.Step, fail task.Failure, options []string) (troubleChoice, error) {
	fields, err := json.Marshal([]map[string]any{{"name": "choice", "type": kind.ChoiceOf(options...)}})
	if err != nil {
		return troubleChoice{}, asFailure(err)
	}
	req := task.OpenRequest{
		Place: it.place(f, st), ID: it.requestID(f, st), Kind: "failure",
		Text: fmt.Sprintf("%s: %s: %s", title(st), fail.Kind, fail.Message), Fields: fields,
		Levels: []task.Level{{Who: it.troubleshooters(st)}}, Quorum: 1, Opened: workflow.Now(f.ctx).UTC(),
	}
	f.ctl.offers(options)
	t, err := it.decide(f, req)
	f.ctl.offers(nil)
	if errors.Is(err, errOrdered) {
		return f.ctl.obeyed(), nil
	}
	if err != nil {
		return troubleChoice{}, err
	}
	var a struct {
		Choice string `json:"choice"`
	}
	if err := json.Unmarshal(t.Answer, &a); err != nil || !slices.Contains(options, a.Choice) {
		a.Choice = "stop" // denied, withdrawn, or no answer that was offered
	}
	return troubleChoice{choice: a.Choice, actor: join(t.By), reason: t.Reason}, nil
}

// troubleshooters are those who may launch the playbook by hand and those whom
// the step's own approval names. Whoever a run was handed over to is asked in
// their place.
func (it *interp) troubleshooters(st *plan.Step) []string {
	if len(it.owners) > 0 {
		return distinct(append([]string{"ir-lead"}, it.owners...))
	}
	who := []string{"ir-lead", "oncall.soc"}
	if it.plan.Triggers.Manual != nil {
		who = append(who, it.plan.Triggers.Manual.Roles...)
	}
	if st.Approve != nil {
		for _, l := range st.Approve.From {
			who = append(who, l.Who...)
		}
	}
	return distinct(who)
}

func distinct(in []string) []string {
	var out []string
	for _, s := range in {
		if !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return out
}

func title(st *plan.Step) string {
	switch {
	case st.Title != "":
		return st.Title
	case st.Action != nil:
		return st.Action.Name
	}
	return st.Path
}

func said(t task.TallyResult) string {
	s := t.State + " by " + join(t.By)
	if len(t.By) == 0 {
		s = t.State
	}
	if t.Reason != "" {
		s += ": " + t.Reason
	}
	return s
}

func join(names []string) string { return strings.Join(names, ", ") }

package rehearse

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/quell-soar/quell/activities/task"
	"github.com/quell-soar/quell/playbooks/plan"
	"github.com/quell-soar/quell/workflows/run"
)

// Record is one recorded run with all that it was told, those that it called
// included.
type Record struct {
	Input run.Input
	// Plan is the version that it ran with.
	Plan    *plan.Plan
	Started time.Time
	Closing string
	// Reads are the answers to its reads in the order in which they came.
	Reads    []RecordedRead
	Effects  []RecordedEffect
	Requests []RecordedRequest
	Joined   []Joined
	// Called are the inputs of the runs that it called, by run.
	Called map[string]run.Input
	// Verbs says that people paused, skipped or the like: how they did cannot be
	// played.
	Verbs bool
}

// RecordedRead is one answer to a read. Output is whole.
type RecordedRead struct {
	Run, Step, Iteration string
	Action               string
	Inputs, Output       json.RawMessage
	Failure              *task.Failure
}

// RecordedEffect is how an effect ended. Open says that it has not.
type RecordedEffect struct {
	Key, Step, Action string
	Inputs            json.RawMessage
	Output            json.RawMessage
	Outcome           task.Outcome
	Detail            string
	Failure           *task.Failure
	Ask, Held, Open   bool
}

// RecordedRequest is what people said to a request; Open says that it waits.
type RecordedRequest struct {
	ID   string
	Said Said
	Open bool
}

// recording plays a record: of the version that it was made with, or of another.
type recording struct {
	rec *Record
	// old is set for the version of the record: places are then the same, and what
	// was asked there is kept for the other.
	old bool
	// asked are the requests of the old version, for the new one.
	asked []*Request
	// callees are what the installation adds to called runs that were not recorded.
	callees map[string]run.Input

	mu                       sync.Mutex
	reads, effects, requests []bool
	// frozen is set once data is missing: nothing behind it counts. at is the step.
	frozen bool
	at     string
	late   map[string]bool

	missing, assumed []string
}

// script plays the record. What it changes, it changes in a copy.
func (r *Record) script(old bool, asked []*Request, callees map[string]run.Input) *recording {
	own := *r
	own.Reads, own.Effects = slices.Clone(r.Reads), slices.Clone(r.Effects)
	r = &own
	return &recording{
		rec: r, old: old, asked: asked, callees: callees, late: map[string]bool{},
		reads: make([]bool, len(r.Reads)), effects: make([]bool, len(r.Effects)), requests: make([]bool, len(asked)),
	}
}

// lacks freezes the play: what comes behind would be invented.
func (s *recording) lacks(at, format string, args ...any) {
	if !s.frozen {
		s.frozen, s.at = true, at
		s.missing = append(s.missing, fmt.Sprintf(format, args...))
	}
}

// dataMissing is the failure of whatever comes behind missing data.
const dataMissing = "data_missing"

// Read gives the first recorded answer to the same action and inputs that was not
// given yet.
func (s *recording) Read(_ context.Context, q task.ReadRequest) task.ReadResult {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.frozen {
		i, known := s.read(q)
		if i >= 0 {
			s.reads[i] = true
			r := &s.rec.Reads[i]
			if r.Inputs = q.Inputs; r.Failure != nil {
				return task.ReadResult{Failure: r.Failure}
			}
			return task.ReadResult{Output: only(r.Output, q.Fields)}
		}
		if known {
			s.lacks(q.Step, "step %s asks %s once more for %s than was recorded", q.Step, q.Action, brief(q.Inputs))
		} else {
			s.lacks(q.Step, "step %s: what %s answers to %s was never recorded", q.Step, q.Action, brief(q.Inputs))
		}
	}
	return task.ReadResult{Failure: &task.Failure{Kind: dataMissing, Message: "it was never recorded"}}
}

// read finds the recorded answer to a read, -1 for none: the first to the same
// action and inputs that was not given yet. known says that there was one at all.
//
// The version of the record may ask otherwise than it did, where its inputs tell the
// time: then the answer at the same place counts, and from then on as one to what is
// asked now. So the other version, played at the same time, finds it.
func (s *recording) read(q task.ReadRequest) (i int, known bool) {
	for i, r := range s.rec.Reads {
		if r.Action == q.Action && bytes.Equal(r.Inputs, q.Inputs) {
			if known = true; !s.reads[i] {
				return i, true
			}
		}
	}
	for i, r := range s.rec.Reads {
		if s.old && !s.reads[i] && r.Action == q.Action && r.Run == q.Run && r.Step == q.Step && r.Iteration == q.Iteration {
			return i, true
		}
	}
	return -1, known
}

func brief(raw json.RawMessage) string {
	const most = 120
	if len(raw) <= most {
		return string(raw)
	}
	return string(raw[:most]) + "…"
}

// only keeps the fields that an expression reads, as the activity does.
func only(raw json.RawMessage, fields []string) json.RawMessage {
	var all map[string]json.RawMessage
	if slices.Contains(fields, "*") || json.Unmarshal(raw, &all) != nil {
		return raw
	}
	for name := range all {
		if !slices.Contains(fields, name) {
			delete(all, name)
		}
	}
	out, err := json.Marshal(all) // in the order of the keys, as it was
	if err != nil {
		return raw
	}
	return out
}

// Act says how the effect ended that was recorded. One that never was is assumed
// to be done; what later expressions read of it is missing.
func (s *recording) Act(_ context.Context, q task.ActRequest, e *Effect) task.ActResult {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.frozen {
		s.late[e.Key] = true
		return task.ActResult{Outcome: task.Failed, Failure: &task.Failure{Kind: dataMissing, Message: "it was never recorded"}}
	}
	i, exact := s.effect(q)
	if i < 0 {
		s.assumed = append(s.assumed, fmt.Sprintf("step %s: %s is taken as done", q.Step, q.Action))
		if len(q.Fields) > 0 {
			s.lacks(q.Step, "step %s: what %s answers to %s was never recorded", q.Step, q.Action, brief(q.Inputs))
			return task.ActResult{Outcome: task.Failed, Failure: &task.Failure{Kind: dataMissing, Message: "it was never recorded"}}
		}
		return task.ActResult{Outcome: task.Done, Held: e.spec.Inverse != ""}
	}
	s.effects[i] = true
	r := &s.rec.Effects[i]
	if s.old {
		r.Inputs = q.Inputs // as with reads
	}
	if r.Open {
		s.lacks(q.Step, "step %s: how %s ended is not recorded yet", q.Step, q.Action)
		return task.ActResult{Outcome: task.Failed, Failure: &task.Failure{Kind: dataMissing, Message: "it was never recorded"}}
	}
	if !exact && len(q.Fields) > 0 {
		s.assumed = append(s.assumed, fmt.Sprintf("step %s: %s answers as it did to other inputs", q.Step, q.Action))
	}
	return task.ActResult{Outcome: r.Outcome, Output: only(r.Output, q.Fields), Detail: r.Detail, Failure: r.Failure, Ask: r.Ask, Held: r.Held}
}

// effect finds the recorded effect that this one is: of the same version that with
// its key; of another the first with the same action and inputs, or else the one of
// its step whose targets are the same.
func (s *recording) effect(q task.ActRequest) (i int, exact bool) {
	find := func(fits func(r RecordedEffect) bool) int {
		for i, r := range s.rec.Effects {
			if !s.effects[i] && r.Action == q.Action && fits(r) {
				return i
			}
		}
		return -1
	}
	if s.old {
		return find(func(r RecordedEffect) bool { return r.Key == q.Key.String() }), true
	}
	same := func(r RecordedEffect) bool { return bytes.Equal(r.Inputs, q.Inputs) }
	if i := find(func(r RecordedEffect) bool { return same(r) && r.Step == q.Step }); i >= 0 {
		return i, true
	}
	if i := find(same); i >= 0 {
		return i, true
	}
	sp, _ := s.rec.Plan.ActionSpec(q.Action)
	mine := labels(targetsOf(sp, q.Inputs))
	return find(func(r RecordedEffect) bool {
		return r.Step == q.Step && slices.Equal(labels(targetsOf(sp, r.Inputs)), mine)
	}), false
}

// Say gives what people said. To another version it counts only where the question
// is the same: kind, text, choices, and for an approval the effects.
func (s *recording) Say(r *Request) Said {
	s.mu.Lock()
	defer s.mu.Unlock()
	silent := Said{Silent: true}
	if s.frozen {
		s.late[r.ID] = true
		return silent
	}
	id := r.ID
	if !s.old {
		if id = s.same(r); id == "" {
			s.lacks(r.Step, "step %s: what people say to %q was never recorded", r.Step, r.Text)
			return silent
		}
	}
	for _, o := range s.rec.Requests {
		if o.ID == id && !o.Open {
			return o.Said
		}
	}
	s.lacks(r.Step, "step %s: what people say to %q is not recorded", r.Step, r.Text)
	return silent
}

// same finds the request of the old version that asks the same.
func (s *recording) same(r *Request) string {
	for i, o := range s.asked {
		if !s.requests[i] && o.question() == r.question() {
			s.requests[i] = true
			return o.ID
		}
	}
	return ""
}

// question is what a request asks, wherever it stands: its kind, text, choices, and
// the effects that it covers.
func (r *Request) question() string {
	return r.Kind + "\x00" + r.Text + "\x00" + string(r.Fields) + "\x00" + string(r.covers())
}

// covers are the effects of an approval without their places.
func (r *Request) covers() []byte {
	var list []map[string]json.RawMessage
	if r.Kind != "approval" || json.Unmarshal(r.Show, &list) != nil {
		return nil
	}
	for _, e := range list {
		delete(e, "step")
		delete(e, "iteration")
	}
	raw, err := json.Marshal(list)
	if err != nil {
		return r.Show
	}
	return raw
}

// Call gives a called run what it had, or what the installation gives now.
func (s *recording) Call(q task.CallRequest, parent run.Input) task.CallResult {
	in := run.Input{
		ABI: run.ABI, Tenant: q.Tenant, Run: run.CalledID(q.Callee, q.Run, q.Step, q.Iteration, q.Generation), Playbook: q.Callee, Digest: q.CalleeDigest,
		Inputs: q.Inputs, Mode: parent.Mode, Incident: parent.Incident, Trigger: parent.Trigger, Parent: q.Run, Depth: parent.Depth + 1,
	}
	had, ok := s.rec.Called[in.Run]
	if ok {
		in.Mode = had.Mode
	} else {
		had = s.callees[q.Callee]
	}
	in.Settings, in.Bindings, in.Calendars = had.Settings, had.Bindings, had.Calendars
	return task.CallResult{Input: in}
}

// Joined are the alerts that joined the run.
func (s *recording) Joined() []Joined { return s.rec.Joined }

package rehearse

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"time"

	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/worker"

	"github.com/quell-soar/quell/activities/task"
	"github.com/quell-soar/quell/connectors/spec"
	"github.com/quell-soar/quell/connectors/vocabulary"
	"github.com/quell-soar/quell/playbooks/plan"
	"github.com/quell-soar/quell/workflows"
	"github.com/quell-soar/quell/workflows/run"
)

// Script answers what a run asks of its world. Its methods may be called from
// several goroutines.
type Script interface {
	// Read answers a read.
	Read(ctx context.Context, q task.ReadRequest) task.ReadResult
	// Act says how an effect ends. Nothing is called.
	Act(ctx context.Context, q task.ActRequest, e *Effect) task.ActResult
	// Say tells what people say to a request, and how long after it was opened.
	Say(r *Request) Said
	// Call gives the input of a called run, without its plan.
	Call(q task.CallRequest, parent run.Input) task.CallResult
	// Joined lists the alerts that join the run, in order, with how long after its
	// start.
	Joined() []Joined
}

// Said is what people say to a request.
type Said struct {
	// Silent: nobody says anything.
	Silent bool
	// Approve is approval or an answer; else it is a denial.
	Approve bool
	Answer  json.RawMessage
	By      []string
	Reason  string
	After   time.Duration
	// Untrusted: it is the affected person's own word. Withdrawn: the request was
	// taken back.
	Untrusted, Withdrawn bool
}

// Joined is an alert that joins a run.
type Joined struct {
	After time.Duration
	Alert task.Alert
}

// Effect is one effect of a play.
type Effect struct {
	// Step is the path; of a called playbook behind its name.
	Step, Iteration, Phase string
	Playbook, Run          string
	Key, Action, Instance  string
	Inputs                 json.RawMessage
	Targets                []Target
	Outcome                task.Outcome
	Detail, Approval       string
	Undo, Undone           bool
	// Of is the step whose effect this one takes back.
	Of string
	// Arranged is the action that undo_with keeps for it, with its inputs.
	Arranged *task.ArrangeRequest
	spec     spec.Action
}

// Request is one request to people in a play.
type Request struct {
	task.OpenRequest
	// At is the step's place as in Effect.Step.
	At      string
	Decided string
	said    *Said
}

// Hold is a hold that a play began.
type Hold struct {
	Step, Iteration string
	For             time.Duration
	Then            string
}

// Played is what came of one play.
type Played struct {
	Result   run.Result
	Effects  []*Effect
	Requests []*Request
	Holds    []Hold
	// Took is the duration in playbook time.
	Took time.Duration
	// Problem is why the run could not be played to its end; else empty.
	Problem string
}

// stage is the world of one play.
type stage struct {
	mu     sync.Mutex
	in     run.Input
	script Script
	root   *plan.Plan
	plans  map[string]*plan.Plan
	specs  map[string]spec.Action
	began  time.Time
	played Played

	results map[string]task.ActResult
}

// realTime is how long a play may hang; budget is how long nobody may answer, in
// playbook time.
const (
	realTime = 60 * time.Second
	budget   = 60 * 24 * time.Hour
)

// play plays a run from its input. wf keeps what was compiled for further plays.
func play(wf *workflows.Workflows, p *plan.Plan, in run.Input, now time.Time, script Script) (out *Played) {
	s := &stage{in: in, script: script, root: p, began: now, plans: map[string]*plan.Plan{}, specs: map[string]spec.Action{}, results: map[string]task.ActResult{}}
	out = &s.played
	defer func() { // the test environment panics where a workflow cannot go on
		if x := recover(); x != nil {
			out.Problem = fmt.Sprintf("the run stopped: %v", x)
		}
	}()
	if err := s.learn(p); err != nil {
		out.Problem = err.Error()
		return out
	}
	var suite testsuite.WorkflowTestSuite
	suite.SetLogger(quiet{})
	env := suite.NewTestWorkflowEnvironment()
	env.SetStartTime(now)
	env.SetTestTimeout(realTime)
	// A machine under load is no deadlock of the run.
	env.SetWorkerOptions(worker.Options{DeadlockDetectionTimeout: realTime})
	wf.Register(env)
	s.register(env)
	s.wake(env)
	env.ExecuteWorkflow(run.PlaybookWorkflow, in)
	s.mu.Lock()
	defer s.mu.Unlock()
	out.Took = env.Now().Sub(now)
	if !env.IsWorkflowCompleted() {
		out.Problem = "the run did not end"
	} else if err := env.GetWorkflowError(); err != nil {
		out.Problem = "the run could not be played: " + err.Error()
	} else if err := env.GetWorkflowResult(&out.Result); err != nil {
		out.Problem = err.Error()
	}
	return out
}

// wake tells the run of alerts that join it.
func (s *stage) wake(env *testsuite.TestWorkflowEnvironment) {
	for i, j := range s.script.Joined() {
		env.RegisterDelayedCallback(func() {
			env.UpdateWorkflow(run.UpdateAlerted, fmt.Sprintf("joined-%d", i), told{}, run.Alerted{})
		}, j.After)
	}
}

// told takes what comes of an Update; nobody waits for it.
type told struct{}

func (told) Accept()             {}
func (told) Reject(error)        {}
func (told) Complete(any, error) {}

// learn collects the actions of a plan and of those that it calls.
func (s *stage) learn(p *plan.Plan) error {
	for _, a := range p.Actions {
		s.specs[a.Name] = a.Spec
		if _, known := s.specs[a.Spec.Inverse]; a.Spec.Inverse != "" && !known {
			if inv, ok := vocabulary.Lookup(a.Spec.Inverse); ok {
				s.specs[inv.Name] = inv
			}
		}
	}
	for _, ch := range p.Children {
		cp, err := p.ChildPlan(ch.Digest)
		if err != nil {
			return err
		}
		s.plans[ch.Digest] = cp
		if err := s.learn(cp); err != nil {
			return err
		}
	}
	return nil
}

func (s *stage) at(p task.Place) string { return qualified(s.root.Playbook, p.Playbook, p.Step) }

// qualified is a step's place as people name it: its path, of a called playbook
// behind its name.
func qualified(root, playbook, path string) string {
	if playbook == "" || playbook == root {
		return path
	}
	return playbook + "/" + path
}

func (s *stage) read(ctx context.Context, q task.ReadRequest) task.ReadResult {
	return s.script.Read(ctx, q)
}

func (s *stage) act(ctx context.Context, q task.ActRequest) task.ActResult {
	key := q.Key.String()
	s.mu.Lock()
	if r, ok := s.results[key]; ok {
		s.mu.Unlock()
		return r
	}
	var r task.ActResult
	e, no := s.effect(q)
	s.mu.Unlock()
	switch {
	case no != "":
		r = task.ActResult{Outcome: task.Refused, Detail: no}
	case e == nil:
		r = task.ActResult{Outcome: task.Skipped, Detail: "nothing to take back"}
	case q.Of != "":
		r = task.ActResult{Outcome: task.Done}
	default:
		r = s.script.Act(ctx, q, e)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if e != nil {
		e.Outcome, e.Detail = r.Outcome, r.Detail
	}
	s.results[key] = r
	return r
}

// effect puts an effect on the list; no is set where the playbook's limit is
// reached, and nil says that there is nothing to take back.
func (s *stage) effect(q task.ActRequest) (e *Effect, no string) {
	e = &Effect{
		Step: s.at(q.Place), Iteration: q.Iteration, Phase: q.Phase, Playbook: q.Playbook, Run: q.Run,
		Key: q.Key.String(), Action: q.Action, Instance: q.Inst, Inputs: q.Inputs, Approval: q.Approval,
	}
	if q.Of != "" {
		i := slices.IndexFunc(s.played.Effects, func(o *Effect) bool { return o.Key == q.Of && !o.Undo })
		if i < 0 || s.played.Effects[i].Undone || !there(s.played.Effects[i].Outcome) {
			return nil, ""
		}
		of := s.played.Effects[i]
		of.Undone = true
		e.Undo, e.Of, e.Action, e.Instance, e.Inputs, e.Targets = true, of.Step, of.spec.Inverse, of.Instance, of.Inputs, of.Targets
		if a := of.Arranged; a != nil {
			e.Action, e.Instance, e.Inputs = a.Action, a.Instance, a.Inputs
		}
		s.played.Effects = append(s.played.Effects, e)
		return e, ""
	}
	e.spec = s.specs[q.Action]
	e.Targets = targetsOf(e.spec, q.Inputs)
	if q.Limit != 0 {
		n := len(e.Targets)
		for _, o := range s.played.Effects {
			if o.Run == q.Run && o.Action == q.Action && !o.Undo && there(o.Outcome) {
				n += len(o.Targets)
			}
		}
		if n > max(0, q.Limit) {
			return nil, fmt.Sprintf("limit: the playbook allows %s on %d targets in one run; this would be number %d", q.Action, max(0, q.Limit), n)
		}
	}
	s.played.Effects = append(s.played.Effects, e)
	return e, ""
}

// there reports whether an effect with an outcome is there to be taken back, as
// far as is known.
func there(o task.Outcome) bool {
	return o == task.Done || o == task.Partial || o == task.Unknown
}

// stack lists what can be taken back, the newest first.
func (s *stage) stack(q task.StackRequest) task.StackResult {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out task.StackResult
	for _, e := range slices.Backward(s.played.Effects) {
		if e.Undo || e.Undone || !there(e.Outcome) {
			continue
		}
		k, err := run.ParseKey(e.Key)
		if err != nil || (len(q.Steps) > 0 && e.Run == q.Run && !slices.Contains(q.Steps, k.Step)) || (len(q.Keys) > 0 && !slices.Contains(q.Keys, e.Key)) {
			continue
		}
		out.Items = append(out.Items, task.StackItem{Key: e.Key, Action: e.Action, Inverse: e.spec.Inverse, Targets: labels(e.Targets), Reversal: string(e.spec.Reversal), Outcome: string(e.Outcome)})
	}
	return out
}

func (s *stage) resolve(q task.ResolveRequest) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.played.Effects {
		if e.Key != q.Key {
			continue
		}
		if e.Outcome = task.Failed; q.As == "done" || q.As == "by_hand" {
			e.Outcome = task.Done
		}
	}
}

func (s *stage) inForce(q task.InForceRequest) task.InForceResult {
	var out task.InForceResult
	for _, i := range s.stack(task.StackRequest{Run: q.Run}).Items {
		k, err := run.ParseKey(i.Key)
		if err == nil {
			out.Effects = append(out.Effects, task.InForce{Key: i.Key, Action: i.Action, Step: k.Step, Targets: i.Targets, Since: s.began})
		}
	}
	return out
}

func (s *stage) arrange(q task.ArrangeRequest) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.played.Effects {
		if e.Key == q.Key {
			e.Arranged = &q
		}
	}
}

func (s *stage) held(h run.HoldInput) {
	s.mu.Lock()
	defer s.mu.Unlock()
	k, err := run.ParseKey(h.Key)
	if err == nil {
		playbook := ""
		for _, e := range s.played.Effects {
			if e.Run == k.Run {
				playbook = e.Playbook
			}
		}
		s.played.Holds = append(s.played.Holds, Hold{Step: qualified(s.root.Playbook, playbook, k.Step), Iteration: k.Iteration, For: h.For, Then: h.Then})
	}
}

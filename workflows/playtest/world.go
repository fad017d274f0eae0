package playtest

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/quell-soar/quell/activities/task"
	"github.com/quell-soar/quell/connectors/spec"
	"github.com/quell-soar/quell/connectors/spec/kind"
	"github.com/quell-soar/quell/playbooks/plan"
)

// Instance is the one connector instance of a play. It serves every action.
const Instance = "test"

// The tries of a call, as activities have them where a step does not say.
const defaultTries = 3

// Effect is one effect of a play.
type Effect struct {
	Step, Iteration string
	Key             string
	Action          string
	Targets         []string
	Outcome         task.Outcome
	Reversal        string
	Undo, Undone    bool
	Inputs          json.RawMessage
	Approval        string
	// of is the effect that this one takes back, or nil.
	of *Effect
	n  int
}

// Request is one request to people in a play.
type Request struct {
	ID, Step, Kind, Text string
	Levels               []task.Level
	Opened               time.Time
	Show                 json.RawMessage
	Decided              string
	say                  *Say
}

// Hold is one hold that a play began.
type Hold struct {
	Step string
	For  time.Duration
	Then string
}

// world answers the activities of one play. Activities run at once, so it locks.
type world struct {
	mu    sync.Mutex
	root  *plan.Plan
	specs map[string]spec.Action
	plans map[string]*plan.Plan // by digest: called playbooks
	c     *Case
	began time.Time
	// budget is how long a play may take in playbook time.
	budget time.Duration

	effects  []*Effect
	results  map[string]task.ActResult
	requests []*Request
	said     []bool
	given    map[string][]int
	calls    map[string]int
	holds    []Hold
	reports  []string
	notes    []string
	// problems are what the script lacks: an action without an answer, a person
	// who is asked and says nothing for ever.
	problems []string
	// force makes one action fail, for the sweep: at its n-th call, from 1.
	force *fault
}

type fault struct {
	action string
	at     int
	answer Answer
	seen   int
	// hit says that the call came.
	hit bool
}

func newWorld(p *plan.Plan, c *Case) (*world, error) {
	w := &world{
		root: p, c: c, began: c.Now, budget: 60 * 24 * time.Hour, specs: map[string]spec.Action{}, plans: map[string]*plan.Plan{},
		results: map[string]task.ActResult{}, said: make([]bool, len(c.People)), given: map[string][]int{}, calls: map[string]int{},
	}
	return w, w.learn(p)
}

// learn collects the actions of a plan and of those that it calls.
func (w *world) learn(p *plan.Plan) error {
	for _, a := range p.Actions {
		w.specs[a.Name] = a.Spec
		if inv, ok := inverse(p, a.Spec.Inverse); ok && w.specs[inv.Name].Name == "" {
			w.specs[inv.Name] = inv
		}
	}
	for _, ch := range p.Children {
		cp, err := p.ChildPlan(ch.Digest)
		if err != nil {
			return err
		}
		w.plans[ch.Digest] = cp
		if err := w.learn(cp); err != nil {
			return err
		}
	}
	return nil
}

// at is the place of a task as tests name it: the step's path, of a called
// playbook behind its name.
func (w *world) at(p task.Place) string {
	if p.Playbook == "" || p.Playbook == w.root.Playbook {
		return p.Step
	}
	return p.Playbook + "/" + p.Step
}

func (w *world) problem(format string, args ...any) {
	m := fmt.Sprintf(format, args...)
	if !slices.Contains(w.problems, m) {
		w.problems = append(w.problems, m)
	}
}

// next finds the answer that a call gets. It is used up where use says so.
func (w *world) next(action string, inputs json.RawMessage, use bool) (Answer, bool) {
	if f := w.force; f != nil && f.action == action {
		n := f.seen + 1
		if use {
			f.seen = n
		}
		if n >= f.at && n < f.at+defaultTries {
			f.hit = f.hit || use
			return f.answer, true
		}
	}
	list := w.c.Answers[action]
	used := w.given[action]
	if used == nil {
		used = make([]int, len(list))
		w.given[action] = used
	}
	last := -1
	for i, a := range list {
		if !fits(a, inputs) {
			continue
		}
		last = i
		if used[i] < max(1, a.Times) {
			break
		}
	}
	if last < 0 {
		return Answer{}, false
	}
	if use {
		used[last]++
	}
	return list[last], true
}

func fits(a Answer, inputs json.RawMessage) bool {
	if len(a.When) == 0 {
		return true
	}
	var m map[string]any
	if err := json.Unmarshal(inputs, &m); err != nil {
		return false
	}
	for name, want := range a.When {
		got := m[name]
		if h, ok := got.(map[string]any); ok && h["handle"] != nil {
			if fmt.Sprint(h["id"]) != want {
				return false
			}
			continue
		}
		raw, err := json.Marshal(got)
		if err != nil || string(raw) != want {
			return false
		}
	}
	return true
}

// delay is how long the next call of an action takes.
func (w *world) delay(action string, inputs json.RawMessage) time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	a, _ := w.next(action, inputs, false)
	return a.After
}

func (w *world) read(q task.ReadRequest) task.ReadResult {
	if q.Quick && w.delay(q.Action, q.Inputs) > 0 {
		return task.ReadResult{Busy: true}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.calls[q.Action]++
	var a Answer
	for range cmp.Or(q.Attempts, defaultTries) {
		var ok bool
		if a, ok = w.next(q.Action, q.Inputs, true); !ok {
			w.problem("step %s calls %s and the test gives no answer", w.at(q.Place), q.Action)
			return task.ReadResult{Failure: &task.Failure{Kind: string(spec.NotFound), Message: "the test gives no answer"}}
		}
		if !spec.ErrorKind(a.Error).Retryable() {
			break
		}
	}
	if q.Timeout > 0 && a.After > q.Timeout {
		a = Answer{Error: "timeout", Message: "it took longer than " + kind.FormatDuration(q.Timeout)}
	}
	if a.Error != "" {
		return task.ReadResult{Failure: &task.Failure{Kind: a.Error, Message: cmp.Or(a.Message, "as the test says")}}
	}
	out := map[string]any{} // what expressions read comes back, as it does from the activity
	for name, v := range a.Value {
		if wanted(q.Fields, name) {
			out[name] = v
		}
	}
	raw, err := kind.Canonical(out)
	if err != nil {
		return task.ReadResult{Failure: &task.Failure{Kind: string(spec.Internal), Message: err.Error()}}
	}
	return task.ReadResult{Output: raw}
}

func wanted(fields []string, name string) bool {
	return slices.Contains(fields, name) || slices.Contains(fields, "*")
}

func orEmpty(m map[string]any) map[string]any {
	if m == nil {
		return map[string]any{}
	}
	return m
}

func (w *world) act(q task.ActRequest) task.ActResult {
	w.mu.Lock()
	defer w.mu.Unlock()
	key := q.Key.String()
	if r, ok := w.results[key]; ok {
		return r
	}
	var r task.ActResult
	if q.Of != "" {
		r = w.takeBack(q, key)
	} else {
		r = w.bring(q, key)
	}
	w.results[key] = r
	return r
}

// bring plays an effect.
func (w *world) bring(q task.ActRequest, key string) task.ActResult {
	sp := w.specs[q.Action]
	e := &Effect{Step: w.at(q.Place), Iteration: q.Iteration, Key: key, Action: q.Action, Targets: targets(sp, q.Inputs), Reversal: string(sp.Reversal), Inputs: q.Inputs, Approval: q.Approval, n: len(w.effects)}
	if q.Limit != 0 {
		n := len(e.Targets)
		for _, o := range w.effects {
			if o.Action == q.Action && !o.Undo && (o.Outcome.Happened() || o.Outcome == task.Unknown || o.Outcome == task.Partial) {
				n += len(o.Targets)
			}
		}
		if n > max(0, q.Limit) {
			return task.ActResult{Outcome: task.Refused, Detail: fmt.Sprintf("the playbook allows %s on %d targets in one run", q.Action, max(0, q.Limit))}
		}
	}
	w.effects = append(w.effects, e)
	if q.Mode == "observe" {
		a, _ := w.next(q.Action, q.Inputs, true)
		e.Outcome = task.Simulated
		return task.ActResult{Outcome: task.Simulated, Output: w.output(sp, a.Value, e, q.Fields, "(simulated)")}
	}
	w.calls[q.Action]++
	a := w.tried(q)
	r := w.settle(sp, a, e, q.Fields)
	e.Outcome = r.Outcome
	return r
}

// tried is the answer that the last try of an effect gets.
func (w *world) tried(q task.ActRequest) Answer {
	var a Answer
	for range cmp.Or(q.Attempts, defaultTries) {
		a, _ = w.next(q.Action, q.Inputs, true) // without one it is done
		if !spec.ErrorKind(a.Error).Retryable() {
			break
		}
	}
	if q.Timeout > 0 && a.After > q.Timeout {
		a = Answer{Lost: true, Message: "it took longer than " + kind.FormatDuration(q.Timeout)}
	}
	return a
}

func (w *world) settle(sp spec.Action, a Answer, e *Effect, fields []string) task.ActResult {
	message := cmp.Or(a.Message, "as the test says")
	switch {
	case a.Lost || a.Error == "timeout":
		return task.ActResult{Outcome: task.Unknown, Detail: cmp.Or(a.Message, "the answer was lost"), Held: true}
	case a.Outcome == "refused":
		return task.ActResult{Outcome: task.Refused, Detail: message}
	case a.Error != "":
		k := spec.ErrorKind(a.Error)
		if !k.NoEffect() {
			return task.ActResult{Outcome: task.Unknown, Detail: a.Error + ": " + message, Held: true}
		}
		return task.ActResult{Outcome: task.Failed, Failure: &task.Failure{Kind: a.Error, Message: message}}
	}
	o := task.Outcome(cmp.Or(a.Outcome, string(task.Done)))
	return task.ActResult{Outcome: o, Output: w.output(sp, a.Value, e, fields, "(done)"), Held: o != task.Already && sp.Inverse != ""}
}

// output is of an effect's output what expressions read: what the test says, and
// stand-ins for the rest.
func (w *world) output(sp spec.Action, value map[string]any, e *Effect, fields []string, stand string) json.RawMessage {
	out := map[string]any{}
	for _, f := range sp.Outputs {
		if !wanted(fields, f.Name) {
			continue
		}
		if v, ok := value[f.Name]; ok {
			out[f.Name] = v
			continue
		}
		if f.Optional {
			continue
		}
		if v := standIn(f.Type, stand, e.n); v != nil {
			out[f.Name] = v
		}
	}
	raw, err := kind.Canonical(out)
	if err != nil {
		w.problem("%s: %v", sp.Name, err)
		return nil
	}
	return raw
}

func standIn(t kind.Type, word string, n int) any {
	if names, ok := t.Enum(); ok && len(names) > 0 {
		return names[0]
	}
	switch t.Kind {
	case kind.Handled:
		return kind.Handle{Name: t.Name, Instance: Instance, ID: fmt.Sprintf("%s-%d", t.Name, n+1), Label: word}
	case kind.List:
		return []any{}
	case kind.Map:
		return map[string]any{}
	case kind.String:
		return word
	case kind.Int:
		return int64(0)
	case kind.Double:
		return float64(0)
	case kind.Boolean:
		return false
	}
	return nil
}

// targets are the labels of what a call acts on.
func targets(sp spec.Action, inputs json.RawMessage) []string {
	v, err := kind.Decode(sp.InputType(), inputs)
	if err != nil {
		return nil
	}
	m, _ := v.(map[string]any)
	all, many := m[sp.Targets].([]any)
	if !many && m[sp.Targets] != nil {
		all = []any{m[sp.Targets]}
	}
	var out []string
	for _, x := range all {
		if h, ok := x.(kind.Handle); ok {
			out = append(out, h.Label)
			continue
		}
		out = append(out, fmt.Sprint(x))
	}
	return out
}

// deeds lists the effects that happened or may have, in their order. Those of one
// loop that goes over several elements at once stand in the order of its list, and
// what takes them back in the reverse of it.
func (w *world) deeds() []*Effect {
	var out []*Effect
	for _, e := range w.effects {
		if e.Outcome.Happened() || e.Outcome == task.Partial || e.Outcome == task.Unknown {
			out = append(out, e)
		}
	}
	for i := 0; i < len(out); {
		j := i
		for j < len(out) && out[j].loop() == out[i].loop() {
			j++
		}
		slices.SortStableFunc(out[i:j], func(a, b *Effect) int {
			if a.of != nil {
				return byIteration(b.of.Iteration, a.of.Iteration)
			}
			return byIteration(a.Iteration, b.Iteration)
		})
		i = j
	}
	return out
}

// loop names the step of an effect, and of one that takes another back that one's.
func (e *Effect) loop() [2]string {
	if e.of != nil {
		return [2]string{e.Step, e.of.Step}
	}
	return [2]string{e.Step}
}

func byIteration(a, b string) int {
	x, y := strings.Split(a, "."), strings.Split(b, ".")
	for i := range min(len(x), len(y)) {
		m, _ := strconv.Atoi(x[i])
		n, _ := strconv.Atoi(y[i])
		if c := cmp.Compare(m, n); c != 0 {
			return c
		}
	}
	return cmp.Compare(len(x), len(y))
}

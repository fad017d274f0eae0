package rehearse

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/quell-soar/quell/activities"
	"github.com/quell-soar/quell/activities/task"
	"github.com/quell-soar/quell/connectors/spec"
	"github.com/quell-soar/quell/internal/guard"
	"github.com/quell-soar/quell/playbooks/plan"
	"github.com/quell-soar/quell/server/api"
	"github.com/quell-soar/quell/workflows"
	"github.com/quell-soar/quell/workflows/run"
)

// Sources are what a preview may ask. Neither can bring an effect about.
type Sources interface {
	// Read makes a read, or answers it from a fixture.
	Read(ctx context.Context, q task.ReadRequest) (task.ReadResult, error)
	// Foresee says what would become of an effect; nil where nobody can say, as
	// offline.
	Foresee(ctx context.Context, q task.ActRequest) (*activities.Foreseen, error)
}

// Preview is what a preview is asked for.
type Preview struct {
	Plan *plan.Plan
	// Input is what a run would be started with. Its Mode is the one that a run
	// would start in; the preview plays observe as act, to show who would be asked.
	Input run.Input
	// Callees are the inputs of called runs that the installation adds, by name:
	// settings, bindings, calendars.
	Callees map[string]run.Input
	Now     time.Time
	Sources Sources
	// Persons lists who could answer now for a role or duty; nil knows nobody.
	Persons func(who string) []string
	Offline bool
}

// mostPlays bounds how many ways one preview plays.
const mostPlays = 80

// preview is one preview at work.
type preview struct {
	Preview
	ctx      context.Context
	unknowns *unknowns
	wf       *workflows.Workflows
	specs    map[string]spec.Action

	mu       sync.Mutex
	reads    map[string]*made
	order    []*made
	foreseen map[string]*activities.Foreseen
	failed   error

	plays  []*variant
	points []*point
}

// made is one read, called once whatever ways ask for it.
type made struct {
	q     task.ReadRequest
	at    string
	after []string
	done  chan struct{}
	res   task.ReadResult
}

// point is a place where the way parts: a request, a condition, an effect's end.
type point struct {
	key string
	req *Request
	con *condition
	// says are what people can say, in place of labels; labels are the ways.
	says   []Said
	labels []string
	// from is the play in which it was met first.
	from *variant
	ways []*variant
}

// variant is one way that was played.
type variant struct {
	choose map[string]int
	// point and option are what it does otherwise than its parent.
	point  *point
	option int
	parent *variant
	played *Played
	// verdicts are what the guards said in this play, by the effect's key.
	verdicts map[string]*api.PlanGuard
	spent    map[string]int
}

// Run makes a preview. An error is a plan that cannot be played at all, or sources
// that failed.
func (r Preview) Run(ctx context.Context) (*api.Plan, error) {
	u, err := hanging(r.Plan)
	if err != nil {
		return nil, err
	}
	p := &preview{Preview: r, ctx: ctx, wf: workflows.New(), unknowns: u, specs: map[string]spec.Action{}, reads: map[string]*made{}, foreseen: map[string]*activities.Foreseen{}}
	if err := p.learn(r.Plan); err != nil {
		return nil, err
	}
	base := &variant{choose: map[string]int{}}
	for todo := []*variant{base}; len(todo) > 0 && len(p.plays) < mostPlays; todo = todo[1:] {
		if ctx.Err() != nil {
			return nil, fmt.Errorf("the preview took too long: %w", context.Cause(ctx))
		}
		v := todo[0]
		if err := p.play(v); err != nil {
			return nil, err
		}
		todo = append(todo, p.meet(v)...)
	}
	if p.failed != nil {
		return nil, p.failed
	}
	return p.report(), nil
}

func (p *preview) learn(of *plan.Plan) error {
	for _, a := range of.Actions {
		p.specs[a.Name] = a.Spec
	}
	for _, ch := range of.Children {
		cp, err := of.ChildPlan(ch.Digest)
		if err != nil {
			return err
		}
		if err := p.learn(cp); err != nil {
			return err
		}
	}
	return nil
}

// play plays one way.
func (p *preview) play(v *variant) error {
	forced, err := p.unknowns.forced(p.Plan, p.Plan.Playbook, func(key string) int { return v.choose[key] })
	if err != nil {
		return err
	}
	raw, err := forced.Encode()
	if err != nil {
		return err
	}
	in := p.Input
	in.Plan, in.Digest = raw, plan.DigestOf(raw)
	if len(raw) > run.MaxInlinePlan {
		in.Plan = nil
	}
	in.Mode = shown(in.Mode)
	in.Bindings = slices.Clone(in.Bindings)
	for i := range in.Bindings {
		in.Bindings[i].Mode = shown(in.Bindings[i].Mode)
	}
	v.verdicts, v.spent = map[string]*api.PlanGuard{}, map[string]int{}
	v.played = play(p.wf, forced, in, p.Now, &imagining{p, v})
	p.plays = append(p.plays, v)
	return nil
}

// shown is the mode in which a preview plays: observe asks nobody, and would hide
// who is asked once the mode is raised.
func shown(mode string) string {
	if mode == string(guard.Observe) {
		return string(guard.Act)
	}
	return mode
}

// meet finds where the way parts in a play, and what else there is to play.
func (p *preview) meet(v *variant) []*variant {
	var out []*variant
	add := func(pt *point) {
		if slices.ContainsFunc(p.points, func(o *point) bool { return o.key == pt.key }) {
			return
		}
		pt.from = v
		p.points = append(p.points, pt)
		for i := 1; i < len(pt.labels); i++ {
			w := &variant{choose: map[string]int{pt.key: i}, point: pt, option: i, parent: v}
			maps.Copy(w.choose, v.choose)
			pt.ways = append(pt.ways, w)
			out = append(out, w)
		}
	}
	for _, r := range v.played.Requests {
		says, labels := sayings(r)
		add(&point{key: r.ID, req: r, says: says, labels: labels})
	}
	for _, c := range p.unknowns.list {
		if v.played.reached(c.at) {
			add(&point{key: c.key(), con: c, labels: c.ways})
		}
	}
	for _, e := range v.played.Effects {
		if !e.Undo && slices.Contains(p.unknowns.judged, e.Step) && e.Outcome == task.Done {
			c := &condition{at: e.Step, what: "outcome", text: e.Action, on: []string{e.Step}, ways: []string{"done", "failed"}}
			add(&point{key: c.key(), con: c, labels: c.ways})
		}
	}
	return out
}

// reached reports whether a play came to a step.
func (p *Played) reached(at string) bool {
	var in func(steps []run.StepProgress) bool
	in = func(steps []run.StepProgress) bool {
		return slices.ContainsFunc(steps, func(s run.StepProgress) bool { return s.Path == at || in(s.Steps) })
	}
	// What a called run reached stands in its own tree; its conditions all count.
	return in(p.Result.Tree.Steps) || !plainPath(at)
}

func plainPath(at string) bool { return !slices.Contains([]byte(at), '/') }

package workflows

import (
	"fmt"
	"slices"
	"sync"

	"github.com/quell-soar/quell/playbooks/expr"
	"github.com/quell-soar/quell/playbooks/plan"
)

// program is a plan with its expressions ready to run.
type program struct {
	plan *plan.Plan
	set  *expr.Set
	// ids are the paths of a step's id and of all steps inside it: what an undo of
	// the id takes back.
	ids map[string][]string
	// named lists the ids in the order of the plan; inside those of the steps in a
	// step, by its path.
	named  []string
	inside map[string][]string
	// open are the expressions that read run.open.
	open map[plan.ExprRef]bool
	// children are the called playbooks, by digest.
	children map[string]*plan.Plan
}

// Programs caches the programs of plans by digest, over all runs of a worker.
// What it returns depends on the digest alone, so a workflow that asks it stays
// deterministic whether the answer was cached or not.
type Programs struct {
	mu    sync.Mutex
	known map[string]*program
	order []string
}

// cachedPrograms bounds the cache; the oldest goes first.
const cachedPrograms = 256

// NewPrograms makes an empty cache. One is shared by all workflows of a worker.
func NewPrograms() *Programs { return &Programs{known: map[string]*program{}} }

func (p *Programs) get(digest string, raw []byte) (*program, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if pr, ok := p.known[digest]; ok {
		return pr, nil
	}
	if got := plan.DigestOf(raw); got != digest {
		return nil, fmt.Errorf("the plan's digest is %s, the run was started with %s", got, digest)
	}
	pl, err := plan.Decode(raw)
	if err != nil {
		return nil, err
	}
	set, err := expr.Load(pl)
	if err != nil {
		return nil, fmt.Errorf("load the expressions of %s: %w", pl.Playbook, err)
	}
	pr := &program{plan: pl, set: set, ids: map[string][]string{}, inside: map[string][]string{}, open: map[plan.ExprRef]bool{}, children: map[string]*plan.Plan{}}
	for _, ph := range pl.Phases {
		pr.collect(ph.Steps)
	}
	for i, e := range pl.Exprs {
		pr.open[plan.ExprRef(i)] = slices.Contains(e.Uses, "run.open")
	}
	for _, c := range pl.Children {
		if pr.children[c.Digest], err = pl.ChildPlan(c.Digest); err != nil {
			return nil, err
		}
	}
	if len(p.order) >= cachedPrograms {
		delete(p.known, p.order[0])
		p.order = p.order[1:]
	}
	p.known[digest], p.order = pr, append(p.order, digest)
	return pr, nil
}

// collect maps the ids of steps to the paths of the steps and of all inside them,
// and returns all those paths.
func (pr *program) collect(steps []plan.Step) []string {
	var all []string
	for i := range steps {
		st := &steps[i]
		paths := []string{st.Path}
		if st.ID != "" {
			pr.named = append(pr.named, st.ID)
		}
		before := len(pr.named)
		for _, inside := range st.Inside() {
			paths = append(paths, pr.collect(inside)...)
		}
		pr.inside[st.Path] = slices.Clone(pr.named[before:])
		if st.ID != "" {
			pr.ids[st.ID] = paths
		}
		all = append(all, paths...)
	}
	return all
}

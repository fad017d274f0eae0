package workflows

import (
	"fmt"
	"sync"

	"github.com/quell-soar/quell/playbooks/expr"
	"github.com/quell-soar/quell/playbooks/plan"
)

// program is a plan with its expressions ready to run.
type program struct {
	plan *plan.Plan
	set  *expr.Set
	ids  map[string]string // step id to step path
	// named lists the ids in the order of the plan.
	named []string
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
	pr := &program{plan: pl, set: set, ids: map[string]string{}}
	for _, ph := range pl.Phases {
		pr.collect(ph.Steps)
	}
	if len(p.order) >= cachedPrograms {
		delete(p.known, p.order[0])
		p.order = p.order[1:]
	}
	p.known[digest], p.order = pr, append(p.order, digest)
	return pr, nil
}

// collect maps the ids of steps, and of all steps inside them, to paths.
func (pr *program) collect(steps []plan.Step) {
	for i := range steps {
		st := &steps[i]
		if st.ID != "" {
			pr.ids[st.ID] = st.Path
			pr.named = append(pr.named, st.ID)
		}
		pr.collect(st.Steps)
		if st.Choose != nil {
			for _, c := range st.Choose.Cases {
				pr.collect(c.Steps)
			}
			pr.collect(st.Choose.Default)
		}
	}
}

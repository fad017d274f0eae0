package compile

import (
	"time"

	"github.com/quell-soar/quell/playbooks/source"
)

// TimeStages compiles a playbook and tells how long each stage took.
func TimeStages(f *source.File, o Options, tell func(stage string, d time.Duration)) {
	u := newUnit(f, o.Actions, &session{playbooks: o.Playbooks, done: map[string]called{}})
	u.installed = o.Installed
	defer u.leave()
	for _, s := range stages() {
		begin := time.Now()
		s.run(u)
		tell(s.name, time.Since(begin))
		if u.tree == nil {
			return
		}
	}
}

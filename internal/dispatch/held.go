package dispatch

import (
	"errors"
	"slices"
	"time"

	"go.temporal.io/sdk/temporal"

	"github.com/quell-soar/quell/activities/task"
)

// held is what of a run waits for connectors: a vendor that does not answer, has
// all its slots taken or asks to wait. Such a run does not work, or the runs that
// wait for one vendor would keep those from starting that need another.
type held struct {
	// sitting counts the activities that wait, by instance; since is when all that
	// are under way had come to wait.
	sitting map[string]int
	since   time.Time
	// back is until when activities were given back to the engine, by instance.
	back map[string]time.Time
}

const (
	// patience is how long all activities of a run wait before it counts as waiting:
	// a busy instance lets each call wait a little.
	patience = time.Second
	// slack is how much later than asked an activity may come back.
	slack = time.Second
)

// waiting reports whether the run waits for connectors and nothing else; busy is
// how many of its activities are under way.
func (h *held) waiting(now time.Time, busy int) bool {
	if busy > 0 {
		return h.all(busy) && now.Sub(h.since) >= patience
	}
	for _, until := range h.back {
		if now.Before(until) {
			return true
		}
	}
	return false
}

func (h *held) all(busy int) bool {
	n := 0
	for _, of := range h.sitting {
		n += of
	}
	return n >= busy
}

// waits notes that an activity of a run begins to wait for an instance.
func (p *Pulse) waits(id, instance string) (over func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	r := p.of(id)
	if r.sitting == nil {
		r.sitting = map[string]int{}
	}
	r.sitting[instance]++
	if r.all(r.busy) {
		r.since = p.now()
	}
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		if r.sitting[instance]--; r.sitting[instance] == 0 {
			delete(r.sitting, instance)
		}
	}
}

// returned notes how an activity ended: where it goes back to the engine until its
// instance takes calls again, the run waits until then.
func (p *Pulse) returned(id string, err error) {
	var back *temporal.ApplicationError
	var instance string
	if !errors.As(err, &back) || back.Type() != task.Shut || back.Details(&instance) != nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	r := p.of(id)
	if r.back == nil {
		r.back = map[string]time.Time{}
	}
	r.back[instance] = p.now().Add(back.NextRetryDelay() + slack)
}

// Held counts the runs that wait for a connector's instance and do nothing else, by
// instance.
func (p *Pulse) Held() map[string]int {
	if p == nil {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	now, by := p.now(), map[string]int{}
	for _, r := range p.runs {
		if !r.waiting(now, r.busy) {
			continue
		}
		for instance := range r.sitting {
			by[instance]++
		}
		for instance, until := range r.back {
			if now.Before(until) && r.sitting[instance] == 0 {
				by[instance]++
			}
		}
	}
	return by
}

// Held is Pulse.Held.
func (d *Dispatcher) Held() map[string]int { return d.opts.Pulse.Held() }

// Crowded lists the instances whose runs are not started now, sorted: so many wait
// for them that they would fill the house, and another of theirs could only wait too.
// Half of the runs that may work at once make a crowd; a tenth does where as many as
// may work wait in all, such as when no vendor can be reached.
func (d *Dispatcher) Crowded() []string {
	if d.opts.Active <= 0 {
		return nil
	}
	held, all := d.opts.Pulse.Held(), 0
	for _, waiting := range held {
		all += waiting
	}
	crowd := max(1, d.opts.Active/2)
	if all >= d.opts.Active {
		crowd = max(1, d.opts.Active/10)
	}
	var out []string
	for instance, waiting := range held {
		if waiting >= crowd {
			out = append(out, instance)
		}
	}
	slices.Sort(out)
	return out
}

// unwanted is Crowded for a scan; what changed since the last one is logged.
func (d *Dispatcher) unwanted() []string {
	list := d.Crowded()
	switch {
	case slices.Equal(list, d.shunned):
	case len(list) == 0:
		d.opts.Log.Info().Msg("runs of all connectors are started again")
	default:
		d.opts.Log.Warn().Strs("connectors", list).Msg("so many runs wait for these connectors that no more of theirs are started; others are")
	}
	d.shunned = list
	return list
}

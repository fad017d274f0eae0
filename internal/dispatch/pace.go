package dispatch

import "time"

// pace bounds how many runs work at once by how fast the engine answers. What the
// engine cannot do in time it begins anew, and then it does less the more it is given:
// a bound that is too high does not fill it but stops it. So the bound falls while
// answers are slow and rises while they are quick and it is reached, between least and
// Options.Active.
type pace struct {
	bound float64
	moved time.Time
	// told is when the log was last told that the bound falls.
	told time.Time
}

const (
	// slow is the default of Options.Slow. An engine that has nothing else to do takes
	// some milliseconds; Temporal gives a task of its queues up after 3 s, of some tens
	// of steps.
	slow = 250 * time.Millisecond
	// beat is how often the bound moves: what it did must be felt before it moves again.
	beat = 500 * time.Millisecond
	// least always work, or nothing would show that the engine is quick again.
	least = 8
	// narrows and widens are what the bound is multiplied with.
	narrows, widens = 0.8, 1.05
	// quiet is how long the log says no more of it.
	quiet = time.Minute
)

// of is the bound of now; most is the one of the configuration, working how many work,
// and late that the engine's answers are slow.
func (p *pace) of(now time.Time, most, working int, late bool) int {
	if p.bound == 0 {
		p.bound = float64(most)
	}
	if now.Sub(p.moved) >= beat {
		p.moved = now
		switch {
		case late:
			p.bound = min(p.bound, max(float64(working), least)) * narrows
		case float64(working) >= p.bound*narrows:
			p.bound = p.bound*widens + 1
		}
		p.bound = min(max(p.bound, least), float64(most))
	}
	return int(p.bound)
}

// paced is the bound of now, told in the log where it falls.
func (d *Dispatcher) paced(now time.Time, working int) int {
	if d.opts.Took == nil {
		return d.opts.Active
	}
	took, before := d.opts.Took(), d.Bound()
	bound := d.pace.of(now, d.opts.Active, working, took > d.opts.Slow)
	d.bound.Store(int64(bound))
	if bound < before && now.Sub(d.pace.told) >= quiet {
		d.pace.told = now
		d.opts.Log.Warn().Dur("answers_after_ms", took).Int("runs_at_once", bound).Int("of", d.opts.Active).
			Msg("the engine answers slowly: fewer runs work at once until it is quicker")
	}
	return bound
}

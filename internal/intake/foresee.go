package intake

import (
	"errors"
	"fmt"
	"slices"

	"github.com/quell-soar/quell/internal/runs"
)

// ErrNoRun says that an alert would start no run of a playbook; the text says why.
var ErrNoRun = errors.New("this alert starts no run")

// Foresee reads a body as an alert of a source and gives the claim that it would
// make for one playbook, and stores nothing. Whether a live run takes the alert, or
// a quiet time silences it, is not asked. An error wraps ErrShape or ErrNoRun.
func (in *Intake) Foresee(b Loaded, source string, body []byte) (runs.Claim, error) {
	s, ok := in.sources[source]
	if !ok {
		return runs.Claim{}, fmt.Errorf("%w: there is no source %q", ErrNoRun, cut(source))
	}
	a, err := Normalise(source, s.Format, "preview", in.now(), body)
	if err != nil {
		return runs.Claim{}, err
	}
	s.Ceiling.lower(&a)
	for _, t := range b.Plan.Triggers.Alerts {
		if !slices.Contains(t.From, source) && !slices.Contains(t.From, "any") {
			continue
		}
		m, applies := b.match(in.cfg.Tenant, t, "preview", a)
		if !applies {
			continue
		}
		if why := s.Ceiling.bars(source, b.Plan.Playbook); why != "" {
			return runs.Claim{}, fmt.Errorf("%w: %s", ErrNoRun, why)
		}
		if m.claim == nil {
			return runs.Claim{}, fmt.Errorf("%w: %s: %s", ErrNoRun, m.verdict, m.reason)
		}
		return *m.claim, nil
	}
	return runs.Claim{}, fmt.Errorf("%w: no trigger of %s takes it", ErrNoRun, b.Plan.Playbook)
}

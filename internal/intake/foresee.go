package intake

import (
	"errors"
	"fmt"
	"slices"

	"github.com/quell-soar/quell/internal/alert"
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

// Judged is what a playbook would have made of a stored alert: Claim is set where
// it would have asked for a run; else Verdict and Reason say why not, both empty
// where no trigger takes the alert.
type Judged struct {
	Claim           *runs.Claim
	Verdict, Reason string
}

// Judge evaluates the triggers of a playbook for a stored alert, as its arrival
// would have, and stores nothing. value is what expressions see of it.
func (in *Intake) Judge(b Loaded, id string, a alert.Alert, value map[string]any) Judged {
	ceiling := in.sources[a.Source].Ceiling
	var failed Judged
	for _, t := range b.Plan.Triggers.Alerts {
		if !slices.Contains(t.From, a.Source) && !slices.Contains(t.From, "any") {
			continue
		}
		m, applies := b.matchValue(in.cfg.Tenant, t, id, a, value)
		switch {
		case m.verdict == Failed:
			failed = Judged{Verdict: m.verdict, Reason: m.reason} // a further trigger may take it
			continue
		case !applies:
			continue
		}
		if why := ceiling.bars(a.Source, b.Plan.Playbook); why != "" {
			return Judged{Verdict: Refused, Reason: why}
		}
		return Judged{Claim: m.claim, Verdict: m.verdict, Reason: m.reason}
	}
	return failed
}

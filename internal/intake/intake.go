package intake

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/quell-soar/quell/internal/alert"
	"github.com/quell-soar/quell/internal/ledger"
	"github.com/quell-soar/quell/internal/runs"
	"github.com/quell-soar/quell/internal/store"
)

// Source is one configured sender of alerts.
type Source struct {
	Name   string
	Format Format
	// Keys are the secrets under which its deliveries may be signed: one, or
	// two while it is rotated.
	Keys [][]byte
	// Rate is how many alerts a second it may send for long, Burst how many at
	// once; 0 means 50 and 500.
	Rate  float64
	Burst int
	// Ceiling bounds what its alerts may say and cause.
	Ceiling Ceiling
}

// Config is what the installation says about intake.
type Config struct {
	Tenant  string
	Sources []Source
	// MaxWaiting is how many runs may wait before alerts are put off; 0 means
	// 10,000.
	MaxWaiting int
}

// Deps are the rooms that intake works with.
type Deps struct {
	DB     *store.DB
	Runs   *runs.Runs
	Ledger *ledger.Ledger
	Book   Book
	// Nudge wakes the dispatcher. It returns at once.
	Nudge func()
	// Space says why nothing new may be stored, or nil; without it there is always
	// space.
	Space func() error
	// Seen is told of every delivery, after its end. It returns at once; nil is
	// told nothing.
	Seen func(Seen)
}

// errSpace marks what Space said.
var errSpace = errors.New("nothing was stored")

// Seen is one delivery and what became of it.
type Seen struct {
	// Source is what the sender called itself; it may be nobody's name.
	Source string
	// Result is accepted, duplicate, unauthenticated, invalid, rate_limited,
	// backlogged, no_space or failed.
	Result     string
	Verdicts   []runs.Verdict
	Start, End time.Time
}

// seen tells who watches of a delivery.
func (in *Intake) seen(source string, start time.Time, got Received, err error) {
	if in.deps.Seen == nil {
		return
	}
	s := Seen{Source: source, Result: "accepted", Start: start, End: time.Now()}
	var busy *BusyError
	switch {
	case errors.Is(err, ErrSignature):
		s.Result = "unauthenticated"
	case errors.Is(err, ErrShape):
		s.Result = "invalid"
	case errors.As(err, &busy) && busy.backlog:
		s.Result = "backlogged"
	case errors.As(err, &busy):
		s.Result = "rate_limited"
	case errors.Is(err, errSpace):
		s.Result = "no_space"
	case err != nil:
		s.Result = "failed"
	case got.Duplicate:
		s.Result = "duplicate"
	default:
		s.Verdicts = got.Verdicts
	}
	in.deps.Seen(s)
}

// Intake receives alerts.
type Intake struct {
	cfg     Config
	deps    Deps
	sources map[string]Source
	buckets map[string]*bucket
	now     func() time.Time
}

// BusyError says that an alert was not taken and when to send it again.
type BusyError struct {
	Source string
	After  time.Duration
	Why    string
	// backlog says that too many runs wait, not that the source is too fast.
	backlog bool
}

func (e *BusyError) Error() string {
	return fmt.Sprintf("source %s: %s; nothing was stored, send it again in %s", e.Source, e.Why, e.After.Round(time.Second))
}

// Received is what came of a delivery.
type Received struct {
	// Alert is our id of the alert.
	Alert string
	// Duplicate says that it was stored before; Verdicts are those of then.
	Duplicate bool
	Verdicts  []runs.Verdict
}

// New opens intake for the configured sources. It refuses a source without a
// key: nobody may send unsigned.
func New(cfg Config, deps Deps, now func() time.Time) (*Intake, error) {
	if cfg.MaxWaiting == 0 {
		cfg.MaxWaiting = 10_000
	}
	in := &Intake{cfg: cfg, deps: deps, now: now, sources: map[string]Source{}, buckets: map[string]*bucket{}}
	for _, s := range cfg.Sources {
		if s.Rate <= 0 {
			s.Rate = 50
		}
		if s.Burst <= 0 {
			s.Burst = 500
		}
		if len(s.Keys) == 0 || len(s.Keys) > 2 {
			return nil, fmt.Errorf("alert source %s: it needs one key, or two while one is rotated", s.Name)
		}
		for _, k := range s.Keys {
			if len(k) < 16 {
				return nil, fmt.Errorf("alert source %s: a key is shorter than 16 bytes; make one of 32 random bytes", s.Name)
			}
		}
		if s.Format != Generic && s.Format != CrowdStrike {
			return nil, fmt.Errorf("alert source %s: unknown format %q; there are %s and %s", s.Name, s.Format, Generic, CrowdStrike)
		}
		if _, twice := in.sources[s.Name]; twice {
			return nil, fmt.Errorf("alert source %s is configured twice", s.Name)
		}
		in.sources[s.Name] = s
		in.buckets[s.Name] = newBucket(s.Rate, s.Burst)
	}
	return in, nil
}

// Precheck refuses what needs no body to be refused.
func (in *Intake) Precheck(d Delivery) error { return d.headersOK(in.now()) }

// Receive takes one delivery. An unknown source gets the answer of a wrong
// signature: nobody learns which sources there are. Errors are ErrSignature, ErrShape, *BusyError, that
// of Space, or a fault of ours; then nothing was stored, and sending again is right.
func (in *Intake) Receive(ctx context.Context, source string, d Delivery) (Received, error) {
	start := time.Now()
	got, err := in.receive(ctx, source, d)
	in.seen(source, start, got, err)
	return got, err
}

func (in *Intake) receive(ctx context.Context, source string, d Delivery) (Received, error) {
	src := in.sources[source]
	if err := d.verify(in.now(), src.Keys); err != nil {
		return Received{}, err
	}
	if wait, ok := in.buckets[source].take(in.now()); !ok {
		return Received{}, &BusyError{Source: source, After: wait, Why: "it sends faster than its configured rate"}
	}
	a, err := Normalise(source, src.Format, d.ID, in.now(), d.Body)
	if err != nil {
		return Received{}, err
	}
	src.Ceiling.lower(&a)
	id := runs.AlertID(in.cfg.Tenant, a.Source, a.ID)
	if verdicts, known, err := in.deps.Runs.Known(ctx, id); err != nil || known {
		return Received{Alert: id, Duplicate: known, Verdicts: verdicts}, err
	}
	if in.deps.Space != nil {
		if err := in.deps.Space(); err != nil {
			return Received{}, fmt.Errorf("source %s: %w: %w", source, errSpace, err)
		}
	}
	waiting, err := in.deps.Runs.Backlog(ctx)
	if err != nil {
		return Received{}, err
	}
	if waiting >= in.cfg.MaxWaiting {
		return Received{}, &BusyError{Source: source, After: 30 * time.Second, Why: fmt.Sprintf("%d runs wait already", waiting), backlog: true}
	}
	return in.keep(ctx, id, a)
}

// keep stores an alert and what it claims in one transaction. Expressions run
// before it: nothing slow holds the store.
func (in *Intake) keep(ctx context.Context, id string, a alert.Alert) (Received, error) {
	found := in.matches(id, a)
	var out Received
	started := false
	err := in.deps.DB.Update(ctx, func(tx *store.Tx) error {
		out, started = Received{Alert: id}, false
		_, first, err := in.deps.Runs.PutAlert(tx, in.cfg.Tenant, a)
		if err != nil {
			return err
		}
		if !first {
			out.Duplicate = true
			out.Verdicts, err = in.deps.Runs.Verdicts(tx, id)
			return err
		}
		for _, m := range found {
			v, err := in.claim(tx, m)
			if err != nil {
				return err
			}
			if err := in.deps.Runs.Judge(tx, id, v); err != nil {
				return err
			}
			out.Verdicts = append(out.Verdicts, v)
			started = started || v.Verdict == Started
		}
		return in.record(tx, id, a, out.Verdicts)
	})
	if err != nil {
		return Received{}, fmt.Errorf("keep alert %s: %w", id, err)
	}
	if started {
		in.deps.Nudge()
	}
	return out, nil
}

// claim turns a match into a verdict.
func (in *Intake) claim(tx *store.Tx, m match) (runs.Verdict, error) {
	v := runs.Verdict{Playbook: m.playbook, Verdict: m.verdict, Reason: m.reason}
	if m.claim == nil {
		return v, nil
	}
	c, err := in.deps.Runs.Claim(tx, *m.claim)
	if err != nil {
		return v, err
	}
	v.Run = c.ID
	switch {
	case c.New:
		v.Verdict = Started
	case c.Joined:
		v.Verdict = JoinedRun
	default:
		v.Verdict, v.Reason = Silenced, c.Silenced
	}
	return v, nil
}

// received is the ledger's payload of an alert.
type received struct {
	Source   string         `json:"source"`
	SourceID string         `json:"source_id"`
	Severity string         `json:"severity"`
	Dropped  []string       `json:"dropped,omitempty"`
	Verdicts []runs.Verdict `json:"verdicts,omitempty"`
}

// record writes the alert into the ledger, and into the story of each run that
// it started or joined.
func (in *Intake) record(tx *store.Tx, id string, a alert.Alert, vs []runs.Verdict) error {
	row := ledger.Row{Kind: "alert.received", Tenant: in.cfg.Tenant, Key: id, Actor: "source:" + a.Source}
	if _, err := in.deps.Ledger.Append(tx, row, received{a.Source, a.ID, a.Severity, a.Dropped, vs}); err != nil {
		return err
	}
	for _, v := range vs {
		if v.Verdict != Started && v.Verdict != JoinedRun {
			continue
		}
		row.Kind, row.Run = "run.claimed", v.Run
		if v.Verdict == JoinedRun {
			row.Kind = "run.joined"
		}
		if _, err := in.deps.Ledger.Append(tx, row, map[string]string{"title": a.Title, "severity": a.Severity}); err != nil {
			return err
		}
	}
	return nil
}

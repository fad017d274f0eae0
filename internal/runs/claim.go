package runs

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/quell-soar/quell/connectors/spec/kind"
	"github.com/quell-soar/quell/internal/store"
	"github.com/quell-soar/quell/workflows/run"
)

// Runs keeps runs, plans and alerts in the store.
type Runs struct {
	db  *store.DB
	now func() time.Time
}

// New opens the room; its tables must be there (Schema).
func New(db *store.DB, now func() time.Time) *Runs { return &Runs{db: db, now: now} }

// Claim decides about a run within the caller's transaction, so that an alert
// and what it claims are stored together or not at all.
func (r *Runs) Claim(tx *store.Tx, c Claim) (Claimed, error) {
	if c.OnceValue == nil {
		return r.claimByHand(tx, c)
	}
	hash := run.OnceHash(c.Tenant, c.Playbook, c.OnceValue)
	// The upsert locks the row until the transaction ends; whoever claims the
	// same value waits here and then sees what we decided.
	var generation int
	err := tx.QueryRow(`INSERT INTO claims (tenant, playbook, hash, generation) VALUES (?, ?, ?, 0)
		ON CONFLICT (tenant, playbook, hash) DO UPDATE SET generation = claims.generation RETURNING generation`,
		c.Tenant, c.Playbook, hash).Scan(&generation)
	if err != nil {
		return Claimed{}, fmt.Errorf("claim %s: %w", c.Playbook, err)
	}
	if generation > 0 {
		last, err := r.last(tx, run.ID(c.Playbook, hash, generation))
		if err != nil {
			return Claimed{}, err
		}
		if last.status != Ended {
			return Claimed{ID: last.id, Generation: generation, Joined: true}, last.join(tx, c)
		}
		if reason := last.silences(c, r.now()); reason != "" {
			return Claimed{ID: last.id, Generation: generation, Silenced: reason}, nil
		}
	}
	if generation == 0 {
		if err := tx.QueryRow(`SELECT COALESCE(MAX(generation), 0) FROM claims_floor`).Scan(&generation); err != nil {
			return Claimed{}, fmt.Errorf("claim %s: %w", c.Playbook, err)
		}
	}
	generation++
	if _, err := tx.Exec(`UPDATE claims SET generation = ? WHERE tenant = ? AND playbook = ? AND hash = ?`,
		generation, c.Tenant, c.Playbook, hash); err != nil {
		return Claimed{}, fmt.Errorf("claim %s: %w", c.Playbook, err)
	}
	id := run.ID(c.Playbook, hash, generation)
	_, err = r.insert(tx, id, hash, generation, c)
	return Claimed{ID: id, Generation: generation, New: true}, err
}

// claimByHand makes a run that is about nothing but itself.
func (r *Runs) claimByHand(tx *store.Tx, c Claim) (Claimed, error) {
	name := strings.ToLower(rand.Text())[:24]
	if c.Key != "" {
		sum := sha256.Sum256([]byte(c.Trigger.Actor + "\x00" + c.Key))
		name = hex.EncodeToString(sum[:])[:24]
	}
	id := run.ID(c.Playbook, "m-"+name, 1)
	fresh, err := r.insert(tx, id, "m-"+name, 1, c)
	if err != nil || fresh {
		return Claimed{ID: id, Generation: 1, New: fresh}, err
	}
	var inputs []byte
	var mode string
	if err := tx.QueryRow(`SELECT inputs, mode FROM runs WHERE id = ?`, id).Scan(&inputs, &mode); err != nil {
		return Claimed{}, fmt.Errorf("claim %s: %w", id, err)
	}
	if string(inputs) != string(c.Inputs) || mode != c.Mode {
		return Claimed{}, ErrKeyReused
	}
	// The playbook may have been edited in between: the run keeps its own.
	return Claimed{ID: id, Generation: 1, Repeated: true}, nil
}

// ended is the last run about a value, as a new claim meets it.
type ended struct {
	id       string
	status   Status
	closing  string
	severity string
	targets  []string
	at       time.Time
}

func (r *Runs) last(tx *store.Tx, id string) (ended, error) {
	e := ended{id: id}
	var targets []byte
	var at int64
	err := tx.QueryRow(`SELECT status, closing, severity, targets, ended FROM runs WHERE id = ?`, id).
		Scan(&e.status, &e.closing, &e.severity, &targets, &at)
	if err != nil {
		return e, fmt.Errorf("claim: run %s: %w", id, err)
	}
	e.at = fromNanos(at)
	if err := json.Unmarshal(targets, &e.targets); err != nil {
		return e, fmt.Errorf("claim: targets of run %s: %w", id, err)
	}
	return e, nil
}

// join raises the live run to the new claim's severity and adds its targets, so
// that a later claim is measured against all that the run knows of.
func (e ended) join(tx *store.Tx, c Claim) error {
	if err := e.correlate(tx, c.Trigger.Alert); err != nil {
		return err
	}
	all := slices.Compact(slices.Sorted(slices.Values(slices.Concat(e.targets, c.Targets))))
	severity := e.severity
	if rank(c.Severity) > rank(severity) {
		severity = c.Severity
	}
	if severity == e.severity && len(all) == len(e.targets) {
		return nil
	}
	raw, err := json.Marshal(all)
	if err != nil {
		return fmt.Errorf("join %s: %w", e.id, err)
	}
	if _, err := tx.Exec(`UPDATE runs SET severity = ?, severity_rank = ?, targets = ? WHERE id = ?`, severity, rank(severity), raw, e.id); err != nil {
		return fmt.Errorf("join %s: %w", e.id, err)
	}
	return nil
}

// silences says why a claim starts nothing after e, or "".
func (e ended) silences(c Claim, now time.Time) string {
	since := now.Sub(e.at)
	switch {
	case since >= c.Quiet, rank(c.Severity) > rank(e.severity):
		return ""
	case e.closing == "failed" || e.closing == "denied" || e.closing == "cancelled" || e.closing == "":
		return ""
	}
	for _, t := range c.Targets {
		if _, known := slices.BinarySearch(e.targets, t); !known {
			return ""
		}
	}
	return fmt.Sprintf("run %s about the same ended %s ago (%s); quiet is %s, and this names nothing new and is not graver",
		e.id, kind.FormatDuration(since.Truncate(time.Second)), e.closing, kind.FormatDuration(c.Quiet))
}

// insert stores a run that waits for the dispatcher, and its plans once. fresh is
// false where a run of that id is there.
func (r *Runs) insert(tx *store.Tx, id, hash string, generation int, c Claim) (fresh bool, err error) {
	c.fill(id)
	var parts [5][]byte
	for i, v := range []any{c.Trigger, c.Bindings, c.Targets, c.Calendars, c.Calls} {
		if parts[i], err = json.Marshal(v); err != nil {
			return false, fmt.Errorf("claim %s: %w", id, err)
		}
	}
	status, started := Waiting, int64(0)
	if c.parent != "" { // its caller starts it
		status, started, parts[4] = Running, r.now().UnixNano(), c.called
	}
	for _, p := range append([]Callee{{Playbook: c.Playbook, Digest: c.Digest, Plan: c.Plan}}, c.Calls...) {
		if _, err := tx.Exec(`INSERT INTO plans (digest, playbook, plan) VALUES (?, ?, ?) ON CONFLICT (digest) DO NOTHING`,
			p.Digest, p.Playbook, p.Plan); err != nil {
			return false, fmt.Errorf("claim %s: plan: %w", id, err)
		}
	}
	res, err := tx.Exec(`INSERT INTO runs (id, tenant, playbook, hash, generation, digest, status, mode, severity, severity_rank,
			incident, source, trigger_json, inputs, settings, bindings, targets, closing, reason, created, started, ended,
			calendars, calls, parent, parent_step, depth)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, '', '', ?, ?, 0, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING`,
		id, c.Tenant, c.Playbook, hash, generation, c.Digest, string(status), c.Mode, c.Severity, rank(c.Severity),
		c.Incident, c.Trigger.Source, parts[0], c.Inputs, c.Settings, parts[1], parts[2], r.now().UnixNano(), started,
		parts[3], parts[4], c.parent, c.step, c.depth)
	if err != nil {
		return false, fmt.Errorf("claim %s: %w", id, err)
	}
	n, err := res.RowsAffected()
	return n > 0, err
}

// fill sets what a claim may leave out.
func (c *Claim) fill(id string) {
	if c.Incident == "" {
		c.Incident = id
	}
	if c.Severity == "" {
		c.Severity = "high" // somebody waits for it
	}
	if c.Settings == nil {
		c.Settings = []byte("{}")
	}
	if c.Targets == nil {
		c.Targets = []string{}
	}
}

func rank(severity string) int { return kind.Of(kind.Severity).Rank(severity) }

// nanos is a time as it is stored, 0 for none.
func nanos(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixNano()
}

func fromNanos(n int64) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return time.Unix(0, n).UTC()
}

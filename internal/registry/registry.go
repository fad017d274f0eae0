package registry

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/quell-soar/quell/internal/guard"
	"github.com/quell-soar/quell/internal/ledger"
	"github.com/quell-soar/quell/internal/store"
)

// Text is a playbook as it comes from somewhere.
type Text struct {
	// File is what it is called there, a path for people.
	File string
	Body []byte
	// Tests are the playbook's tests (docs/testing.md); empty where it has none.
	Tests []byte
	// Fault is why it could not be read; then there is no text.
	Fault string
}

// Version is one version of a playbook. It never changes.
type Version struct {
	Playbook string
	// Digest is that of the plan, and names the version; Meaning is the same for
	// versions that differ in layout and comments only.
	Digest, Meaning string
	// N counts the versions of a playbook, from 1.
	N    int
	Text Text
	// Plan are the plan's canonical bytes.
	Plan []byte
	// Tested is how many tests it passed when it was published.
	Tested int
	// Origin is where it came from: api, dir:PATH, git:URL. Note is more of that,
	// such as the commit.
	Origin, Note string
	// By published it, At.
	By string
	At time.Time
}

// Mark is who did something, when, and why.
type Mark struct {
	By  string
	At  time.Time
	Why string
}

// Entry is one playbook as it stands.
type Entry struct {
	// Current is the current version, without text, tests and plan.
	Current Version
	// Since is when it became current, and by whom.
	Since Mark
	// Mode is what somebody promoted the playbook to; empty where nobody did.
	Mode  guard.Mode
	Moded Mark
	// Retired is set where no new run may start.
	Retired *Mark
	// Problems say what is wrong with what its source offers now.
	Problems []Problem
}

// Problem is why a source's text did not become current.
type Problem struct {
	Origin, File string
	// Playbook is empty where nothing was ever published from the file.
	Playbook string
	Text     string
	At       time.Time
}

// What callers can mend.
var (
	// ErrUnknown: there is no such playbook or version.
	ErrUnknown = errors.New("the registry has no such playbook or version")
	// ErrMoved: the current version is no longer the one that the caller saw.
	ErrMoved = errors.New("another version is current by now; look at it first")
)

// Registry keeps playbooks. It is safe for concurrent use, and for several
// processes on one store.
type Registry struct {
	db     *store.DB
	ledger *ledger.Ledger
	tenant string
	now    func() time.Time
}

// New makes the registry of a tenant on a migrated store.
func New(db *store.DB, l *ledger.Ledger, tenant string, now func() time.Time) *Registry {
	return &Registry{db: db, ledger: l, tenant: tenant, now: now}
}

// Revision counts changes: who has seen one revision has seen all that came
// before. It is 0 while nothing was published.
func (r *Registry) Revision(ctx context.Context) (int64, error) {
	var n int64
	err := r.db.View(ctx, func(tx *store.Tx) error {
		err := tx.QueryRow(`SELECT revision FROM registry_state WHERE tenant = ?`, r.tenant).Scan(&n)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		return err
	})
	return n, err
}

// changed counts a change within the caller's transaction.
func (r *Registry) changed(tx *store.Tx) error {
	_, err := tx.Exec(`INSERT INTO registry_state (tenant, revision) VALUES (?, 1)
		ON CONFLICT (tenant) DO UPDATE SET revision = registry_state.revision + 1`, r.tenant)
	return err
}

const entryColumns = `p.playbook, p.digest, p.since, p.actor, p.mode, p.mode_by, p.mode_at, p.retired, p.retired_by, p.retired_why,
	v.n, v.meaning, v.file, v.tested, v.origin, v.note, v.actor, v.at
	FROM registry_playbooks p JOIN registry_versions v ON v.tenant = p.tenant AND v.playbook = p.playbook AND v.digest = p.digest
	WHERE p.tenant = ?`

func scanEntry(row interface{ Scan(...any) error }) (Entry, error) {
	var e Entry
	var mode, retiredBy, why string
	var since, modeAt, retired, at int64
	v := &e.Current
	err := row.Scan(&v.Playbook, &v.Digest, &since, &e.Since.By, &mode, &e.Moded.By, &modeAt, &retired, &retiredBy, &why,
		&v.N, &v.Meaning, &v.Text.File, &v.Tested, &v.Origin, &v.Note, &v.By, &at)
	e.Mode, e.Since.At, v.At = guard.Mode(mode), stamp(since), stamp(at)
	if e.Mode != "" {
		e.Moded.At = stamp(modeAt)
	}
	if retired != 0 {
		e.Retired = &Mark{By: retiredBy, At: stamp(retired), Why: why}
	}
	return e, err
}

func stamp(ns int64) time.Time { return time.Unix(0, ns).UTC() }

// List lists all playbooks by name, with the problems of what their sources
// offer; and the problems of files of which nothing was ever published.
func (r *Registry) List(ctx context.Context) (all []Entry, loose []Problem, err error) {
	err = r.db.View(ctx, func(tx *store.Tx) error {
		all, loose = nil, nil
		rows, err := tx.Query(`SELECT `+entryColumns+` ORDER BY p.playbook`, r.tenant)
		if err != nil {
			return err
		}
		defer func() { _ = rows.Close() }()
		for rows.Next() {
			e, err := scanEntry(rows)
			if err != nil {
				return err
			}
			all = append(all, e)
		}
		if err := rows.Err(); err != nil {
			return err
		}
		loose, err = r.problems(tx, all)
		return err
	})
	return all, loose, err
}

// problems puts each problem to its playbook, and returns those of none.
func (r *Registry) problems(tx *store.Tx, all []Entry) (loose []Problem, err error) {
	rows, err := tx.Query(`SELECT origin, file, playbook, problem, at FROM registry_offers WHERE tenant = ? AND problem <> '' ORDER BY origin, file`, r.tenant)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	at := map[string]int{}
	for i := range all {
		at[all[i].Current.Playbook] = i
	}
	for rows.Next() {
		var p Problem
		var ns int64
		if err := rows.Scan(&p.Origin, &p.File, &p.Playbook, &p.Text, &ns); err != nil {
			return nil, err
		}
		p.At = stamp(ns)
		if i, ok := at[p.Playbook]; ok {
			all[i].Problems = append(all[i].Problems, p)
			continue
		}
		loose = append(loose, p)
	}
	return loose, rows.Err()
}

// Get returns one playbook as it stands, or ErrUnknown.
func (r *Registry) Get(ctx context.Context, playbook string) (Entry, error) {
	all, _, err := r.List(ctx)
	for _, e := range all {
		if e.Current.Playbook == playbook {
			return e, err
		}
	}
	if err == nil {
		err = fmt.Errorf("%w: %s", ErrUnknown, playbook)
	}
	return Entry{}, err
}

const versionColumns = `playbook, digest, n, meaning, file, tested, origin, note, actor, at`

// Versions lists the versions of a playbook, the newest first, without texts and
// plans. Of an unknown playbook there are none.
func (r *Registry) Versions(ctx context.Context, playbook string) ([]Version, error) {
	var out []Version
	err := r.db.View(ctx, func(tx *store.Tx) error {
		out = nil
		rows, err := tx.Query(`SELECT `+versionColumns+` FROM registry_versions WHERE tenant = ? AND playbook = ? ORDER BY n DESC`, r.tenant, playbook)
		if err != nil {
			return err
		}
		defer func() { _ = rows.Close() }()
		for rows.Next() {
			var v Version
			var at int64
			if err := rows.Scan(&v.Playbook, &v.Digest, &v.N, &v.Meaning, &v.Text.File, &v.Tested, &v.Origin, &v.Note, &v.By, &at); err != nil {
				return err
			}
			v.At = stamp(at)
			out = append(out, v)
		}
		return rows.Err()
	})
	return out, err
}

// Version returns one version whole, by its digest, or by a beginning of at least
// eight characters that no other version of the playbook has; or ErrUnknown.
func (r *Registry) Version(ctx context.Context, playbook, digest string) (Version, error) {
	all, err := r.Versions(ctx, playbook)
	if err != nil {
		return Version{}, err
	}
	const shortest = 8
	var found []Version
	for _, v := range all {
		if v.Digest == digest {
			found = []Version{v}
			break
		}
		if len(digest) >= shortest && len(digest) < len(v.Digest) && v.Digest[:len(digest)] == digest {
			found = append(found, v)
		}
	}
	if len(found) != 1 {
		return Version{}, fmt.Errorf("%w: %s %s", ErrUnknown, playbook, digest)
	}
	v := found[0]
	err = r.db.View(ctx, func(tx *store.Tx) error {
		return tx.QueryRow(`SELECT text, tests, plan FROM registry_versions WHERE tenant = ? AND playbook = ? AND digest = ?`, r.tenant, playbook, v.Digest).
			Scan(&v.Text.Body, &v.Text.Tests, &v.Plan)
	})
	return v, err
}

// Current lists the current versions whole, by name, those of retired playbooks
// included, at one revision.
func (r *Registry) Current(ctx context.Context) (all []Entry, revision int64, err error) {
	err = r.db.View(ctx, func(tx *store.Tx) error {
		all, err = r.whole(tx)
		if err != nil {
			return err
		}
		err := tx.QueryRow(`SELECT revision FROM registry_state WHERE tenant = ?`, r.tenant).Scan(&revision)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		return err
	})
	return all, revision, err
}

func (r *Registry) whole(tx *store.Tx) ([]Entry, error) {
	rows, err := tx.Query(`SELECT `+entryColumns+` ORDER BY p.playbook`, r.tenant)
	if err != nil {
		return nil, err
	}
	var all []Entry
	for rows.Next() {
		e, err := scanEntry(rows)
		if err != nil {
			_ = rows.Close()
			return nil, err
		}
		all = append(all, e)
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		return nil, err
	}
	for i := range all {
		v := &all[i].Current
		err := tx.QueryRow(`SELECT text, tests, plan FROM registry_versions WHERE tenant = ? AND playbook = ? AND digest = ?`, r.tenant, v.Playbook, v.Digest).
			Scan(&v.Text.Body, &v.Text.Tests, &v.Plan)
		if err != nil {
			return nil, err
		}
	}
	return all, nil
}

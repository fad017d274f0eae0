package registry

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/quell-soar/quell/internal/ledger"
	"github.com/quell-soar/quell/internal/store"
)

// gone is the sum of a file that was offered and is not there any more.
const gone = "gone"

// offered is what came of a file of a source the last time.
type offered struct{ sum, playbook, problem string }

func (r *Registry) offered(ctx context.Context, origin string) (map[string]offered, error) {
	out := map[string]offered{}
	err := r.db.View(ctx, func(tx *store.Tx) error {
		clear(out)
		rows, err := tx.Query(`SELECT file, sum, playbook, problem FROM registry_offers WHERE tenant = ? AND origin = ?`, r.tenant, origin)
		if err != nil {
			return err
		}
		defer func() { _ = rows.Close() }()
		for rows.Next() {
			var file string
			var o offered
			if err := rows.Scan(&file, &o.sum, &o.playbook, &o.problem); err != nil {
				return err
			}
			out[file] = o
		}
		return rows.Err()
	})
	return out, err
}

// keep writes what an offer brought, in one transaction.
func (r *Registry) keep(ctx context.Context, o Offer, list []candidate, known map[string]offered) ([]Taken, error) {
	var out []Taken
	err := r.db.Update(ctx, func(tx *store.Tx) error {
		out = nil
		if err := tx.Alone("registry/" + r.tenant); err != nil {
			return err
		}
		news := false
		for i := range list {
			t, err := r.one(tx, o, &list[i], known[list[i].File])
			if err != nil {
				return err
			}
			out = append(out, t)
			news = news || t.Status == Published
		}
		if o.Standing {
			lost, err := r.missing(tx, o, list, known)
			if err != nil {
				return err
			}
			out = append(out, lost...)
			news = true // what is listed changed
		}
		if !news {
			return nil
		}
		return r.changed(tx)
	})
	return out, err
}

// one writes what came of one text.
func (r *Registry) one(tx *store.Tx, o Offer, c *candidate, before offered) (Taken, error) {
	t := Taken{File: c.File, Playbook: c.name(), Digest: c.digest, Tested: c.made.Tested, Status: Refused, Problem: c.problem, Err: c.err}
	if c.problem == "" && o.Standing {
		other, err := r.elsewhere(tx, o, t.Playbook)
		if err != nil {
			return t, err
		}
		if other != "" {
			c.problem = fmt.Sprintf("playbook %s comes from %s already; remove one", t.Playbook, other)
			t.Problem = c.problem
		}
	}
	var err error
	if c.problem == "" {
		if t, err = r.put(tx, o, c, t, before); err != nil {
			return t, err
		}
	}
	if !o.Standing {
		return t, nil
	}
	if t.Playbook == "" { // it cannot be read; what it was tells whose fault it is
		t.Playbook = before.playbook
	}
	if c.problem != "" && (c.problem != before.problem || c.sum != before.sum) {
		row := ledger.Row{Kind: "playbook.refused", Tenant: r.tenant, Actor: o.Actor, Ref: o.Request}
		if _, err := r.ledger.Append(tx, row, map[string]any{"playbook": t.Playbook, "origin": o.Origin, "file": c.File, "note": o.Note, "problem": c.problem}); err != nil {
			return t, err
		}
	}
	return t, r.remember(tx, o.Origin, c.File, offered{c.sum, t.Playbook, c.problem})
}

func (r *Registry) remember(tx *store.Tx, origin, file string, o offered) error {
	_, err := tx.Exec(`INSERT INTO registry_offers (tenant, origin, file, sum, playbook, problem, at) VALUES (?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (tenant, origin, file) DO UPDATE SET sum = excluded.sum, playbook = excluded.playbook, problem = excluded.problem, at = excluded.at`,
		r.tenant, origin, file, o.sum, o.playbook, o.problem, r.now().UnixNano())
	return err
}

// elsewhere names another source that offers the playbook now, or "".
func (r *Registry) elsewhere(tx *store.Tx, o Offer, playbook string) (string, error) {
	var origin, file string
	err := tx.QueryRow(`SELECT origin, file FROM registry_offers WHERE tenant = ? AND origin <> ? AND playbook = ? AND sum <> ? AND problem = '' ORDER BY origin LIMIT 1`,
		r.tenant, o.Origin, playbook, gone).Scan(&origin, &file)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	return origin + " (" + file + ")", err
}

// put makes a text the current version, unless it is, or a person decided
// otherwise.
func (r *Registry) put(tx *store.Tx, o Offer, c *candidate, t Taken, before offered) (Taken, error) {
	var retired int64
	var meaning, origin string
	err := tx.QueryRow(`SELECT p.digest, p.retired, p.origin, v.meaning FROM registry_playbooks p
		JOIN registry_versions v ON v.tenant = p.tenant AND v.playbook = p.playbook AND v.digest = p.digest
		WHERE p.tenant = ? AND p.playbook = ?`, r.tenant, t.Playbook).Scan(&t.Before, &retired, &origin, &meaning)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return t, err
	}
	t.SameMeaning = t.Before != "" && meaning == c.meaning
	text, _, _ := strings.Cut(c.sum, "/")
	was, _, _ := strings.Cut(before.sum, "/")
	switch {
	case o.Standing && retired != 0:
		t.Status, t.Problem = Passed, "it is retired"
		return t, nil
	case t.Before == c.digest && retired == 0:
		t.Status = Unchanged
		return r.number(tx, t)
	case o.Standing && text == was && before.problem == "" && origin != o.Origin:
		// The text is no news, and somebody made another one current since.
		t.Status, t.Problem = Passed, "another version was made current by hand"
		return t, nil
	}
	if err := r.insert(tx, o, c, &t); err != nil {
		return t, err
	}
	now := r.now().UnixNano()
	_, err = tx.Exec(`INSERT INTO registry_playbooks (tenant, playbook, digest, since, actor, origin) VALUES (?, ?, ?, ?, ?, ?)
		ON CONFLICT (tenant, playbook) DO UPDATE SET digest = excluded.digest, since = excluded.since, actor = excluded.actor, origin = excluded.origin, retired = 0, retired_by = '', retired_why = ''`,
		r.tenant, t.Playbook, t.Digest, now, o.Actor, o.Origin)
	if err != nil {
		return t, err
	}
	t.Status = Published
	_, err = r.ledger.Append(tx, ledger.Row{Kind: "playbook.published", Tenant: r.tenant, Key: t.Digest, Actor: o.Actor, Ref: o.Request}, map[string]any{
		"playbook": t.Playbook, "digest": t.Digest, "version": t.N, "meaning": c.meaning, "before": t.Before, "same_meaning": t.SameMeaning,
		"origin": o.Origin, "file": c.File, "note": o.Note, "tested": t.Tested, "text": text, "revived": retired != 0,
	})
	return t, err
}

func (r *Registry) number(tx *store.Tx, t Taken) (Taken, error) {
	return t, tx.QueryRow(`SELECT n FROM registry_versions WHERE tenant = ? AND playbook = ? AND digest = ?`, r.tenant, t.Playbook, t.Digest).Scan(&t.N)
}

// insert writes the version, unless it was published before: a version that comes
// back keeps its number.
func (r *Registry) insert(tx *store.Tx, o Offer, c *candidate, t *Taken) error {
	got, err := r.number(tx, *t)
	if err == nil || !errors.Is(err, sql.ErrNoRows) {
		*t = got
		return err
	}
	if err := tx.QueryRow(`SELECT COALESCE(MAX(n), 0) + 1 FROM registry_versions WHERE tenant = ? AND playbook = ?`, r.tenant, t.Playbook).Scan(&t.N); err != nil {
		return err
	}
	tests := c.Tests
	if tests == nil {
		tests = []byte{}
	}
	_, err = tx.Exec(`INSERT INTO registry_versions (tenant, playbook, digest, n, meaning, file, text, tests, plan, tested, origin, note, actor, at)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		r.tenant, t.Playbook, t.Digest, t.N, c.meaning, c.File, c.Body, tests, c.raw, t.Tested, o.Origin, o.Note, o.Actor, r.now().UnixNano())
	return err
}

// missing notes the files that a source offered before and does not any more. What
// was published from them stays current: a disk that is not mounted must not take
// every response away.
func (r *Registry) missing(tx *store.Tx, o Offer, list []candidate, known map[string]offered) ([]Taken, error) {
	var out []Taken
	for file, k := range known {
		if slices.ContainsFunc(list, func(c candidate) bool { return c.File == file }) {
			continue
		}
		moved := slices.ContainsFunc(list, func(c candidate) bool { return c.problem == "" && c.name() == k.playbook })
		if moved || k.playbook == "" {
			if _, err := tx.Exec(`DELETE FROM registry_offers WHERE tenant = ? AND origin = ? AND file = ?`, r.tenant, o.Origin, file); err != nil {
				return nil, err
			}
			continue
		}
		k.problem = "its file is gone; put it back, or retire the playbook: quell playbook retire " + k.playbook
		if k.sum != gone {
			out = append(out, Taken{File: file, Playbook: k.playbook, Status: Refused, Problem: k.problem})
		}
		k.sum = gone
		if err := r.remember(tx, o.Origin, file, k); err != nil {
			return nil, err
		}
	}
	return out, nil
}

package runs

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/quell-soar/quell/connectors/spec/kind"
	"github.com/quell-soar/quell/internal/alert"
	"github.com/quell-soar/quell/internal/store"
)

// AlertID is our id of an alert: the same for the same source and source's id.
func AlertID(tenant, source, sourceID string) string {
	h := sha256.New()
	for _, part := range []string{tenant, source, sourceID} {
		fmt.Fprintf(h, "%d:%s", len(part), part)
	}
	return "a-" + hex.EncodeToString(h.Sum(nil))[:24]
}

// PutAlert stores an alert, unless the same is there; first tells which. It
// locks the alert's row until the transaction ends.
func (r *Runs) PutAlert(tx *store.Tx, tenant string, a alert.Alert) (id string, first bool, err error) {
	id = AlertID(tenant, a.Source, a.ID)
	value, err := kind.Encode(alert.Type(), a.Value())
	if err != nil {
		return "", false, fmt.Errorf("alert %s: %w", id, err)
	}
	if a.Dropped == nil {
		a.Dropped = []string{}
	}
	dropped, err := json.Marshal(a.Dropped)
	if err != nil {
		return "", false, fmt.Errorf("alert %s: %w", id, err)
	}
	res, err := tx.Exec(`INSERT INTO alerts (id, tenant, source, source_id, kind, title, severity, occurred, received, value, raw, dropped)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING`,
		id, tenant, a.Source, a.ID, a.Kind, a.Title, a.Severity, a.Occurred.UnixNano(), a.Received.UnixNano(), value, a.Raw, dropped)
	if err != nil {
		return "", false, fmt.Errorf("alert %s: %w", id, err)
	}
	n, err := res.RowsAffected()
	if err != nil {
		return "", false, fmt.Errorf("alert %s: %w", id, err)
	}
	return id, n > 0, nil
}

// Judge stores what an alert meant to a playbook.
func (r *Runs) Judge(tx *store.Tx, alertID string, v Verdict) error {
	_, err := tx.Exec(`INSERT INTO verdicts (alert, seq, playbook, run, verdict, reason)
		VALUES (?, (SELECT COUNT(*) FROM verdicts WHERE alert = ?), ?, ?, ?, ?)`, alertID, alertID, v.Playbook, v.Run, v.Verdict, v.Reason)
	if err != nil {
		return fmt.Errorf("alert %s: verdict: %w", alertID, err)
	}
	return nil
}

// Verdicts lists what an alert meant, in the order in which it was decided.
func (r *Runs) Verdicts(tx *store.Tx, alertID string) ([]Verdict, error) {
	rows, err := tx.Query(`SELECT playbook, run, verdict, reason FROM verdicts WHERE alert = ? ORDER BY seq`, alertID)
	if err != nil {
		return nil, fmt.Errorf("alert %s: verdicts: %w", alertID, err)
	}
	defer func() { _ = rows.Close() }()
	var out []Verdict
	for rows.Next() {
		var v Verdict
		if err := rows.Scan(&v.Playbook, &v.Run, &v.Verdict, &v.Reason); err != nil {
			return nil, fmt.Errorf("alert %s: verdicts: %w", alertID, err)
		}
		out = append(out, v)
	}
	return out, rows.Err()
}

// Known returns the verdicts on an alert that is stored already.
func (r *Runs) Known(ctx context.Context, alertID string) (verdicts []Verdict, known bool, err error) {
	err = r.db.View(ctx, func(tx *store.Tx) error {
		var n int
		if err := tx.QueryRow(`SELECT COUNT(*) FROM alerts WHERE id = ?`, alertID).Scan(&n); err != nil || n == 0 {
			return err
		}
		known = true
		verdicts, err = r.Verdicts(tx, alertID)
		return err
	})
	return verdicts, known, err
}

// AlertsOf lists the alerts that started or joined a run, the first first.
func (r *Runs) AlertsOf(ctx context.Context, runID string) ([]string, error) {
	var out []string
	err := r.db.View(ctx, func(tx *store.Tx) error {
		rows, err := tx.Query(`SELECT v.alert FROM verdicts v JOIN alerts a ON a.id = v.alert
			WHERE v.run = ? AND v.verdict IN ('started', 'joined') ORDER BY a.received, a.id`, runID)
		if err != nil {
			return err
		}
		defer func() { _ = rows.Close() }()
		for rows.Next() {
			var id string
			if err := rows.Scan(&id); err != nil {
				return err
			}
			out = append(out, id)
		}
		return rows.Err()
	})
	return out, err
}

const alertColumns = `id, tenant, source, source_id, kind, title, severity, occurred, received, dropped`

func scanAlert(s scanner, more ...any) (Alert, error) {
	var a Alert
	var occurred, received int64
	var dropped []byte
	into := append([]any{&a.ID, &a.Tenant, &a.Source, &a.Alert.ID, &a.Kind, &a.Title, &a.Severity, &occurred, &received, &dropped}, more...)
	if err := s.Scan(into...); err != nil {
		return a, err
	}
	a.Occurred, a.Received = time.Unix(0, occurred).UTC(), time.Unix(0, received).UTC()
	if err := json.Unmarshal(dropped, &a.Dropped); err != nil {
		return a, fmt.Errorf("alert %s: dropped: %w", a.ID, err)
	}
	return a, nil
}

// GetAlert returns one alert with its value, raw body and verdicts.
func (r *Runs) GetAlert(ctx context.Context, id string) (Alert, error) {
	var a Alert
	err := r.db.View(ctx, func(tx *store.Tx) error {
		var value, raw []byte
		var err error
		if a, err = scanAlert(tx.QueryRow(`SELECT `+alertColumns+`, value, raw FROM alerts WHERE id = ?`, id), &value, &raw); err != nil {
			return missing("alert "+id, err)
		}
		a.Value, a.Raw = value, raw
		a.Verdicts, err = r.Verdicts(tx, id)
		return err
	})
	return a, err
}

// ListAlerts returns a page, newest first, with verdicts and without bodies,
// and the cursor of the next page.
func (r *Runs) ListAlerts(ctx context.Context, f AlertFilter) ([]Alert, string, error) {
	where, args := []string{"tenant = ?"}, []any{f.Tenant}
	if f.Source != "" {
		where, args = append(where, "source = ?"), append(args, f.Source)
	}
	if f.Cursor != "" {
		at, id, err := store.ReadCursor(f.Cursor)
		if err != nil {
			return nil, "", err
		}
		where, args = append(where, "(received, id) < (?, ?)"), append(args, at, id)
	}
	var out []Alert
	err := r.db.View(ctx, func(tx *store.Tx) error {
		rows, err := tx.Query(`SELECT `+alertColumns+` FROM alerts WHERE `+strings.Join(where, " AND ")+
			` ORDER BY received DESC, id DESC LIMIT ?`, append(args, f.Limit+1)...)
		if err != nil {
			return err
		}
		defer func() { _ = rows.Close() }()
		for rows.Next() {
			a, err := scanAlert(rows)
			if err != nil {
				return err
			}
			out = append(out, a)
		}
		if err := cmp.Or(rows.Err(), rows.Close()); err != nil {
			return err
		}
		for i := range out {
			if out[i].Verdicts, err = r.Verdicts(tx, out[i].ID); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil || len(out) <= f.Limit {
		return out, "", err
	}
	out = out[:f.Limit]
	last := out[f.Limit-1]
	return out, store.Cursor(last.Received.UnixNano(), last.ID), nil
}

package approval

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/quell-soar/quell/internal/store"
)

// Filter narrows a list of requests.
type Filter struct {
	Tenant string
	// Run, where it is not empty, is whose requests they are.
	Run string
	// All lists closed requests too.
	All bool
	// Limit is how many; 0 is all that there are, for those of one run. Cursor is
	// what the page before gave.
	Limit  int
	Cursor string
}

// List returns requests with their votes, the oldest first, and the cursor of the
// next page, empty on the last.
func (a *Approvals) List(ctx context.Context, f Filter) ([]*Request, string, error) {
	where, args := []string{"tenant = ?"}, []any{f.Tenant}
	if f.Run != "" {
		where, args = append(where, "run = ?"), append(args, f.Run)
	}
	if !f.All {
		where = append(where, "decision = ''")
	}
	if f.Cursor != "" {
		at, id, err := store.ReadCursor(f.Cursor)
		if err != nil {
			return nil, "", err
		}
		where, args = append(where, "(opened, id) > (?, ?)"), append(args, at, id)
	}
	query := `SELECT ` + columns + ` FROM requests WHERE ` + strings.Join(where, " AND ") + ` ORDER BY opened, id`
	if f.Limit > 0 {
		query, args = query+` LIMIT ?`, append(args, f.Limit+1)
	}
	var out []*Request
	next := ""
	err := a.db.View(ctx, func(tx *store.Tx) (err error) {
		if out, err = requests(tx, query, args); err != nil {
			return err
		}
		if next = ""; f.Limit > 0 && len(out) > f.Limit {
			out = out[:f.Limit]
			next = store.Cursor(out[f.Limit-1].Opened.UnixNano(), out[f.Limit-1].ID)
		}
		return cmp.Or(votes(tx, out), events(tx, out))
	})
	if err != nil {
		return nil, "", fmt.Errorf("approval: list: %w", err)
	}
	return out, next, nil
}

func requests(tx *store.Tx, query string, args []any) (out []*Request, err error) {
	err = each(tx, query, args, func(s scanner) error {
		r, err := scan(s)
		out = append(out, r)
		return err
	})
	return out, err
}

// votes reads the votes of requests into them.
func votes(tx *store.Tx, list []*Request) error {
	return of(tx, list, `SELECT request, id, actor, approve, reason, answer, at FROM votes`, func(r map[string]*Request, s scanner) error {
		var v Vote
		var request string
		var answer []byte
		var approve, at int64
		if err := s.Scan(&request, &v.ID, &v.Actor, &approve, &v.Reason, &answer, &at); err != nil {
			return err
		}
		v.Approve, v.Answer, v.At = approve != 0, answer, time.Unix(0, at).UTC()
		r[request].Votes = append(r[request].Votes, v)
		return nil
	})
}

// events reads what else happened with requests into them.
func events(tx *store.Tx, list []*Request) error {
	return of(tx, list, `SELECT request, id, kind, actor, text, names, at FROM request_events`, func(r map[string]*Request, s scanner) error {
		var e Event
		var request string
		var names []byte
		var at int64
		if err := s.Scan(&request, &e.ID, &e.Kind, &e.Actor, &e.Text, &names, &at); err != nil {
			return err
		}
		if err := json.Unmarshal(names, &e.Names); err != nil {
			return err
		}
		e.At = time.Unix(0, at).UTC()
		r[request].Events = append(r[request].Events, e)
		return nil
	})
}

// of asks for the rows of some requests at a time, in the order of their time.
func of(tx *store.Tx, list []*Request, query string, read func(map[string]*Request, scanner) error) error {
	const some = 500 // below what either database takes as arguments
	for len(list) > 0 {
		batch := list[:min(some, len(list))]
		list = list[len(batch):]
		byID, args := map[string]*Request{}, make([]any, len(batch))
		for i, r := range batch {
			byID[r.ID], args[i] = r, r.ID
		}
		places := strings.TrimSuffix(strings.Repeat("?, ", len(batch)), ", ")
		if err := each(tx, query+` WHERE request IN (`+places+`) ORDER BY at, id`, args, func(s scanner) error { return read(byID, s) }); err != nil {
			return fmt.Errorf("approval: votes and events: %w", err)
		}
	}
	return nil
}

func each(tx *store.Tx, query string, args []any, read func(scanner) error) (err error) {
	rows, err := tx.Query(query, args...)
	if err != nil {
		return err
	}
	defer func() { err = cmp.Or(err, rows.Close()) }()
	for rows.Next() {
		if err := read(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

package store_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/quell-soar/quell/internal/store"
	"github.com/quell-soar/quell/internal/store/storetest"
)

var things = store.Schema{Name: "things", Steps: []string{
	`CREATE TABLE things (name TEXT PRIMARY KEY, n BIGINT NOT NULL, body BLOB)`,
	`CREATE TABLE totals (id BIGINT PRIMARY KEY, n BIGINT NOT NULL)`,
	`INSERT INTO totals (id, n) VALUES (1, 0)`,
}}

func each(t *testing.T, f func(t *testing.T, db *store.DB)) {
	t.Helper()
	storetest.Each(t, []store.Schema{things}, f)
}

// put adds a thing and counts it: two rows that must agree.
func put(tx *store.Tx, name string) error {
	var n int64
	if err := tx.QueryRow(`SELECT n FROM totals WHERE id = 1` + tx.ForUpdate()).Scan(&n); err != nil {
		return err
	}
	if _, err := tx.Exec(`INSERT INTO things (name, n, body) VALUES (?, ?, ?)`, name, n, []byte{0, 1, 0xff}); err != nil {
		return err
	}
	_, err := tx.Exec(`UPDATE totals SET n = ? WHERE id = 1`, n+1)
	return err
}

func totals(t *testing.T, db *store.DB) (rows, total int64) {
	t.Helper()
	if err := db.View(t.Context(), func(tx *store.Tx) error { return read(tx, &rows, &total) }); err != nil {
		t.Fatal(err)
	}
	return rows, total
}

func read(tx *store.Tx, rows, total *int64) error {
	if err := tx.QueryRow(`SELECT COUNT(*) FROM things`).Scan(rows); err != nil {
		return err
	}
	return tx.QueryRow(`SELECT n FROM totals WHERE id = 1`).Scan(total)
}

var errOurs = errors.New("ours")

// TestTogether lets 64 callers update at once; some fail and some panic, and
// only their own work is gone.
func TestTogether(t *testing.T) {
	each(t, func(t *testing.T, db *store.DB) {
		const callers, rounds = 64, 6
		errs := make([]error, callers)
		var wg sync.WaitGroup
		for c := range callers {
			wg.Go(func() {
				for r := range rounds {
					err := db.Update(t.Context(), func(tx *store.Tx) error {
						if err := put(tx, fmt.Sprintf("%d/%d", c, r)); err != nil {
							return err
						}
						switch c % 4 {
						case 1:
							return errOurs
						case 2:
							panic("fault of caller")
						}
						return nil
					})
					errs[c] = errors.Join(errs[c], unexpected(c, err))
				}
			})
		}
		wg.Wait()
		if err := errors.Join(errs...); err != nil {
			t.Fatal(err)
		}
		if rows, total := totals(t, db); rows != callers/2*rounds || total != rows {
			t.Fatalf("%d rows, total %d, want %d", rows, total, callers/2*rounds)
		}
	})
}

func unexpected(c int, err error) error {
	switch c % 4 {
	case 1:
		if !errors.Is(err, errOurs) {
			return fmt.Errorf("caller %d: %v, want its own error", c, err) //nolint:errorlint // it may be nil
		}
	case 2:
		if err == nil || !strings.Contains(err.Error(), "fault of caller") {
			return fmt.Errorf("caller %d: %v, want its panic", c, err) //nolint:errorlint // it may be nil
		}
	default:
		return err
	}
	return nil
}

// TestFailedStatement goes on after a statement that the database refused.
func TestFailedStatement(t *testing.T) {
	each(t, func(t *testing.T, db *store.DB) {
		twice := func(tx *store.Tx) error { return errors.Join(put(tx, "a"), put(tx, "a")) }
		if err := db.Update(t.Context(), twice); err == nil {
			t.Fatal("the same primary key twice was taken")
		}
		if err := db.Update(t.Context(), func(tx *store.Tx) error { return put(tx, "a") }); err != nil {
			t.Fatal(err)
		}
		if rows, total := totals(t, db); rows != 1 || total != 1 {
			t.Fatal(rows, total)
		}
	})
}

// TestOpenRows leaves rows open in a function that fails, panics or succeeds.
func TestOpenRows(t *testing.T) {
	each(t, func(t *testing.T, db *store.DB) {
		for i := range 40 { // more than there are connections
			err := db.Update(t.Context(), func(tx *store.Tx) error {
				if err := put(tx, fmt.Sprint(i)); err != nil {
					return err
				}
				rows, err := tx.Query(`SELECT name FROM things`)
				if err != nil {
					return err
				}
				rows.Next()
				if i%2 == 0 {
					panic("with rows open")
				}
				return errOurs
			})
			if err == nil {
				t.Fatal("no error")
			}
		}
		if err := db.Update(t.Context(), func(tx *store.Tx) error { return put(tx, "last") }); err != nil {
			t.Fatal(err)
		}
		if rows, total := totals(t, db); rows != 1 || total != 1 {
			t.Fatal(rows, total)
		}
	})
}

// TestCancelled keeps nothing of an update whose caller is gone before it begins,
// and all or nothing of one whose caller goes while it runs.
func TestCancelled(t *testing.T) {
	each(t, func(t *testing.T, db *store.DB) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		called := false
		err := db.Update(ctx, func(*store.Tx) error { called = true; return nil })
		if !errors.Is(err, context.Canceled) || called {
			t.Fatal(err, called)
		}
		if err := db.View(ctx, func(*store.Tx) error { called = true; return nil }); !errors.Is(err, context.Canceled) || called {
			t.Fatal(err, called)
		}
		ctx, cancel = context.WithCancel(t.Context())
		err = db.Update(ctx, func(tx *store.Tx) error {
			defer cancel()
			return put(tx, "a")
		})
		rows, total := totals(t, db)
		if rows != total || (err == nil) != (rows == 1) {
			t.Fatalf("said %v, kept %d rows, total %d", err, rows, total)
		}
	})
}

// TestSnapshot looks twice in one View while others write.
func TestSnapshot(t *testing.T) {
	each(t, func(t *testing.T, db *store.DB) {
		for i := range 20 {
			err := db.View(t.Context(), func(tx *store.Tx) error {
				var r1, t1, r2, t2 int64
				if err := read(tx, &r1, &t1); err != nil {
					return err
				}
				if err := db.Update(t.Context(), func(tx *store.Tx) error { return put(tx, fmt.Sprint(i)) }); err != nil {
					return err
				}
				if err := read(tx, &r2, &t2); err != nil {
					return err
				}
				if r1 != t1 || r1 != r2 || t1 != t2 || r1 != int64(i) {
					return fmt.Errorf("first %d/%d, then %d/%d", r1, t1, r2, t2)
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
		}
	})
}

// TestViewCannotWrite keeps readers from changing anything.
func TestViewCannotWrite(t *testing.T) {
	each(t, func(t *testing.T, db *store.DB) {
		if err := db.View(t.Context(), func(tx *store.Tx) error { return put(tx, "a") }); err == nil {
			t.Fatal("a View wrote")
		}
		if rows, _ := totals(t, db); rows != 0 {
			t.Fatal(rows)
		}
	})
}

// TestMigrate applies each step once, at many starts at once too, and refuses
// what a newer build wrote.
func TestMigrate(t *testing.T) {
	each(t, func(t *testing.T, db *store.DB) {
		more := things
		more.Steps = append(append([]string{}, things.Steps...), `INSERT INTO totals (id, n) VALUES (2, 0)`)
		errs := make([]error, 8)
		var wg sync.WaitGroup
		for i := range errs {
			wg.Go(func() { errs[i] = db.Migrate(t.Context(), more) })
		}
		wg.Wait()
		if err := errors.Join(errs...); err != nil {
			t.Fatal(err)
		}
		err := db.Migrate(t.Context(), things)
		if err == nil || !strings.Contains(err.Error(), "newer") {
			t.Fatalf("a newer database was taken: %v", err)
		}
		bad := more
		bad.Steps = append(append([]string{}, more.Steps...), `INSERT INTO totals (id, n) VALUES (3, 0)`, `INSERT INTO nowhere VALUES (1)`)
		if err := db.Migrate(t.Context(), bad); err == nil || !strings.Contains(err.Error(), "step 6") {
			t.Fatalf("a step that fails: %v", err)
		}
		var n int64
		if err := db.View(t.Context(), func(tx *store.Tx) error { return tx.QueryRow(`SELECT COUNT(*) FROM totals`).Scan(&n) }); err != nil || n != 2 {
			t.Fatalf("half a migration was kept: %d, %v", n, err)
		}
		if err := db.Ready(t.Context()); err != nil {
			t.Fatal(err)
		}
		behind, err := db.Behind(t.Context(), more, one("others"))
		if err != nil || !slices.Equal(behind, []string{"others"}) {
			t.Fatalf("behind in %v, %v", behind, err)
		}
		if behind, err = db.Behind(t.Context(), bad); err != nil || !slices.Equal(behind, []string{"things"}) {
			t.Fatalf("behind in %v, %v", behind, err)
		}
	})
}

// one is the schema of one table.
func one(name string) store.Schema {
	return store.Schema{Name: name, Steps: []string{`CREATE TABLE ` + name + ` (n BIGINT)`}}
}

// TestNew: a database that was just made is behind in nothing.
func TestNew(t *testing.T) {
	db, err := store.Open(t.Context(), store.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	if behind, err := db.Behind(t.Context(), things); err != nil || len(behind) > 0 {
		t.Fatalf("behind in %v, %v", behind, err)
	}
}

// TestBytes reads back what was written: bytes, none and quoted question marks.
func TestBytes(t *testing.T) {
	each(t, func(t *testing.T, db *store.DB) {
		var a, b []byte
		var q string
		err := db.Update(t.Context(), func(tx *store.Tx) error {
			if _, err := tx.Exec(`INSERT INTO things (name, n, body) VALUES (?, 1, ?), ('what? it''s ?', 2, ?)`, "a", []byte{0, 0xff, '\''}, nil); err != nil {
				return err
			}
			if err := tx.QueryRow(`SELECT body FROM things WHERE n = ?`, 1).Scan(&a); err != nil {
				return err
			}
			return tx.QueryRow(`SELECT body, name FROM things WHERE n = ? AND name <> '?'`, 2).Scan(&b, &q)
		})
		if err != nil || string(a) != "\x00\xff'" || b != nil || q != "what? it's ?" {
			t.Fatalf("%q %v %q %v", a, b, q, err)
		}
	})
}

// TestOver keeps a Tx from being used after its function.
func TestOver(t *testing.T) {
	each(t, func(t *testing.T, db *store.DB) {
		var kept *store.Tx
		if err := db.Update(t.Context(), func(tx *store.Tx) error { kept = tx; return nil }); err != nil {
			t.Fatal(err)
		}
		if err := put(kept, "late"); err == nil {
			t.Error("read through a Tx that is over")
		}
		if _, err := kept.Exec(`INSERT INTO things (name, n) VALUES ('late', 1)`); err == nil {
			t.Error("wrote through a Tx that is over")
		}
		if rows, _ := totals(t, db); rows != 0 {
			t.Fatal(rows)
		}
	})
}

// TestHostileTexts stores texts that PostgreSQL refuses, and finds them again by
// the same text; bytes are left alone.
func TestHostileTexts(t *testing.T) {
	each(t, func(t *testing.T, db *store.DB) {
		for hostile, want := range map[string]string{
			"a\x00b": "a\uFFFDb", "\x00": "\uFFFD", "c\xffd": "c\uFFFDd", "e\xed\xa0\x80": "e\uFFFD", "plain é": "plain é", "": "",
		} {
			var name string
			var body []byte
			args := []any{hostile, 1, []byte(hostile)}
			err := db.Update(t.Context(), func(tx *store.Tx) error {
				if _, err := tx.Exec(`INSERT INTO things (name, n, body) VALUES (?, ?, ?)`, args...); err != nil {
					return err
				}
				rows, err := tx.Query(`SELECT 1 FROM things WHERE name = ?`, hostile)
				if err != nil {
					return err
				}
				if !rows.Next() {
					return errors.New("it is not found by Query")
				}
				if err := rows.Close(); err != nil {
					return err
				}
				return tx.QueryRow(`SELECT name, body FROM things WHERE name = ?`, hostile).Scan(&name, &body)
			})
			if err != nil || name != want || string(body) != hostile || args[0] != hostile {
				t.Errorf("%q: %q, %q, %v", hostile, name, body, err)
			}
		}
	})
}

package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
)

// Copy writes one consistent state of an SQLite database to a new file of mode
// 0600, which is on disk when it returns. Other processes may go on writing to
// the database; what they commit meanwhile is not in the copy.
func Copy(ctx context.Context, from, to string) error {
	u := url.URL{Scheme: "file", Path: from, RawQuery: "mode=rw&_pragma=busy_timeout(10000)"}
	db, err := sql.Open("sqlite", u.String())
	if err != nil {
		return fmt.Errorf("store: copy %s: %w", from, err)
	}
	db.SetMaxOpenConns(1)
	_, err = db.ExecContext(ctx, `VACUUM INTO ?`, to)
	if err = errors.Join(err, db.Close()); err != nil {
		return fmt.Errorf("store: copy %s: %w", from, err)
	}
	f, err := os.OpenFile(to, os.O_RDWR, 0)
	if err != nil {
		return fmt.Errorf("store: copy %s: %w", from, err)
	}
	if err := errors.Join(f.Chmod(0o600), f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("store: copy %s: %w", from, err)
	}
	return nil
}

package ledger

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/quell-soar/quell/internal/store"
)

// Version is the version of the row's form.
const Version = 1

const chainTag = "quell ledger 1\n"

// Row is the form of a row; its JSON is the row's bytes.
type Row struct {
	V    int   `json:"v"`
	Seq  int64 `json:"seq"`
	Time int64 `json:"time"`
	// Kind is what happened, as domain.event: effect.intent, approval.vote.
	Kind   string `json:"kind"`
	Tenant string `json:"tenant"`
	Run    string `json:"run"`
	Step   string `json:"step"`
	// Key is the effect key or request id that the entry is about.
	Key   string `json:"key"`
	Actor string `json:"actor"`
	// Ref is the API request that caused it.
	Ref string `json:"ref"`
	// Payload is the salted digest of the payload in hex.
	Payload string `json:"payload"`
}

// Entry is a row with its payload, as it is read. Payload is empty once erased.
type Entry struct {
	Row
	Body json.RawMessage
}

// At is the entry's time.
func (e Entry) At() time.Time { return time.Unix(0, e.Time).UTC() }

// Ledger appends to and reads the record.
type Ledger struct {
	db    *store.DB
	key   Key
	now   func() time.Time
	nudge chan struct{}
	// published is the size of the last checkpoint in Outside, as far as this
	// process knows.
	mu        sync.Mutex
	published int64
	// Outside, where set, is a file that every checkpoint is appended to; it
	// should lie on another disk or another machine.
	Outside string
}

// New opens the ledger; its tables must be there (Schema).
func New(db *store.DB, key Key, now func() time.Time) *Ledger {
	return &Ledger{db: db, key: key, now: now, nudge: make(chan struct{}, 1)}
}

// Schema makes the ledger's tables.
func Schema() store.Schema {
	return store.Schema{Name: "ledger", Steps: []string{
		`CREATE TABLE ledger_head (id BIGINT PRIMARY KEY, seq BIGINT NOT NULL, hash BLOB NOT NULL)`,
		`CREATE TABLE ledger_rows (
			seq BIGINT PRIMARY KEY, row_bytes BLOB NOT NULL, hash BLOB NOT NULL,
			kind TEXT NOT NULL, run TEXT NOT NULL, entry_key TEXT NOT NULL)`,
		`CREATE INDEX ledger_rows_run ON ledger_rows (run, seq)`,
		`CREATE INDEX ledger_rows_key ON ledger_rows (entry_key, seq)`,
		`CREATE TABLE ledger_payloads (seq BIGINT PRIMARY KEY, salt BLOB NOT NULL, body BLOB NOT NULL)`,
		`CREATE TABLE ledger_marks (mark TEXT PRIMARY KEY, seq BIGINT NOT NULL)`,
		`CREATE TABLE ledger_hashes (idx BIGINT PRIMARY KEY, hash BLOB NOT NULL)`,
		`CREATE TABLE ledger_checkpoints (size BIGINT PRIMARY KEY, note TEXT NOT NULL, made BIGINT NOT NULL)`,
		// One row once something was pruned; see Base.
		`CREATE TABLE ledger_base (id BIGINT PRIMARY KEY, seq BIGINT NOT NULL, hash BLOB NOT NULL, until BIGINT NOT NULL)`,
	}}
}

// Append adds an entry within the caller's transaction: what it tells of and the
// entry are kept together or not at all. V, Seq, Time and Payload are set here.
func (l *Ledger) Append(tx *store.Tx, r Row, payload any) (int64, error) {
	seq, prev, err := l.lockHead(tx)
	if err != nil {
		return 0, fmt.Errorf("ledger: %w", err)
	}
	r.clean()
	body, err := marshal(payload)
	if err != nil {
		return 0, fmt.Errorf("ledger: payload of %s: %w", r.Kind, err)
	}
	salt := make([]byte, 16)
	if _, err := rand.Read(salt); err != nil {
		return 0, fmt.Errorf("ledger: %w", err)
	}
	r.V, r.Seq, r.Time, r.Payload = Version, seq+1, l.now().UnixNano(), payloadDigest(salt, body)
	raw, err := marshal(r)
	if err != nil {
		return 0, fmt.Errorf("ledger: %w", err)
	}
	hash := chain(prev, raw)
	for _, s := range []struct {
		q    string
		args []any
	}{
		{`INSERT INTO ledger_rows (seq, row_bytes, hash, kind, run, entry_key) VALUES (?, ?, ?, ?, ?, ?)`, []any{r.Seq, raw, hash, r.Kind, r.Run, r.Key}},
		{`INSERT INTO ledger_payloads (seq, salt, body) VALUES (?, ?, ?)`, []any{r.Seq, salt, body}},
		{`UPDATE ledger_head SET seq = ?, hash = ? WHERE id = 1`, []any{r.Seq, hash}},
	} {
		if _, err := tx.Exec(s.q, s.args...); err != nil {
			return 0, fmt.Errorf("ledger: append %s: %w", r.Kind, err)
		}
	}
	l.wake()
	return r.Seq, nil
}

// wake tells Run that there is something to sign.
func (l *Ledger) wake() {
	select {
	case l.nudge <- struct{}{}:
	default:
	}
}

// clean makes texts that came from outside storable: PostgreSQL takes no NUL and
// nothing but UTF-8, and an entry must not fail because of them.
func (r *Row) clean() {
	for _, p := range []*string{&r.Kind, &r.Tenant, &r.Run, &r.Step, &r.Key, &r.Actor, &r.Ref} {
		*p = strings.ToValidUTF8(strings.ReplaceAll(*p, "\x00", "\uFFFD"), "\uFFFD")
	}
}

// AppendOnce is Append for writers that may come again: the same mark is one
// entry. first tells whether it was written now.
func (l *Ledger) AppendOnce(tx *store.Tx, mark string, r Row, payload any) (seq int64, first bool, err error) {
	if _, _, err := l.lockHead(tx); err != nil { // before the look, or two writers both see nothing
		return 0, false, fmt.Errorf("ledger: %w", err)
	}
	err = tx.QueryRow(`SELECT seq FROM ledger_marks WHERE mark = ?`, mark).Scan(&seq)
	if err == nil {
		return seq, false, nil
	}
	if !errors.Is(err, sql.ErrNoRows) {
		return 0, false, fmt.Errorf("ledger: %w", err)
	}
	if seq, err = l.Append(tx, r, payload); err != nil {
		return 0, false, err
	}
	if _, err := tx.Exec(`INSERT INTO ledger_marks (mark, seq) VALUES (?, ?)`, mark, seq); err != nil {
		return 0, false, fmt.Errorf("ledger: %w", err)
	}
	return seq, true, nil
}

// lockHead locks and reads the one row that all appends go through.
func (l *Ledger) lockHead(tx *store.Tx) (seq int64, hash []byte, err error) {
	err = tx.QueryRow(`SELECT seq, hash FROM ledger_head WHERE id = 1`+tx.ForUpdate()).Scan(&seq, &hash)
	if !errors.Is(err, sql.ErrNoRows) {
		return seq, hash, err
	}
	if _, err := tx.Exec(`INSERT INTO ledger_head (id, seq, hash) VALUES (1, 0, ?) ON CONFLICT (id) DO NOTHING`, make([]byte, sha256.Size)); err != nil {
		return 0, nil, err
	}
	err = tx.QueryRow(`SELECT seq, hash FROM ledger_head WHERE id = 1`+tx.ForUpdate()).Scan(&seq, &hash)
	return seq, hash, err
}

func chain(prev, row []byte) []byte {
	h := sha256.New()
	h.Write([]byte(chainTag))
	h.Write(prev)
	h.Write(row)
	return h.Sum(nil)
}

func payloadDigest(salt, body []byte) string {
	h := sha256.New()
	h.Write(salt)
	h.Write(body)
	return hex.EncodeToString(h.Sum(nil))
}

func marshal(v any) ([]byte, error) {
	if v == nil {
		return []byte("{}"), nil
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// Filter narrows what Read returns; zero fields do not narrow.
type Filter struct {
	Run, Kind, Key string
	// After is the seq that the page before ended with.
	After int64
	// Limit is at most 1000, which is also the default.
	Limit int
}

// where names only the columns that narrow: with "? = ” OR" beside them SQLite
// reads the whole ledger.
func (f Filter) where() (string, []any) {
	where, args := "r.seq > ?", []any{f.After}
	for _, c := range []struct{ column, value string }{{"run", f.Run}, {"kind", f.Kind}, {"entry_key", f.Key}} {
		if c.value != "" {
			where += " AND r." + c.column + " = ?"
			args = append(args, c.value)
		}
	}
	return where, args
}

// Read returns entries in their order. Run and Key are found by an index; Kind
// alone looks through all rows after After.
func (l *Ledger) Read(ctx context.Context, f Filter) ([]Entry, error) {
	if f.Limit <= 0 || f.Limit > 1000 {
		f.Limit = 1000
	}
	var out []Entry
	err := l.db.View(ctx, func(tx *store.Tx) error {
		out = nil
		where, args := f.where()
		rows, err := tx.Query(`SELECT r.row_bytes, p.body FROM ledger_rows r LEFT JOIN ledger_payloads p ON p.seq = r.seq
			WHERE `+where+` ORDER BY r.seq LIMIT ?`, append(args, f.Limit)...)
		if err != nil {
			return err
		}
		defer func() { _ = rows.Close() }()
		for rows.Next() {
			var raw, body []byte
			if err := rows.Scan(&raw, &body); err != nil {
				return err
			}
			e := Entry{Body: body}
			if err := json.Unmarshal(raw, &e.Row); err != nil {
				return fmt.Errorf("a row is damaged; run `quell audit verify`: %w", err)
			}
			out = append(out, e)
		}
		return rows.Err()
	})
	if err != nil {
		return nil, fmt.Errorf("ledger: read: %w", err)
	}
	return out, nil
}

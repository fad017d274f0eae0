package e2e

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/quell-soar/quell/internal/store"
)

// scanner looks for secrets in bytes: as they are, in base64 at each of the
// three alignments, in hex, URL- and JSON-escaped, and the first half of each.
// It shares no code with the product's own redaction.
type scanner struct {
	// needles are what to look for, by their first eight bytes.
	needles map[uint64][]needle
	// heads says which first two bytes any needle has.
	heads [1 << 16]bool
	read  int64
	found []string
	seen  map[string]bool
	times map[string]int
}

type needle struct {
	secret, form string
	text         []byte
}

func newScanner() *scanner {
	return &scanner{needles: map[uint64][]needle{}, seen: map[string]bool{}, times: map[string]int{}}
}

// plant makes a secret known to the scanner, under a name that may be printed.
func (s *scanner) plant(name, text string) {
	add := func(form, what string) {
		if len(what) < 8 {
			return
		}
		n := needle{name, form, []byte(what)}
		key := binary.BigEndian.Uint64(n.text)
		if !slices.ContainsFunc(s.needles[key], func(o needle) bool { return bytes.Equal(o.text, n.text) }) {
			s.needles[key] = append(s.needles[key], n)
			s.heads[key>>48] = true
		}
	}
	add("plain", text)
	coded := map[string]string{"": text}
	if len(text) >= 32 {
		add("first half", text[:len(text)/2])
		coded["first half in "] = text[:len(text)/2] // a JSON in base64 escapes the rest
	}
	add("hex", hex.EncodeToString([]byte(text)))
	add("HEX", strings.ToUpper(hex.EncodeToString([]byte(text))))
	add("query-escaped", url.QueryEscape(text))
	add("path-escaped", url.PathEscape(text))
	for _, quote := range []func(any) ([]byte, error){json.Marshal, marshalPlain} {
		if raw, err := quote(text); err == nil {
			add("JSON-escaped", string(raw[1:len(raw)-1]))
		}
	}
	for part, text := range coded {
		for name, enc := range map[string]*base64.Encoding{"base64": base64.RawStdEncoding, "base64url": base64.RawURLEncoding} {
			for shift := range 3 {
				// What stands before and behind is unknown: the characters that share
				// bits with it are left out.
				coded := enc.EncodeToString(append(make([]byte, shift), text...))
				from := []int{0, 2, 3}[shift]
				add(fmt.Sprintf("%s%s at %d", part, name, shift), coded[from:(shift+len(text))*8/6])
			}
		}
	}
}

// marshalPlain is json.Marshal without the escapes for HTML.
func marshalPlain(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	err := enc.Encode(v)
	return bytes.TrimSpace(b.Bytes()), err
}

// scan looks through bytes and remembers what it finds, with where it was.
func (s *scanner) scan(where string, b []byte) {
	s.read += int64(len(b))
	for i := 0; i+8 <= len(b); i++ {
		if !s.heads[uint16(b[i])<<8|uint16(b[i+1])] {
			continue
		}
		for _, n := range s.needles[binary.BigEndian.Uint64(b[i:])] {
			if bytes.HasPrefix(b[i:], n.text) {
				s.find(where, n, b[max(0, i-60):i])
			}
		}
	}
}

func (s *scanner) find(where string, n needle, before []byte) {
	before = bytes.Map(func(r rune) rune {
		if r < 0x20 || r > 0x7e {
			return '.'
		}
		return r
	}, before)
	if text := fmt.Sprintf("%s (%s) in %s", n.secret, n.form, where); !s.seen[text] && s.times[n.secret] < 300 {
		s.seen[text] = true
		s.times[n.secret]++
		s.found = append(s.found, fmt.Sprintf("%s after %q", text, before))
	}
}

// tree scans every file below a directory but those that hold a secret on
// purpose.
func (s *scanner) tree(t *testing.T, what, dir string, but ...string) (files int) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		if err != nil || slices.Contains(but, rel) {
			return err
		}
		raw, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		files++
		s.scan(what+" "+rel, raw)
		if bytes.HasPrefix(raw, []byte("SQLite format 3\x00")) {
			s.tables(t, what+" "+rel, path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// tables scans the rows of a SQLite database: in the file a long value is cut
// into pages. The database is copied, with its log, so that nobody is disturbed.
func (s *scanner) tables(t *testing.T, what, path string) {
	t.Helper()
	dir := t.TempDir()
	for _, end := range []string{"", "-wal"} {
		if raw, err := os.ReadFile(path + end); err == nil {
			if err := os.WriteFile(filepath.Join(dir, "quell.db"+end), raw, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	db, err := store.Open(t.Context(), store.Options{Dir: dir})
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	defer func() { _ = db.Close() }()
	err = db.View(t.Context(), func(tx *store.Tx) error {
		names, err := rows(tx, `SELECT name FROM sqlite_master WHERE type = 'table'`)
		if err != nil {
			return err
		}
		for _, name := range names {
			table := string(name[0])
			list, err := rows(tx, `SELECT * FROM "`+table+`"`)
			if err != nil {
				return err
			}
			for _, row := range list {
				for _, cell := range row {
					s.scan(what+" table "+table, cell)
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
}

func rows(tx *store.Tx, query string) (out [][][]byte, err error) {
	r, err := tx.Query(query)
	if err != nil {
		return nil, err
	}
	defer func() { _ = r.Close() }()
	columns, err := r.Columns()
	if err != nil {
		return nil, err
	}
	for r.Next() {
		cells, to := make([][]byte, len(columns)), make([]any, len(columns))
		for i := range cells {
			to[i] = &cells[i]
		}
		if err := r.Scan(to...); err != nil {
			return nil, err
		}
		out = append(out, cells)
	}
	return out, r.Err()
}

// TestScanner: what is put somewhere on purpose is found in each of its forms,
// and in a row of a database that is longer than a page.
func TestScanner(t *testing.T) {
	alongside(t)
	const text = `Kq7+/"&<pl-03-Zx81bYw0mNeF5hTq2Ls`
	quoted, _ := json.Marshal(text)
	for name, leak := range map[string]string{
		"plain": "token=" + text + ";", "json": string(quoted), "query": url.QueryEscape(text), "path": url.PathEscape(text), "hex": hex.EncodeToString([]byte("x" + text + "y")),
		"HEX": strings.ToUpper(hex.EncodeToString([]byte(text))), "half": "Kq7+/\"&<pl-03-Zx81bYw0 and no more",
		"base64 0": base64.StdEncoding.EncodeToString([]byte(text + "tail")), "base64 1": base64.StdEncoding.EncodeToString([]byte("a" + text + "t")),
		"base64 2": base64.URLEncoding.EncodeToString([]byte("ab" + text)), "json in json": `{"a":"{\"b\":\"` + base64.RawURLEncoding.EncodeToString([]byte("user:"+text)) + `\"}"}`,
	} {
		s := newScanner()
		s.plant("it", text)
		if s.scan(name, []byte(leak)); len(s.found) == 0 {
			t.Errorf("%s: %q is not seen", name, leak)
		}
		s.found = nil
		if s.scan(name, []byte("an honest text with Kq7+ and pl-03 and [secret]")); len(s.found) != 0 {
			t.Errorf("%s: %v", name, s.found)
		}
	}
	dir := t.TempDir()
	db, err := store.Open(t.Context(), store.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	err = db.Update(t.Context(), func(tx *store.Tx) error {
		if _, err := tx.Exec(`CREATE TABLE notes (body BLOB)`); err != nil {
			return err
		}
		for i := range 300 { // somewhere a page ends within it
			if _, err := tx.Exec(`INSERT INTO notes VALUES (?)`, []byte(strings.Repeat("x", 3900+i)+text+strings.Repeat("y", 5000))); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil || db.Close() != nil {
		t.Fatal(err)
	}
	s := newScanner()
	s.plant("it", text)
	s.tree(t, "control", dir)
	if !slices.ContainsFunc(s.found, func(f string) bool { return strings.Contains(f, "table notes") }) {
		t.Errorf("a secret in a row is not seen: %v", s.found)
	}
}

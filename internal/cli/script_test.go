package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/quell-soar/quell/internal/ledger"
	"github.com/quell-soar/quell/internal/store"
)

var update = flag.Bool("update", false, "rewrite the golden parts of the scripts")

// now is the time in all scripts.
var now = time.Date(2030, 1, 2, 12, 0, 0, 0, time.UTC)

// deskKey finds a script's server among the values of its environment.
type deskKey struct{}

// TestScripts runs testdata/script. Beside testscript's own commands there are
//
//	quell CODE ARGS…   run a command, which must exit with CODE
//	tamper FILE N      flip a bit in row N of an export
//	count ROUTE N      the server saw N requests like "POST /v1/runs"
//
// QUELL_TEST_STDIN names a file for standard input, QUELL_TEST_TERMINAL says that
// a person sits there.
func TestScripts(t *testing.T) {
	fixtures := writeLedger(t)
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script", UpdateScripts: *update, RequireUniqueNames: true,
		Setup: func(e *testscript.Env) error {
			d := newDesk()
			s := httptest.NewServer(d.mux())
			e.Defer(s.Close)
			e.Values[deskKey{}] = d
			e.Vars = append(e.Vars, "QUELL_SERVER="+s.URL, "QUELL_TOKEN_FILE="+filepath.Join(e.WorkDir, "token"), "ESC=\x1b")
			if err := os.WriteFile(filepath.Join(e.WorkDir, "token"), []byte(goodToken+"\n"), 0o600); err != nil {
				return err
			}
			for name, raw := range fixtures {
				if err := os.WriteFile(filepath.Join(e.WorkDir, name), raw, 0o600); err != nil {
					return err
				}
			}
			d.export = fixtures["good.jsonl"]
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"quell": runQuell, "tamper": tamper, "count": countRequests, "private": private},
	})
}

func runQuell(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 1 {
		ts.Fatalf("usage: quell CODE ARGS…")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	in := ""
	if name := ts.Getenv("QUELL_TEST_STDIN"); name != "" {
		in = ts.ReadFile(name)
	}
	w := world{
		in: strings.NewReader(in), out: ts.Stdout(), err: ts.Stderr(), getenv: ts.Getenv, dir: ts.MkAbs("."),
		now: func() time.Time { return now }, asking: ts.Getenv("QUELL_TEST_TERMINAL") != "",
		screen: func() (int, int, bool) { return 0, 0, false },
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if got := w.run(ctx, args[1:], nil); got != want {
		ts.Fatalf("quell %s: exit %d, want %d", strings.Join(args[1:], " "), got, want)
	}
}

// private takes a file's rights from everybody else; txtar has no modes.
func private(ts *testscript.TestScript, _ bool, args []string) {
	for _, a := range args {
		ts.Check(os.Chmod(ts.MkAbs(a), 0o600))
	}
}

func countRequests(ts *testscript.TestScript, _ bool, args []string) {
	d, ok := ts.Value(deskKey{}).(*desk)
	if !ok || len(args) != 2 {
		ts.Fatalf("usage: count ROUTE N")
	}
	if got := d.seen(args[0]); strconv.Itoa(got) != args[1] {
		ts.Fatalf("the server saw %d × %s, want %s", got, args[0], args[1])
	}
}

func tamper(ts *testscript.TestScript, _ bool, args []string) {
	rows := strings.Split(strings.TrimSpace(ts.ReadFile(args[0])), "\n")
	n, err := strconv.Atoi(args[1])
	ts.Check(err)
	var row map[string]any
	ts.Check(json.Unmarshal([]byte(rows[n]), &row))
	body, _ := row["row"].(string)
	row["row"] = "A" + body[1:]
	raw, err := json.Marshal(row)
	ts.Check(err)
	rows[n] = string(raw)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(strings.Join(rows, "\n")+"\n"), 0o600))
}

// writeLedger makes good.jsonl, an export of 12 rows, with ledger.pub and
// checkpoint, which covers 10 of them.
func writeLedger(t *testing.T) map[string][]byte {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	db, err := store.Open(t.Context(), store.Options{Dir: t.TempDir()})
	must(err)
	t.Cleanup(func() { _ = db.Close() })
	must(db.Migrate(t.Context(), ledger.Schema()))
	key, err := ledger.LoadKey(filepath.Join(t.TempDir(), "ledger"))
	must(err)
	l := ledger.New(db, key, func() time.Time { return now })
	out := map[string][]byte{"ledger.pub": []byte(key.Public + "\n")}
	for i := range 12 {
		must(db.Update(t.Context(), func(tx *store.Tx) error {
			_, err := l.Append(tx, ledger.Row{Kind: "test.entry", Key: fmt.Sprint(i)}, map[string]int{"n": i})
			return err
		}))
		if i == 9 {
			c, err := l.Sign(t.Context())
			must(err)
			out["checkpoint"] = []byte(c.Note)
		}
	}
	var b bytes.Buffer
	must(l.Export(t.Context(), &b))
	out["good.jsonl"] = b.Bytes()
	return out
}

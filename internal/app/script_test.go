package app_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/quell-soar/quell/internal/app"
	"github.com/quell-soar/quell/playbooks/diag"
	"github.com/quell-soar/quell/server/api"
)

// shell is what one script has around its commands.
type shell struct {
	desk *desk
	// stdin is what the next command reads.
	stdin         []byte
	width, height int
}

type shellKey struct{}

// TestScripts runs each file of testdata/script against a desk that answers as
// the server does. Beside testscript's own commands there are:
//
//	quell ARG…           run the program in this process; it must exit with 0
//	exits CODE quell …   run it and demand another exit code
//	feed FILE            standard input of the next run
//	screen W H           later runs sit at a terminal of that size
//	edit FILE OLD NEW    replace text in a file; it must be there
//	drop N FROM TO       copy a file without its line N
func TestScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script", UpdateScripts: *update, RequireExplicitExec: true, RequireUniqueNames: true,
		Setup: func(e *testscript.Env) error {
			d := newDesk(t, e.WorkDir)
			srv := httptest.NewServer(d)
			e.Defer(srv.Close)
			e.Setenv("QUELL_SERVER", srv.URL)
			token := filepath.Join(e.WorkDir, ".token")
			e.Setenv("QUELL_TOKEN_FILE", token)
			e.Setenv("RUN", runID)
			e.Values[shellKey{}] = &shell{desk: d}
			return os.WriteFile(token, []byte(goodToken+"\n"), 0o600)
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"quell": func(ts *testscript.TestScript, _ bool, args []string) { runQuell(ts, app.ExitOK, args) },
			"exits": exits,
			"feed": func(ts *testscript.TestScript, _ bool, args []string) {
				shellOf(ts).stdin = []byte(ts.ReadFile(args[0]))
			},
			"screen": screen,
			"edit":   edit,
			"drop":   drop,
		},
	})
}

func shellOf(ts *testscript.TestScript) *shell {
	s, ok := ts.Value(shellKey{}).(*shell)
	if !ok {
		ts.Fatalf("the script has no shell")
	}
	return s
}

func exits(ts *testscript.TestScript, _ bool, args []string) {
	code, err := strconv.Atoi(args[0])
	if err != nil || len(args) < 2 || args[1] != "quell" {
		ts.Fatalf("exits CODE quell ARG…")
	}
	runQuell(ts, code, args[2:])
}

func runQuell(ts *testscript.TestScript, want int, args []string) {
	s := shellOf(ts)
	in := io.Reader(bytes.NewReader(s.stdin))
	s.stdin = nil
	dir := ts.Getenv("WORK")
	for i, a := range args { // the process stays in its own directory
		if _, err := os.Stat(filepath.Join(dir, a)); err == nil && a != "" && a != "-" && !filepath.IsAbs(a) {
			args[i] = filepath.Join(dir, a)
		}
	}
	code := app.Program{Version: "1.2.3", Plan: offlinePlan, Test: noTests}.Run(s.desk.t.Context(), app.Env{
		Args: args, Stdin: in, Stdout: ts.Stdout(), Stderr: ts.Stderr(), Getenv: ts.Getenv,
		Screen: func() (int, int, bool) { return s.width, s.height, s.width > 0 },
	})
	if code != want {
		ts.Fatalf("quell %s: exit code %d, want %d", strings.Join(args, " "), code, want)
	}
}

// offlinePlan makes the plan of the desk, as fixtures would.
func offlinePlan(_ context.Context, o app.OfflinePlan) (*api.Plan, diag.List, error) {
	if o.Fixtures == "" {
		return nil, nil, fmt.Errorf("there is no file one.test.yaml: %w", fs.ErrNotExist)
	}
	raw, err := os.ReadFile("testdata/plan/plan.json")
	if err != nil {
		return nil, nil, err
	}
	p := new(api.Plan)
	err = json.Unmarshal(raw, p)
	p.Offline = true
	return p, nil, err
}

func noTests(context.Context, app.TestOptions) (bool, error) {
	return false, fmt.Errorf("there is no file one.test.yaml: %w", fs.ErrNotExist)
}

func screen(ts *testscript.TestScript, _ bool, args []string) {
	s := shellOf(ts)
	var err error
	if s.width, err = strconv.Atoi(args[0]); err == nil {
		s.height, err = strconv.Atoi(args[1])
	}
	ts.Check(err)
}

func edit(ts *testscript.TestScript, _ bool, args []string) {
	file := ts.MkAbs(args[0])
	text := ts.ReadFile(args[0])
	if !strings.Contains(text, args[1]) {
		ts.Fatalf("%s does not contain %q", args[0], args[1])
	}
	ts.Check(os.WriteFile(file, []byte(strings.Replace(text, args[1], args[2], 1)), 0o600))
}

func drop(ts *testscript.TestScript, _ bool, args []string) {
	n, err := strconv.Atoi(args[0])
	ts.Check(err)
	list := strings.SplitAfter(ts.ReadFile(args[1]), "\n")
	if n > len(list) {
		ts.Fatalf("%s has %d lines", args[1], len(list))
	}
	text := strings.Join(append(list[:n-1:n-1], list[n:]...), "")
	ts.Check(os.WriteFile(ts.MkAbs(args[2]), []byte(text), 0o600))
}

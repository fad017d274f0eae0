package app_test

import (
	"bytes"
	"context"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/quell-soar/quell/internal/app"
)

// TestReference holds the reference in docs/cli.md to what the program offers;
// -update rewrites it.
func TestReference(t *testing.T) {
	t.Parallel()
	const file, mark = "../../docs/cli.md", "<!-- generated below by make docs -->\n"
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	head, old, ok := strings.Cut(string(raw), mark)
	if !ok {
		t.Fatalf("%s has no line %q", file, mark)
	}
	var b bytes.Buffer
	b.WriteString("\n")
	if err := (app.Program{}).Reference(&b); err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(file, []byte(head+mark+b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(old, b.String()); diff != "" {
		t.Errorf("run make docs (-there +now):\n%s", diff)
	}
}

// TestInterrupted: an interrupt ends a command with 130, whatever it waits for.
func TestInterrupted(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, args := range [][]string{{"run", "watch", runID}, {"approval", "list"}, {"doctor"}} {
		var out, errs bytes.Buffer
		code := app.Program{}.Run(ctx, app.Env{
			Args: append(args, "--server", "http://127.0.0.1:1"), Stdin: strings.NewReader(""), Stdout: &out, Stderr: &errs,
			Getenv: func(string) string { return "" },
		})
		if code != app.ExitInterrupted || errs.String() != "quell: interrupted\n" {
			t.Errorf("quell %s: exit code %d, %q", strings.Join(args, " "), code, errs.String())
		}
	}
}

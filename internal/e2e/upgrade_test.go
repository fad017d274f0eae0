package e2e

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/quell-soar/quell/server/api"
)

// previousBuild is the commit whose runs the present build must bring to an end,
// where QUELL_FROM names no other.
const previousBuild = "4d04fb9"

// buildOf builds the programs of a commit.
func buildOf(t *testing.T, commit string) string {
	t.Helper()
	src, out := t.TempDir(), t.TempDir()
	root, err := exec.Command("git", "rev-parse", "--show-toplevel").Output()
	if err != nil {
		t.Skipf("this is no git checkout: %v", err)
	}
	tree := filepath.Join(src, "tree.tar")
	archive := exec.Command("git", "archive", "-o", tree, commit)
	archive.Dir = strings.TrimSpace(string(root))
	if text, err := archive.CombinedOutput(); err != nil {
		t.Skipf("the commit %s is not here: %s", commit, text)
	}
	if text, err := exec.Command("tar", "-xf", tree, "-C", src).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	build := exec.Command("go", "build", "-ldflags", "-X main.version="+commit, "-o", out, "./cmd/quell", "./cmd/quell-connector")
	build.Dir, build.Env = src, append(os.Environ(), "CGO_ENABLED=0")
	if text, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build %s: %v\n%s", commit, err, text)
	}
	return out
}

// TestUpgrade lets the previous build, with its connectors, bring runs to their
// approvals and holds, and kills it. This build copies the store, goes on with its
// own connectors, and brings every run to its end; every hold releases its host by
// itself. The figures are those of `make soak`.
func TestUpgrade(t *testing.T) {
	integration(t)
	asked, held := many(16, 400), many(4, 100)
	commit := os.Getenv("QUELL_FROM")
	if commit == "" {
		commit = previousBuild
	}
	old := buildOf(t, commit)
	t.Logf("repeat: QUELL_INTEGRATION=1 QUELL_SOAK=%s QUELL_FROM=%s go test ./internal/e2e -run TestUpgrade", os.Getenv("QUELL_SOAK"), commit)
	l := startLab(t)
	l.hostsOf(asked + held)
	h := newHouse(t, l, "")
	h.playbook("timed-hold", strings.NewReplacer("hold-host", "timed-hold", "for: 1h, then: ask", "for: 3m, then: release").Replace(holdHost))
	now := h.config
	h.config = strings.ReplaceAll(now, bin(t, "quell-connector"), filepath.Join(old, "quell-connector"))
	h.write("quell.yaml", h.config)
	h.program = filepath.Join(old, "quell")
	h.start()
	began := time.Now()
	for i := 1; i <= asked; i++ {
		if got, err := h.alert(fmt.Sprintf("up-%d", i), hostname(i)); err != nil || len(got.Runs) != 1 {
			t.Fatalf("alert %d: %+v, %v", i, got, err)
		}
	}
	eventually(t, 15*time.Minute, "every run asks", func() (bool, error) {
		// The lists of builds before 1cb3843 have no pages, and take no bound: all is on the first.
		n := 0
		for _, err := range h.client().AllApprovals(t.Context(), api.ApprovalFilter{}) {
			if err != nil {
				return false, err
			}
			n++
		}
		return n == asked, nil
	})
	for i := asked + 1; i <= asked+held; i++ {
		h.hand("timed-hold", hostname(i))
	}
	eventually(t, 170*time.Second, "the hosts are held, by the previous build", func() (bool, error) {
		return len(l.effects("operation=contain")) == held, nil
	})
	h.kill()
	lifted := len(l.effects("operation=lift"))
	t.Logf("%s: %d runs at approvals, %d hosts held, in %s", commit, asked, held-lifted, time.Since(began).Round(time.Second))
	if lifted > 0 {
		t.Errorf("%d holds ended before the upgrade", lifted)
	}
	h.program, h.config = "", now
	h.write("quell.yaml", h.config)
	older := h.schemas()
	began = time.Now()
	h.start()
	ready, copied := time.Since(began), 0
	if h.schemas() != older {
		copied = 1
	}
	if copies, _ := filepath.Glob(filepath.Join(h.dir, "data", "before-upgrade", "*", "backup.json")); len(copies) != copied {
		t.Errorf("%d copies of the store before its upgrade, want %d", len(copies), copied)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go h.approveAll(ctx)
	for _, r := range h.ended(asked+held, 20*time.Minute) {
		if r.Closing != "completed" {
			t.Errorf("%s closed %s: %s", r.ID, r.Closing, r.Reason)
		}
	}
	eventually(t, 5*time.Minute, "every hold releases", func() (bool, error) {
		return len(l.effects("operation=lift")) == asked+held, nil
	})
	t.Logf("this build was ready after %s and brought all to an end in %s", ready.Round(time.Millisecond), time.Since(began).Round(time.Second))
	changed := map[string]int{}
	for _, e := range l.effects("") {
		if e.Before != e.After {
			changed[e.Operation+" "+strings.ToLower(e.Object)]++
		}
	}
	for i := 1; i <= asked+held; i++ {
		if c, r := changed["contain "+hostname(i)], changed["lift "+hostname(i)]; c != 1 || r != 1 {
			t.Errorf("%s: isolated %d times, released %d times", hostname(i), c, r)
		}
	}
	h.auditOK()
}

// hand starts a playbook on a host by hand, and does not wait.
func (h *house) hand(playbook, host string) string {
	h.t.Helper()
	r, err := h.client().Start(h.t.Context(), api.StartRun{Playbook: playbook, Inputs: inputsOf(host)}, "")
	if err != nil {
		h.t.Fatal(err)
	}
	return r.Run
}

// schemas are the tables' versions, as one text.
func (h *house) schemas() string {
	h.t.Helper()
	db := h.readStore()
	defer func() { _ = db.Close() }()
	var all string
	if err := db.QueryRowContext(h.t.Context(), `SELECT group_concat(name || ' ' || version, ', ' ORDER BY name) FROM store_schemas`).Scan(&all); err != nil {
		h.t.Fatal(err)
	}
	return all
}

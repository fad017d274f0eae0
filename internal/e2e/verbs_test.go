package e2e

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"
	commonpb "go.temporal.io/api/common/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"

	"github.com/quell-soar/quell/activities"
	"github.com/quell-soar/quell/connectors/entra/fakegraph"
	"github.com/quell-soar/quell/connectors/fake"
	"github.com/quell-soar/quell/connectors/fake/lab"
	"github.com/quell-soar/quell/connectors/host"
	"github.com/quell-soar/quell/connectors/sdk/secret"
	"github.com/quell-soar/quell/internal/approval"
	"github.com/quell-soar/quell/internal/engine"
	"github.com/quell-soar/quell/internal/guard"
	"github.com/quell-soar/quell/internal/retention"
	"github.com/quell-soar/quell/internal/runs"
	"github.com/quell-soar/quell/workflows/run"
)

// ten are the steps of the run that is taken back: what an undo must say of each,
// and the step's text with the row's names in it.
var ten = []struct{ action, back, text string }{
	{"ticket.create_ticket", "nothing", `with: { key: "${{ run.incident }}", title: Row }`},
	{"edr.isolate_host", "done", `with: { host: "${{ steps.a.device }}" }`},
	{"ticket.add_comment", "nothing", `with: { ticket: "${{ steps.s1.ticket }}", body: one }`},
	{"edr.isolate_host", "done", `with: { host: "${{ steps.b.device }}" }`},
	{"iam.disable_user", "done", `with: { user: "${{ steps.user.user }}" }`},
	{"iam.revoke_sessions", "irreversible", `with: { user: "${{ steps.user.user }}" }`},
	{"edr.isolate_host", "done", `with: { host: "${{ steps.c.device }}" }`},
	{"ticket.add_comment", "nothing", `with: { ticket: "${{ steps.s1.ticket }}", body: two }`},
	{"edr.scan_host", "nothing", `with: { host: "${{ steps.a.device }}" }`},
	{"edr.isolate_host", "done", `with: { host: "${{ steps.d.device }}" }`},
}

// The ways in which a run is when it is taken back.
const (
	stillRunning = "running"
	wasCancelled = "cancelled"
	hadFailed    = "failed"
	hadClosed    = "closed"
	// isForgotten: it ended in one of these ways, its history is deleted at Temporal,
	// and retention has gone over Quell's store.
	isForgotten = "forgotten"
)

// backRow is one case: how far the run came, and how it was then.
type backRow struct {
	step int
	way  string
}

// end is how the run of a row ended, where it did; the forgotten ones in turn.
func (r backRow) end() string {
	if r.way == isForgotten {
		return []string{hadClosed, hadFailed, wasCancelled}[r.step%3]
	}
	return r.way
}

// playbook is that of a row.
func (r backRow) playbook() string {
	var b strings.Builder
	b.WriteString("quell: 1\nplaybook: " + r.name() + "\ntitle: Ten steps\ninputs:\n  hostname: { type: hostname }\n  account: { type: email }\non:\n  manual: { roles: [analyst] }\nlimits:\n  edr.isolate_host: 4\n  iam.disable_user: 1\n  iam.revoke_sessions: 1\ntriage:\n")
	for i, h := range []string{"a", "b", "c", "d"} {
		fmt.Fprintf(&b, "  - id: %s\n    uses: edr.find_host\n    with: { hostname: \"${{ inputs.hostname }}-%05d\" }\n", h, i+1)
	}
	b.WriteString("  - id: user\n    uses: iam.find_user\n    with: { mail: \"${{ inputs.account }}\" }\ncontain:\n")
	for i, s := range ten {
		fmt.Fprintf(&b, "  - id: s%d\n    uses: %s\n    %s\n", i+1, s.action, s.text)
		switch s.back {
		case "irreversible":
			b.WriteString("    accept: { irreversible: they sign in again }\n")
		case "done":
			b.WriteString("    hold: { for: 24h, then: keep }\n")
		}
		if i+1 != r.step {
			continue
		}
		switch r.end() {
		case hadFailed:
			b.WriteString("  - fail: enough\n")
			return b.String()
		case hadClosed:
			b.WriteString("  - stop: true_positive\n")
			return b.String()
		}
		b.WriteString("  - id: gate\n    ask: Continue?\n    from:\n      - { who: [oncall.soc], within: 8h }\n    silent: fail\n")
	}
	return b.String()
}

func (r backRow) name() string { return fmt.Sprintf("back-%02d-%s", r.step, r.way) }

// TestUndoTable takes back a run of ten steps after each of its steps: while it
// runs, after it was cancelled, after it failed, after it was closed, and after
// all of that is forgotten: its history is gone from Temporal and its detail from
// Quell's store. The world is as it was wherever there is an exact inverse, and the
// list says of the others what they are. Five rows by default, all fifty with
// QUELL_SOAK.
func TestUndoTable(t *testing.T) {
	alongside(t)
	var rows []backRow
	for k := 1; k <= len(ten); k++ {
		for _, way := range []string{stillRunning, wasCancelled, hadFailed, hadClosed, isForgotten} {
			rows = append(rows, backRow{k, way})
		}
	}
	if os.Getenv("QUELL_SOAK") == "" {
		rows = []backRow{{2, wasCancelled}, {6, stillRunning}, {7, hadFailed}, {10, hadClosed}, {10, isForgotten}}
	}
	l, err := lab.Start(lab.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	s := stageOn(t, l, undoHost(t, l))
	g, err := guard.New(guard.Rules{})
	if err != nil {
		t.Fatal(err)
	}
	// The guard asks about each account whether it is the last administrator.
	s.set.Actor.Facts = &activities.Facts{Needs: g, Host: s.host, Serving: func(action string) string {
		if list := s.host.Resolve(action); len(list) == 1 {
			return list[0]
		}
		return ""
	}}
	var users []fakegraph.User
	for _, r := range rows {
		users = append(users, fakegraph.User{Name: r.name() + "@lab.example"})
		if _, err := s.lab.Falcon.SeedMany(4, r.name()+"-"); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.lab.Entra.SeedUsers(users...); err != nil {
		t.Fatal(err)
	}
	lines, ids := make([]string, len(rows)), make([]string, len(rows))
	each := func(f func(i int, r backRow)) {
		var wg sync.WaitGroup
		slots := make(chan struct{}, 4)
		for i, r := range rows {
			slots <- struct{}{}
			wg.Go(func() {
				defer func() { <-slots }()
				f(i, r)
			})
		}
		wg.Wait()
	}
	each(func(i int, r backRow) {
		if ids[i] = s.came(r); ids[i] != "" && r.way != isForgotten {
			lines[i] = s.takeBack(ids[i], r)
		}
	})
	s.forget(t, rows, ids)
	each(func(i int, r backRow) {
		if ids[i] != "" && r.way == isForgotten {
			lines[i] = s.takeBack(ids[i], r)
		}
	})
	t.Logf("%d rows; repeat: QUELL_SOAK=1 go test ./internal/e2e -run TestUndoTable -v\n%s", len(rows), strings.Join(lines, "\n"))
}

// forget lets everything of ended runs go that can: their histories at Temporal and
// what retention deletes in Quell's store.
func (s *stage) forget(t *testing.T, rows []backRow, ids []string) {
	t.Helper()
	ctx, rec := t.Context(), s.set.Recorder
	if err := rec.DB.Migrate(ctx, retention.Schema()); err != nil {
		t.Fatal(err)
	}
	ex := &retention.Exporter{DB: rec.DB, Ledger: rec.Ledger, Dir: t.TempDir()}
	if err := ex.Export(ctx); err != nil {
		t.Fatal(err)
	}
	later := func() time.Time { return time.Now().Add(500 * 24 * time.Hour) }
	sw := &retention.Sweeper{DB: rec.DB, Ledger: rec.Ledger, Runs: rec.Runs, Effects: rec.Effects, Approvals: rec.Approvals, Exporter: ex, Keep: 400 * 24 * time.Hour, Record: 400 * 24 * time.Hour, Now: later, Log: zerolog.Nop()}
	got, err := sw.Sweep(ctx)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("retention deleted the detail of %d runs", got.Runs)
	for i, r := range rows {
		if r.way != isForgotten || ids[i] == "" {
			continue
		}
		if rec, err := rec.Runs.Get(ctx, ids[i]); err != nil || rec.Result != nil || string(rec.Inputs) != "{}" {
			t.Errorf("%s: its detail is still there: %s %s, %v", r.name(), rec.Inputs, rec.Result, err)
		}
		if _, err := s.temp.WorkflowService().DeleteWorkflowExecution(ctx, &workflowservice.DeleteWorkflowExecutionRequest{
			Namespace: engine.Namespace, WorkflowExecution: &commonpb.WorkflowExecution{WorkflowId: ids[i]},
		}); err != nil {
			t.Fatal(err)
		}
		var gone *serviceerror.NotFound
		if err := s.wait(func() (bool, error) {
			_, err := s.temp.DescribeWorkflowExecution(ctx, ids[i], "")
			return errors.As(err, &gone), nil
		}); err != nil {
			t.Errorf("%s: its history is still at Temporal: %v", r.name(), err)
		}
	}
}

// undoHost is labHost with a directory of accounts.
func undoHost(t *testing.T, l *lab.Lab) *host.Host {
	t.Helper()
	one := func(k, v string) func(context.Context) (map[string]secret.Value, error) {
		return func(context.Context) (map[string]secret.Value, error) {
			return map[string]secret.Value{k: secret.New(v)}, nil
		}
	}
	b, u := bin(t, "quell-connector"), l.URLs
	h, err := host.New(host.Options{Log: zerolog.Nop(), Instances: []host.Instance{
		{Name: "falcon", Connector: "crowdstrike", Binary: b, Settings: map[string]string{"base_url": u.CrowdStrike, "client_id": lab.FalconClientID}, Secrets: one("client_secret", lab.FalconClientSecret)},
		{Name: "jira", Connector: "jira", Binary: b, Settings: map[string]string{"base_url": u.Jira, "email": lab.JiraEmail, "project": lab.JiraProject}, Secrets: one("api_token", lab.JiraToken)},
		{Name: "entra", Connector: "entra", Binary: b, Settings: map[string]string{
			"tenant_id": lab.EntraTenant, "client_id": lab.EntraClientID, "mail_from": "soc@lab.example", "base_url": u.Entra, "login_url": u.Entra, "exchange_url": u.Entra,
		}, Secrets: one("client_secret", lab.EntraClientSecret)},
	}})
	if err != nil {
		t.Fatal(err)
	}
	if err := h.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.Close(context.Background()) })
	return h
}

// came launches the run of a row and brings it to where it is taken back; "" where
// that fails.
func (s *stage) came(r backRow) string {
	p, raw := s.plan(r.name(), r.playbook())
	id := s.launchWith(p, raw, []byte(`["`+r.name()+`"]`), []byte(`{"hostname":"`+r.name()+`","account":"`+r.name()+`@lab.example"}`))
	if err := s.reach(id, r); err != nil {
		s.t.Errorf("%s: %v; %s", r.name(), err, s.open(id))
		return ""
	}
	return id
}

// takeBack takes back the run of a row and returns its line of the table.
func (s *stage) takeBack(id string, r backRow) string {
	fault := func(format string, args ...any) string {
		s.t.Errorf("%s: %s", r.name(), fmt.Sprintf(format, args...))
		return r.name()
	}
	got, err := s.undoOf(id, 1)
	if err != nil {
		return fault("%v", err)
	}
	if why := judgeItems(got, 1, r.step); why != "" {
		return fault("%s", why)
	}
	line := fmt.Sprintf("%-10s after step %2d: %s", r.way, r.step, counts(got))
	if why := s.restored(r); why != "" {
		return fault("%s", why)
	}
	if r.way == stillRunning { // it goes on, and is taken back again
		if err := s.goOn(id); err != nil {
			return fault("%v", err)
		}
		if got, err = s.undoOf(id, 2); err != nil {
			return fault("%v", err)
		}
		if why := judgeItems(got, r.step+1, len(ten)); why != "" {
			return fault("a second time: %s", why)
		}
		if why := s.restored(r); why != "" {
			return fault("a second time: %s", why)
		}
		line += "; then " + counts(got)
	}
	return line
}

// open tells what a run waits for.
func (s *stage) open(id string) string {
	list, _, err := s.set.Recorder.Approvals.List(s.t.Context(), approval.Filter{Tenant: "default", Run: id})
	out := fmt.Sprint("it asks: ", err)
	for _, q := range list {
		out += fmt.Sprintf("; %s %s %q %s", q.Kind, q.Step, q.Text, q.Show)
	}
	return out
}

// reach brings the run to where it is taken back.
func (s *stage) reach(id string, r backRow) error {
	way := r.end()
	if way == stillRunning || way == wasCancelled {
		if err := s.wait(func() (bool, error) {
			list, _, err := s.set.Recorder.Approvals.List(s.t.Context(), approval.Filter{Tenant: "default", Run: id})
			for _, q := range list {
				if q.Step == "contain.gate" {
					return true, nil
				}
			}
			return false, err
		}); err != nil {
			return fmt.Errorf("the gate: %w", err)
		}
	}
	want := map[string]string{wasCancelled: "cancelled", hadFailed: "failed", hadClosed: "true_positive"}[way]
	if want == "" {
		return nil
	}
	if way == wasCancelled {
		if err := s.disp.Cancel(s.t.Context(), id, "user:lena", "drill"); err != nil {
			return err
		}
	}
	return s.endsAs(id, want)
}

func (s *stage) endsAs(id, closing string) error {
	err := s.wait(func() (bool, error) {
		rec, err := s.set.Recorder.Runs.Get(s.t.Context(), id)
		if err == nil && rec.Status == runs.Ended && rec.Closing != closing {
			return false, fmt.Errorf("it closed as %s (%s), want %s", rec.Closing, rec.Reason, closing)
		}
		return err == nil && rec.Status == runs.Ended, nil
	})
	return err
}

// wait polls for as long as a busy machine may need.
func (s *stage) wait(ok func() (bool, error)) error {
	for end := time.Now().Add(2 * time.Minute); ; time.Sleep(30 * time.Millisecond) { // rows wait side by side
		done, err := ok()
		if done || err != nil {
			return err
		}
		if time.Now().After(end) {
			return fmt.Errorf("it did not come within two minutes")
		}
	}
}

// goOn answers the gate and waits for the run's end.
func (s *stage) goOn(id string) error {
	if err := s.wait(func() (bool, error) { return s.word(id, "approve") }); err != nil {
		return fmt.Errorf("answer the gate: %w", err)
	}
	return s.endsAs(id, "completed")
}

// undoOf takes a run back and returns what the undo says.
func (s *stage) undoOf(id string, n int) (res run.UndoResult, err error) {
	undo, err := s.disp.Undo(s.t.Context(), run.UndoInput{Tenant: "default", Run: id, ID: run.UndoID(id, n), Actor: "user:lena", Reason: "drill"})
	if err != nil {
		return res, err
	}
	err = s.wait(func() (done bool, err error) {
		res, done, err = s.disp.UndoResult(s.t.Context(), undo)
		return done, err
	})
	return res, err
}

// judgeItems holds the list of an undo against the steps that it takes back: those
// from first to last, newest first, each with what it is. What an earlier undo took
// back may stand in it, as nothing to do.
func judgeItems(res run.UndoResult, first, last int) string {
	var want, got []string
	for k := last; k >= first; k-- {
		if ten[k-1].back != "nothing" {
			want = append(want, ten[k-1].action+" "+ten[k-1].back)
		}
	}
	for _, i := range res.Items {
		key, err := run.ParseKey(i.Key)
		if err != nil {
			return err.Error()
		}
		var k int
		if _, err := fmt.Sscanf(key.Step, "contain.s%d", &k); err != nil {
			return "an effect of no step: " + i.Key
		}
		switch {
		case k >= first && i.Outcome != "nothing", k < first && i.Outcome == "done":
			got = append(got, i.Action+" "+i.Outcome)
		}
	}
	if !slices.Equal(got, want) {
		return fmt.Sprintf("the undo says %v, want %v", got, want)
	}
	return ""
}

// counts is how many effects an undo lists by outcome.
func counts(res run.UndoResult) string {
	n := map[string]int{}
	for _, i := range res.Items {
		n[i.Outcome]++
	}
	return fmt.Sprint(n)
}

// restored says where the world is not as it was before the run: hosts and
// accounts whose last change does not lead back to before the first.
func (s *stage) restored(r backRow) string {
	first, last := map[string]string{}, map[string]string{}
	for _, e := range s.lab.World.Journal().List(fake.Filter{}) {
		mine := strings.HasPrefix(e.Object, r.name())
		if !mine || e.Before == e.After || e.Operation == "create-scan" || e.Operation == "revoke-sessions" {
			continue
		}
		if _, ok := first[e.Object]; !ok {
			first[e.Object] = e.Before
		}
		last[e.Object] = e.After
	}
	for o, was := range first {
		if last[o] != was {
			return fmt.Sprintf("%s was %q and is %q", o, was, last[o])
		}
	}
	touched := 0
	for _, st := range ten[:r.step] {
		if st.back == "done" {
			touched++
		}
	}
	if len(first) < touched {
		return fmt.Sprintf("only %d of %d things were changed at all", len(first), touched)
	}
	return ""
}

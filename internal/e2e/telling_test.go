package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/worker"

	"github.com/quell-soar/quell/activities"
	"github.com/quell-soar/quell/activities/task"
	"github.com/quell-soar/quell/connectors/fake/lab"
	"github.com/quell-soar/quell/connectors/host"
	"github.com/quell-soar/quell/internal/alert"
	"github.com/quell-soar/quell/internal/approval"
	"github.com/quell-soar/quell/internal/dispatch"
	"github.com/quell-soar/quell/internal/engine"
	"github.com/quell-soar/quell/internal/runs"
	"github.com/quell-soar/quell/internal/store"
	"github.com/quell-soar/quell/playbooks/compile"
	"github.com/quell-soar/quell/playbooks/diag"
	"github.com/quell-soar/quell/playbooks/plan"
	"github.com/quell-soar/quell/playbooks/source"
	"github.com/quell-soar/quell/workflows"
	"github.com/quell-soar/quell/workflows/run"
)

// stage is the embedded server with worker, dispatcher, stores, connectors in
// their processes and the fakes behind them.
type stage struct {
	t    *testing.T
	lab  *lab.Lab
	host *host.Host
	set  activities.Set
	temp client.Client
	disp *dispatch.Dispatcher
}

func newStage(t *testing.T) *stage {
	t.Helper()
	l, err := lab.Start(lab.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	if _, err := l.Falcon.SeedMany(100, "host-"); err != nil {
		t.Fatal(err)
	}
	return stageOn(t, l, labHost(t, l))
}

// stageOn is a stage with these connectors; l may be nil.
func stageOn(t *testing.T, l *lab.Lab, h *host.Host) *stage {
	t.Helper()
	return stageAt(t, l, h, engine.Options{}, activeRuns)
}

// activeRuns is what limits.active_runs is by itself.
const activeRuns = 200

// stageAt is stageOn with an engine that o describes and so many runs that may work
// at once.
func stageAt(t *testing.T, l *lab.Lab, h *host.Host, o engine.Options, active int) *stage {
	t.Helper()
	dir := t.TempDir()
	o.Dir, o.Log = dir, zerolog.Nop()
	e, err := engine.Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = e.Stop() })
	s := &stage{t: t, lab: l, host: h, set: wholeSet(t, h, dir, nil), temp: e.Client()}
	pulse := dispatch.NewPulse(time.Now)
	w := worker.New(e.Client(), run.TaskQueue, worker.Options{
		WorkerStopTimeout: time.Second, Interceptors: []interceptor.WorkerInterceptor{pulse},
		WorkflowTaskPollerBehavior: engine.Pollers(), ActivityTaskPollerBehavior: engine.Pollers(),
	})
	workflows.New().Register(w)
	s.set.Register(w)
	if err := w.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Stop)
	rs := s.set.Recorder.Runs
	s.disp = dispatch.New(e.Client(), rs, waitingVotes{s.set.Recorder.Approvals}, dispatch.Options{Scan: 20 * time.Millisecond, Active: active, Pulse: pulse, Took: e.Answers().Lately, Messages: []dispatch.Messages{
		func(ctx context.Context) (out []dispatch.Message, err error) {
			list, err := rs.VerbsToTell(ctx)
			for _, v := range list {
				out = append(out, dispatch.Message{
					Workflow: v.Run, Update: run.UpdateVerb, Body: run.Said{N: v.N}, ID: "verb-" + strconv.FormatInt(v.N, 10),
					Told: func(ctx context.Context) error { return rs.VerbTold(ctx, v.Run, v.N) },
				})
			}
			return out, err
		},
		func(ctx context.Context) (out []dispatch.Message, err error) {
			list, err := rs.Alerted(ctx)
			for _, n := range list {
				out = append(out, dispatch.Message{
					Workflow: n.Run, Update: run.UpdateAlerted, Body: run.Alerted{}, ID: fmt.Sprint("alerts-", n.Seq),
					Told: func(ctx context.Context) error { return rs.AlertTold(ctx, n.Run) },
				})
			}
			return out, err
		},
	}})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); s.disp.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	return s
}

type waitingVotes struct{ *approval.Approvals }

func (v waitingVotes) Undelivered(ctx context.Context) ([]dispatch.Delivery, error) {
	list, err := v.Approvals.Undelivered(ctx)
	var out []dispatch.Delivery
	for _, p := range list {
		out = append(out, dispatch.Delivery{Vote: p.Vote, Request: p.Request})
	}
	return out, err
}

// written is a shelf of playbooks in the test.
type written map[string]string

func (w written) Playbook(name string) (*source.File, bool) {
	text, ok := w[name]
	return source.NewFile(name+".yaml", []byte(text)), ok
}

func (w written) Names() []string { return nil }

const before = `quell: 1
playbook: %s
title: One telling case
inputs:
  hostname: { type: hostname }
on:
  manual: { roles: [analyst] }
limits:
  edr.isolate_host: 5
triage:
  - id: host
    uses: edr.find_host
    with:
      hostname: ${{ inputs.hostname }}
contain:
%s
recover:
  - note: recovered
    text: it recovers
review:
  - note: reviewed
    text: open ${{ run.open.map(e, e.what).join(", ") }}
`

// isolates is a step that isolates the host, with more lines of it.
func isolates(more ...string) string {
	s := "  - id: isolate\n    uses: edr.isolate_host\n    with:\n      host: ${{ steps.host.device }}\n    hold: { for: 24h, then: ask }\n"
	for _, m := range more {
		s += "    " + m + "\n"
	}
	return s
}

func (s *stage) compile(name, body string, shelf written) (*plan.Plan, []byte) {
	s.t.Helper()
	text := fmt.Sprintf(before, name, strings.TrimRight(body, "\n"))
	p, list := compile.Compile(source.NewFile(name+".yaml", []byte(text)), compile.Options{Actions: served{s.host.Catalogue()}, Playbooks: shelf})
	if p == nil {
		var out strings.Builder
		_ = diag.Render(&out, list)
		s.t.Fatalf("%s\n%s", out.String(), text)
	}
	raw, err := p.Encode()
	if err != nil {
		s.t.Fatal(err)
	}
	return p, raw
}

func (s *stage) bindings(p *plan.Plan) []run.Binding {
	var out []run.Binding
	for _, a := range p.Actions {
		out = append(out, run.Binding{Action: a.Name, Instance: s.host.Resolve(a.Name)[0], Mode: "act"})
	}
	return out
}

// launch claims a run of a playbook on a host; the dispatcher starts it.
func (s *stage) launch(p *plan.Plan, raw []byte, hostname string) string {
	s.t.Helper()
	return s.launchWith(p, raw, []byte(`["`+hostname+`"]`), []byte(`{"hostname":"`+hostname+`"}`))
}

// launchWith is launch with other inputs; more changes what is claimed.
func (s *stage) launchWith(p *plan.Plan, raw, once, inputs []byte, more ...func(*runs.Claim)) string {
	s.t.Helper()
	c := runs.Claim{
		Tenant: "default", Playbook: p.Playbook, Digest: plan.DigestOf(raw), Plan: raw, OnceValue: once, Inputs: inputs,
		Bindings: s.bindings(p), Mode: "act", Severity: "high", Trigger: run.Trigger{Kind: "manual", Actor: "user:anna", Severity: "high"},
	}
	for _, ch := range p.Children {
		child, err := p.ChildPlan(ch.Digest)
		if err != nil {
			s.t.Fatal(err)
		}
		c.Calls = append(c.Calls, runs.Callee{Playbook: ch.Playbook, Digest: ch.Digest, Plan: ch.Plan, Bindings: s.bindings(child), Mode: "act"})
	}
	for _, m := range more {
		m(&c)
	}
	var got runs.Claimed
	if err := s.set.Recorder.DB.Update(s.t.Context(), func(tx *store.Tx) (err error) {
		got, err = s.set.Recorder.Runs.Claim(tx, c)
		return err
	}); err != nil {
		s.t.Fatal(err)
	}
	s.disp.Nudge()
	return got.ID
}

// said does what people of a case do while its run goes: each word once, when
// there is something that it can be said to.
func (s *stage) said(id string, words []string) run.Result {
	s.t.Helper()
	var res run.Result
	eventually(s.t, 60*time.Second, "the run "+id+" ends", func() (bool, error) {
		rec, err := s.set.Recorder.Runs.Get(s.t.Context(), id)
		if err != nil || rec.Status == runs.Ended {
			if err == nil {
				err = json.Unmarshal(rec.Result, &res)
			}
			return true, err
		}
		if len(words) == 0 {
			return false, nil
		}
		did, err := s.word(id, words[0])
		if did {
			words = words[1:]
		}
		return false, err
	})
	if len(words) > 0 {
		s.t.Errorf("nobody could say %v", words)
	}
	return res
}

// word says one word, and reports whether there was something to say it to.
func (s *stage) word(id, word string) (bool, error) {
	ctx := s.t.Context()
	list, _, err := s.set.Recorder.Approvals.List(ctx, approval.Filter{Tenant: "default"})
	list = slices.DeleteFunc(list, func(r *approval.Request) bool { return r.Run != id && !strings.HasPrefix(r.Run, "child/") })
	if err != nil || len(list) == 0 && word != "alert" {
		return false, err
	}
	verb := func(v run.Verb) error {
		v.Actor, v.Reason = "user:lena", "because"
		return s.set.Recorder.DB.Update(ctx, func(tx *store.Tx) error {
			_, err := s.set.Recorder.Runs.PutVerb(tx, id, v)
			return err
		})
	}
	switch word {
	case "alert":
		return s.joins(id)
	case run.Cancel, run.Pause, run.Resume:
		return true, verb(run.Verb{Verb: word})
	case run.RetryStep, run.SkipStep:
		return true, verb(run.Verb{Verb: word, Step: list[0].Step, Iteration: list[0].Iteration})
	}
	r := list[0]
	b := approval.Ballot{Tenant: "default", Request: r.ID, Actor: "user:lena", Names: []string{"oncall.soc", "ir-lead"}, Approve: word != "deny", Seal: r.Seal}
	if r.Kind == approval.Failure {
		b.Answer = []byte(`{"choice":"` + word + `"}`)
	}
	_, err = s.set.Recorder.Approvals.Vote(ctx, b)
	return err == nil, err
}

// joins lets an alert join the run, once it waits.
func (s *stage) joins(id string) (bool, error) {
	rec, err := s.set.Recorder.Runs.Get(s.t.Context(), id)
	if err != nil || rec.Status != runs.Running {
		return false, err
	}
	return true, s.set.Recorder.DB.Update(s.t.Context(), func(tx *store.Tx) error {
		now := time.Now()
		a, _, err := s.set.Recorder.Runs.PutAlert(tx, "default", alert.Alert{ID: id, Source: "siem", Kind: "malware", Title: "x", Severity: "critical", Occurred: now, Received: now, Raw: []byte("{}")})
		if err != nil {
			return err
		}
		var in struct{ Hostname string }
		if err := json.Unmarshal(rec.Inputs, &in); err != nil {
			return err
		}
		_, err = s.set.Recorder.Runs.Claim(tx, runs.Claim{
			Tenant: "default", Playbook: rec.Playbook, Digest: rec.Digest, OnceValue: []byte(`["` + in.Hostname + `"]`), Severity: "critical",
			Trigger: run.Trigger{Kind: "alert", Actor: "source:siem", Source: "siem", Alert: a},
		})
		return err
	})
}

// telling is one case on the embedded server.
type telling struct {
	name, body, script string
	// words are what people say, in order.
	words   []string
	closing string
	// has are paths with their statuses in the tree; not are paths that are not.
	has, not []string
	// isolated and released count what reached the vendor.
	isolated, released int
}

func tellings() []telling {
	refuse := "crowdstrike contain: always 403\n"
	approve := func(denied string) []string {
		return []string{"approve:", "  ask: Isolate it?", "  from:", "    - { who: [oncall.soc], within: 10m }", "  denied: " + denied, "  silent: stop"}
	}
	ask := "  - id: q\n    ask: Go on?\n    from:\n      - { who: [oncall.soc], within: 1h }\n    silent: fail\n"
	note := "  - note: behind\n    text: behind it\n"
	branches := func(a, b string) string {
		in := func(s string) string {
			return "      " + strings.ReplaceAll(strings.TrimRight(s, "\n"), "\n", "\n      ") + "\n"
		}
		return "  - id: f\n    parallel:\n      one:\n" + in(a) + "      two:\n" + in(b)
	}
	fail := "  - fail: enough\n"
	return []telling{
		{name: "an effect is done", body: isolates(), closing: "completed", has: []string{"contain.isolate=done", "recover.0=done"}, isolated: 1},
		{name: "it fails, fail", body: isolates("on_error: fail") + note, script: refuse, closing: "failed", has: []string{"contain.isolate=failed", "review.0=done"}, not: []string{"contain.1", "recover.0"}},
		{name: "it fails, continue", body: isolates("on_error: continue") + note, script: refuse, closing: "completed", has: []string{"contain.isolate=failed", "contain.1=done", "recover.0=done"}},
		{name: "it fails, a person skips", body: isolates(), script: refuse, words: []string{"skip"}, closing: "completed", has: []string{"contain.isolate=skipped"}},
		{name: "it fails, a person stops", body: isolates(), script: refuse, words: []string{"stop"}, closing: "failed", has: []string{"review.0=done"}, not: []string{"recover.0"}},
		{name: "it fails once, a person tries again", body: isolates(), script: "crowdstrike contain: 403\n", words: []string{"retry"}, closing: "completed", has: []string{"contain.isolate=done"}, isolated: 1},
		{name: "it fails once, the verb retry", body: isolates(), script: "crowdstrike contain: 403\n", words: []string{run.RetryStep}, closing: "completed", has: []string{"contain.isolate=done"}, isolated: 1},
		{name: "the answer is lost", body: isolates(), script: "crowdstrike contain: lost\n", closing: "completed", has: []string{"contain.isolate=done"}, isolated: 1},
		{name: "approved", body: isolates(approve("stop")...), words: []string{"approve"}, closing: "completed", has: []string{"contain.isolate=done"}, isolated: 1},
		{name: "denied, stop", body: isolates(approve("stop")...), words: []string{"deny"}, closing: "denied", has: []string{"review.0=done"}, not: []string{"recover.0"}},
		{name: "denied, skip", body: isolates(approve("skip")...), words: []string{"deny"}, closing: "completed", has: []string{"contain.isolate=denied", "recover.0=done"}},
		{name: "a branch fails, the other acts", body: branches(fail, isolates()), closing: "failed", has: []string{"contain.f=failed", "contain.f.two.isolate=done"}, not: []string{"recover.0"}, isolated: 1},
		{name: "a branch stops, the other waits no more", body: branches("  - wait: { for: 1s }\n  - stop: benign\n", ask), closing: "benign", has: []string{"contain.f=ended", "review.0=done"}},
		{
			name: "a loop with one that is not there", closing: "completed", isolated: 1,
			body: "  - id: all\n    foreach: h in [inputs.hostname, \"nowhere\"]\n    on_item_error: continue\n    do:\n      - id: one\n        uses: edr.find_host\n        with:\n          hostname: ${{ h }}\n" +
				"      - id: each\n        uses: edr.isolate_host\n        with:\n          host: ${{ steps.one.device }}\n        hold: { for: 24h, then: ask }\n",
			has: []string{"contain.all=partial"},
		},
		{name: "an effect as a value is undone", body: isolates() + "  - undo: ${{ steps.isolate.effect }}\n", closing: "completed", has: []string{"contain.1=done"}, isolated: 1, released: 1},
		{name: "a call, and its undo", body: "  - id: c\n    call: child\n    with:\n      hostname: ${{ inputs.hostname }}\n  - undo: c\n", closing: "completed", has: []string{"contain.c=done", "contain.1=done"}, isolated: 1, released: 1},
		{name: "a call that fails", body: "  - id: c\n    call: broken\n    with:\n      hostname: ${{ inputs.hostname }}\n", closing: "failed", has: []string{"contain.c=failed", "review.0=done"}, not: []string{"recover.0"}},
		{name: "cancelled while it asks", body: ask + note, words: []string{run.Cancel}, closing: "cancelled", has: []string{"contain.q=ended", "review.0=done"}, not: []string{"contain.1", "recover.0"}},
		{name: "the question is skipped", body: ask + note, words: []string{run.SkipStep}, closing: "completed", has: []string{"contain.q=skipped", "contain.1=done"}},
		{name: "paused, answered, resumed", body: ask + ask[:6] + strings.ReplaceAll(ask[6:], "q\n", "r\n"), words: []string{run.Pause, run.Resume, "approve", "approve"}, closing: "completed", has: []string{"contain.q=done", "contain.r=done"}},
		{name: "an alert joins", body: "  - id: w\n    wait:\n      for_alert: { when: alert.severity >= severity.high, within: 1h, late: fail }\n", words: []string{"alert"}, closing: "completed", has: []string{"contain.w=done"}},
		{name: "no alert joins", body: "  - id: w\n    wait:\n      for_alert: { when: alert.severity >= severity.high, within: 1s, late: fail }\n", closing: "failed", has: []string{"contain.w=failed"}},
	}
}

// TestTelling runs the most telling cases of the interpreter on the embedded
// server, with dispatcher, stores, connectors and fakes as they are in use.
func TestTelling(t *testing.T) {
	s := newStage(t)
	shelf := written{
		"child":  fmt.Sprintf(before, "child", isolates()),
		"broken": fmt.Sprintf(before, "broken", "  - fail: enough\n"),
	}
	control := &labProcess{t: t, urls: map[string]string{"control": s.lab.URLs.Control}}
	count := func(op string) int { return len(labJournal(t, s.lab, op)) }
	all := tellings()
	for i, c := range all {
		t.Run(c.name, func(t *testing.T) {
			s.t, control.t = t, t
			p, raw := s.compile("telling", c.body, shelf)
			contained, lifted := count("contain"), count("lift")
			control.script(c.script)
			defer control.script("")
			res := s.said(s.launch(p, raw, hostname(i+1)), c.words)
			if res.Closing != c.closing {
				t.Errorf("closed %s (%s), want %s", res.Closing, res.Reason, c.closing)
			}
			got := paths(res.Tree.Steps)
			for _, want := range c.has {
				if !slices.Contains(got, want) {
					t.Errorf("no %s in %v", want, got)
				}
			}
			for _, no := range c.not {
				if slices.ContainsFunc(got, func(g string) bool { return strings.HasPrefix(g, no+"=") }) {
					t.Errorf("%s ran: %v", no, got)
				}
			}
			if a, b := count("contain")-contained, count("lift")-lifted; a != c.isolated || b != c.released {
				t.Errorf("isolated %d, released %d; want %d, %d", a, b, c.isolated, c.released)
			}
			open, _, err := s.set.Recorder.Approvals.List(t.Context(), approval.Filter{Tenant: "default"})
			if err != nil || slices.ContainsFunc(open, func(r *approval.Request) bool { return r.Kind != approval.Hold }) {
				t.Errorf("requests left open: %v %v", open, err)
			}
		})
	}
	t.Logf("%d cases on the embedded server", len(all))
}

func paths(list []run.StepProgress) []string {
	var out []string
	for _, s := range list {
		out = append(out, s.Path+"="+s.Status)
		out = append(out, paths(s.Steps)...)
	}
	return out
}

// TestSchedules keeps Temporal's schedules as they are wanted: made, brought up to
// date, deleted; and each firing claims once.
func TestSchedules(t *testing.T) {
	alongside(t)
	s := newStage(t)
	ctx := t.Context()
	fired := make(chan task.FireRequest, 10)
	s.set.Recorder.Starter = func(_ context.Context, q task.FireRequest) (task.FireResult, error) {
		fired <- q
		return task.FireResult{Verdict: task.Started, Run: "p/x/1"}, nil
	}
	nightly := dispatch.Schedule{Tenant: "default", Playbook: "sweep", N: 1, Digest: "d1", Cron: "0 3 * * *", Zone: "Europe/Berlin"}
	weekly := dispatch.Schedule{Tenant: "default", Playbook: "sweep", N: 2, Digest: "d1", Cron: "0 4 * * mon", Zone: "UTC", Alone: true}
	keep := func(want ...dispatch.Schedule) {
		t.Helper()
		if err := s.disp.KeepSchedules(ctx, want); err != nil {
			t.Fatal(err)
		}
	}
	keep(nightly, weekly)
	keep(nightly, weekly) // again changes nothing
	schedules := s.temp.ScheduleClient()
	d, err := schedules.GetHandle(ctx, run.ScheduleID("sweep", 1)).Describe(ctx)
	if err != nil {
		t.Fatal(err)
	}
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	if next := d.Info.NextActionTimes; len(next) == 0 || next[0].In(berlin).Hour() != 3 {
		t.Errorf("the next times are %v", next)
	}
	if err := schedules.GetHandle(ctx, run.ScheduleID("sweep", 1)).Trigger(ctx, client.ScheduleTriggerOptions{}); err != nil {
		t.Fatal(err)
	}
	select {
	case q := <-fired:
		if q.Playbook != "sweep" || q.Schedule != 1 || time.Since(q.At) > time.Minute || !strings.HasPrefix(q.ID, "schedule/sweep/1-") {
			t.Errorf("%+v", q)
		}
	case <-time.After(30 * time.Second):
		t.Fatal("the schedule did not fire")
	}
	nightly.Digest, nightly.Cron = "d2", "30 3 * * *"
	eventually(t, 30*time.Second, "the schedules are brought up to date", func() (bool, error) {
		if err := s.disp.KeepSchedules(ctx, []dispatch.Schedule{nightly}); err != nil {
			return false, err
		}
		d, err := schedules.GetHandle(ctx, run.ScheduleID("sweep", 1)).Describe(ctx)
		if err != nil {
			return false, err
		}
		_, gone := schedules.GetHandle(ctx, run.ScheduleID("sweep", 2)).Describe(ctx)
		return gone != nil && d.Info.NextActionTimes[0].Minute() == 30, nil
	})
}

package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.temporal.io/sdk/client"

	"github.com/quell-soar/quell/activities/task"
	"github.com/quell-soar/quell/connectors/fake/lab"
	"github.com/quell-soar/quell/internal/alert"
	"github.com/quell-soar/quell/internal/approval"
	"github.com/quell-soar/quell/internal/engine"
	"github.com/quell-soar/quell/internal/runs"
	"github.com/quell-soar/quell/internal/store"
	"github.com/quell-soar/quell/playbooks/compile"
	"github.com/quell-soar/quell/playbooks/diag"
	"github.com/quell-soar/quell/playbooks/source"
	"github.com/quell-soar/quell/workflows/run"
)

// theHistories is where the histories of this build stand for the replay tests of
// later ones.
const theHistories = "../../workflows/testdata/replay/v0.2"

// tale is one playbook of testdata/histories and what happens to a run of it.
type tale struct {
	name string
	// inputs are those beside hostname.
	inputs map[string]any
	// script are the faults of the fakes; a tale with one is played alone. HOST
	// stands for the run's host.
	script string
	// words are what people say, in order: "ROLE approve", "ROLE deny", "ROLE
	// {answer}", a verb, or "alert".
	words   []string
	closing string
	// slow: it is played only for the record and in the soak.
	slow bool
	// claim changes what is claimed.
	claim []func(*runs.Claim)
	// later is said once the run has ended, to its hold.
	later []string
	// then is what else is begun once the run has ended.
	then func(k *keeper, id string)
	// keeps are the workflows whose histories are kept, beside the run's own; ID
	// stands for the run's id. "*" is a called run.
	keeps map[string]string
}

func tales() []tale {
	hold := map[string]string{"hold": "hold/default|ID|contain.isolate||do|1"}
	return []tale{
		{name: "approve-chain", words: []string{"ir-lead approve"}, closing: "completed"},
		{name: "approve-quorum", words: []string{"oncall.soc approve", "ir-lead approve"}, closing: "completed", keeps: map[string]string{"hold": "hold/default|ID|contain.both.isolate||do|1"}},
		{name: "approve-veto", closing: "completed"},
		{name: "approve-denied", words: []string{"oncall.soc deny"}, closing: "denied"},
		{name: "approve-silent", closing: "completed"},
		{name: "approve-nothing", inputs: map[string]any{"others": []string{}}, closing: "completed"},
		{name: "hold-extended", closing: "completed", later: []string{"ir-lead deny", "ir-lead approve"}, keeps: hold},
		{name: "hold-kept", closing: "completed", keeps: hold},
		{name: "hold-released", closing: "completed", keeps: hold},
		{name: "hold-never", script: "crowdstrike contain: 403\n", words: []string{`ir-lead {"choice":"skip"}`}, closing: "completed", keeps: hold},
		{name: "parallel", words: []string{`oncall.soc approve`}, closing: "completed"},
		{name: "switch", closing: "true_positive"},
		{name: "call", closing: "completed", keeps: map[string]string{"called": "*"}},
		{name: "bulk", inputs: map[string]any{"others": []string{"bulk-00001", "bulk-00002", "nowhere", "bulk-00003", "bulk-00004"}}, words: []string{"oncall.soc approve"}, closing: "completed"},
		{name: "arranged", closing: "completed"},
		{name: "opens", closing: "completed", claim: []func(*runs.Claim){func(c *runs.Claim) {
			c.Settings = []byte(`{"hours":"always"}`)
			c.Calendars = []run.Calendar{{Name: "always", Digest: "always", Hours: []byte(`{"name":"always","zone":"UTC","week":[` + strings.Repeat(`[{"start":0,"end":1440}],`, 6) + `[{"start":0,"end":1440}]]}`)}}
		}}},
		{name: "undone", closing: "true_positive", then: (*keeper).undo, keeps: map[string]string{"undo": "undo/ID/1", "hold": hold["hold"]}},
		{name: "joined", words: []string{"alert"}, closing: "completed"},
		{name: "verbs", words: []string{run.Pause, run.Resume, `oncall.soc {"verdict":"bad"}`, run.SkipStep, run.HandOver, run.Cancel}, closing: "cancelled"},
		{name: "failure", script: "crowdstrike contain: 403\n", words: []string{`ir-lead {"choice":"retry"}`}, closing: "completed"},
		{name: "unknown", slow: true, script: "jira create: drop\n", words: []string{`ir-lead {"choice":"not_done"}`}, closing: "completed"},
		{name: "forgotten", slow: true, script: "jira create: drop\n", words: []string{`ir-lead {"choice":"stop"}`}, closing: "failed", then: (*keeper).doubt, keeps: map[string]string{"doubt": "doubt/default|ID|contain.case||do|1"}},
	}
}

// TestHistories plays what a run can be on real servers: approvals, holds, undo,
// calls, branches, loops, alerts, verbs, continue-as-new. Each history replays with
// this build, holds no secret, and has its place among those that later builds must
// replay. With QUELL_RECORD=DIR they are written there.
func TestHistories(t *testing.T) {
	alongside(t)
	l, err := lab.Start(lab.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	list := tales()
	for _, prefix := range []string{"bulk-", "tale-", "unseen-"} {
		if _, err := l.Falcon.SeedMany(len(list), prefix); err != nil {
			t.Fatal(err)
		}
	}
	s := stageOn(t, l, labHost(t, l))
	control := &labProcess{t: t, urls: map[string]string{"control": l.URLs.Control}}
	for _, alone := range []bool{true, false} {
		for i, c := range list {
			if alone != (c.script != "") || c.slow && os.Getenv("QUELL_RECORD") == "" && os.Getenv("QUELL_SOAK") == "" {
				continue
			}
			t.Run(c.name, func(t *testing.T) {
				if !alone {
					t.Parallel()
				}
				control.script(c.script)
				k := &keeper{stage: s.of(t), name: c.name}
				k.play(c, fmt.Sprintf("tale-%05d", i+1))
				if alone {
					control.script("")
				}
			})
		}
	}
}

// TestHistoriesOnward keeps the histories of a run that goes on in new executions:
// on a Temporal server of its own, which suggests it early.
func TestHistoriesOnward(t *testing.T) {
	alongside(t)
	l, err := lab.Start(lab.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	tp := startTemporal(t, "QUELL_E2E_TEMPORAL_SUGGEST=60")
	s := stageAt(t, l, labHost(t, l), engine.Options{External: &engine.External{Address: tp.address(), Namespace: engine.Namespace}}, activeRuns)
	k := &keeper{stage: s, name: "long"}
	items := make([]string, 24)
	for i := range items {
		items[i] = fmt.Sprint("item ", i+1)
	}
	id := k.begin(tale{name: "long", inputs: map[string]any{"items": items}}, "")
	k.hears(id, []string{"oncall.soc approve"}, func() bool { return k.over(id, "completed") })
	executions := s.chain(id)
	if len(executions) < 3 {
		t.Fatalf("%d executions", len(executions))
	}
	k.keep("first", id, executions[0])
	k.keep("middle", id, executions[1])
	k.keep("last", id, executions[len(executions)-1])
}

// of is the stage for another test.
func (s *stage) of(t *testing.T) *stage {
	other := *s
	other.t = t
	return &other
}

// keeper plays one tale and keeps what its workflows wrote.
type keeper struct {
	*stage
	name string
}

func (k *keeper) play(c tale, host string) {
	k.t.Helper()
	id := k.begin(c, host)
	k.hears(id, c.words, func() bool { return k.over(id, c.closing) })
	k.hears(id, c.later, func() bool { return true })
	if c.then != nil {
		c.then(k, id)
	}
	k.keep("", id, "")
	for what, workflow := range c.keeps {
		if workflow == "*" {
			family, err := k.set.Recorder.Runs.Family(k.t.Context(), id, nil)
			if err != nil || len(family) != 2 {
				k.t.Fatalf("the family of %s: %v, %v", id, family, err)
			}
			workflow = family[1]
		}
		k.keep(what, strings.ReplaceAll(workflow, "ID", id), "")
	}
}

// begin compiles the tale's playbook and launches it on a host.
func (k *keeper) begin(c tale, host string) string {
	k.t.Helper()
	shelf := written{}
	files, err := filepath.Glob("testdata/histories/*.yaml")
	if err != nil {
		k.t.Fatal(err)
	}
	for _, f := range files {
		raw, err := os.ReadFile(f)
		if err != nil {
			k.t.Fatal(err)
		}
		shelf[strings.TrimSuffix(filepath.Base(f), ".yaml")] = string(raw)
	}
	p, list := compile.Compile(source.NewFile(c.name+".yaml", []byte(shelf[c.name])), compile.Options{Actions: served{k.host.Catalogue()}, Playbooks: shelf})
	if p == nil {
		var out strings.Builder
		_ = diag.Render(&out, list)
		k.t.Fatal(out.String())
	}
	raw, err := p.Encode()
	if err != nil {
		k.t.Fatal(err)
	}
	in := map[string]any{}
	maps.Copy(in, c.inputs)
	if host != "" {
		in["hostname"] = host
	}
	inputs, err := json.Marshal(in)
	if err != nil {
		k.t.Fatal(err)
	}
	return k.launchWith(p, raw, []byte(`["`+c.name+`"]`), inputs, c.claim...)
}

// over reports whether a run has ended, as it should.
func (k *keeper) over(id, closing string) bool {
	rec, err := k.set.Recorder.Runs.Get(k.t.Context(), id)
	if err != nil || rec.Status != runs.Ended {
		return false
	}
	if rec.Closing != closing {
		k.t.Fatalf("%s closed %s (%s), want %s; %s", id, rec.Closing, rec.Reason, closing, k.open(id))
	}
	return true
}

// hears says words, each once there is something that it can be said to, and waits
// for the end.
func (k *keeper) hears(id string, words []string, end func() bool) {
	k.t.Helper()
	eventually(k.t, 90*time.Second, fmt.Sprintf("%s: %q are said, and it ends", k.name, words), func() (bool, error) {
		if len(words) == 0 {
			return end(), nil
		}
		did, err := k.says(id, words[0])
		if did {
			words = words[1:]
		}
		return false, err
	})
}

func (k *keeper) says(id, word string) (bool, error) {
	ctx, rec := k.t.Context(), k.set.Recorder
	if word == "alert" {
		return k.alerts(id)
	}
	list, _, err := rec.Approvals.List(ctx, approval.Filter{Tenant: "default", Run: id})
	if err != nil || len(list) == 0 {
		return false, err
	}
	r := list[0]
	role, what, ok := strings.Cut(word, " ")
	if !ok && len(r.Votes) > 0 {
		return false, nil // it is answered, and nothing that a verb is said to
	}
	if !ok {
		v := run.Verb{Verb: word, Actor: "user:lena", Reason: "because"}
		switch word {
		case run.SkipStep:
			v.Step, v.Iteration = r.Step, r.Iteration
		case run.HandOver:
			v.To = []string{"oncall.night"}
		}
		return true, rec.DB.Update(ctx, func(tx *store.Tx) error {
			_, err := rec.Runs.PutVerb(tx, id, v)
			return err
		})
	}
	if slices.ContainsFunc(r.Votes, func(v approval.Vote) bool { return v.Actor == "user:"+role }) {
		return false, nil // it is the request before, on which everything is said
	}
	b := approval.Ballot{Tenant: "default", Request: r.ID, Actor: "user:" + role, Names: []string{role}, Approve: what != "deny", Seal: r.Seal}
	if what != "deny" && what != "approve" {
		b.Answer = []byte(what)
	}
	_, err = rec.Approvals.Vote(ctx, b)
	return err == nil, err
}

// alerts lets an alert join the run, once it waits.
func (k *keeper) alerts(id string) (bool, error) {
	rec, err := k.set.Recorder.Runs.Get(k.t.Context(), id)
	if err != nil || rec.Status != runs.Running {
		return false, err
	}
	return true, k.set.Recorder.DB.Update(k.t.Context(), func(tx *store.Tx) error {
		now := time.Now()
		a, _, err := k.set.Recorder.Runs.PutAlert(tx, "default", alert.Alert{ID: id, Source: "siem", Kind: "malware", Title: "x", Severity: "critical", Occurred: now, Received: now, Raw: []byte("{}")})
		if err != nil {
			return err
		}
		_, err = k.set.Recorder.Runs.Claim(tx, runs.Claim{
			Tenant: "default", Playbook: rec.Playbook, Digest: rec.Digest, OnceValue: []byte(`["` + k.name + `"]`), Severity: "critical",
			Trigger: run.Trigger{Kind: "alert", Actor: "source:siem", Source: "siem", Alert: a},
		})
		return err
	})
}

// undo takes the run back.
func (k *keeper) undo(id string) {
	k.t.Helper()
	if _, err := k.undoOf(id, 1); err != nil {
		k.t.Fatal(err)
	}
}

// doubt asks about the effect of which nobody knows, as the dispatcher does once
// its run is over.
func (k *keeper) doubt(id string) {
	key := run.Key{Tenant: "default", Run: id, Step: "contain.case", Direction: run.Do, Generation: 1}.String()
	w, err := k.temp.ExecuteWorkflow(k.t.Context(), client.StartWorkflowOptions{ID: run.DoubtID(key), TaskQueue: run.TaskQueue}, run.DoubtWorkflow,
		run.DoubtInput{Tenant: "default", Run: id, Key: key, Action: "ticket.create_ticket", Instance: "jira", Labels: []string{id}, Why: "the connection was closed"})
	if err != nil {
		k.t.Fatal(err)
	}
	k.hears(id, []string{`oncall.soc {"choice":"not_done"}`}, func() bool { return true })
	if err := w.Get(k.t.Context(), nil); err != nil {
		k.t.Fatal(err)
	}
}

// TestHistoriesFiring keeps the history of a firing of a schedule.
func TestHistoriesFiring(t *testing.T) {
	alongside(t)
	s := newStage(t)
	s.set.Recorder.Starter = func(context.Context, task.FireRequest) (task.FireResult, error) {
		return task.FireResult{Verdict: task.Started, Run: "p/x/1"}, nil
	}
	id := run.ScheduleID("sweep", 1) + "-2026-11-21T03:00:00Z"
	w, err := s.temp.ExecuteWorkflow(t.Context(), client.StartWorkflowOptions{ID: id, TaskQueue: run.TaskQueue}, run.FiringWorkflow, run.FiringInput{Tenant: "default", Playbook: "sweep", Schedule: 1})
	if err != nil {
		t.Fatal(err)
	}
	var said string
	if err := w.Get(t.Context(), &said); err != nil || said != "started p/x/1" {
		t.Fatalf("%q, %v", said, err)
	}
	(&keeper{stage: s, name: "firing"}).keep("", id, "")
}

package e2e

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/rs/zerolog"
	enumspb "go.temporal.io/api/enums/v1"
	historypb "go.temporal.io/api/history/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/quell-soar/quell/connectors/fake/lab"
	"github.com/quell-soar/quell/connectors/host"
	"github.com/quell-soar/quell/connectors/sdk/secret"
	"github.com/quell-soar/quell/internal/approval"
	"github.com/quell-soar/quell/internal/engine"
	"github.com/quell-soar/quell/playbooks/compile"
	"github.com/quell-soar/quell/playbooks/plan"
	"github.com/quell-soar/quell/playbooks/source"
	"github.com/quell-soar/quell/workflows"
	"github.com/quell-soar/quell/workflows/run"
)

// TestForgedUpdate reaches the engine past Quell's API, with a client that has
// the right certificate: it wakes a run that waits for an approval, and decides
// nothing. A stored vote then does. With QUELL_RECORD=DIR the histories are
// written for the replay tests.
func TestForgedUpdate(t *testing.T) {
	alongside(t)
	ctx := t.Context()
	l, err := lab.Start(lab.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	if _, err := l.Falcon.SeedMany(3, "host-"); err != nil {
		t.Fatal(err)
	}
	h := labHost(t, l)
	dir := t.TempDir()
	e, err := engine.Start(ctx, engine.Options{Dir: dir, Log: zerolog.Nop()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = e.Stop() })
	set := wholeSet(t, h, dir, nil)
	w := worker.New(e.Client(), run.TaskQueue, worker.Options{})
	workflows.New().Register(w)
	set.Register(w)
	if err := w.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Stop)

	const id = "warm/1/1" // a run that wholeSet claimed
	in := containInput(t, h, id)
	wr, err := e.Client().ExecuteWorkflow(ctx, client.StartWorkflowOptions{ID: id, TaskQueue: run.TaskQueue}, run.PlaybookWorkflow, in)
	if err != nil {
		t.Fatal(err)
	}
	req := waitForRequest(t, set.Recorder.Approvals)
	if _, err := set.Recorder.Approvals.Tally(ctx, req.ID, time.Now()); err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		u, err := e.Client().UpdateWorkflow(ctx, client.UpdateWorkflowOptions{
			WorkflowID: id, UpdateName: run.UpdateVoted, UpdateID: fmt.Sprint("forged-", i), Args: []any{run.Voted{Request: req.ID}}, WaitForStage: client.WorkflowUpdateStageCompleted,
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := u.Get(ctx, nil); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(labJournal(t, l, "contain")); n != 0 {
		t.Fatalf("a forged update isolated %d hosts", n)
	}
	if _, err := set.Recorder.Approvals.Vote(ctx, approval.Ballot{Tenant: "default", Request: req.ID, Actor: "user:lena", Names: []string{"oncall.soc"}, Approve: true, Seal: req.Seal}); err != nil {
		t.Fatal(err)
	}
	if _, err := e.Client().UpdateWorkflow(ctx, client.UpdateWorkflowOptions{WorkflowID: id, UpdateName: run.UpdateVoted, Args: []any{run.Voted{Request: req.ID}}, WaitForStage: client.WorkflowUpdateStageAccepted}); err != nil {
		t.Fatal(err)
	}
	var res run.Result
	if err := wr.Get(ctx, &res); err != nil || res.Closing != "completed" {
		t.Fatalf("%+v, %v", res, err)
	}
	if c, r := len(labJournal(t, l, "contain")), len(labJournal(t, l, "lift")); c != 1 || r != 1 {
		t.Errorf("isolated %d times, released %d times", c, r)
	}
	record(t, e.Client(), id, "contain-infected-host")
	record(t, e.Client(), run.HoldID("default|"+id+"|contain.isolate||do|1"), "hold-released")
}

func labJournal(t *testing.T, l *lab.Lab, operation string) []labEffect {
	t.Helper()
	return (&labProcess{t: t, urls: map[string]string{"control": l.URLs.Control}}).effects("operation=" + operation)
}

func labHost(t *testing.T, l *lab.Lab) *host.Host {
	t.Helper()
	one := func(k, v string) func(context.Context) (map[string]secret.Value, error) {
		return func(context.Context) (map[string]secret.Value, error) {
			return map[string]secret.Value{k: secret.New(v)}, nil
		}
	}
	b := bin(t, "quell-connector")
	h, err := host.New(host.Options{Log: zerolog.Nop(), Instances: []host.Instance{
		{Name: "falcon", Connector: "crowdstrike", Binary: b, Settings: map[string]string{"base_url": l.URLs.CrowdStrike, "client_id": lab.FalconClientID}, Secrets: one("client_secret", lab.FalconClientSecret)},
		{Name: "jira", Connector: "jira", Binary: b, Settings: map[string]string{"base_url": l.URLs.Jira, "email": lab.JiraEmail, "project": lab.JiraProject}, Secrets: one("api_token", lab.JiraToken)},
		{Name: "lab", Connector: "labdata", Binary: b, Settings: map[string]string{"criticality": "high"}},
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

// containInput is the workflow input of the example on host-00001.
func containInput(t *testing.T, h *host.Host, id string) run.Input {
	t.Helper()
	text, err := os.ReadFile("../../examples/contain-infected-host.yaml")
	if err != nil {
		t.Fatal(err)
	}
	p, list := compile.Compile(source.NewFile("contain-infected-host.yaml", text), compile.Options{Actions: served{h.Catalogue()}})
	if p == nil {
		t.Fatal(list)
	}
	raw, err := p.Encode()
	if err != nil {
		t.Fatal(err)
	}
	in := run.Input{
		ABI: run.ABI, Tenant: "default", Run: id, Playbook: p.Playbook, Digest: plan.DigestOf(raw), Plan: raw,
		Inputs: []byte(`{"hostname":"host-00001","hashes":["44d88612fea8a8f36de82e1278abb02f"]}`), Mode: "act", Incident: "INC-1",
		Trigger: run.Trigger{Kind: "alert", Actor: "source:crowdstrike", Severity: "high"},
	}
	for _, a := range p.Actions {
		in.Bindings = append(in.Bindings, run.Binding{Action: a.Name, Instance: h.Resolve(a.Name)[0], Mode: "act"})
	}
	return in
}

func waitForRequest(t *testing.T, a *approval.Approvals) *approval.Request {
	t.Helper()
	var found *approval.Request
	eventually(t, 30*time.Second, "the run asks for an approval", func() (bool, error) {
		list, _, err := a.List(t.Context(), approval.Filter{Tenant: "default"})
		for _, r := range list {
			if r.Kind == approval.Approval {
				found = r
			}
		}
		return found != nil, err
	})
	return found
}

// record writes the history of a workflow as JSON, once it has ended.
func record(t *testing.T, c client.Client, id, name string) {
	t.Helper()
	dir := os.Getenv("QUELL_RECORD")
	if dir == "" {
		return
	}
	if err := c.GetWorkflow(t.Context(), id, "").Get(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	it := c.GetWorkflowHistory(t.Context(), id, "", false, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	h := &historypb.History{}
	for it.HasNext() {
		ev, err := it.Next()
		if err != nil {
			t.Fatal(err)
		}
		h.Events = append(h.Events, ev)
	}
	raw, err := protojson.MarshalOptions{Indent: " "}.Marshal(h)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, name+".json"), raw, 0o644); err != nil {
		t.Fatal(err)
	}
}

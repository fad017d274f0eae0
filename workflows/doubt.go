package workflows

import (
	"encoding/json"
	"fmt"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/quell-soar/quell/activities/task"
	"github.com/quell-soar/quell/connectors/spec/kind"
	"github.com/quell-soar/quell/workflows/run"
)

// doubtPages are asked about effects whose run is gone.
var doubtPages = []string{"ir-lead", "oncall.soc"}

// Doubt asks what became of an effect whose call may have left and whose run has
// ended, and settles it on a person's word. It waits for as long as that takes.
func Doubt(ctx workflow.Context, in run.DoubtInput) (string, error) {
	it := &interp{in: run.Input{Tenant: in.Tenant, Run: in.Run}, asked: map[string]int{}, root: &node{}}
	if err := workflow.SetUpdateHandler(ctx, run.UpdateVoted, func(workflow.Context, run.Voted) error { it.voted++; return nil }); err != nil {
		return "", err
	}
	key, err := run.ParseKey(in.Key)
	if err != nil {
		return "", temporal.NewNonRetryableApplicationError(err.Error(), "key", err)
	}
	fields, err := json.Marshal([]map[string]any{{"name": "choice", "type": kind.ChoiceOf("done", "not_done", "by_hand", "skip")}})
	if err != nil {
		return "", err
	}
	at := task.Place{Tenant: in.Tenant, Run: in.Run, Step: key.Step, Iteration: key.Iteration}
	t, err := it.decide(frame{ctx: ctx, node: it.root}, task.OpenRequest{
		Place: at, ID: run.DoubtRequestID(in.Key), Kind: "failure", Fields: fields,
		Text: fmt.Sprintf("Run %s is over, and it is not known whether %s (%s) on %v on %s happened: %s",
			in.Run, in.Action, key.Direction, in.Labels, in.Instance, in.Why),
		Levels: []task.Level{{Who: doubtPages}}, Quorum: 1, Opened: workflow.Now(ctx).UTC(),
	})
	if err != nil {
		return "", err
	}
	var a struct {
		Choice string `json:"choice"`
	}
	if err := json.Unmarshal(t.Answer, &a); err != nil || a.Choice == "" || a.Choice == "skip" {
		a.Choice = "skipped"
	}
	err = execute(ctx, task.ResolveActivity, task.ResolveRequest{Place: at, Key: in.Key, As: a.Choice, Actor: join(t.By), Reason: t.Reason}, nil)
	if err == nil && key.Direction == run.Do {
		look(ctx, in.Key)
	}
	return a.Choice, err
}

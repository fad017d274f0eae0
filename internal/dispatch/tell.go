package dispatch

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
)

// Message is an Update that tells a workflow to look into the store.
type Message struct {
	// Workflow is told; Update is the Update's name, Body its argument.
	Workflow, Update string
	Body             any
	// ID is the Update's own: the same again is not told twice.
	ID string
	// Told records that it was told, or that there is nobody to tell. It may be
	// called again.
	Told func(ctx context.Context) error
}

// Messages lists what runs must be told of: verbs, alerts that joined. It is
// looked at as often as votes are.
type Messages func(ctx context.Context) ([]Message, error)

// tells sends the messages of all rooms, in the background. Those to one workflow go
// in their order.
func (d *Dispatcher) tells(ctx context.Context) error {
	var failed []error
	for _, list := range d.opts.Messages {
		waiting, err := list(ctx)
		if err != nil {
			failed = append(failed, err)
			continue
		}
		by, order := group(waiting, func(m Message) string { return m.Workflow })
		for _, workflow := range order {
			d.errand(ctx, workflow, "a run waits to be told", func() error {
				for _, m := range by[workflow] {
					if err := d.say(ctx, m); err != nil {
						return err
					}
				}
				return nil
			})
		}
	}
	return errors.Join(failed...)
}

func (d *Dispatcher) say(ctx context.Context, m Message) error {
	short, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	_, err := d.temporal.UpdateWorkflow(short, client.UpdateWorkflowOptions{
		WorkflowID: m.Workflow, UpdateName: m.Update, UpdateID: m.ID, Args: []any{m.Body},
		WaitForStage: client.WorkflowUpdateStageAccepted,
	})
	var gone *serviceerror.NotFound
	if err != nil && !errors.As(err, &gone) {
		return fmt.Errorf("tell %s of %s: %w", m.Workflow, m.ID, err)
	}
	return m.Told(ctx)
}

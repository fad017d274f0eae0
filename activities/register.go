package activities

import (
	"context"

	"go.temporal.io/sdk/activity"

	"github.com/quell-soar/quell/activities/task"
)

// Registry is the part of worker.Worker that Register needs.
type Registry interface {
	RegisterActivityWithOptions(a any, options activity.RegisterOptions)
}

// Set is all activities of a worker.
type Set struct {
	Reader   *Reader
	Actor    *Actor
	Recorder *Recorder
}

// Register makes the activities known under their names.
func (s Set) Register(r Registry) {
	for _, a := range []struct {
		name string
		f    any
	}{
		{task.ReadActivity, s.Reader.Read},
		{task.ActActivity, s.Actor.Act},
		{task.StackActivity, s.Recorder.Stack},
		{task.HeldActivity, s.Recorder.Held},
		{task.OpenActivity, s.Recorder.Open},
		{task.TallyActivity, s.Recorder.Tally},
		{task.CloseActivity, s.Recorder.Close},
		{task.ResolveActivity, s.Recorder.Resolve},
		{task.NoteActivity, s.Recorder.Note},
		{task.EndActivity, s.Recorder.End},
		{task.LoadActivity, s.Recorder.Load},
		{task.ReportActivity, s.Recorder.Report},
		{task.InForceActivity, s.Recorder.InForce},
		{task.ArrangeActivity, s.Recorder.Arrange},
		{task.OpeningActivity, s.Recorder.Opening},
		{task.AlertsActivity, s.Recorder.Alerts},
		{task.VerbsActivity, s.Recorder.Verbs},
		{task.AnswerActivity, s.Recorder.Answer},
		{task.CallActivity, s.Recorder.Call},
		{task.FireActivity, s.Recorder.Fire},
		{task.BreathActivity, func(context.Context) error { return nil }},
	} {
		r.RegisterActivityWithOptions(a.f, activity.RegisterOptions{Name: a.name})
	}
}

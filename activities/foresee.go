package activities

import (
	"context"
	"encoding/json"
	"time"

	"github.com/quell-soar/quell/activities/task"
	"github.com/quell-soar/quell/connectors/host"
	"github.com/quell-soar/quell/connectors/spec"
	"github.com/quell-soar/quell/internal/effects"
	"github.com/quell-soar/quell/internal/guard"
	"github.com/quell-soar/quell/workflows/run"
)

// Foreseer says what would become of an effect now, and cannot bring one about:
// it reaches connectors through a host that only reads, and the store through a
// view. It is for previews.
type Foreseer struct {
	Host    *host.ReadOnly
	Effects interface {
		Foresee(ctx context.Context, in effects.Intent) (effects.Foresight, error)
	}
	// Mode is the lowest mode that applies to a run on an instance.
	Mode func(instance string) guard.Mode
	// Trigger says what would start the run; the alert's source and severity count.
	Trigger run.Trigger
	// Facts reads what guards ask about targets; it must read through Host.
	Facts *Facts
}

// Foreseen is what would become of one effect.
type Foreseen struct {
	effects.Foresight
	Mode guard.Mode
	// Found is present or absent where the target could be read back, and Prior the
	// state there; empty where it could not.
	Found spec.Outcome
	Prior json.RawMessage
	// Targets are what it acts on, with what the inventory says of them.
	Targets []guard.Target
}

// Read makes a read, as the activity of a run does, through the host that only
// reads.
func (f *Foreseer) Read(ctx context.Context, q task.ReadRequest) (task.ReadResult, error) {
	q.Quick = false
	return (&Reader{Host: f.Host}).Read(ctx, q)
}

// backTime bounds the look at one target.
const backTime = 10 * time.Second

// Foresee asks guards, inventory and the target itself about an effect. Only a
// fault of the store is an error; what cannot be read stays unknown.
func (f *Foreseer) Foresee(ctx context.Context, q task.ActRequest) (Foreseen, error) {
	out := Foreseen{Mode: f.Mode(q.Inst)}
	sp, inputs, fail := prepare(f.Host, q.Inst, q.Action, "", q.Inputs)
	if fail != nil {
		out.Refusal = &guard.Refusal{Rule: fail.Kind, Reason: fail.Message}
		return out, nil
	}
	out.Targets = targets(sp, inputs)
	imagined := imaginary(out.Targets)
	if !imagined {
		f.Facts.inform(ctx, q.Inst, out.Targets)
	}
	var err error
	out.Foresight, err = f.Effects.Foresee(ctx, effects.Intent{
		Key: q.Key, Playbook: q.Playbook, Action: sp, Instance: q.Inst, Inputs: q.Inputs, Targets: out.Targets, Actor: q.Actor, Approval: q.Approval,
		Trigger: f.Trigger.Kind, Source: f.Trigger.Source, Severity: f.Trigger.Severity, Mode: out.Mode,
	})
	if err != nil || imagined || sp.ReadBack != spec.Strong {
		return out, err
	}
	within := min(sp.Deadline, backTime)
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	r := spec.Request{Action: sp.Name, Mode: spec.Back, Key: q.Key.String(), Inputs: inputs, Deadline: time.Now().Add(within)}
	if reply, err := f.Host.Call(ctx, q.Inst, r, host.Permit{}); err == nil {
		out.Found = reply.Outcome
		out.Prior, _ = encode(reply.Prior)
	}
	return out, nil
}

// Imagined is the vendor's id of what only an imagined effect would have made.
// Nobody is asked about it.
const Imagined = simulatedID

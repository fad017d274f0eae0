package server

import (
	"time"

	"github.com/quell-soar/quell/internal/guard"
	"github.com/quell-soar/quell/internal/store"
	"github.com/quell-soar/quell/server/api"
)

// guardAPI answers for the kill switch.
type guardAPI struct {
	tenant string
	rooms  Rooms
}

func (a *guardAPI) show(c *call, _ *struct{}) (*reply[api.KillSwitch], error) {
	var out api.KillSwitch
	err := a.rooms.DB.View(c.Context(), func(tx *store.Tx) error {
		var err error
		out.On, out.Reason, err = guard.Killed(tx)
		return err
	})
	if err != nil {
		return nil, err
	}
	return ok(out)
}

// kill stops new effects. Whoever may respond may stop; only an admin lifts.
func (a *guardAPI) kill(c *call, in *switchIn) (*reply[api.KillSwitch], error) {
	return a.turn(c, in.Body, true, "guard.killed")
}

func (a *guardAPI) lift(c *call, in *switchIn) (*reply[api.KillSwitch], error) {
	return a.turn(c, in.Body, false, "guard.lifted")
}

// turn changes the switch and records it in one transaction.
func (a *guardAPI) turn(c *call, in api.TurnSwitch, on bool, kind string) (*reply[api.KillSwitch], error) {
	if err := needReason(in.Reason); err != nil {
		return nil, err
	}
	err := a.rooms.DB.Update(c.Context(), func(tx *store.Tx) error {
		if err := guard.Kill(tx, on, c.actor.Name, in.Reason, time.Now()); err != nil {
			return err
		}
		return a.rooms.note(tx, note{
			kind: kind, tenant: a.tenant, actor: c.actor.Name, request: c.id, data: map[string]any{"reason": in.Reason},
		})
	})
	if err != nil {
		return nil, err
	}
	return ok(api.KillSwitch{On: on, Reason: in.Reason})
}

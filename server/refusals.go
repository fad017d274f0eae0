package server

import (
	"context"
	"sync"
	"time"

	"github.com/quell-soar/quell/server/api"
)

const (
	// refusalsAMinute is how many refusals one minute writes into the ledger.
	// Anybody who reaches the port can be refused; they must not fill the disk.
	refusalsAMinute = 60
	// refusalTime bounds the write of one refusal.
	refusalTime = 2 * time.Second
)

// refusals writes what was refused into the ledger, and counts what a flood
// made it leave out.
type refusals struct {
	rooms  Rooms
	tenant string
	now    func() time.Time

	mu      sync.Mutex
	minute  time.Time
	written int
	omitted int
}

// admit reports whether a refusal is written, and how many were left out since
// the last that was.
func (r *refusals) admit() (omitted int, yes bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if m := r.now().Truncate(time.Minute); !m.Equal(r.minute) {
		r.minute, r.written = m, 0
	}
	if r.written >= refusalsAMinute {
		r.omitted++
		return 0, false
	}
	r.written++
	omitted, r.omitted = r.omitted, 0
	return omitted, true
}

// recordRefusal writes one refusal. A ledger that cannot be written does not
// turn a refusal into an admission: it is refused all the same, and logged.
func (s *Server) recordRefusal(c *call, rt route, p *api.Error) {
	omitted, yes := s.refusals.admit()
	if !yes {
		return
	}
	actor := c.actor.Name
	if actor == "" {
		actor = "unknown"
	}
	data := map[string]any{"route": rt.pattern(), "code": p.Code}
	if rt.path == oneRun || c.PathValue("generation") != "" {
		data["run"] = shorten(c.run())
	}
	if omitted > 0 {
		data["left_out_before"] = omitted
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(c.Context()), refusalTime)
	defer cancel()
	if err := s.refusals.rooms.write(ctx, note{kind: "api.refused", tenant: s.refusals.tenant, actor: actor, key: shorten(c.PathValue("id")), request: c.id, data: data}); err != nil {
		s.log.Error().Err(err).Str("request", c.id).Msg("a refusal could not be written into the ledger")
	}
}

package activities

import (
	"context"
	"time"

	"go.temporal.io/sdk/activity"
)

// beatEvery is well below the heartbeat time-out of 5 s, so that one lost beat
// does not look like a lost process.
const beatEvery = 1500 * time.Millisecond

// beat sends heartbeats until the returned function is called. The heartbeat is
// what tells the engine, within seconds, that this process is gone.
func beat(ctx context.Context) (stop func()) {
	if !activity.IsActivity(ctx) {
		return func() {}
	}
	done := make(chan struct{})
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		t := time.NewTicker(beatEvery)
		defer t.Stop()
		for {
			select {
			case <-done:
				return
			case <-ctx.Done():
				return
			case <-t.C:
				activity.RecordHeartbeat(ctx)
			}
		}
	}()
	return func() { close(done); <-ended }
}

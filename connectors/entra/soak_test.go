package entra_test

import (
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/quell-soar/quell/connectors/entra/fakegraph"
	"github.com/quell-soar/quell/connectors/spec"
)

// Two thousand copies, as many as a playbook may quarantine at once: found,
// quarantined and restored within the deadline of one call each, with answers as
// slow as Graph's.
func TestManyCopies(t *testing.T) {
	if os.Getenv("QUELL_SOAK") == "" {
		t.Skip("takes some minutes: QUELL_SOAK=1")
	}
	const n = 2000
	l := start(t)
	l.graph.SetPage(999)
	users := make([]fakegraph.User, n)
	names := make([]string, n)
	for i := range users {
		names[i] = fmt.Sprintf("user%04d@example.com", i)
		users[i] = fakegraph.User{Name: names[i]}
	}
	must(t, l.graph.SeedUsers(users...))
	must(t, l.graph.SeedMessages(fakegraph.Message{MessageID: "<many@evil.example>", From: "eve@evil.example", To: names}))
	must(t, l.world.SetLag(map[string]time.Duration{"entra.latency": 100 * time.Millisecond}))
	s := l.open(t)
	run := func(action string, in map[string]any, change ...func(*spec.Request)) spec.Reply {
		t.Helper()
		begin := time.Now()
		r, err := call(t, s, action, in, append(change, within(5*time.Minute))...)
		if err != nil || r.Outcome != spec.Done {
			t.Fatalf("%s: %s, %v", action, r.Outcome, err)
		}
		t.Logf("%s: %s", action, time.Since(begin).Round(100*time.Millisecond))
		return r
	}
	found := run("mail.find_messages", map[string]any{"message_id": "<many@evil.example>"})
	copies := map[string]any{"messages": found.Output["messages"]}
	r := run("mail.quarantine_message", copies)
	if r.Output["quarantined"] != int64(n) || l.count(t, "move-message") != n {
		t.Errorf("%v quarantined with %d moves", r.Output["quarantined"], l.count(t, "move-message"))
	}
	run("mail.restore_message", copies, after(r.Prior))
}

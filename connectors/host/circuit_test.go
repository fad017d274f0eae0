package host_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/quell-soar/quell/connectors/host"
	"github.com/quell-soar/quell/connectors/spec"
)

// sleepy is a host whose circuit opens after three failures.
func sleepy(t *testing.T, colour string) *host.Host {
	t.Helper()
	h := run(t, func(o *host.Options) {
		o.Failures, o.CircuitFirst, o.CircuitMost = 3, 400*time.Millisecond, time.Second
		o.Instances[0].Settings = map[string]string{"colour": colour}
	})
	for range 3 {
		if got := state(h); got.Circuit != host.CircuitClosed {
			t.Fatalf("%+v", got)
		}
		late := read("test.sleep", map[string]any{"for": 5 * time.Second})
		late.Deadline = time.Now().Add(60 * time.Millisecond)
		_, err := h.Call(t.Context(), "m", late, host.Permit{})
		wantKind(t, err, spec.Transient)
	}
	if got := state(h); got.Circuit != host.CircuitOpen || got.OpenUntil.IsZero() || got.CircuitError == "" {
		t.Fatalf("three timeouts at a stretch, and the circuit is %+v", got)
	}
	return h
}

// TestCircuit opens a circuit by timeouts: nothing goes out, callers are told
// when to come back, and an answer closes it.
func TestCircuit(t *testing.T) {
	h := sleepy(t, "green")
	if _, err := h.TryCall(t.Context(), "m", read("test.echo", nil), host.Permit{}); !errors.Is(err, host.ErrBusy) {
		t.Errorf("a quick call: %v", err)
	}
	short := read("test.echo", nil)
	short.Deadline = time.Now().Add(100 * time.Millisecond)
	_, err := h.Call(t.Context(), "m", short, host.Permit{})
	if e := fault(t, err, spec.Unavailable); e.RetryAfter <= 0 || !strings.Contains(e.Message, "circuit") || !e.Kind.NoEffect() {
		t.Errorf("%+v", e)
	}
	push, permit := effect(map[string]any{"text": "x"})
	_, err = h.Call(t.Context(), "m", push, permit)
	wantKind(t, err, spec.Unavailable)
	_, err = h.Enter(t.Context(), "m")
	if e := fault(t, err, spec.Unavailable); e.RetryAfter <= 0 {
		t.Errorf("%+v", e)
	}
	// A patient read waits, tries for all, and is served.
	if _, err := h.Call(t.Context(), "m", read("test.echo", nil), host.Permit{}); err != nil {
		t.Fatal(err)
	}
	if got := state(h); got.Circuit != host.CircuitClosed || got.SlotsInUse != 0 {
		t.Errorf("after an answer: %+v", got)
	}
}

// TestCircuitEffect lets an effect come after the pause: the connector's own
// check goes out in its place, and decides.
func TestCircuitEffect(t *testing.T) {
	for _, c := range []struct {
		colour string
		opens  bool
	}{{"green", true}, {"ill", false}} {
		h := sleepy(t, c.colour)
		until(t, "the pause is over", 2*time.Second, func() bool { return state(h).Circuit == host.CircuitHalfOpen })
		leave, err := h.Enter(t.Context(), "m")
		if c.opens != (err == nil) {
			t.Fatalf("%s: %v", c.colour, err)
		}
		if err == nil {
			leave(false)
			continue
		}
		if e := fault(t, err, spec.Unavailable); !strings.Contains(e.Message, "does not answer") {
			t.Errorf("%+v", e)
		}
		if got := state(h); got.Circuit != host.CircuitOpen || time.Until(got.OpenUntil) < 500*time.Millisecond {
			t.Errorf("it is to stay open twice as long: %+v", got)
		}
	}
}

// TestEntered uses a slot from Enter for the call.
func TestEntered(t *testing.T) {
	h := run(t, func(o *host.Options) { o.Slots = 1 })
	leave, err := h.Enter(t.Context(), "m")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.TryCall(t.Context(), "m", read("test.echo", nil), host.Permit{}); !errors.Is(err, host.ErrBusy) {
		t.Errorf("the slot is taken: %v", err)
	}
	if _, err := h.Call(t.Context(), "m", read("test.echo", nil), host.Permit{Entered: true}); err != nil {
		t.Error(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
	defer cancel()
	_, err = h.Enter(ctx, "m")
	wantKind(t, err, spec.Unavailable)
	leave(true)
	if _, err := h.Call(t.Context(), "m", read("test.echo", nil), host.Permit{}); err != nil {
		t.Error(err)
	}
	if got := state(h).SlotsInUse; got != 0 {
		t.Errorf("%d slots are taken", got)
	}
}

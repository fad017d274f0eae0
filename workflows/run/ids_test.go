package run

import "testing"

func TestKey(t *testing.T) {
	k := Key{Tenant: "default", Run: "contain/ab12/2", Step: "contain.isolate", Iteration: "0.3", Direction: Undo, Generation: 7}
	got, err := ParseKey(k.String())
	if err != nil || got != k {
		t.Errorf("%+v, %v", got, err)
	}
	for _, bad := range []string{"", "a|b", "t|r|s|i|maybe|1", "t|r|s|i|do|0", "t|r|s|i|do|x", "t|r|s|i|do|1|2"} {
		if k, err := ParseKey(bad); err == nil {
			t.Errorf("%q was read as %+v", bad, k)
		}
	}
}

func TestWorkflowOf(t *testing.T) {
	key := Key{Tenant: "default", Run: "p/x/1", Step: "contain.isolate", Direction: Do, Generation: 1}.String()
	for request, want := range map[string]string{
		RequestID("p/x/1", "contain.isolate", "", 2): "p/x/1",
		RequestID("p/x/1", "a.b", "3.0", 1):          "p/x/1",
		HoldRequestID(key, 1795248675):               HoldID(key),
	} {
		if got := WorkflowOf(request); got != want {
			t.Errorf("%s waits in %s, not in %s", request, got, want)
		}
	}
}

// TestOnceHash holds the hash: it stands in the ids of runs that live across
// upgrades, so it may never change. Parts that run together must not meet.
func TestOnceHash(t *testing.T) {
	if got := OnceHash("default", "contain-infected-host", []byte(`["host-1"]`)); got != "443d088c9135abc70b732391" {
		t.Errorf("the hash is %s", got)
	}
	if OnceHash("ab", "c", nil) == OnceHash("a", "bc", nil) {
		t.Error("two subjects have one hash")
	}
}

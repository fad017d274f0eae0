package host

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

// TestQueue: a run with many calls fills the instance's queue, and others still get in;
// what is sent away comes back spread over time, at the pace at which places come free.
func TestQueue(t *testing.T) {
	now := time.Unix(1000, 0)
	q := newQueue(16)
	var away []time.Duration
	for range mostAttending + 50 {
		if wait := q.join("wide", now); wait > 0 {
			away = append(away, wait)
		}
	}
	if len(away) != 50 || q.in != mostAttending {
		t.Fatalf("%d away and %d in, want 50 and %d", len(away), q.in, mostAttending)
	}
	if !slices.IsSorted(away) || away[0] < leastAway || away[49]-away[0] != 49*q.pace {
		t.Errorf("away for %s to %s at a pace of %s", away[0], away[49], q.pace)
	}
	for i := range 20 {
		for n := range ownAttending + 1 {
			if wait := q.join(fmt.Sprint("small", i), now); (wait > 0) != (n == ownAttending) {
				t.Fatalf("call %d of a small run is sent away for %s", n+1, wait)
			}
		}
	}
	for range mostAttending {
		now = now.Add(25 * time.Second / 16) // a vendor that hangs ends 16 in 25 s
		q.leave("wide", now)
	}
	if q.in != 20*ownAttending || q.runs["wide"] != 0 {
		t.Errorf("%d in after all of the wide run left", q.in)
	}
	if got, want := q.pace, 25*time.Second/16; got < want*9/10 || got > want {
		t.Errorf("the pace is %s, want about %s", got, want)
	}
}

// TestQueueFull: where more were sent away than come back within a minute, they come
// back at any time of its second half, not all at its end.
func TestQueueFull(t *testing.T) {
	now := time.Unix(1000, 0)
	q := newQueue(1)
	seen := map[time.Duration]bool{}
	for range mostAttending + 1000 {
		if wait := q.join("wide", now); wait > mostAway {
			t.Fatalf("sent away for %s", wait)
		} else if wait > 0 {
			seen[wait.Round(time.Second)] = true
		}
	}
	if len(seen) < 55 {
		t.Errorf("they come back at %d different seconds", len(seen))
	}
}

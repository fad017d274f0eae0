package dispatch

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

// TestPace lets an engine answer in proportion to what it is given beyond what it can
// do: the bound settles where answers are quick, and is what the configuration says
// again once they are.
func TestPace(t *testing.T) {
	const most = 200
	now := time.Unix(0, 0)
	var p pace
	working := 0
	// after is the bound after so many beats of an engine that can do can at once, with
	// more waiting than may start.
	after := func(beats, can int) (bound int) {
		for range beats {
			took := 5 * time.Millisecond
			if working > can {
				took = time.Duration(working-can) * 50 * time.Millisecond
			}
			bound = p.of(now, most, working, took > slow)
			working = bound
			now = now.Add(beat)
		}
		return bound
	}
	if got := after(1, most); got != most {
		t.Errorf("it begins at %d", got)
	}
	for range 20 {
		if got := after(1, 20); got < least || got > most {
			t.Fatalf("the bound is %d", got)
		}
	}
	if got := after(1, 20); got < 12 || got > 32 {
		t.Errorf("an engine that can do 20 at once is given %d after ten seconds", got)
	}
	if got := after(40, 1); got > 2*least {
		t.Errorf("one that can do nothing is given %d", got)
	}
	if got := after(80, 10*most); got != most {
		t.Errorf("after forty quick seconds the bound is %d, wanted %d", got, most)
	}
}

// TestPaceBounds gives it anything: the bound stays between least and most, never
// moves twice within a beat, and never rises while answers are slow or nothing asks for
// more.
func TestPaceBounds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		most := rapid.IntRange(1, 1000).Draw(t, "most")
		now, before := time.Unix(0, 0), most
		var p pace
		for range rapid.IntRange(1, 50).Draw(t, "looks") {
			step := time.Duration(rapid.Int64Range(0, int64(2*time.Second)).Draw(t, "step"))
			working := rapid.IntRange(0, 2*most).Draw(t, "working")
			late := rapid.Bool().Draw(t, "late")
			now = now.Add(step)
			moved := p.moved
			got := p.of(now, most, working, late)
			switch {
			case got > most || got < min(least, most):
				t.Fatalf("the bound is %d of %d", got, most)
			case now.Sub(moved) < beat && got != before:
				t.Fatalf("it moved from %d to %d within a beat", before, got)
			case got > before && (late || working < int(narrows*float64(before))):
				t.Fatalf("it rose from %d to %d with %d working, late %t", before, got, working, late)
			}
			before = got
		}
	})
}

package approval_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/quell-soar/quell/internal/approval"
)

func (d *desk) decides(id string, now time.Time, want string) approval.Tally {
	d.Helper()
	t, err := d.Decide(d.Context(), id, now)
	if err != nil || t.State != want {
		d.Fatalf("%s is %s, want %s (%v)", id, t.State, want, err)
	}
	return t
}

// TestDecide decides once, at the run's clock, whatever the store's clock says.
func TestDecide(t *testing.T) {
	end := epoch.Add(2 * time.Hour)
	each(t, func(d *desk) {
		d.request("q", nil)
		d.decides("q", epoch, "open")
		d.vote(ballot("q", "ann", "analyst"), nil) // open is no decision
		for range 2 {
			if by := d.decides("q", epoch, "approved").By; len(by) != 1 || by[0] != "ann" {
				d.Fatal(by)
			}
		}
		if err := d.Close(d.Context(), "q", "expired"); err != nil { // the first one counts
			d.Fatal(err)
		}
		d.decides("q", end.Add(time.Hour), "approved")

		d.request("skew", nil)
		d.now = end.Add(-time.Second) // the run's clock is ahead of the store's
		d.decides("skew", end, "expired")
		d.vote(ballot("skew", "ann", "lead"), approval.ErrClosed)
		d.Stands("skew", "expired") // also by the clock of whoever looks
		r, err := d.Get(d.Context(), "skew")
		if k := d.kinds("skew"); err != nil || r.Decision != "expired" || k["request.closed"] != 1 || k["vote.cast"] != 0 {
			d.Fatal(r, err, k)
		}
		if _, err := d.Decide(d.Context(), "none", d.now); !errors.Is(err, approval.ErrNotFound) {
			d.Fatal(err)
		}
		if err := d.Close(d.Context(), "none", "denied"); !errors.Is(err, approval.ErrNotFound) {
			d.Fatal(err)
		}
		if err := d.Close(d.Context(), "skew", "perhaps"); err == nil {
			d.Fatal("an unknown decision was taken")
		}
	})
}

// TestLastSecond lets votes and the deadline come at once: whoever was told that
// the vote was taken finds it counted.
func TestLastSecond(t *testing.T) {
	each(t, func(d *desk) {
		d.now = epoch.Add(2*time.Hour - time.Millisecond)
		for i := range 30 {
			id := fmt.Sprint("q", i)
			d.request(id, nil)
			var cast error
			var told approval.Tally
			var wrong error
			var wg sync.WaitGroup
			wg.Go(func() { _, cast = d.Vote(context.WithoutCancel(d.Context()), ballot(id, "ann", "lead")) })
			wg.Go(func() { told, wrong = d.Decide(context.WithoutCancel(d.Context()), id, epoch.Add(2*time.Hour)) })
			wg.Wait()
			want := "expired"
			if cast == nil {
				want = "approved"
			} else if !errors.Is(cast, approval.ErrClosed) {
				d.Fatal(cast)
			}
			r, err := d.Get(d.Context(), id)
			if wrong != nil || err != nil || told.State != want || r.Decision != want {
				d.Fatalf("the voter was told %v, the run %s, stored is %s (%v, %v)", cast, told.State, r.Decision, wrong, err)
			}
		}
	})
}

// TestReopened opens a request again: the same one is the same, another one under
// its ID is refused and its votes do not count.
func TestReopened(t *testing.T) {
	each(t, func(d *desk) {
		r := d.request("q", nil)
		d.vote(ballot("q", "ann", "analyst"), nil)
		if err := d.Open(d.Context(), r); err != nil {
			d.Fatal(err)
		}
		for name, change := range map[string]func(*approval.Request){
			"seal": func(r *approval.Request) { r.Seal = "another" }, "run": func(r *approval.Request) { r.Run = "another" },
			"tenant": func(r *approval.Request) { r.Tenant = "another" }, "kind": func(r *approval.Request) { r.Kind = approval.Hold },
		} {
			other := r
			change(&other)
			if err := d.Open(d.Context(), other); !errors.Is(err, approval.ErrChanged) {
				d.Errorf("%s: %v", name, err)
			}
		}
		if k := d.kinds("q"); k["request.opened"] != 1 {
			d.Fatal(k)
		}
	})
}

// TestHostileTexts takes what an attacker wrote into an alert and what a client
// sends.
func TestHostileTexts(t *testing.T) {
	each(t, func(d *desk) {
		d.request("q", func(r *approval.Request) { r.Text, r.Quorum = "isolate a\x00b\xff?", 2 })
		b := ballot("q", "ann", "analyst")
		b.Reason = "looks\x00fine\xff"
		first := d.vote(b, nil)
		if again := d.vote(b, nil); again.ID != first.ID {
			d.Fatal("the same ballot is another vote")
		}
		r, err := d.Get(d.Context(), "q")
		if err != nil || r.Text != "isolate a\uFFFDb\uFFFD?" || r.Votes[0].Reason != "looks\uFFFDfine\uFFFD" {
			d.Fatalf("%+v, %v", r, err)
		}
		if _, err := d.Vote(d.Context(), ballot("no\x00such", "ann", "analyst")); !errors.Is(err, approval.ErrNotFound) {
			d.Fatal(err)
		}
	})
}

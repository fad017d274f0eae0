package approval_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/quell-soar/quell/internal/approval"
)

// TestCensus counts what is open, and tells of each request once when it is opened
// and once when it is decided, however often either is said.
func TestCensus(t *testing.T) {
	each(t, func(d *desk) {
		var told []string
		d.Seen = func(kind, decision string, after time.Duration) {
			told = append(told, fmt.Sprintf("%s %s %s", kind, decision, after))
		}
		d.request("a", nil)
		d.request("a", nil) // again
		d.now = d.now.Add(time.Minute)
		d.request("b", func(r *approval.Request) { r.Kind, r.Seal, r.Requester = approval.Question, "", "" })
		open, err := d.Census(d.Context())
		if err != nil || open.Kinds[approval.Approval] != 1 || open.Kinds[approval.Question] != 1 || !open.Oldest.Equal(epoch) {
			d.Errorf("%+v, %v", open, err)
		}
		d.vote(ballot("a", "ann", "analyst"), nil)
		for range 2 {
			if _, err := d.Decide(d.Context(), "a", d.now); err != nil {
				d.Fatal(err)
			}
			if err := d.Close(d.Context(), "a", "approved"); err != nil {
				d.Fatal(err)
			}
		}
		if err := d.Withdraw(d.Context(), approval.Deed{Tenant: "t", Request: "b", Actor: "ann", Names: []string{"analyst"}, Text: "no more"}); err != nil {
			d.Fatal(err)
		}
		if want := []string{"approval  0s", "question  1m0s", "approval approved 1m0s", "question withdrawn 1m0s"}; !slices.Equal(told, want) {
			d.Errorf("told %q, want %q", told, want)
		}
		if open, err = d.Census(d.Context()); err != nil || len(open.Kinds) != 0 || !open.Oldest.IsZero() {
			d.Errorf("%+v, %v", open, err)
		}
	})
}

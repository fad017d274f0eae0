package approval_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/quell-soar/quell/internal/approval"
)

// TestDeeds tries what people do to a request beside voting, on both databases.
func TestDeeds(t *testing.T) {
	each(t, func(d *desk) {
		deed := func(actor, text string, names ...string) approval.Deed {
			return approval.Deed{Tenant: "t", Request: "q", Actor: actor, Names: names, Text: text}
		}
		d.request("q", nil)
		try := func(what string, f func(context.Context) error, want error) {
			d.Helper()
			d.now = d.now.Add(1000) // no two moments are the same
			if err := f(d.Context()); !errors.Is(err, want) {
				d.Errorf("%s: %v, want %v", what, err, want)
			}
		}
		comment := func(x approval.Deed) func(context.Context) error {
			return func(ctx context.Context) error { return d.Comment(ctx, x) }
		}
		over := func(x approval.Deed, to ...string) func(context.Context) error {
			return func(ctx context.Context) error { return d.HandOver(ctx, x, to) }
		}
		withdraw := func(x approval.Deed) func(context.Context) error {
			return func(ctx context.Context) error { return d.Withdraw(ctx, x) }
		}
		try("a comment of the chain's second level", comment(deed("lena", "seen", "lead")), nil)
		try("of who asked", comment(deed("req", "hurry")), nil)
		try("of a stranger", comment(deed("eve", "hi", "sales")), approval.ErrNotEntitled)
		try("of nothing", comment(deed("ann", " ", "analyst")), approval.ErrEmpty)
		try("hand over by the level that is not open", over(deed("lena", "", "lead"), "night"), approval.ErrNotEntitled)
		try("to nobody", over(deed("ann", "", "analyst")), approval.ErrEmpty)
		d.vote(ballot("q", "nils", "night"), approval.ErrNotEntitled)
		try("hand over", over(deed("ann", "my shift ends", "analyst"), "night", "req-role"), nil)
		// The rules stay: who asked does not vote, though he was named.
		d.vote(ballot("q", "req", "req-role"), approval.ErrRequester)
		try("withdraw by a stranger", withdraw(deed("eve", "", "sales")), approval.ErrNotEntitled)
		try("of another tenant", withdraw(approval.Deed{Tenant: "other", Request: "q", Actor: "req"}), approval.ErrNotFound)

		r, err := d.Get(d.Context(), "q")
		if err != nil || len(r.Events) != 3 || r.Events[2].Kind != approval.HandedOver || !slices.Equal(r.Events[2].Names, []string{"night", "req-role"}) {
			d.Fatalf("%+v %v", r.Events, err)
		}
		if list, err := d.Undelivered(d.Context()); err != nil || len(list) != 0 {
			d.Errorf("nobody waits for a comment: %v %v", list, err)
		}
		try("withdraw", withdraw(deed("req", "false alarm")), nil)
		try("twice", withdraw(deed("req", "")), approval.ErrClosed)
		try("hand over what is closed", over(deed("ann", "", "analyst"), "x"), approval.ErrClosed)
		try("comment on what is closed", comment(deed("ann", "fine", "analyst")), nil)
		tally, err := d.Tally(d.Context(), "q", d.now)
		if err != nil || tally.State != "denied" || !tally.Withdrawn || tally.Reason != "withdrawn: false alarm" || !slices.Equal(tally.By, []string{"req"}) {
			d.Errorf("%+v %v", tally, err)
		}
		d.vote(ballot("q", "ann", "analyst"), approval.ErrClosed)
		list, err := d.Undelivered(d.Context())
		if err != nil || len(list) != 1 || list[0].Request != "q" {
			d.Fatalf("the run was not told: %v %v", list, err)
		}
		if err := d.Delivered(d.Context(), list[0].Vote); err != nil {
			d.Fatal(err)
		}
		if list, _ := d.Undelivered(d.Context()); len(list) != 0 {
			d.Errorf("told again: %v", list)
		}
	})
}

// TestHandedOverVote lets whom it was handed over to decide.
func TestHandedOverVote(t *testing.T) {
	each(t, func(d *desk) {
		d.request("q", nil)
		if err := d.HandOver(d.Context(), approval.Deed{Tenant: "t", Request: "q", Actor: "ann", Names: []string{"analyst"}}, []string{"night"}); err != nil {
			d.Fatal(err)
		}
		d.vote(ballot("q", "nils", "night"), nil)
	})
}

// TestSubject asks the affected person: their answer is marked, and decides
// nothing but a question.
func TestSubject(t *testing.T) {
	each(t, func(d *desk) {
		const who = "subject:entra:u1"
		chain := func(r *approval.Request) {
			r.Levels = append([]approval.Level{{Who: []string{who}, Within: 1}}, r.Levels...)
			r.Subject, r.Via, r.Seal = who, "slack", ""
		}
		b := approval.Ballot{Tenant: "t", Actor: who, Names: []string{who}, Approve: true, Answer: []byte(`{"me":true}`)}
		d.request("approval", chain)
		b.Request = "approval"
		d.vote(b, approval.ErrNotEntitled)
		if err := d.Withdraw(d.Context(), approval.Deed{Tenant: "t", Request: "approval", Actor: who, Names: []string{who}}); !errors.Is(err, approval.ErrNotEntitled) {
			d.Errorf("the affected person withdrew an approval: %v", err)
		}
		d.request("question", func(r *approval.Request) { chain(r); r.Kind = approval.Question })
		b.Request = "question"
		d.vote(b, nil)
		tally, err := d.Tally(d.Context(), "question", d.now)
		if err != nil || tally.State != "approved" || !tally.Untrusted {
			d.Errorf("%+v %v", tally, err)
		}
	})
}

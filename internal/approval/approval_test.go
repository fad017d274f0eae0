package approval_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/quell-soar/quell/internal/approval"
	"github.com/quell-soar/quell/internal/ledger"
	"github.com/quell-soar/quell/internal/store"
	"github.com/quell-soar/quell/internal/store/storetest"
)

var epoch = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// desk is a store with the rooms that requests need.
type desk struct {
	*testing.T
	*approval.Approvals
	ledger *ledger.Ledger
	now    time.Time
}

func each(t *testing.T, f func(d *desk)) {
	t.Helper()
	storetest.Each(t, []store.Schema{ledger.Schema(), approval.Schema()}, func(t *testing.T, db *store.DB) {
		key, err := ledger.LoadKey(filepath.Join(t.TempDir(), "key"))
		if err != nil {
			t.Fatal(err)
		}
		d := &desk{T: t, now: epoch}
		clock := func() time.Time { return d.now }
		d.ledger = ledger.New(db, key, clock)
		d.Approvals = approval.New(db, d.ledger, clock)
		f(d)
	})
}

// request goes up two levels of an hour each.
func (d *desk) request(id string, change func(*approval.Request)) approval.Request {
	d.Helper()
	r := approval.Request{
		ID: id, Tenant: "t", Run: "r", Step: "s", Kind: approval.Approval, Text: "isolate?", Seal: "seal", Show: []byte(`{}`),
		Levels: []approval.Level{{Who: []string{"analyst"}, Within: time.Hour}, {Who: []string{"lead"}, Within: time.Hour}},
		Quorum: 1, Requester: "req", Opened: epoch,
	}
	if change != nil {
		change(&r)
	}
	if err := d.Open(d.Context(), r); err != nil {
		d.Fatal(err)
	}
	return r
}

func ballot(id, actor string, names ...string) approval.Ballot {
	return approval.Ballot{Tenant: "t", Request: id, Actor: actor, Names: names, Approve: true, Seal: "seal"}
}

func (d *desk) vote(b approval.Ballot, want error) approval.Vote {
	d.Helper()
	before := d.kinds(b.Request)
	v, err := d.Vote(d.Context(), b)
	if !errors.Is(err, want) || (want == nil) != (v.ID != "") {
		d.Fatalf("%s: %v, want %v", b.Actor, err, want)
	}
	after := d.kinds(b.Request)
	if want != nil && after["vote.refused"] != before["vote.refused"]+1 {
		d.Errorf("a refusal is not in the ledger: %v", after)
	}
	if want != nil && after["vote.cast"] != before["vote.cast"] {
		d.Errorf("a refused vote was cast: %v", after)
	}
	return v
}

func (d *desk) kinds(key string) map[string]int {
	d.Helper()
	list, err := d.ledger.Read(d.Context(), ledger.Filter{Key: key})
	if err != nil {
		d.Fatal(err)
	}
	out := map[string]int{}
	for _, e := range list {
		out[e.Kind]++
	}
	return out
}

func (d *desk) Stands(id, want string) approval.Tally {
	d.Helper()
	t, err := d.Tally(d.Context(), id, d.now)
	if err != nil || t.State != want {
		d.Fatalf("%s is %s, want %s (%v)", id, t.State, want, err)
	}
	return t
}

// TestMatrix votes with every role at every level and time.
func TestMatrix(t *testing.T) {
	each(t, func(d *desk) {
		n := 0
		for minutes, ok := range map[int]map[string]error{
			0:   {"analyst": nil, "lead": approval.ErrNotEntitled, "guest": approval.ErrNotEntitled},
			59:  {"analyst": nil, "lead": approval.ErrNotEntitled},
			60:  {"analyst": nil, "lead": nil, "guest": approval.ErrNotEntitled},
			119: {"analyst": nil, "lead": nil},
			120: {"analyst": approval.ErrExpired, "lead": approval.ErrExpired, "guest": approval.ErrExpired},
		} {
			for role, want := range ok {
				for _, approve := range []bool{true, false} {
					n++
					id := fmt.Sprint("q", n)
					d.now = epoch
					d.request(id, nil)
					d.now = epoch.Add(time.Duration(minutes) * time.Minute)
					b := ballot(id, "ann", "other", role)
					b.Approve = approve
					d.vote(b, want)
					state := map[bool]string{true: "approved", false: "denied"}[approve]
					if want != nil {
						state = map[bool]string{true: "expired", false: "open"}[minutes >= 120]
					}
					d.Stands(id, state)
				}
			}
		}
	})
}

// TestRefusals has one reason each.
func TestRefusals(t *testing.T) {
	each(t, func(d *desk) {
		d.request("q", func(r *approval.Request) { r.Quorum = 2 })
		d.vote(ballot("q", "req", "analyst"), approval.ErrRequester)
		d.vote(ballot("none", "ann", "analyst"), approval.ErrNotFound)
		other := ballot("q", "ann", "analyst")
		other.Tenant = "other"
		d.vote(other, approval.ErrNotFound)
		wrong := ballot("q", "ann", "analyst")
		wrong.Seal = "older"
		d.vote(wrong, approval.ErrSeal)
		wrong.Seal = ""
		d.vote(wrong, approval.ErrSeal)
		d.vote(ballot("q", "ann"), approval.ErrNotEntitled)

		first := d.vote(ballot("q", "ann", "analyst"), nil)
		if again := d.vote(ballot("q", "ann", "analyst"), nil); again.ID != first.ID {
			d.Fatal("the same ballot is another vote")
		}
		d.Stands("q", "open") // one person is no quorum of two
		changed := ballot("q", "ann", "analyst")
		changed.Approve = false
		d.vote(changed, approval.ErrVoted)
		d.vote(ballot("q", "bob", "analyst"), nil)
		if by := d.Stands("q", "approved").By; len(by) != 2 {
			d.Fatal(by)
		}
		d.vote(ballot("q", "cid", "analyst"), approval.ErrClosed) // decided, though nobody closed it
		if k := d.kinds("q"); k["request.opened"] != 1 || k["vote.cast"] != 2 {
			d.Fatal(k)
		}

		d.request("no", func(r *approval.Request) { r.Quorum = 2 })
		deny := ballot("no", "ann", "analyst")
		deny.Approve, deny.Seal = false, "" // who denies need not have seen the newest
		d.vote(deny, nil)
		d.Stands("no", "denied")
		d.vote(ballot("no", "bob", "analyst"), approval.ErrClosed)

		d.request("ask", func(r *approval.Request) { r.Kind, r.Seal = approval.Question, "" })
		answer := ballot("ask", "req", "analyst") // a question may be answered by who asked
		answer.Answer = json.RawMessage(`{"a":1}`)
		d.vote(answer, nil)
		if got := string(d.Stands("ask", "approved").Answer); got != `{"a":1}` {
			d.Fatal(got)
		}
	})
}

// TestLate refuses a vote after the deadline though nobody looked in between, and
// keeps one that came in time though it is looked at late.
func TestLate(t *testing.T) {
	each(t, func(d *desk) {
		d.request("late", nil)
		d.request("early", nil)
		d.request("forever", func(r *approval.Request) { r.Levels[1].Within = 0 })
		d.now = epoch.Add(2*time.Hour - 1)
		d.vote(ballot("early", "ann", "lead"), nil)
		d.now = epoch.Add(2 * time.Hour)
		d.vote(ballot("late", "ann", "lead"), approval.ErrExpired)
		d.now = epoch.Add(1000 * time.Hour)
		d.Stands("late", "expired")
		d.Stands("early", "approved")
		if next := d.Stands("forever", "open").Next; !next.IsZero() {
			d.Fatal(next)
		}
		d.vote(ballot("forever", "ann", "analyst"), nil)
	})
}

// TestOpenClose opens and closes more than once, and lists.
func TestOpenClose(t *testing.T) {
	each(t, func(d *desk) {
		d.request("q", nil)
		d.request("q", func(r *approval.Request) { r.Levels[0].Who = []string{"guest"} })
		d.vote(ballot("q", "eve", "guest"), approval.ErrNotEntitled)
		d.request("open", func(r *approval.Request) { r.Run = "r2" })
		for _, decision := range []string{"withdrawn", "approved"} {
			if err := d.Close(d.Context(), "q", decision); err != nil {
				d.Fatal(err)
			}
		}
		r, err := d.Get(d.Context(), "q")
		if err != nil || r.Decision != "withdrawn" {
			d.Fatal(r, err)
		}
		d.Stands("q", "denied")
		d.vote(ballot("q", "ann", "analyst"), approval.ErrClosed)
		if k := d.kinds("q"); k["request.opened"] != 1 || k["request.closed"] != 1 {
			d.Fatal(k)
		}
		for _, c := range []struct {
			tenant, run string
			all         bool
			want        int
		}{{"t", "", false, 1}, {"t", "", true, 2}, {"t", "r", false, 0}, {"t", "r", true, 1}, {"other", "", true, 0}} {
			if list, _, err := d.List(d.Context(), approval.Filter{Tenant: c.tenant, Run: c.run, All: c.all}); err != nil || len(list) != c.want {
				d.Errorf("%+v: %d, %v", c, len(list), err)
			}
		}
		first, next, err := d.List(d.Context(), approval.Filter{Tenant: "t", All: true, Limit: 1})
		if err != nil || len(first) != 1 || next == "" {
			d.Fatalf("first page: %d, next %q, %v", len(first), next, err)
		}
		second, next, err := d.List(d.Context(), approval.Filter{Tenant: "t", All: true, Limit: 1, Cursor: next})
		if err != nil || len(second) != 1 || second[0].ID == first[0].ID || next != "" {
			d.Errorf("second page: %d, next %q, %v", len(second), next, err)
		}
		if _, _, err := d.List(d.Context(), approval.Filter{Tenant: "t", Limit: 1, Cursor: "made up"}); !errors.Is(err, store.ErrCursor) {
			d.Errorf("a made-up cursor: %v", err)
		}
	})
}

// TestUndelivered lists votes until each was delivered.
func TestUndelivered(t *testing.T) {
	each(t, func(d *desk) {
		d.request("q", func(r *approval.Request) { r.Quorum = 2 })
		var ids []string
		for _, who := range []string{"ann", "bob"} {
			d.now = d.now.Add(time.Second)
			ids = append(ids, d.vote(ballot("q", who, "analyst"), nil).ID)
		}
		if list, _, err := d.List(d.Context(), approval.Filter{Tenant: "t"}); err != nil || len(list) != 1 || len(list[0].Votes) != 2 || list[0].Votes[0].ID != ids[0] {
			d.Errorf("the list has not the votes in their order: %v, %v", list, err)
		}
		for n := len(ids); ; n-- {
			list, err := d.Undelivered(d.Context())
			if err != nil || len(list) != n {
				d.Fatal(list, err)
			}
			if n == 0 {
				return
			}
			if list[0] != (approval.Pending{Vote: ids[len(ids)-n], Request: "q"}) {
				d.Fatal(list)
			}
			for range 2 {
				if err := d.Delivered(d.Context(), list[0].Vote); err != nil {
					d.Fatal(err)
				}
			}
		}
	})
}

// TestRace lets fifty people vote at once on a quorum of two.
func TestRace(t *testing.T) {
	each(t, func(d *desk) {
		d.request("q", func(r *approval.Request) { r.Quorum = 2 })
		errs := make([]error, 50)
		var wg sync.WaitGroup
		for i := range errs {
			wg.Go(func() {
				_, errs[i] = d.Vote(context.WithoutCancel(d.Context()), ballot("q", fmt.Sprint("p", i/2), "analyst")) // each twice
			})
		}
		wg.Wait()
		cast, closed := 0, 0
		for _, err := range errs {
			switch {
			case err == nil:
				cast++
			case errors.Is(err, approval.ErrClosed):
				closed++
			default:
				d.Error(err)
			}
		}
		r, err := d.Get(d.Context(), "q")
		k := d.kinds("q")
		if err != nil || len(r.Votes) != 2 || r.Votes[0].Actor == r.Votes[1].Actor || k["vote.cast"] != 2 || k["vote.refused"] != closed || cast < 2 || cast > 4 {
			d.Fatalf("%d votes, %d told so, %d refused, ledger %v, %v", len(r.Votes), cast, closed, k, err)
		}
		d.Stands("q", "approved")
	})
}

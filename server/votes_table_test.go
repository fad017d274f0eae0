package server

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/quell-soar/quell/connectors/spec"
	"github.com/quell-soar/quell/internal/approval"
	"github.com/quell-soar/quell/internal/auth"
	"github.com/quell-soar/quell/internal/effects"
	"github.com/quell-soar/quell/internal/guard"
	"github.com/quell-soar/quell/internal/ledger"
	"github.com/quell-soar/quell/internal/store"
	"github.com/quell-soar/quell/server/api"
	"github.com/quell-soar/quell/workflows/run"
)

// voteRow is one way in which a person and a request meet.
type voteRow struct {
	// who votes: the requester, who has the role of the second level; an analyst, of
	// the first level; a lead, of the second; a stranger; a lead whose token was
	// revoked.
	who string
	// when: in the first level's hour, in the second's, or after.
	when string
	// digest that the vote names: of what was shown, another, or none.
	digest string
	// submit: once, twice the same, or a second time with the other word.
	submit string
	deny   bool
	// drifted: what would be done changed after the vote; it is asked for anew.
	drifted bool
	// idle: no worker is alive; the run looks only after the deadline.
	idle bool
	// again: the run continues as new while it waits, and opens its request again.
	again bool
}

// voteRows is the whole product.
func voteRows() []voteRow {
	var out []voteRow
	two := []bool{false, true}
	for _, who := range []string{"requester", "analyst", "lead", "stranger", "revoked"} {
		for _, when := range []string{"first level", "second level", "over"} {
			for _, digest := range []string{"right", "wrong", "none"} {
				for _, submit := range []string{"once", "twice", "other word"} {
					for _, deny := range two {
						for _, drifted := range two {
							for _, idle := range two {
								for _, again := range two {
									out = append(out, voteRow{who, when, digest, submit, deny, drifted, idle, again})
								}
							}
						}
					}
				}
			}
		}
	}
	return out
}

// said is one word of a row, and what must come of it.
type said struct {
	deny    bool
	counts  bool // it is a new vote
	repeats bool // it is the vote that was cast before
	// recorded: it is refused, and the refusal is in the ledger. What names no
	// digest at all is no vote, and is sent back as such.
	recorded bool
}

// words says what the rules make of a row.
func (r voteRow) words() []said {
	entitled := r.who == "analyst" && r.when != "over" || r.who == "lead" && r.when == "second level"
	list := []said{{deny: r.deny}}
	switch r.submit {
	case "twice":
		list = append(list, said{deny: r.deny})
	case "other word":
		list = append(list, said{deny: !r.deny})
	}
	cast := -1
	for i := range list {
		w := &list[i]
		switch {
		case cast >= 0:
			w.repeats = list[cast].deny == w.deny
			w.recorded = !w.repeats
		case entitled && (w.deny || r.digest == "right"):
			w.counts, cast = true, i
		default:
			w.recorded = true
		}
		unsigned := r.digest == "none" && !w.deny && r.who != "revoked"
		if unsigned {
			w.recorded, w.repeats = false, false
		}
	}
	return list
}

// TestVoteTable goes through role × requester × expired × drifted × double submit ×
// wrong digest × revoked × no worker alive × continued as new, over HTTP with the
// real rooms: each seventh row, or all with QUELL_SOAK. No effect is admitted that
// was not approved, no vote that was taken is lost, each refusal is in the ledger.
func TestVoteTable(t *testing.T) {
	rows, step := voteRows(), 7
	if os.Getenv("QUELL_SOAK") != "" {
		step = 1
	}
	b := newBallots(t)
	for i := 0; i < len(rows); i += step {
		b.row(i, rows[i])
		if t.Failed() {
			t.Fatalf("row %d: %+v", i, rows[i])
		}
	}
	t.Logf("%d of %d rows: %d votes counted, %d refusals on record, %d effects let out, %d refused; repeat: QUELL_SOAK=1 go test ./server -run TestVoteTable -v",
		(len(rows)+step-1)/step, len(rows), b.counted, b.refused, b.let, b.kept)
	rep, err := b.rooms.Ledger.VerifyStore(t.Context(), "")
	if err != nil || !rep.OK {
		t.Errorf("ledger: %+v, %v", rep, err)
	}
}

// ballots is the house of the table.
type ballots struct {
	*house
	fx      *effects.Effects
	clients map[string]*api.Client
	now     time.Time

	counted, refused, let, kept int
}

func newBallots(t *testing.T) *ballots {
	t.Helper()
	b := &ballots{house: open(t), clients: map[string]*api.Client{}, now: time.Now()}
	g, err := guard.New(guard.Rules{})
	if err != nil {
		t.Fatal(err)
	}
	b.fx = effects.New(b.rooms.DB, b.rooms.Ledger, g, time.Now)
	b.fx.Approved = approval.Approved
	for who, roles := range map[string][]string{"requester": {"analyst", "ir-lead"}, "analyst": {"analyst"}, "lead": {"ir-lead"}, "stranger": {"helpdesk"}} {
		b.clients[who] = b.client(b.token(who, roles, auth.Approve, auth.Read))
	}
	secret := b.token("gone", []string{"ir-lead"}, auth.Approve, auth.Read)
	b.clients["revoked"] = b.client(secret)
	list, err := b.client("").Tokens(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, tok := range list.Tokens {
		if strings.HasPrefix(tok.Name, "gone") {
			if err := b.client("").RevokeToken(t.Context(), tok.ID); err != nil {
				t.Fatal(err)
			}
		}
	}
	// A table is faster than a person: each row has its own minute.
	clock := func() time.Time { return b.now }
	b.srv.refusals.now, b.srv.limits.now = clock, clock
	b.srv.failures = auth.NewFailures(1_000_000, time.Minute, time.Now)
	return b
}

// request is what a row asks: an hour for analysts, then one for leads.
func (b *ballots) request(id, runID, seal string, when string) approval.Request {
	age := map[string]time.Duration{"first level": 10 * time.Minute, "second level": 80 * time.Minute, "over": 3 * time.Hour}[when]
	return approval.Request{
		ID: id, Tenant: "t", Run: runID, Step: "contain.x", Kind: approval.Approval, Seal: seal, Requester: "user:requester", Quorum: 1,
		Levels: []approval.Level{{Who: []string{"analyst"}, Within: time.Hour}, {Who: []string{"ir-lead"}, Within: time.Hour}},
		Opened: time.Now().Add(-age),
	}
}

// row plays one row: the request, the votes, the run's look, and the effect.
func (b *ballots) row(n int, r voteRow) {
	t := b.t
	t.Helper()
	b.now = b.now.Add(2 * time.Minute)
	runID := fmt.Sprintf("contain/%d/1", n)
	req := b.request(run.RequestID(runID, "contain.x", "", 1), runID, "seal", r.when)
	b.opens(req)
	want, recorded, decision := 0, 0, ""
	var errs []error
	for _, w := range r.words() {
		in := api.Vote{Decision: api.Approve, Seal: map[string]string{"right": "seal", "wrong": "older"}[r.digest]}
		if w.deny {
			in = api.Vote{Decision: api.Deny, Seal: in.Seal}
		}
		_, err := b.clients[r.who].Vote(t.Context(), req.ID, in)
		errs = append(errs, err)
		if (err == nil) != (w.counts || w.repeats) {
			t.Errorf("deny %v: %v, want %+v", w.deny, err, w)
		}
		if w.counts {
			want++
			decision = map[bool]string{false: "approved", true: "denied"}[w.deny]
		}
		if w.recorded {
			recorded++
		}
		if r.again { // the run goes on in a new execution, and asks what it asked
			b.opens(req)
		}
	}
	if got := len(b.votes(req.ID)); got != want {
		t.Errorf("%d votes are stored, want %d", got, want)
	}
	if got := b.refusals(req.ID); got != recorded {
		t.Errorf("%d refusals are on record, want %d: %v", got, recorded, errs)
	}
	b.counted, b.refused = b.counted+want, b.refused+recorded
	b.look(req, r, decision)
}

func (b *ballots) opens(r approval.Request) {
	b.t.Helper()
	if err := b.rooms.Approvals.Open(b.t.Context(), r); err != nil {
		b.t.Fatal(err)
	}
}

// look is the run's: how its request stands, and the effect with what it has.
func (b *ballots) look(req approval.Request, r voteRow, decision string) {
	t := b.t
	t.Helper()
	at := time.Now()
	if r.idle { // whoever was away looks when all is over, and the vote counts as it was received
		at = req.Opened.Add(4 * time.Hour)
	}
	if decision == "" {
		decision = "open"
		if r.idle || r.when == "over" {
			decision = "expired"
		}
	}
	if waiting := b.undelivered(req.ID); decision != "open" && decision != "expired" && waiting != 1 {
		t.Errorf("%d votes wait to be told to the run", waiting)
	}
	got, err := b.rooms.Approvals.Decide(t.Context(), req.ID, at)
	if err != nil || got.State != decision {
		t.Errorf("the run is told %s, want %s (%v)", got.State, decision, err)
	}
	use := req.ID
	if r.drifted { // the digest is another now: it is asked again, and old votes are worth nothing
		fresh := b.request(run.RequestID(req.Run, "contain.x", "", 2), req.Run, "drifted", r.when)
		b.opens(fresh)
		if _, err := b.clients["lead"].Vote(t.Context(), fresh.ID, api.Vote{Decision: api.Approve, Seal: "seal"}); err == nil {
			t.Error("the digest of before was taken for what would be done now")
		}
		use = fresh.ID
	}
	allowed := decision == "approved" && !r.drifted
	v, err := b.fx.Admit(t.Context(), effects.Intent{
		Key: run.Key{Tenant: "t", Run: req.Run, Step: "contain.x", Direction: run.Do, Generation: 1}, Playbook: "contain",
		Action:   spec.Action{Name: "edr.isolate_host", Class: spec.Idempotent, ReadBack: spec.Strong, Reversal: spec.Exact, Inverse: "edr.release_host", Deadline: time.Second},
		Instance: "edr", Inputs: []byte(`{}`), Targets: []guard.Target{{ID: "device:" + req.Run, Label: "x"}}, Mode: guard.Ask, Approval: use, Actor: "user:requester",
	})
	if err != nil || (v.Go != nil) != allowed {
		t.Errorf("the effect was let out: %v, allowed: %v (%v)", v.Go != nil, allowed, err)
	}
	if v.Go != nil {
		b.let++
	} else {
		b.kept++
	}
}

// refusals counts what the ledger has of refused votes on a request.
func (b *ballots) refusals(id string) (n int) {
	b.t.Helper()
	list, err := b.rooms.Ledger.Read(b.t.Context(), ledger.Filter{Key: id})
	if err != nil {
		b.t.Fatal(err)
	}
	for _, e := range list {
		if e.Kind == "vote.refused" || e.Kind == "api.refused" {
			n++
		}
	}
	return n
}

// undelivered counts the votes of a request that the run has not been told of.
func (b *ballots) undelivered(id string) (n int) {
	b.t.Helper()
	err := b.rooms.DB.View(b.t.Context(), func(tx *store.Tx) error {
		return tx.QueryRow(`SELECT COUNT(*) FROM votes WHERE request = ? AND delivered = 0`, id).Scan(&n)
	})
	if err != nil {
		b.t.Fatal(err)
	}
	return n
}

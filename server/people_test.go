package server

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/quell-soar/quell/connectors/spec/kind"
	"github.com/quell-soar/quell/internal/approval"
	"github.com/quell-soar/quell/internal/auth"
	"github.com/quell-soar/quell/internal/ledger"
	"github.com/quell-soar/quell/server/api"
	"github.com/quell-soar/quell/workflows/run"
)

const aRun = "contain/abc/1"

func TestVotes(t *testing.T) {
	h := open(t)
	id := run.RequestID(aRun, "contain.isolate", "", 1)
	h.ask(approval.Request{
		ID: id, Run: aRun, Step: "contain.isolate", Kind: approval.Approval, Requester: "user:alice", Seal: "s1",
		Show: json.RawMessage(`[{"step":"contain.isolate","iteration":"","action":"edr.isolate_host","instance":"cs","inputs":{"host":"ws-12"}}]`),
	})
	h.ask(approval.Request{ID: "closed", Run: aRun, Kind: approval.Approval, Seal: "s1"})
	if err := h.rooms.Approvals.Close(t.Context(), "closed", "withdrawn"); err != nil {
		t.Fatal(err)
	}
	h.ask(approval.Request{ID: "late", Run: aRun, Kind: approval.Approval, Seal: "s1", Levels: []approval.Level{{Who: []string{"ir-lead"}, Within: time.Nanosecond}}})
	h.ask(approval.Request{ID: "later", Run: aRun, Kind: approval.Approval, Seal: "s1", Levels: []approval.Level{{Who: []string{"analyst"}, Within: time.Hour}, {Who: []string{"ir-lead"}}}})
	h.ask(approval.Request{ID: "hold/k#1", Run: aRun, Kind: approval.Hold})
	lead := []string{"ir-lead"}
	alice := h.client(h.token("alice", lead, auth.Approve, auth.Read))
	twin := h.client(h.token("alice", lead, auth.Admin))
	bob := h.client(h.token("bob", lead, auth.Approve))
	carol := h.client(h.token("carol", []string{"helpdesk"}, auth.Admin))
	yes := api.Vote{Decision: api.Approve, Seal: "s1"}
	for name, tt := range map[string]struct {
		c    *api.Client
		id   string
		in   api.Vote
		code api.Code
	}{
		"own request":              {alice, id, yes, api.CodeSelfApproval},
		"own request, other token": {twin, id, yes, api.CodeSelfApproval},
		"own request, deny":        {alice, id, api.Vote{Decision: api.Deny}, api.CodeSelfApproval},
		"admin without the role":   {carol, id, yes, api.CodeForbidden},
		"deny without the role":    {carol, id, api.Vote{Decision: api.Deny}, api.CodeForbidden},
		"a level not yet open":     {bob, "later", yes, api.CodeForbidden},
		"old picture":              {bob, id, api.Vote{Decision: api.Approve, Seal: "s0"}, api.CodeSealChanged},
		"no picture":               {bob, id, api.Vote{Decision: api.Approve}, api.CodeInvalid},
		"neither":                  {bob, id, api.Vote{Decision: "maybe", Seal: "s1"}, api.CodeInvalid},
		"closed":                   {bob, "closed", yes, api.CodeConflict},
		"expired":                  {bob, "late", yes, api.CodeConflict},
		"nothing":                  {bob, "none", yes, api.CodeNotFound},
	} {
		_, err := tt.c.Vote(t.Context(), tt.id, tt.in)
		wantCode(t, name, err, tt.code)
	}
	if n := len(h.votes(id)); n != 0 || len(h.engine.delivered) != 0 {
		t.Fatalf("%d votes, %v", n, h.engine.delivered)
	}
	if a, b := h.kinds("api.refused"), h.kinds("vote.refused"); a != 0 || b != 9 {
		t.Errorf("%d and %d refusals stand in the ledger, want 0 and 9", a, b)
	}
	if about, err := h.rooms.Ledger.Read(t.Context(), ledger.Filter{Key: id}); err != nil || len(about) != 7 { // opened, 6 refusals
		t.Errorf("%d entries about the request, %v", len(about), err)
	}
	got, err := bob.Vote(t.Context(), id, yes)
	if err != nil || got.Status != "approved" || len(got.Votes) != 1 || got.Votes[0].Actor != "user:bob" || len(got.Effects) != 1 || got.Effects[0].Action != "edr.isolate_host" {
		t.Fatalf("%+v, %v", got, err)
	}
	_, err = bob.Vote(t.Context(), id, api.Vote{Decision: api.Deny})
	wantCode(t, "another word", err, api.CodeConflict)
	if _, err := bob.Vote(t.Context(), "hold/k#1", api.Vote{Decision: api.Approve}); err != nil {
		t.Errorf("a hold has no seal: %v", err)
	}
	if len(h.engine.delivered) != 2 || h.engine.delivered[0] != id {
		t.Errorf("%v", h.engine.delivered)
	}
	list, err := alice.Approvals(t.Context(), api.ApprovalFilter{})
	if err != nil || len(list.Approvals) != 1 || list.Approvals[0].ID != "later" || list.Approvals[0].Levels[0].Until.IsZero() {
		t.Errorf("open: %+v, %v", list, err)
	}
	if list, err = alice.Approvals(t.Context(), api.ApprovalFilter{Run: aRun, All: true}); err != nil || len(list.Approvals) != 5 {
		t.Errorf("all: %+v, %v", list, err)
	}
	if one, err := alice.Approval(t.Context(), id); err != nil || one.ID != id || one.Requester != "user:alice" {
		t.Errorf("%+v, %v", one, err)
	}
}

// One person's votes at once are one vote, and decide nothing alone at a quorum
// of two.
func TestDoubleSubmit(t *testing.T) {
	h := open(t)
	h.ask(approval.Request{ID: "two", Run: aRun, Kind: approval.Approval, Seal: "s", Quorum: 2})
	bob := h.client(h.token("bob", []string{"ir-lead"}, auth.Approve))
	other := h.client(h.token("bob", []string{"ir-lead"}, auth.Approve))
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			c := bob
			if i%2 == 1 {
				c = other
			}
			if got, err := c.Vote(t.Context(), "two", api.Vote{Decision: api.Approve, Seal: "s"}); err != nil || got.Status != "open" {
				t.Errorf("%s, %v", got.Status, err)
			}
		})
	}
	wg.Wait()
	if n := len(h.votes("two")); n != 1 {
		t.Errorf("%d votes of one person", n)
	}
}

func TestAnswers(t *testing.T) {
	h := open(t)
	user := func(id, label string) kind.Handle {
		return kind.Handle{Name: "user", Instance: "okta", ID: id, Label: label}
	}
	among, err := kind.Canonical([]any{user("1", "eve"), user("2", "bob"), user("3", "bob")})
	if err != nil {
		t.Fatal(err)
	}
	fields, err := json.Marshal([]api.Field{
		{Name: "sure", Type: kind.Of(kind.Boolean)},
		{Name: "how", Type: kind.Of(kind.String), Max: 5, Default: json.RawMessage(`"n/a"`)},
		{Name: "who", Type: kind.ListOf(kind.HandleOf("user")), Among: among, Default: json.RawMessage(`[]`)},
	})
	if err != nil {
		t.Fatal(err)
	}
	c := h.client(h.token("bob", []string{"ir-lead"}, auth.Approve))
	n := 0
	question := func(fields []byte) string {
		n++
		id := fmt.Sprintf("q%d", n)
		h.ask(approval.Request{ID: id, Run: aRun, Kind: approval.Question, Fields: fields})
		return id
	}
	yes, no := true, false
	for i, g := range []struct {
		fields []byte
		in     api.Answer
		want   string
	}{
		{fields, api.Answer{Fields: inputs("sure", `true`)}, `{"how":"n/a","sure":true,"who":[]}`},
		{fields, api.Answer{Fields: inputs("sure", `"false"`, "how", `"voice"`, "who", `["eve","2"]`)}, `"id":"1"`},
		{fields, api.Answer{Fields: inputs("sure", `true`, "who", `"eve"`)}, `"label":"eve"`},
		{[]byte("[]"), api.Answer{Done: &yes}, `{"done":true}`},
		{nil, api.Answer{Done: &no, Reason: "later"}, `{"done":false,"why":"later"}`},
	} {
		id := question(g.fields)
		if _, err := c.Answer(t.Context(), id, g.in); err != nil {
			t.Fatalf("%d: %v", i, err)
		}
		if got := string(h.votes(id)[0].Answer); !strings.Contains(got, g.want) || strings.Contains(got, `"id":"3"`) {
			t.Errorf("%d: %s, want %s", i, got, g.want)
		}
	}
	forged, err := kind.Canonical([]any{user("99", "eve")})
	if err != nil {
		t.Fatal(err)
	}
	id := question(fields)
	for name, in := range map[string]api.Answer{
		"missing": {}, "unknown": {Fields: inputs("sure", `true`, "x", `1`)}, "too long": {Fields: inputs("sure", `true`, "how", `"longer"`)},
		"ambiguous": {Fields: inputs("sure", `true`, "who", `["bob"]`)}, "not offered": {Fields: inputs("sure", `true`, "who", `["mallory"]`)},
		"a forged handle": {Fields: inputs("sure", `true`, "who", string(forged))}, "wrong type": {Fields: inputs("sure", `7`)},
	} {
		_, err := c.Answer(t.Context(), id, in)
		wantCode(t, name, err, api.CodeInvalid)
	}
	_, err = c.Answer(t.Context(), question(nil), api.Answer{Done: &no})
	wantCode(t, "not done and no reason", err, api.CodeInvalid)
	_, err = c.Vote(t.Context(), id, api.Vote{Decision: api.Approve})
	wantCode(t, "a question is not approved", err, api.CodeInvalid)
	if got, err := c.Vote(t.Context(), id, api.Vote{Decision: api.Deny, Reason: "not mine"}); err != nil || got.Status != "denied" {
		t.Errorf("a question is refused: %+v, %v", got, err)
	}
}

func TestResolve(t *testing.T) {
	h := open(t)
	fields, err := json.Marshal([]map[string]any{{"name": "choice", "type": kind.ChoiceOf("skip", "stop")}})
	if err != nil {
		t.Fatal(err)
	}
	h.ask(approval.Request{ID: "f", Run: aRun, Kind: approval.Failure, Fields: fields})
	c := h.client(h.token("bob", []string{"ir-lead"}, auth.Approve, auth.Read))
	if got, err := c.Approval(t.Context(), "f"); err != nil || len(got.Choices) != 2 {
		t.Errorf("%+v, %v", got, err)
	}
	_, err = c.Answer(t.Context(), "f", api.Answer{Fields: inputs("choice", `"skip"`)})
	wantCode(t, "a failure is not a question", err, api.CodeInvalid)
	_, err = c.Resolve(t.Context(), "f", api.Resolve{Choice: "retry", Reason: "r"})
	wantCode(t, "a choice that is not offered", err, api.CodeInvalid)
	_, err = c.Resolve(t.Context(), "f", api.Resolve{Choice: "skip"})
	wantCode(t, "without a reason", err, api.CodeInvalid)
	if _, err := c.Resolve(t.Context(), "f", api.Resolve{Choice: "skip", Reason: "seen by hand"}); err != nil {
		t.Fatal(err)
	}
	if v := h.votes("f"); len(v) != 1 || string(v[0].Answer) != `{"choice":"skip"}` || v[0].Reason != "seen by hand" {
		t.Errorf("%+v", v)
	}
}

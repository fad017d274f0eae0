package server

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/quell-soar/quell/connectors/spec/kind"
	"github.com/quell-soar/quell/internal/approval"
	"github.com/quell-soar/quell/internal/intake"
	"github.com/quell-soar/quell/server/api"
)

// peopleAPI answers for requests to people.
type peopleAPI struct {
	server *Server
	tenant string
	rooms  Rooms
	engine Engine
}

func (a *peopleAPI) list(c *call, in *listRequestsIn) (*reply[api.Approvals], error) {
	if in.All && in.Run == "" {
		return nil, invalid("closed requests are listed for one run: name it")
	}
	list, next, err := a.rooms.requests(c.Context(), a.tenant, approval.Filter{Run: in.Run, All: in.All, Limit: in.limit(), Cursor: in.Cursor})
	if err != nil {
		return nil, err
	}
	return ok(api.Approvals{Approvals: orNone(list), Next: next})
}

func (a *peopleAPI) show(c *call, in *OfID) (*reply[api.Approval], error) {
	got, err := a.rooms.request(c.Context(), a.tenant, in.ID)
	if err != nil {
		return nil, err
	}
	return ok(got)
}

// open returns a request that the actor may have a word on, as far as it can be
// told here. Whether it is still open the room tells: it knows a word that was said
// before, and has every refusal on record.
func (a *peopleAPI) open(c *call, id string) (api.Approval, error) {
	req, err := a.rooms.request(c.Context(), a.tenant, id)
	if err != nil {
		return req, err
	}
	if req.Kind != api.RequestApproval && req.Requester != "" && req.Requester == c.actor.Name {
		return req, api.Problem(api.CodeSelfApproval, fmt.Sprintf("%s asked for this and cannot decide it; somebody else must", c.actor.Name))
	}
	return req, nil
}

// vote approves or denies. An approve names the seal of what was looked at: who
// votes on an old picture is asked to look again.
func (a *peopleAPI) vote(c *call, get *voteIn) (*reply[api.Approval], error) {
	in := get.Body
	if in.Decision != api.Approve && in.Decision != api.Deny {
		return nil, invalid("the decision %q is neither approve nor deny", shorten(string(in.Decision)))
	}
	req, err := a.open(c, get.ID)
	if err != nil {
		return nil, err
	}
	if in.Decision == api.Approve {
		if req.Kind != api.RequestApproval && req.Kind != api.RequestHold {
			return nil, invalid("a %s is not approved; it is answered or resolved", req.Kind)
		}
		if req.Seal != "" && in.Seal == "" {
			return nil, invalid("an approve names the seal of what it approves; it stands in the request")
		}
		// Another seal than the request's the room refuses, on record.
	}
	return a.cast(c, req, approval.Ballot{Approve: in.Decision == api.Approve, Seal: in.Seal, Reason: in.Reason})
}

// answer answers a question with typed fields.
func (a *peopleAPI) answer(c *call, get *answerIn) (*reply[api.Approval], error) {
	in := get.Body
	req, err := a.open(c, get.ID)
	if err != nil {
		return nil, err
	}
	if req.Kind != api.RequestQuestion {
		return nil, invalid("a %s is not answered with fields", req.Kind)
	}
	raw, err := readAnswer(req, in)
	if err != nil {
		return nil, err
	}
	return a.cast(c, req, approval.Ballot{Approve: true, Seal: req.Seal, Answer: raw, Reason: in.Reason})
}

// resolve chooses among what can be done about a step that went wrong.
func (a *peopleAPI) resolve(c *call, get *resolveIn) (*reply[api.Approval], error) {
	in := get.Body
	req, err := a.open(c, get.ID)
	if err != nil {
		return nil, err
	}
	if req.Kind != api.RequestFailure {
		return nil, invalid("a %s has nothing to resolve", req.Kind)
	}
	if err := needReason(in.Reason); err != nil {
		return nil, err
	}
	text, err := json.Marshal(in.Choice)
	if err != nil {
		return nil, invalid("the choice is not text")
	}
	raw, err := readAnswer(req, api.Answer{Fields: map[string]json.RawMessage{"choice": text}})
	if err != nil {
		return nil, err
	}
	return a.cast(c, req, approval.Ballot{Approve: true, Seal: req.Seal, Answer: raw, Reason: in.Reason})
}

// cast stores a ballot, tells the engine, and shows the request as it stands.
func (a *peopleAPI) cast(c *call, req api.Approval, b approval.Ballot) (*reply[api.Approval], error) {
	if len(b.Reason) > 2000 {
		return nil, invalid("the reason is longer than 2000 bytes")
	}
	if err := a.server.sessions.decides(c, req, b.Approve); err != nil {
		return nil, err
	}
	if playbook, _, _ := strings.Cut(req.Run, "/"); !a.server.access.Rights.MayApprove(c.actor, playbook) {
		return nil, api.Problem(api.CodeForbidden, fmt.Sprintf("access.playbooks of the configuration does not let %s decide in runs of %s", c.actor.Name, playbook))
	}
	b.Tenant, b.Request, b.Actor, b.Names, b.Ref = a.tenant, req.ID, c.actor.Name, c.actor.Names(), c.id
	if _, err := a.rooms.Approvals.Vote(c.Context(), b); err != nil {
		return nil, voteProblem(err)
	}
	a.engine.Deliver(c.Context(), req.ID)
	after, err := a.rooms.request(c.Context(), a.tenant, req.ID)
	if err != nil {
		return nil, err
	}
	return ok(after)
}

// readAnswer reads what a person gave by the types of the request's fields and
// writes it canonical. A value of a field with choices is one of them.
func readAnswer(req api.Approval, in api.Answer) ([]byte, error) {
	out := map[string]any{}
	if len(req.Fields) == 0 {
		if len(in.Fields) > 0 || in.Done == nil {
			return nil, invalid("this is a task: say whether it is done")
		}
		if !*in.Done && in.Reason == "" {
			return nil, invalid("say why it is not done")
		}
		out["done"] = *in.Done
		if in.Reason != "" {
			out["why"] = in.Reason
		}
		return kind.Canonical(out)
	}
	known := map[string]bool{}
	for _, f := range req.Fields {
		known[f.Name] = true
		raw, given := in.Fields[f.Name]
		if !given {
			if f.Default == nil {
				return nil, invalid("field %s is missing", f.Name)
			}
			raw = f.Default
		}
		v, err := readField(f, raw)
		if err != nil {
			return nil, invalid("field %s: %v", f.Name, err)
		}
		out[f.Name] = v
	}
	for name := range in.Fields {
		if !known[name] {
			return nil, invalid("the request has no field %q", shorten(name))
		}
	}
	return kind.Canonical(out)
}

func readField(f api.Field, raw json.RawMessage) (any, error) {
	loose, err := intake.LooseJSON(raw)
	if err != nil {
		return nil, err
	}
	if f.Among == nil {
		v, err := intake.Typed(f.Type, loose)
		if err == nil {
			err = withinMax(f, v)
		}
		if err == nil && handled(f.Type) {
			err = fmt.Errorf("a %s comes only from a find action and the request offers none", f.Type)
		}
		return v, err
	}
	choices, err := choicesOf(f)
	if err != nil {
		return nil, err
	}
	if f.Type.Kind != kind.List {
		return choose(f.Type, choices, loose)
	}
	given, isList := loose.([]any)
	if !isList {
		given = []any{loose}
	}
	out := make([]any, len(given))
	for i, g := range given {
		if out[i], err = choose(*f.Type.Elem, choices, g); err != nil {
			return nil, err
		}
	}
	return out, withinMax(f, out)
}

func handled(t kind.Type) bool {
	return t.Kind == kind.Handled || (t.Kind == kind.List && t.Elem.Kind == kind.Handled)
}

func withinMax(f api.Field, v any) error {
	n := 0
	switch x := v.(type) {
	case []any:
		n = len(x)
	case string:
		n = len([]rune(x))
	}
	if f.Max > 0 && n > f.Max {
		return fmt.Errorf("more than %d", f.Max)
	}
	return nil
}

// choicesOf reads what the playbook offers, as values of the field's type or of
// its elements'.
func choicesOf(f api.Field) ([]any, error) {
	t := f.Type
	if t.Kind != kind.List {
		t = kind.ListOf(t)
	}
	v, err := kind.Decode(t, f.Among)
	if err != nil {
		return nil, fmt.Errorf("its choices cannot be read: %w", err)
	}
	list, _ := v.([]any)
	return list, nil
}

// choose finds the one choice that was given: the value itself, or for a handle
// the id or label that names one and no other.
func choose(t kind.Type, choices []any, given any) (any, error) {
	if text, isText := given.(string); isText && t.Kind == kind.Handled {
		var found []any
		for _, c := range choices {
			if h, ok := c.(kind.Handle); ok && (h.ID == text || h.Label == text) {
				found = append(found, c)
			}
		}
		if len(found) != 1 {
			return nil, fmt.Errorf("%q names %d of the %d choices", shorten(text), len(found), len(choices))
		}
		return found[0], nil
	}
	v, err := intake.Typed(t, given)
	if err != nil {
		return nil, err
	}
	want, err := kind.Canonical(v)
	if err != nil {
		return nil, err
	}
	for _, c := range choices {
		if have, err := kind.Canonical(c); err == nil && bytes.Equal(have, want) {
			return c, nil
		}
	}
	return nil, fmt.Errorf("it is none of the %d choices", len(choices))
}

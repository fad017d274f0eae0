package jira

import (
	"context"
	"net/http"
	"net/url"
	"regexp"
	"time"

	"github.com/quell-soar/quell/connectors/sdk"
	"github.com/quell-soar/quell/connectors/sdk/recall"
	"github.com/quell-soar/quell/connectors/sdk/rest"
	"github.com/quell-soar/quell/connectors/spec"
	"github.com/quell-soar/quell/connectors/spec/kind"
)

// margin lets an answer leave before its deadline.
const margin = 150 * time.Millisecond

// session is one Jira site and project.
type session struct {
	instance   string
	project    string
	issueType  string
	priorities map[string]string
	client     *rest.Client
	// made remembers the issue of each label that was seen here, because the
	// search may not know it yet.
	made *recall.Book[ref]
	// prior remembers by effect key which status was there before the first
	// attempt.
	prior *recall.Book[map[string]any]
	// turns keep creates for one label apart.
	turns [64]chan struct{}
}

var _ sdk.Session = (*session)(nil)

// Call runs one action.
func (s *session) Call(ctx context.Context, r spec.Request) (spec.Reply, error) {
	ctx, cancel := context.WithDeadline(ctx, r.Deadline)
	defer cancel()
	switch r.Action {
	case "ticket.create_ticket":
		return s.createTicket(ctx, r)
	case "ticket.add_comment":
		return s.addComment(ctx, r)
	case "ticket.attach_file":
		return s.attachFile(ctx, r)
	case "ticket.set_status":
		return s.setStatus(ctx, r)
	}
	return spec.Reply{}, spec.Errorf(spec.Invalid, "jira has no action %q", r.Action)
}

// Close gives the connections back.
func (s *session) Close() error {
	s.client.Close()
	return nil
}

// Check tries the credential and whether it sees the project.
func (s *session) Check(ctx context.Context) []sdk.Finding {
	if _, err := s.client.Do(ctx, rest.Request{Path: api("myself")}); err != nil {
		return []sdk.Finding{{Name: "credentials", Advice: err.Error()}}
	}
	out := []sdk.Finding{{Name: "credentials", OK: true, Advice: "accepted by " + s.client.Base().Host}}
	_, err := s.search(ctx, "project = "+quoted(s.project))
	f := sdk.Finding{Name: "project " + s.project, OK: err == nil}
	if err != nil {
		f.Advice = "give the account the permission Browse projects, or correct the setting project: " + err.Error()
	}
	return append(out, f, s.client.Clock())
}

// api is the path of an endpoint.
func api(segments ...string) []string { return append([]string{"rest", "api", "3"}, segments...) }

// ref names an issue: by its id, which stays when it moves to another project,
// and by its key, which people use.
type ref struct {
	ID  string `json:"id"`
	Key string `json:"key"`
}

var (
	idForm  = regexp.MustCompile(`^[0-9]{1,19}$`)
	keyForm = regexp.MustCompile(`^[A-Z][A-Z0-9_]*-[0-9]+$`)
)

func (r ref) valid() bool { return idForm.MatchString(r.ID) && keyForm.MatchString(r.Key) }

func (s *session) handle(r ref) kind.Handle {
	return kind.Handle{Name: "ticket", Instance: s.instance, ID: r.ID, Label: r.Key}
}

// ticketOf returns the input ticket.
func ticketOf(r spec.Request) (kind.Handle, error) {
	h, ok := r.Inputs["ticket"].(kind.Handle)
	if !ok || !idForm.MatchString(h.ID) {
		return h, spec.Errorf(spec.Invalid, "%s: the ticket is no issue of Jira; get it from ticket.create_ticket", r.Action)
	}
	return h, nil
}

// issue is what is read of an issue.
type issue struct {
	ref
	Fields struct {
		Status struct {
			Name string `json:"name"`
		} `json:"status"`
	} `json:"fields"`
}

// get reads an issue by its id, which does not lag.
func (s *session) get(ctx context.Context, id string) (issue, error) {
	var i issue
	_, err := s.client.DoJSON(ctx, rest.Request{Path: api("issue", id), Query: url.Values{"fields": {"status,labels"}}}, &i)
	return i, err
}

// search runs a query over the index, oldest issue first.
func (s *session) search(ctx context.Context, jql string) ([]ref, error) {
	var out struct {
		Issues []ref `json:"issues"`
	}
	_, err := s.client.DoJSON(ctx, rest.Request{
		Method: http.MethodPost, Path: api("search", "jql"), Read: true,
		JSON: map[string]any{"jql": jql + " ORDER BY created ASC", "fields": []string{"key"}, "maxResults": 10},
	}, &out)
	return out.Issues, err
}

// pause waits, and reports false where the deadline would come first.
func pause(ctx context.Context, d time.Duration) bool {
	if end, ok := ctx.Deadline(); ok && time.Until(end) < d+margin {
		return false
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

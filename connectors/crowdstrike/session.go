package crowdstrike

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"

	"github.com/quell-soar/quell/connectors/sdk"
	"github.com/quell-soar/quell/connectors/sdk/recall"
	"github.com/quell-soar/quell/connectors/sdk/rest"
	"github.com/quell-soar/quell/connectors/spec"
	"github.com/quell-soar/quell/connectors/spec/kind"
)

// session is one Falcon tenant.
type session struct {
	instance string
	client   *rest.Client
	// prior remembers by effect key what was there before the first attempt: a
	// second one finds its own work.
	prior *recall.Book[map[string]any]
}

var _ sdk.Session = (*session)(nil)

// Call runs one action.
func (s *session) Call(ctx context.Context, r spec.Request) (spec.Reply, error) {
	ctx, cancel := context.WithDeadline(ctx, r.Deadline)
	defer cancel()
	switch r.Action {
	case "edr.find_host":
		return s.findHost(ctx, r)
	case "edr.get_host_state":
		return s.hostState(ctx, r)
	case "edr.isolate_host":
		return s.contain(ctx, r, isolate)
	case "edr.release_host":
		return s.contain(ctx, r, release)
	case "edr.quarantine_file":
		return s.file(ctx, r, quarantine)
	case "edr.restore_file":
		return s.file(ctx, r, restore)
	case "edr.scan_host":
		return s.scan(ctx, r)
	}
	return spec.Reply{}, spec.Errorf(spec.Invalid, "crowdstrike has no action %q", r.Action)
}

// Close gives the connections back.
func (s *session) Close() error {
	s.client.Close()
	return nil
}

// Check tries the credential and what it may read.
func (s *session) Check(ctx context.Context) []sdk.Finding {
	tries := []struct {
		name string
		path []string
	}{
		{"permission Hosts: Read", []string{"devices", "queries", "devices", "v1"}},
		{"permission Quarantined Files: Read", []string{"quarantine", "queries", "quarantined-files", "v1"}},
		{"permission On-demand scans (ODS): Read", []string{"ods", "queries", "scans", "v1"}},
	}
	var out []sdk.Finding
	for _, t := range tries {
		_, err := s.client.Do(ctx, rest.Request{Path: t.path, Query: map[string][]string{"limit": {"1"}}})
		if err != nil && spec.KindOf(err) != spec.Permission {
			return append(out, sdk.Finding{Name: "credentials", Advice: err.Error()})
		}
		f := sdk.Finding{Name: t.name, OK: err == nil}
		if err != nil {
			f.Advice = "grant it to the API client: " + err.Error()
		}
		out = append(out, f)
	}
	return append([]sdk.Finding{{Name: "credentials", OK: true, Advice: "a token was given by " + s.client.Base().Host}}, append(out, s.client.Clock())...)
}

// envelope is the frame of every answer.
type envelope[T any] struct {
	Meta struct {
		TraceID string `json:"trace_id"`
	} `json:"meta"`
	Resources []T        `json:"resources"`
	Errors    []apiError `json:"errors"`
}

type apiError struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
	ID      string `json:"id"`
}

// fetch reads resources. An error within a 2xx is an error unless something was
// found beside it.
func fetch[T any](ctx context.Context, s *session, r rest.Request) ([]T, error) {
	r.Read = true
	var e envelope[T]
	rep, err := s.client.DoJSON(ctx, r, &e)
	if err != nil {
		return nil, err
	}
	if len(e.Resources) == 0 && len(e.Errors) > 0 {
		return nil, soft(e.Errors[0], rep, true)
	}
	return e.Resources, nil
}

// change sends a write about one id and returns the vendor's request id.
// Success is the id among the resources and no error that concerns it.
func (s *session) change(ctx context.Context, r rest.Request, id string) (string, error) {
	var e envelope[json.RawMessage]
	rep, err := s.client.DoJSON(ctx, r, &e)
	if err != nil {
		return "", err
	}
	for _, f := range e.Errors {
		if f.ID == "" || f.ID == id {
			return rep.RequestID, soft(f, rep, false)
		}
	}
	for _, raw := range e.Resources {
		var text string
		var thing struct {
			ID string `json:"id"`
		}
		if json.Unmarshal(raw, &text) == nil && text == id || json.Unmarshal(raw, &thing) == nil && thing.ID == id {
			return rep.RequestID, nil
		}
	}
	return rep.RequestID, &spec.Error{
		Kind: spec.Uncertain, VendorRequestID: rep.RequestID, VendorCode: fmt.Sprintf("HTTP %d", rep.Status),
		Message: "Falcon accepted the request and did not name what it concerns; it may have happened",
	}
}

// soft is the error that an envelope carries.
func soft(f apiError, rep *rest.Reply, read bool) *spec.Error {
	k := spec.Invalid
	if f.Code >= 300 {
		k = rest.KindOf(f.Code, read)
	}
	return &spec.Error{
		Kind: k, VendorCode: fmt.Sprintf("HTTP %d, error %d", rep.Status, f.Code), VendorRequestID: rep.RequestID,
		Message: "Falcon answered with an error: " + plain(f.Message),
	}
}

// plain makes a vendor's text one short line.
func plain(s string) string {
	const most = 200
	s = strings.Join(strings.Fields(strings.ToValidUTF8(s, "?")), " ")
	if r := []rune(s); len(r) > most {
		s = string(r[:most]) + "…"
	}
	return s
}

var aidForm = regexp.MustCompile(`^[0-9a-fA-F]{32}$`)

// aidOf returns the agent id of the input host.
func aidOf(r spec.Request) (kind.Handle, error) {
	h, ok := r.Inputs["host"].(kind.Handle)
	if !ok || !aidForm.MatchString(h.ID) {
		return h, spec.Errorf(spec.Invalid, "%s: the host is no device of Falcon; find it with edr.find_host", r.Action)
	}
	return h, nil
}

// literal writes a text as a value of Falcon's query language. Quotes and
// backslashes are escaped, so a hostile name stays a value; what a wildcard may
// let through is sorted out by comparing the records.
func literal(s string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(s) + "'"
}

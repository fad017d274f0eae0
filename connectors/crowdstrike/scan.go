package crowdstrike

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/quell-soar/quell/connectors/sdk/recall"
	"github.com/quell-soar/quell/connectors/sdk/rest"
	"github.com/quell-soar/quell/connectors/spec"
	"github.com/quell-soar/quell/connectors/spec/kind"
)

// scanRecord is what is read of an on-demand scan.
type scanRecord struct {
	ID          string   `json:"id"`
	Description string   `json:"description"`
	Hosts       []string `json:"hosts"`
	Status      string   `json:"status"`
	Filecount   struct {
		Malicious int64 `json:"malicious"`
	} `json:"filecount"`
}

func (s *session) scan(ctx context.Context, r spec.Request) (spec.Reply, error) {
	h, err := aidOf(r)
	if err != nil {
		return spec.Reply{}, err
	}
	mark := recall.Mark(r.Key)
	found, err := s.scanOf(ctx, h, mark)
	if err != nil {
		return spec.Reply{}, err
	}
	if r.Mode == spec.Back {
		return s.scanBack(h, found)
	}
	outcome, id := spec.Already, ""
	if found == nil {
		outcome = spec.Done
		if found, id, err = s.startScan(ctx, h, mark); err != nil {
			return spec.Reply{}, err
		}
	}
	reply, err := s.awaitScan(ctx, h, *found)
	if err != nil {
		return spec.Reply{}, err
	}
	if reply.Outcome == spec.Done {
		reply.Outcome = outcome
	}
	reply.VendorRequestID = id
	return reply, nil
}

// scanOf finds the scan that carries our mark.
func (s *session) scanOf(ctx context.Context, h kind.Handle, mark string) (*scanRecord, error) {
	ids, err := fetch[string](ctx, s, rest.Request{
		Path: []string{"ods", "queries", "scans", "v1"}, Query: url.Values{"filter": {"description:" + literal(mark)}, "limit": {"10"}},
	})
	if err != nil || len(ids) == 0 {
		return nil, err
	}
	scans, err := s.scans(ctx, ids)
	if err != nil {
		return nil, err
	}
	for _, c := range scans {
		if c.Description == mark && slices.ContainsFunc(c.Hosts, func(id string) bool { return strings.EqualFold(id, h.ID) }) {
			return &c, nil
		}
	}
	return nil, nil
}

func (s *session) scans(ctx context.Context, ids []string) ([]scanRecord, error) {
	return fetch[scanRecord](ctx, s, rest.Request{Path: []string{"ods", "entities", "scans", "v2"}, Query: url.Values{"ids": ids}})
}

// startScan starts a scan and returns it with the vendor's request id. A lost
// answer is looked for by the mark.
func (s *session) startScan(ctx context.Context, h kind.Handle, mark string) (*scanRecord, string, error) {
	var e envelope[scanRecord]
	rep, err := s.client.DoJSON(ctx, rest.Request{
		Method: http.MethodPost, Path: []string{"ods", "entities", "scans", "v1"},
		JSON: map[string]any{
			"hosts": []string{h.ID}, "file_paths": []string{"*"}, "description": mark, "initiated_from": "cloud_adhoc", "quarantine": false,
		},
	}, &e)
	switch {
	case err == nil && len(e.Errors) > 0:
		return nil, rep.RequestID, soft(e.Errors[0], rep, false)
	case err == nil && len(e.Resources) == 1 && e.Resources[0].ID != "":
		return &e.Resources[0], rep.RequestID, nil
	case err == nil:
		err = spec.Errorf(spec.Uncertain, "Falcon accepted the scan and did not name it; it may have started")
	}
	if spec.KindOf(err) != spec.Uncertain {
		return nil, "", err
	}
	for end := time.Now().Add(lostPatience); time.Now().Before(end) && pause(ctx, 2*firstPoll); {
		if found, again := s.scanOf(ctx, h, mark); again == nil && found != nil {
			return found, "", nil
		}
	}
	return nil, "", err
}

// awaitScan waits for the scan's end, or answers Pending at the deadline.
func (s *session) awaitScan(ctx context.Context, h kind.Handle, c scanRecord) (spec.Reply, error) {
	for wait := firstPoll; ; wait = min(wait*3/2, lastPoll) {
		switch c.Status {
		case "completed":
			return spec.Reply{Outcome: spec.Done, Output: s.scanOutput(h, c, true)}, nil
		case "canceled", "cancelled", "failed":
			return spec.Reply{}, spec.Errorf(spec.Conflict, "the scan of %s ended without a result (%s); start another", h.Label, c.Status)
		}
		if !pause(ctx, wait) {
			return spec.Reply{Outcome: spec.Pending, Output: s.scanOutput(h, c, false)}, nil
		}
		if now, err := s.scans(ctx, []string{c.ID}); err == nil && len(now) == 1 {
			c = now[0]
		}
	}
}

func (s *session) scanOutput(h kind.Handle, c scanRecord, finished bool) map[string]any {
	out := map[string]any{"scan": kind.Handle{Name: "scan", Instance: s.instance, ID: c.ID, Label: "scan of " + h.Label}}
	if finished {
		out["findings"] = c.Filecount.Malicious
	}
	return out
}

func (s *session) scanBack(h kind.Handle, c *scanRecord) (spec.Reply, error) {
	switch {
	case c == nil:
		return spec.Reply{Outcome: spec.Absent}, nil
	case c.Status != "completed":
		// It is surely there, and has no result yet: an answer of Present would
		// end the step without one. Whoever asks again gets it in the end.
		return spec.Reply{}, spec.Errorf(spec.Transient, "the scan of %s is under way; ask again", h.Label)
	}
	return spec.Reply{Outcome: spec.Present, Output: s.scanOutput(h, *c, true)}, nil
}

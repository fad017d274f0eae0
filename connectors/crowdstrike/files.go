package crowdstrike

import (
	"context"
	"net/http"
	"net/url"
	"strings"

	"github.com/quell-soar/quell/connectors/sdk/rest"
	"github.com/quell-soar/quell/connectors/spec"
	"github.com/quell-soar/quell/connectors/spec/kind"
)

// The states of a quarantine record that this connector moves between.
const (
	inQuarantine = "quarantined"
	released     = "released"
)

// record is what is read of a quarantined file.
type record struct {
	ID      string `json:"id"`
	AID     string `json:"aid"`
	SHA256  string `json:"sha256"`
	State   string `json:"state"`
	Created string `json:"date_created"`
	Paths   []struct {
		Path string `json:"path"`
	} `json:"paths"`
}

func (q record) at(aid, path string) bool {
	for _, p := range q.Paths {
		if strings.EqualFold(q.AID, aid) && strings.EqualFold(p.Path, path) {
			return true
		}
	}
	return false
}

// state is the record's state; an unrelease is a quarantine again.
func (q record) state() string {
	if q.State == "unreleased" {
		return inQuarantine
	}
	return q.State
}

// file moves a file into quarantine or back. Falcon's sensor alone puts a file
// there for the first time; what the API can do is to let it out and to take it
// back in.
func (s *session) file(ctx context.Context, r spec.Request, d direction) (spec.Reply, error) {
	h, err := aidOf(r)
	if err != nil {
		return spec.Reply{}, err
	}
	path, _ := r.Inputs["path"].(string)
	q, err := s.find(ctx, h, path, d)
	if err != nil {
		if r.Mode == spec.Back && spec.KindOf(err) == spec.NotFound {
			return spec.Reply{Outcome: spec.Absent}, nil
		}
		return spec.Reply{}, err
	}
	read := func(ctx context.Context) (string, error) { return s.recordState(ctx, q.ID) }
	reply := func(string) map[string]any {
		out := map[string]any{"file": kind.Handle{Name: "quarantined_file", Instance: s.instance, ID: q.ID, Label: path}}
		if _, err := kind.Parse(kind.Of(kind.Hash), q.SHA256); err == nil && r.Action == "edr.quarantine_file" {
			out["sha256"] = q.SHA256
		}
		return out
	}
	if r.Mode == spec.Back {
		return s.readBack(ctx, r, d, read, reply)
	}
	write := func(ctx context.Context) (string, error) {
		return s.change(ctx, rest.Request{
			Method: http.MethodPatch, Path: []string{"quarantine", "entities", "quarantined-files", "v1"},
			JSON: map[string]any{"ids": []string{q.ID}, "action": d.action, "comment": "Quell"},
		}, q.ID)
	}
	return s.drive(ctx, r, d, read, write, reply)
}

// find returns the record that the change concerns: the one that is not yet as
// wanted, or else the newest.
func (s *session) find(ctx context.Context, h kind.Handle, path string, d direction) (record, error) {
	ids, err := fetch[string](ctx, s, rest.Request{
		Path: []string{"quarantine", "queries", "quarantined-files", "v1"},
		Query: url.Values{
			"filter": {"device.device_id:" + literal(h.ID) + "+paths.path:" + literal(path)}, "limit": {"100"}, "sort": {"date_created|desc"},
		},
	})
	if err != nil {
		return record{}, err
	}
	records, err := s.records(ctx, ids)
	if err != nil {
		return record{}, err
	}
	var open, there []record
	for _, q := range records {
		switch {
		case !q.at(h.ID, path):
		case q.state() == d.want:
			there = append(there, q)
		case q.state() == inQuarantine || q.state() == released:
			open = append(open, q)
		}
	}
	switch {
	case len(open) == 1:
		return open[0], nil
	case len(open) > 1:
		return record{}, spec.Errorf(spec.Ambiguous, "Falcon has %d quarantine records of this path on %s; choose one in its console", len(open), h.Label)
	case len(there) > 0:
		newest := there[0]
		for _, q := range there {
			if q.Created > newest.Created {
				newest = q
			}
		}
		return newest, nil
	}
	return record{}, spec.Errorf(spec.NotFound, "Falcon has no quarantine record of this path on %s: its sensor puts a file there for the first time; use a prevention policy or remove the file by hand", h.Label)
}

func (s *session) records(ctx context.Context, ids []string) ([]record, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	return fetch[record](ctx, s, rest.Request{
		Method: http.MethodPost, Path: []string{"quarantine", "entities", "quarantined-files", "GET", "v1"}, JSON: map[string]any{"ids": ids},
	})
}

func (s *session) recordState(ctx context.Context, id string) (string, error) {
	found, err := s.records(ctx, []string{id})
	if err != nil {
		return "", err
	}
	for _, q := range found {
		if q.ID == id {
			return q.state(), nil
		}
	}
	return "", spec.Errorf(spec.NotFound, "Falcon's quarantine record is gone")
}

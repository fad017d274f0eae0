package virustotal

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/quell-soar/quell/connectors/sdk"
	"github.com/quell-soar/quell/connectors/sdk/recall"
	"github.com/quell-soar/quell/connectors/sdk/rest"
	"github.com/quell-soar/quell/connectors/spec"
)

// quotaWait is how long a used-up quota is left alone: the shortest is one of
// four requests a minute.
const quotaWait = 15 * time.Second

// session is one API key.
type session struct {
	client *rest.Client
	from   int64
	submit bool
	cache  time.Duration
	poll   time.Duration
	// seen are answers of late, by what was asked.
	seen *recall.Book[sighting]
}

var _ sdk.Session = (*session)(nil)

// Call runs one action.
func (s *session) Call(ctx context.Context, r spec.Request) (spec.Reply, error) {
	ctx, cancel := context.WithDeadline(ctx, r.Deadline)
	defer cancel()
	switch r.Action {
	case "intel.lookup_domain", "intel.lookup_hash", "intel.lookup_ip", "intel.lookup_url":
		return s.lookup(ctx, r)
	case "sandbox.detonate":
		return s.detonate(ctx, r)
	}
	return spec.Reply{}, spec.Errorf(spec.Invalid, "virustotal has no action %q", r.Action)
}

// Close gives the connections back.
func (s *session) Close() error {
	s.client.Close()
	return nil
}

// Check tries the key with one look-up, which counts against the quota.
func (s *session) Check(ctx context.Context) []sdk.Finding {
	if _, err := s.object(ctx, "ip_addresses", "8.8.8.8"); err != nil && spec.KindOf(err) != spec.NotFound {
		return []sdk.Finding{{Name: "credentials", Advice: err.Error()}}
	}
	submit := "the setting submit is off: only files that VirusTotal knows get a verdict"
	if s.submit {
		submit = "the setting submit is on: files are handed in, and VirusTotal's customers can read them"
	}
	return []sdk.Finding{
		{Name: "credentials", OK: true, Advice: "the key is accepted by " + s.client.Base().Host},
		{Name: "submission of files", OK: true, Advice: submit},
	}
}

// stats counts the engines by what they say.
type stats struct {
	Malicious  int64 `json:"malicious"`
	Suspicious int64 `json:"suspicious"`
	Harmless   int64 `json:"harmless"`
	Undetected int64 `json:"undetected"`
}

func (c stats) engines() int64 { return c.Malicious + c.Suspicious + c.Harmless + c.Undetected }

// thing is what is read of a file, address, domain, URL or analysis.
type thing struct {
	ID         string `json:"id"`
	Attributes struct {
		// Stats and Date are of a thing, Result and Status of an analysis.
		Stats  stats  `json:"last_analysis_stats"`
		Date   int64  `json:"last_analysis_date"`
		Result stats  `json:"stats"`
		Status string `json:"status"`
	} `json:"attributes"`
}

// verdict returns what the engines said, and whether they have ended.
func (t thing) verdict() (stats, bool) {
	if t.Attributes.Status != "" {
		return t.Attributes.Result, t.Attributes.Status == "completed"
	}
	return t.Attributes.Stats, t.Attributes.Date > 0
}

// object reads one object of a collection.
func (s *session) object(ctx context.Context, collection, id string) (thing, error) {
	return s.send(ctx, rest.Request{Path: []string{"api", "v3", collection, id}, Read: true})
}

// send sends a request and reads the object in the answer: a 2xx without one is
// no success.
func (s *session) send(ctx context.Context, r rest.Request) (thing, error) {
	var out struct {
		Data  *thing   `json:"data"`
		Error apiError `json:"error"`
	}
	rep, err := s.client.DoJSON(ctx, r, &out)
	var e *spec.Error
	if errors.As(err, &e) && e.Kind == spec.RateLimited {
		e.RetryAfter = max(e.RetryAfter, quotaWait)
	}
	if err != nil {
		return thing{}, err
	}
	if out.Data == nil || out.Error.Code != "" {
		unclear := spec.Uncertain
		if r.Read || r.Method == "" || r.Method == http.MethodGet {
			unclear = spec.Transient
		}
		return thing{}, &spec.Error{Kind: unclear, VendorCode: fmt.Sprintf("HTTP %d %s", rep.Status, out.Error.Code), Message: "VirusTotal's answer is a success without what was asked for; try again later"}
	}
	return *out.Data, nil
}

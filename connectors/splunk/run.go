package splunk

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/quell-soar/quell/connectors/sdk/rest"
	"github.com/quell-soar/quell/connectors/spec"
)

// Times of polling. The margin leaves time to end a job that is too slow.
const (
	firstPoll = 100 * time.Millisecond
	lastPoll  = 2 * time.Second
	margin    = 250 * time.Millisecond
)

// page is how many rows are asked for at once; Splunk may give fewer.
const page = 500

// job is what is read of a search job.
type job struct {
	Done      bool      `json:"isDone"`
	Failed    bool      `json:"isFailed"`
	Finalized bool      `json:"isFinalized"`
	Count     int64     `json:"resultCount"`
	Messages  []message `json:"messages"`
}

// field is a column that an answer has.
type field struct {
	Name string `json:"name"`
}

// run dispatches a saved search, waits for it and reads its rows. Beginning one
// twice does no harm, so all its requests count as reads.
func (s *session) run(ctx context.Context, q saved, args url.Values) (spec.Reply, error) {
	form := url.Values{"output_mode": {"json"}, "trigger_actions": {"0"}, "force_dispatch": {"1"}}
	for name := range args {
		form.Set("args."+name, args.Get(name))
	}
	if since := args.Get("since"); since != "" {
		form.Set("dispatch.earliest_time", since)
	}
	var begun struct {
		SID string `json:"sid"`
	}
	_, err := s.client.DoJSON(ctx, rest.Request{Method: http.MethodPost, Path: s.savedPath(q, "dispatch"), Form: form, Read: true}, &begun)
	switch {
	case err != nil && spec.KindOf(err) == spec.NotFound:
		return spec.Reply{}, spec.Errorf(spec.Invalid, "Splunk has no saved search %q in the app %s of %s; check the settings", q.name, s.app, s.owner)
	case err != nil:
		return spec.Reply{}, err
	case begun.SID == "":
		return spec.Reply{}, spec.Errorf(spec.Transient, "Splunk took the saved search %q and named no job", q.name)
	}
	defer s.end(ctx, begun.SID)
	j, err := s.await(ctx, q, begun.SID)
	if err != nil {
		return spec.Reply{}, err
	}
	got, err := s.rows(ctx, q, begun.SID, j)
	if err != nil {
		return spec.Reply{}, err
	}
	return got.reply(), nil
}

// end gives a job up. It would expire by itself, so an error is none of ours.
func (s *session) end(ctx context.Context, sid string) {
	_, _ = s.client.Do(ctx, rest.Request{Method: http.MethodDelete, Path: jobPath(sid), Query: asJSON()})
}

func jobPath(sid string, more ...string) []string {
	return append([]string{"services", "search", "v2", "jobs", sid}, more...)
}

// await waits for the job's end. A job that failed is an error though the answer
// is a success.
func (s *session) await(ctx context.Context, q saved, sid string) (job, error) {
	for wait := firstPoll; ; wait = min(wait*3/2, lastPoll) {
		var out struct {
			Entry []struct {
				Content job `json:"content"`
			} `json:"entry"`
		}
		_, err := s.client.DoJSON(ctx, rest.Request{Path: jobPath(sid), Query: asJSON()}, &out)
		switch {
		case err != nil:
			return job{}, gone(q, err)
		case len(out.Entry) != 1:
			return job{}, spec.Errorf(spec.Transient, "Splunk does not tell of the job of the saved search %q", q.name)
		}
		j := out.Entry[0].Content
		if err := trouble(q, j); err != nil {
			return job{}, err
		}
		if j.Done {
			return j, nil
		}
		if !pause(ctx, wait) {
			return job{}, spec.Errorf(spec.Transient, "the saved search %q did not end in time; narrow it, or give the step more", q.name)
		}
	}
}

// gone is the error of a request about a job that was begun just before. That it is
// not there says nothing about what is searched for: somebody, or a full disk quota,
// took it away, and it can be begun again.
func gone(q saved, err error) error {
	if spec.KindOf(err) == spec.NotFound {
		return spec.Errorf(spec.Transient, "Splunk dropped the job of the saved search %q before it was read", q.name)
	}
	return err
}

// trouble is the error that a job ended with.
func trouble(q saved, j job) error {
	said := ""
	for _, m := range j.Messages {
		if m.Type == "FATAL" || m.Type == "ERROR" {
			said = m.Text
			break
		}
	}
	if !j.Failed && said == "" {
		return nil
	}
	if said == "" {
		said = "it did not say why"
	}
	return &spec.Error{Kind: spec.Invalid, VendorCode: "Splunk job", Message: "the saved search \"" + q.name + "\" failed: " + plainText(said)}
}

// rows reads a job's rows, page by page, up to the cap.
func (s *session) rows(ctx context.Context, q saved, sid string, j job) (found, error) {
	got := found{truncated: j.Finalized || j.Count > s.most}
	want := min(j.Count, s.most)
	for read := int64(0); read < want; {
		var out struct {
			Fields  []field                      `json:"fields"`
			Results []map[string]json.RawMessage `json:"results"`
		}
		query := asJSON()
		query.Set("count", strconv.FormatInt(min(page, want-read), 10))
		query.Set("offset", strconv.FormatInt(read, 10))
		_, err := s.client.DoJSON(ctx, rest.Request{Path: jobPath(sid, "results"), Query: query}, &out)
		if err != nil {
			return got, gone(q, err)
		}
		if len(out.Results) == 0 || read+int64(len(out.Results)) > want {
			return got, spec.Errorf(spec.Transient, "Splunk told of %d rows of the saved search %q and gave %d", want, q.name, read+int64(len(out.Results)))
		}
		if read == 0 {
			if err := q.complete(out.Fields); err != nil {
				return got, err
			}
		}
		for _, row := range out.Results {
			got.add(q.columns, row)
		}
		read += int64(len(out.Results))
	}
	if n := int64(len(got.rows)) + got.unreadable; n != want {
		return got, spec.Errorf(spec.Transient, "of %d rows of the saved search %q only %d came", want, q.name, n)
	}
	return got, nil
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

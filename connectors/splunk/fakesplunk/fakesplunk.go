package fakesplunk

import (
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/quell-soar/quell/connectors/fake"
)

// Saved is a saved search with the rows that it looks through. It finds those
// whose column has one of the values of the argument, each written as %XX as the
// lab's searches expect, and that are not older than the earliest time.
type Saved struct {
	Name string `json:"name"`
	// Search is its text, as Check reads it.
	Search   string              `json:"search"`
	Disabled bool                `json:"disabled,omitempty"`
	Rows     []map[string]string `json:"rows,omitempty"`
	// By relates arguments to columns.
	By map[string]string `json:"by,omitempty"`
}

// Splunk is the fake.
type Splunk struct {
	world  *fake.World
	vendor *fake.Vendor
	token  string
	// page is the most rows that one answer has.
	page  int
	saved map[string]*Saved
	jobs  []*job
	// asked are the arguments of each dispatch.
	asked []url.Values
	ended int
}

type job struct {
	sid    string
	search *Saved
	rows   []map[string]string
	until  time.Time
}

// New makes a Splunk without saved searches that accepts one token.
func New(w *fake.World, token string) *Splunk {
	s := &Splunk{world: w, token: token, page: 100, saved: map[string]*Saved{}}
	s.vendor = &fake.Vendor{
		Name: "splunk", Authorize: s.authorize, Refused: refused, Dump: s.dump,
		Expire: func() {}, // the token is valid for years
		Soft:   soft,
	}
	w.Lag("splunk.search", 100*time.Millisecond)
	w.Lag("splunk.latency", 0)
	w.Add(s.vendor)
	return s
}

// Save adds a saved search, or replaces the one of its name.
func (s *Splunk) Save(in Saved) error {
	if in.Name == "" {
		return fmt.Errorf("a saved search needs a name")
	}
	s.world.Do(func() { s.saved[in.Name] = &in })
	return nil
}

// Page sets how many rows one answer has at most.
func (s *Splunk) Page(n int) { s.world.Do(func() { s.page = n }) }

// Asked returns the arguments of every dispatch so far, and how many jobs were
// ended.
func (s *Splunk) Asked() (args []url.Values, ended int) {
	s.world.Do(func() { args, ended = slices.Clone(s.asked), s.ended })
	return args, ended
}

// Control serves the fake's side of the lab's control API:
//
//	POST /_lab/splunk {"name": "Quell sign-ins", "search": "…", "by": {"user": "user"}, "rows": [{"user": "ann", "address": "198.51.100.7"}]}
func (s *Splunk) Control(mux *http.ServeMux) {
	mux.HandleFunc("POST /_lab/splunk", func(w http.ResponseWriter, r *http.Request) {
		var in Saved
		err := fake.Read(w, r, &in)
		if err == nil {
			err = s.Save(in)
		}
		fake.Reply(w, map[string]bool{"ok": true}, err, http.StatusBadRequest)
	})
}

// Handler serves the API.
func (s *Splunk) Handler() http.Handler {
	mux := http.NewServeMux()
	on := func(pattern, name string, prepare func(c *fake.Call) fake.Act) {
		mux.Handle(pattern, s.world.Handler(s.vendor, fake.Operation{Name: name, Prepare: prepare}))
	}
	on("GET /services/server/info", "server-info", func(*fake.Call) fake.Act {
		return fake.Say("", entry(map[string]any{"version": "9.3.2"}))
	})
	on("GET /servicesNS/{owner}/{app}/saved/searches/{name}", "get-saved", s.getSaved)
	on("POST /servicesNS/{owner}/{app}/saved/searches/{name}/dispatch", "dispatch", s.dispatch)
	on("GET /services/search/v2/jobs/{sid}", "get-job", s.getJob)
	on("GET /services/search/v2/jobs/{sid}/results", "get-results", s.results)
	on("DELETE /services/search/v2/jobs/{sid}", "end-job", s.end)
	return mux
}

func entry(content map[string]any) fake.Answer {
	return fake.Answer{Status: http.StatusOK, Body: map[string]any{"entry": []any{map[string]any{"content": content}}}}
}

func messages(status int, kind, text string) fake.Answer {
	return fake.Answer{Status: status, Body: map[string]any{"messages": []any{map[string]any{"type": kind, "text": text}}}}
}

func refused(_ *fake.Call, status int, retry time.Duration) fake.Answer {
	a := messages(status, "ERROR", strings.ToLower(http.StatusText(status)))
	if status == http.StatusTooManyRequests {
		a.Header = map[string]string{"Retry-After": strconv.Itoa(int(max(retry, time.Second) / time.Second))}
	}
	return a
}

// soft is a job that ended with an error, where a job is asked about.
func soft(c *fake.Call) fake.Answer {
	if !strings.Contains(c.URL.Path, "/jobs/") {
		return messages(http.StatusOK, "FATAL", "the request was not carried out")
	}
	return entry(map[string]any{
		"isDone": true, "isFailed": true, "resultCount": 0, "messages": []any{map[string]any{"type": "FATAL", "text": "the search was not carried out"}},
	})
}

func (s *Splunk) authorize(c *fake.Call) *fake.Answer {
	if c.Header.Get("Authorization") == "Bearer "+s.token {
		return nil
	}
	a := messages(http.StatusUnauthorized, "WARN", "call not properly authenticated")
	return &a
}

func unknown(name string) fake.Answer {
	return messages(http.StatusNotFound, "ERROR", "Could not find object id="+name)
}

func (s *Splunk) getSaved(c *fake.Call) fake.Act {
	name := c.PathValue("name")
	return fake.Act{Object: name, Run: func() fake.Done {
		q := s.saved[name]
		if q == nil {
			return fake.Done{Answer: unknown(name)}
		}
		return fake.Done{Answer: entry(map[string]any{"search": q.Search, "disabled": q.Disabled})}
	}}
}

func (s *Splunk) dispatch(c *fake.Call) fake.Act {
	name := c.PathValue("name")
	form, err := url.ParseQuery(string(c.Body))
	if err != nil || form.Get("trigger_actions") != "0" || form.Has("search") {
		return fake.Say(name, messages(http.StatusBadRequest, "ERROR", "the lab runs saved searches as they are, and no alert actions"))
	}
	return fake.Act{Object: name, Run: func() fake.Done {
		q := s.saved[name]
		if q == nil || q.Disabled {
			return fake.Done{Answer: unknown(name)}
		}
		s.asked = append(s.asked, form)
		j := &job{
			sid: fmt.Sprintf("nobody__search__%d_at_1", len(s.asked)), search: q, rows: find(q, form),
			until: s.world.Clock().Now().Add(s.world.LagOf("splunk.search")),
		}
		s.jobs = append(s.jobs, j)
		return fake.Done{Answer: fake.Answer{Status: http.StatusCreated, Body: map[string]any{"sid": j.sid}}}
	}}
}

// find returns the rows that a search finds with these arguments.
func find(q *Saved, form url.Values) []map[string]string {
	earliest, _ := strconv.ParseFloat(form.Get("dispatch.earliest_time"), 64)
	var out []map[string]string
	for _, row := range q.Rows {
		at, err := strconv.ParseFloat(row["at"], 64)
		fits := err != nil || at >= earliest
		for arg, column := range q.By {
			fits = fits && slices.ContainsFunc(strings.Split(form.Get("args."+arg), ","), func(v string) bool {
				text, err := url.PathUnescape(v)
				return err == nil && strings.EqualFold(text, row[column])
			})
		}
		if fits {
			out = append(out, row)
		}
	}
	return out
}

func (s *Splunk) job(sid string) *job {
	for _, j := range s.jobs {
		if j.sid == sid {
			return j
		}
	}
	return nil
}

func (s *Splunk) getJob(c *fake.Call) fake.Act {
	return fake.Act{Run: func() fake.Done {
		j := s.job(c.PathValue("sid"))
		if j == nil {
			return fake.Done{Answer: messages(http.StatusNotFound, "FATAL", "Unknown sid.")}
		}
		done, count := !s.world.Clock().Now().Before(j.until), 0
		if done {
			count = len(j.rows)
		}
		return fake.Done{Answer: entry(map[string]any{"isDone": done, "isFailed": false, "resultCount": count, "messages": []any{}})}
	}}
}

func (s *Splunk) results(c *fake.Call) fake.Act {
	offset, _ := strconv.Atoi(c.URL.Query().Get("offset"))
	count, err := strconv.Atoi(c.URL.Query().Get("count"))
	return fake.Act{Run: func() fake.Done {
		j := s.job(c.PathValue("sid"))
		if j == nil || err != nil || offset < 0 || count < 1 {
			return fake.Done{Answer: messages(http.StatusNotFound, "FATAL", "Unknown sid.")}
		}
		if s.world.Clock().Now().Before(j.until) {
			return fake.Done{Answer: fake.Answer{Status: http.StatusNoContent}}
		}
		columns := map[string]bool{}
		for _, row := range j.rows {
			for name := range row {
				columns[name] = true
			}
		}
		fields := []any{}
		for _, name := range slices.Sorted(maps.Keys(columns)) {
			fields = append(fields, map[string]any{"name": name})
		}
		from := min(offset, len(j.rows))
		rows := j.rows[from:min(from+min(count, s.page), len(j.rows))]
		return fake.Done{Answer: fake.Answer{Status: http.StatusOK, Body: map[string]any{"preview": false, "fields": fields, "results": rows}}}
	}}
}

func (s *Splunk) end(c *fake.Call) fake.Act {
	return fake.Act{Run: func() fake.Done {
		if s.job(c.PathValue("sid")) == nil {
			return fake.Done{Answer: messages(http.StatusNotFound, "FATAL", "Unknown sid.")}
		}
		s.jobs = slices.DeleteFunc(s.jobs, func(j *job) bool { return j.sid == c.PathValue("sid") })
		s.ended++
		return fake.Done{Answer: fake.Answer{Status: http.StatusOK, Body: map[string]any{}}}
	}}
}

// dump lists what is saved. Jobs come and go and are no part of the world.
func (s *Splunk) dump() any {
	out := []Saved{}
	for _, name := range slices.Sorted(maps.Keys(s.saved)) {
		out = append(out, *s.saved[name])
	}
	return map[string]any{"saved_searches": out}
}

package splunk_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/quell-soar/quell/connectors/conformance"
	"github.com/quell-soar/quell/connectors/fake"
	"github.com/quell-soar/quell/connectors/sdk"
	"github.com/quell-soar/quell/connectors/sdk/secret"
	"github.com/quell-soar/quell/connectors/spec"
	"github.com/quell-soar/quell/connectors/spec/kind"
	"github.com/quell-soar/quell/connectors/splunk"
	"github.com/quell-soar/quell/connectors/splunk/fakesplunk"
	"github.com/quell-soar/quell/connectors/vocabulary"
)

const (
	token = "splunk-lab-secret"
	evil  = `https://evil.example/?a=1,2&b="]|delete`
)

var (
	noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	ann  = kind.Handle{Name: "user", Instance: "entra", ID: "u-1", Label: "ann@corp.example"}
)

type lab struct {
	world  *fake.World
	splunk *fakesplunk.Splunk
	url    string
}

func start(t testing.TB) *lab {
	t.Helper()
	w := fake.NewWorld(fake.Real{}, fake.NewJournal(), 1)
	l := &lab{world: w, splunk: fakesplunk.New(w, token)}
	srv := httptest.NewServer(l.splunk.Handler())
	t.Cleanup(func() {
		w.Close()
		srv.CloseClientConnections()
		srv.Close()
	})
	l.url = srv.URL
	l.splunk.Page(2)
	must(t, w.SetLag(map[string]time.Duration{"splunk.search": 30 * time.Millisecond}))
	at := func(h int) string { return fmt.Sprintf("%d.000", noon.Add(time.Duration(h)*time.Hour).Unix()) }
	must(t, l.splunk.Save(fakesplunk.Saved{
		Name: "Quell sign-ins", Search: `index=auth user=$args.user$`, By: map[string]string{"user": "user"},
		Rows: []map[string]string{
			{"user": "ann@corp.example", "address": "198.51.100.7", "risky": "true", "at": at(0), "country": "KP"},
			{"user": "ann@corp.example", "address": "2001:db8::7", "risky": "0", "at": at(1), "country": ""},
			{"user": "Ann@corp.example", "address": "not an address", "risky": "true", "at": at(2), "country": "US"},
			{"user": "bob@corp.example", "address": "198.51.100.9", "risky": "true", "at": at(3), "country": "US"},
			{"user": "ann@corp.example", "address": "198.51.100.1", "risky": "true", "at": at(-48), "country": "US"},
			{"user": "ann@corp.example", "address": "198.51.100.8", "risky": "no", "at": "2026-03-01T16:00:00.000+00:00", "country": "US"},
		},
	}))
	must(t, l.splunk.Save(fakesplunk.Saved{
		Name: "Quell clicks", Search: `index=proxy url=$args.urls$`, By: map[string]string{"urls": "url"},
		Rows: []map[string]string{
			{"user": "bob@corp.example", "url": evil, "submitted_form": "true", "at": at(0)},
			{"user": "eve@corp.example", "url": "https://other.example/", "submitted_form": "true", "at": at(0)},
			{"user": "ann@corp.example", "url": "https://evil.example/2", "submitted_form": "false", "at": at(1)},
			{"user": "cid@corp.example", "url": "https://evil.example/2", "submitted_form": "false", "at": at(1)},
		},
	}))
	must(t, l.splunk.Save(fakesplunk.Saved{
		Name: "Quell DNS", Search: `index=dns name=$args.domain$`, By: map[string]string{"domain": "name"},
		Rows: []map[string]string{{"name": "evil.example", "host": "web-01", "n": "3", "at": at(0)}, {"name": "evil.example", "host": "web-02", "n": "many", "at": at(0)}},
	}))
	return l
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (l *lab) settings() map[string]string {
	return map[string]string{
		"base_url": l.url, "sign_ins": "Quell sign-ins", "url_clicks": "Quell clicks",
		"searches": `{"dns":{"search":"Quell DNS","inputs":{"domain":"domain"},"columns":{"host":"hostname","n":"int","at":"timestamp"}}}`,
	}
}

func (l *lab) open(t testing.TB, more ...string) sdk.Session {
	t.Helper()
	texts := l.settings()
	for i := 0; i+1 < len(more); i += 2 {
		texts[more[i]] = more[i+1]
	}
	settings, err := sdk.ParseSettings(splunk.New().Manifest(), texts)
	must(t, err)
	s, err := splunk.New().Open(t.Context(), sdk.Config{
		Instance: "splunk", Settings: settings, Secrets: map[string]secret.Value{"token": secret.New(token)},
	})
	must(t, err)
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func call(t testing.TB, s sdk.Session, action string, in map[string]any, within time.Duration) (spec.Reply, error) {
	t.Helper()
	deadline := time.Now().Add(within)
	ctx, cancel := context.WithDeadline(t.Context(), deadline)
	defer cancel()
	r, err := s.Call(ctx, spec.Request{Action: action, Mode: spec.Act, Inputs: in, Deadline: deadline})
	if err == nil {
		a, _ := splunk.New().Manifest().Action(action)
		must(t, sdk.CheckReply(a, spec.Act, r))
	}
	return r, err
}

// binary builds the program that serves the connector, for the run over the
// wire.
func binary(t *testing.T) string {
	t.Helper()
	if testing.Short() {
		return ""
	}
	path := filepath.Join(t.TempDir(), "quell-connector")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", path, "../../cmd/quell-connector").CombinedOutput(); err != nil {
		t.Fatalf("building the connector: %v\n%s", err, out)
	}
	return path
}

func signIns() map[string]any {
	return map[string]any{"user": ann, "since": noon.Add(-time.Hour)}
}

func clicks() map[string]any {
	return map[string]any{"urls": []any{evil, "https://evil.example/2"}, "since": noon.Add(-time.Hour)}
}

func dns(domain string) map[string]any {
	return map[string]any{"name": "dns", "values": map[string]any{"domain": domain}}
}

func TestConformance(t *testing.T) {
	soft := conformance.Faults{SoftError: "splunk get-job: always soft"}
	conformance.Run(t, conformance.Target{
		Binary:    binary(t),
		Connector: splunk.New(),
		Lookup:    vocabulary.Lookup,
		Start: func(t testing.TB) conformance.Fake {
			l := start(t)
			return conformance.Fake{
				Settings: l.settings(),
				Secrets:  map[string]secret.Value{"token": secret.New(token)},
				Fault:    func(text string) { must(t, l.world.SetScript(text)) },
				World: func() string {
					d, err := l.world.Dump("")
					must(t, err)
					raw, err := json.Marshal(d)
					must(t, err)
					return string(raw)
				},
			}
		},
		Samples: map[string]conformance.Sample{
			"search.run_saved":  {Inputs: dns("evil.example"), Missing: map[string]any{"name": "nothing"}, Faults: soft},
			"search.sign_ins":   {Inputs: signIns(), Want: map[string]any{"unreadable": int64(1), "truncated": false}, Faults: soft},
			"search.url_clicks": {Inputs: clicks(), Faults: soft},
		},
		Faults: conformance.Faults{
			RateLimited: "splunk *: always 429 retry=2s", Unauthorized: "splunk *: always 401", Slow: "splunk *: always slow 3s",
		},
		Without: map[string]string{
			"expired token": "the token is the operator's own and is not renewed here",
			"ambiguous":     "a search is named, not looked for",
		},
	})
}

func TestRows(t *testing.T) {
	l := start(t)
	s := l.open(t)
	row := func(kv ...any) map[string]any {
		m := map[string]any{}
		for i := 0; i+1 < len(kv); i += 2 {
			m[kv[i].(string)] = kv[i+1]
		}
		return m
	}
	for _, tt := range []struct {
		action string
		in     map[string]any
		want   map[string]any
	}{
		{"search.sign_ins", signIns(), map[string]any{"truncated": false, "unreadable": int64(1), "rows": []any{
			row("address", "198.51.100.7", "risky", true, "at", noon, "country", "KP"),
			row("address", "2001:db8::7", "risky", false, "at", noon.Add(time.Hour)),
			row("address", "198.51.100.8", "risky", false, "at", noon.Add(4*time.Hour), "country", "US"),
		}}},
		{"search.url_clicks", clicks(), map[string]any{"truncated": false, "unreadable": int64(0), "rows": []any{
			row("user", "bob@corp.example", "url", evil, "submitted_form", true, "at", noon),
			row("user", "ann@corp.example", "url", "https://evil.example/2", "submitted_form", false, "at", noon.Add(time.Hour)),
			row("user", "cid@corp.example", "url", "https://evil.example/2", "submitted_form", false, "at", noon.Add(time.Hour)),
		}}},
		{"search.url_clicks", map[string]any{"urls": []any{}, "since": noon}, map[string]any{"truncated": false, "unreadable": int64(0), "rows": []any{}}},
		{"search.run_saved", dns("evil.example"), map[string]any{"truncated": false, "unreadable": int64(1), "rows": []any{
			row("host", "web-01", "n", "3", "at", "2026-03-01T12:00:00Z"),
		}}},
		{"search.run_saved", dns("good.example"), map[string]any{"truncated": false, "unreadable": int64(0), "rows": []any{}}},
	} {
		r, err := call(t, s, tt.action, tt.in, 3*time.Second)
		if d := cmp.Diff(tt.want, r.Output); err != nil || d != "" {
			t.Errorf("%s %v: %v\n%s", tt.action, tt.in, err, d)
		}
	}
	args, ended := l.splunk.Asked()
	if len(args) != 4 || ended != 4 {
		t.Errorf("%d jobs were begun and %d ended", len(args), ended)
	}
}

// What a value brings along means nothing in the text of a search.
func TestHostileValuesArriveEncoded(t *testing.T) {
	l := start(t)
	s := l.open(t)
	hostile := ann
	hostile.Label = "ann\" OR 1=1 | delete $args.x$ [search *] `macro` \\ ü"
	_, err := call(t, s, "search.sign_ins", map[string]any{"user": hostile, "since": noon}, 3*time.Second)
	must(t, err)
	_, err = call(t, s, "search.url_clicks", clicks(), 3*time.Second)
	must(t, err)
	args, _ := l.splunk.Asked()
	safe := regexp.MustCompile(`^[A-Za-z0-9._%,-]*$`)
	for _, form := range args {
		for name, values := range form {
			if strings.HasPrefix(name, "args.") && !safe.MatchString(values[0]) {
				t.Errorf("%s arrived as %q", name, values[0])
			}
		}
	}
	if got := args[1].Get("args.urls"); strings.Count(got, ",") != 1 {
		t.Errorf("two URLs arrived as %q", got)
	}
	if got, want := args[0].Get("dispatch.earliest_time"), "1772366400.000"; got != want {
		t.Errorf("the earliest time is %s, want %s", got, want)
	}
}

func TestRowsAreCappedAndTold(t *testing.T) {
	l := start(t)
	r, err := call(t, l.open(t, "max_rows", "3"), "search.sign_ins", signIns(), 3*time.Second)
	if rows, _ := r.Output["rows"].([]any); err != nil || len(rows) != 2 || r.Output["truncated"] != true {
		t.Errorf("got %v, %v", r.Output, err)
	}
}

func TestWhatIsRefused(t *testing.T) {
	l := start(t)
	must(t, l.splunk.Save(fakesplunk.Saved{Name: "Other", Rows: []map[string]string{{"user": "ann@corp.example"}}}))
	for _, tt := range []struct {
		name, action string
		in           map[string]any
		more         []string
		want         spec.ErrorKind
	}{
		{"not bound", "search.sign_ins", signIns(), []string{"sign_ins", ""}, spec.Invalid},
		{"not there", "search.sign_ins", signIns(), []string{"sign_ins", "Gone"}, spec.Invalid},
		{"columns missing", "search.sign_ins", signIns(), []string{"sign_ins", "Other"}, spec.Invalid},
		{"value of another kind", "search.run_saved", dns("not a domain"), nil, spec.Invalid},
		{"input missing", "search.run_saved", map[string]any{"name": "dns"}, nil, spec.Invalid},
		{"input unknown", "search.run_saved", map[string]any{"name": "dns", "values": map[string]any{"domain": "a.example", "search": "x"}}, nil, spec.Invalid},
		{"not declared", "search.run_saved", map[string]any{"name": "| delete"}, nil, spec.NotFound},
	} {
		if _, err := call(t, l.open(t, tt.more...), tt.action, tt.in, 3*time.Second); spec.KindOf(err) != tt.want {
			t.Errorf("%s: %v, want %s", tt.name, err, tt.want)
		}
	}
}

// A search that does not end in time is ended, not left running.
// A job that went away says nothing about what was searched for: it is tried again.
func TestDroppedJob(t *testing.T) {
	for _, operation := range []string{"get-job", "get-results"} {
		l := start(t)
		must(t, l.world.SetScript("splunk "+operation+": 404"))
		if _, err := call(t, l.open(t), "search.sign_ins", signIns(), 3*time.Second); spec.KindOf(err) != spec.Transient || !strings.Contains(err.Error(), "dropped the job") {
			t.Errorf("%s: %v", operation, err)
		}
	}
}

// Searches at the same time get their own rows: each job has an id of its own, also
// after others ended.
func TestSearchesAtOnce(t *testing.T) {
	l := start(t)
	s := l.open(t)
	var wg sync.WaitGroup
	for worker := range 5 { // one begins while another ends
		wg.Go(func() {
			for n := range 12 {
				domain, want := "evil.example", 1
				if (worker+n)%2 == 0 {
					domain, want = "good.example", 0
				}
				r, err := call(t, s, "search.run_saved", dns(domain), 20*time.Second)
				if rows, _ := r.Output["rows"].([]any); err != nil || len(rows) != want {
					t.Errorf("%s: %v %v", domain, r.Output, err)
				}
			}
		})
	}
	wg.Wait()
}

func TestSlowSearchIsEnded(t *testing.T) {
	l := start(t)
	must(t, l.world.SetLag(map[string]time.Duration{"splunk.search": time.Hour}))
	if _, err := call(t, l.open(t), "search.sign_ins", signIns(), 600*time.Millisecond); spec.KindOf(err) != spec.Transient {
		t.Errorf("got %v", err)
	}
	if _, ended := l.splunk.Asked(); ended != 1 {
		t.Errorf("%d jobs were ended", ended)
	}
}

func TestCheckReadsTheSearches(t *testing.T) {
	l := start(t)
	must(t, l.splunk.Save(fakesplunk.Saved{Name: "Quell clicks", Search: "index=proxy"}))
	must(t, l.splunk.Save(fakesplunk.Saved{Name: "Quell DNS", Search: "index=dns $args.domain$", Disabled: true}))
	bad := map[string]bool{}
	for _, f := range l.open(t, "sign_ins", "Gone").Check(t.Context()) {
		if !f.OK {
			bad[f.Name] = true
		}
	}
	want := map[string]bool{"saved search Quell clicks": true, "saved search Quell DNS": true, "saved search Gone": true}
	if d := cmp.Diff(want, bad); d != "" {
		t.Error(d)
	}
}

func TestOpenRefuses(t *testing.T) {
	for _, searches := range []string{
		`{"x":{"search":"","columns":{"a":"ip"}}}`, `{"x":{"search":"s","columns":{}}}`, `{"x":{"search":"s","inputs":{"a b":"ip"},"columns":{"a":"ip"}}}`,
	} {
		settings, err := sdk.ParseSettings(splunk.New().Manifest(), map[string]string{"base_url": "http://127.0.0.1:1", "searches": searches})
		must(t, err)
		if _, err := splunk.New().Open(t.Context(), sdk.Config{Settings: settings}); spec.KindOf(err) != spec.Invalid {
			t.Errorf("%s: %v", searches, err)
		}
	}
}

package jira_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/quell-soar/quell/connectors/conformance"
	"github.com/quell-soar/quell/connectors/conformance/openapi"
	"github.com/quell-soar/quell/connectors/fake"
	"github.com/quell-soar/quell/connectors/jira"
	"github.com/quell-soar/quell/connectors/jira/fakejira"
	"github.com/quell-soar/quell/connectors/sdk"
	"github.com/quell-soar/quell/connectors/sdk/recall"
	"github.com/quell-soar/quell/connectors/sdk/secret"
	"github.com/quell-soar/quell/connectors/spec"
	"github.com/quell-soar/quell/connectors/spec/kind"
	"github.com/quell-soar/quell/connectors/vocabulary"
)

const (
	email = "quell@example.com"
	token = "jira-lab-token"
)

type lab struct {
	world *fake.World
	jira  *fakejira.Jira
	url   string
}

func TestMain(m *testing.M) { openapi.Main(m) }

func start(t testing.TB) *lab {
	t.Helper()
	w := fake.NewWorld(fake.Real{}, fake.NewJournal(), 1)
	l := &lab{world: w, jira: fakejira.New(w, email, token, "SEC")}
	mux := http.NewServeMux()
	srv := httptest.NewServer(mux)
	mux.Handle("/", openapi.Load(t, "jira-platform-v3.trim.json", openapi.Options{
		// It is there, as a multipart form that is one text: no body fits that.
		Beyond: []string{"POST /rest/api/3/issue/{issue}/attachments"},
	}).Wrap(l.jira.Handler(srv.URL)))
	t.Cleanup(func() {
		w.Close()
		srv.CloseClientConnections()
		srv.Close()
	})
	l.url = srv.URL
	return l
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (l *lab) script(t testing.TB, text string) {
	t.Helper()
	must(t, l.world.SetScript(text))
}

func (l *lab) dump(t testing.TB) string {
	t.Helper()
	d, err := l.world.Dump("")
	must(t, err)
	raw, err := json.Marshal(d)
	must(t, err)
	return string(raw)
}

func (l *lab) settings() map[string]string {
	return map[string]string{"base_url": l.url, "email": email, "project": "SEC"}
}

func (l *lab) open(t testing.TB) sdk.Session {
	t.Helper()
	settings, err := sdk.ParseSettings(jira.New().Manifest(), l.settings())
	must(t, err)
	s, err := jira.New().Open(t.Context(), sdk.Config{
		Instance: "tickets", Settings: settings, Secrets: map[string]secret.Value{"api_token": secret.New(token)},
	})
	must(t, err)
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func call(t testing.TB, s sdk.Session, action, key string, in map[string]any, change ...func(*spec.Request)) (spec.Reply, error) {
	t.Helper()
	r := spec.Request{Action: action, Mode: spec.Act, Key: key, Inputs: in, Deadline: time.Now().Add(4 * time.Second)}
	for _, f := range change {
		f(&r)
	}
	return s.Call(t.Context(), r)
}

func back(r *spec.Request) { r.Mode = spec.Back }

func within(d time.Duration) func(*spec.Request) {
	return func(r *spec.Request) { r.Deadline = time.Now().Add(d) }
}

func prior(status string) func(*spec.Request) {
	return func(r *spec.Request) { r.Prior = map[string]any{"status": status} }
}

// ticket opens a ticket and returns its handle.
func ticket(t testing.TB, s sdk.Session) kind.Handle {
	t.Helper()
	r, err := call(t, s, "ticket.create_ticket", "setup", map[string]any{"key": "setup", "title": "Setup"})
	must(t, err)
	h, _ := r.Output["ticket"].(kind.Handle)
	return h
}

func (l *lab) count(t testing.TB, operation string) int {
	t.Helper()
	e, err := l.world.Effects(fake.Filter{Operation: operation})
	must(t, err)
	return len(e)
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

func TestConformance(t *testing.T) {
	open := conformance.Found{
		Action: "ticket.create_ticket", Output: "ticket",
		Inputs: map[string]any{"key": "prepared", "title": "Prepared"},
	}
	gone := kind.Handle{Name: "ticket", Instance: conformance.Instance, ID: "99999", Label: "SEC-99999"}
	lost := func(op string) conformance.Faults {
		return conformance.Faults{Lost: "jira " + op + ": lost", SoftError: "jira " + op + ": always soft"}
	}
	conformance.Run(t, conformance.Target{
		Binary:    binary(t),
		Connector: jira.New(),
		Lookup:    vocabulary.Lookup,
		Evidence:  [][]byte{evidence},
		Start: func(t testing.TB) conformance.Fake {
			l := start(t)
			// An automation answers each comment, so ours is never on the first page.
			l.jira.Pages(2)
			l.jira.Chatter(3)
			return conformance.Fake{
				Settings: l.settings(), Secrets: map[string]secret.Value{"api_token": secret.New(token)},
				Fault: func(text string) { l.script(t, text) }, World: func() string { return l.dump(t) },
			}
		},
		Samples: map[string]conformance.Sample{
			"ticket.create_ticket": {
				Inputs: map[string]any{"key": "INC-7", "title": "Malware on web-01", "body": "one\n\ntwo", "severity": "high"}, Faults: lost("create"),
			},
			"ticket.add_comment": {
				Inputs: map[string]any{"ticket": open, "body": "isolated"}, Faults: lost("comment"),
				Missing: map[string]any{"ticket": gone, "body": "isolated"},
			},
			"ticket.attach_file": {
				Inputs: map[string]any{"ticket": open, "file": kind.ArtifactOf(evidence), "name": `..\message.eml`}, Faults: lost("attach"),
				Missing: map[string]any{"ticket": gone, "file": kind.ArtifactOf(evidence)},
			},
			"ticket.set_status": {
				Inputs: map[string]any{"ticket": open, "status": "in progress"}, Faults: lost("transition"),
				Missing: map[string]any{"ticket": gone, "status": "Done"},
			},
		},
		Faults: conformance.Faults{
			RateLimited: "jira *: always 429 retry=2s", Unauthorized: "jira *: always 401", Slow: "jira *: always slow 3s",
		},
	})
}

// evidence is a file that is attached.
var evidence = []byte("From: eve@example.com\r\nSubject: Invoice\r\n\r\n\x00\xff")

func TestAttach(t *testing.T) {
	l := start(t)
	s := l.open(t)
	h := ticket(t, s)
	file := kind.ArtifactOf(evidence)
	mark := strings.TrimPrefix(file, "sha256:")[:16]
	with := func(r *spec.Request) { r.Artifacts = map[string][]byte{file: evidence} }
	for i, tt := range []struct{ name, want string }{
		{"message.eml", "message-" + mark + ".eml"},
		{"", "evidence-" + mark + ".bin"},
		{"C:\\Users\\x\\a\"b\r\n.eml", "a_b__-" + mark + ".eml"},
		{"../../etc/passwd", "passwd-" + mark},
		{"..", "evidence-" + mark + ".bin"},
		{strings.Repeat("x", 300) + ".eml", strings.Repeat("x", 80) + "-" + mark + ".eml"},
	} {
		in := map[string]any{"ticket": h, "file": file, "name": tt.name}
		key := "k" + string(rune('a'+i))
		r, err := call(t, s, "ticket.attach_file", key, in, with)
		if err != nil || r.Output["name"] != tt.want {
			t.Errorf("%q became %v, %v; want %s", tt.name, r.Output["name"], err, tt.want)
		}
		if got, _ := l.jira.Attached(h.Label, tt.want); string(got) != string(evidence) {
			t.Errorf("%s holds %q", tt.want, got)
		}
	}
	// The same evidence by another step is there already.
	n := l.count(t, "attach")
	r, err := call(t, l.open(t), "ticket.attach_file", "other", map[string]any{"ticket": h, "file": file, "name": "message.eml"}, with)
	if err != nil || r.Outcome != spec.Already || l.count(t, "attach") != n {
		t.Errorf("again: %s, %v", r.Outcome, err)
	}
	if _, err := call(t, s, "ticket.attach_file", "none", map[string]any{"ticket": h, "file": file, "name": "other.eml"}); spec.KindOf(err) != spec.Invalid {
		t.Errorf("without the content: %v", err)
	}
}

func TestCreateUnderFaults(t *testing.T) {
	const op = "jira create: "
	for _, tt := range []struct {
		name, script string
		outcome      spec.Outcome
		kind         spec.ErrorKind
		creates      int
	}{
		{"nothing wrong", "", spec.Done, "", 1},
		{"rate limit", op + "429 retry=3s", "", spec.RateLimited, 0},
		{"refused", op + "400", "", spec.Invalid, 0},
		{"not permitted", op + "403", "", spec.Permission, 0},
		{"wrong token", "jira *: always 401", "", spec.Auth, 0},
		{"server error, nothing done", op + "503", "", spec.Uncertain, 0},
		{"server error, done", op + "lost status=502", spec.Done, "", 1},
		{"answer lost, done", op + "lost", spec.Done, "", 1},
		{"answer lost, nothing done", op + "drop", "", spec.Uncertain, 0},
		{"answer lost, done much later", op + "late 1h", "", spec.Uncertain, 0},
		{"answer too late", op + "hold 1h", "", spec.Uncertain, 1},
		{"search fails", "jira search: always 500", "", spec.Transient, 0},
		{"created and not readable", "jira get: always 500", spec.Pending, "", 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			l := start(t)
			must(t, l.world.SetLag(map[string]time.Duration{"jira.search": 200 * time.Millisecond}))
			l.script(t, tt.script)
			r, err := call(t, l.open(t), "ticket.create_ticket", "k", map[string]any{"key": "INC-1", "title": "Malware"}, within(1500*time.Millisecond))
			if tt.kind != "" && spec.KindOf(err) != tt.kind || tt.kind == "" && err != nil || r.Outcome != tt.outcome {
				t.Errorf("got %s, %v; want %s%s", r.Outcome, err, tt.outcome, tt.kind)
			}
			if got := l.count(t, "create"); got != tt.creates {
				t.Errorf("%d issues were created, want %d", got, tt.creates)
			}
		})
	}
}

func TestOneKeyIsOneTicket(t *testing.T) {
	l := start(t)
	must(t, l.world.SetLag(map[string]time.Duration{"jira.search": time.Hour}))
	s := l.open(t)
	tickets := make(chan any, 8)
	var all sync.WaitGroup
	for i := range cap(tickets) {
		all.Go(func() {
			r, err := call(t, s, "ticket.create_ticket", "run-"+string(rune('a'+i)), map[string]any{"key": "INC-1", "title": "Malware"})
			if err != nil {
				t.Error(err)
			}
			tickets <- r.Output["ticket"]
		})
	}
	all.Wait()
	first := <-tickets
	for range cap(tickets) - 1 {
		if other := <-tickets; other != first {
			t.Errorf("one key gave the tickets %v and %v", first, other)
		}
	}
	if n := l.count(t, "create"); n != 1 {
		t.Errorf("%d issues were created, want 1", n)
	}
}

// Another process knows nothing, and finds the ticket once the index has it.
func TestTicketIsFoundByAnotherSession(t *testing.T) {
	l := start(t)
	in := map[string]any{"key": "INC-1", "title": "Malware"}
	first, err := call(t, l.open(t), "ticket.create_ticket", "k", in)
	must(t, err)
	second := l.open(t)
	r, err := call(t, second, "ticket.create_ticket", "k", in, back)
	if err != nil || r.Outcome != spec.Absent {
		t.Errorf("before the index knows it: %s, %v", r.Outcome, err)
	}
	must(t, l.world.SetLag(map[string]time.Duration{"jira.search": 0}))
	for end := time.Now().Add(5 * time.Second); r.Outcome != spec.Present && time.Now().Before(end); {
		r, err = call(t, second, "ticket.create_ticket", "k", in, back)
		must(t, err)
	}
	if r.Output["ticket"] != first.Output["ticket"] {
		t.Errorf("found %v, want %v", r.Output["ticket"], first.Output["ticket"])
	}
	e, err := l.world.Effects(fake.Filter{Operation: "create"})
	if err != nil || len(e) != 1 || !strings.Contains(e[0].Key, recall.Mark("INC-1")) {
		t.Errorf("journal has %+v, %v", e, err)
	}
	if url := r.Output["url"]; url != l.url+"/browse/SEC-1" {
		t.Errorf("url is %v", url)
	}
}

func TestHostileTextIsText(t *testing.T) {
	l := start(t)
	s := l.open(t)
	_, err := call(t, s, "ticket.create_ticket", "k", map[string]any{
		"key": `x" OR project = "HR`, "title": "a\r\nb \u202egpj.exe " + strings.Repeat("x", 300), "body": "[~admin] {code}\n\n\x1b[31m" + strings.Repeat("y", 40000),
	})
	must(t, err)
	h := ticket(t, s)
	_, err = call(t, s, "ticket.add_comment", "c", map[string]any{"ticket": h, "body": "@all\n"})
	must(t, err)
	world := l.dump(t)
	for _, s := range []string{`\u202e`, "\u202e", `\u001b`} {
		if strings.Contains(world, s) {
			t.Errorf("the world contains %q", s)
		}
	}
	if !strings.Contains(world, "[~admin] {code}") || !strings.Contains(world, "a b gpj.exe") {
		t.Errorf("the text did not arrive: %.300s", world)
	}
}

func TestCommentUnderFaults(t *testing.T) {
	const op = "jira comment: "
	for _, tt := range []struct {
		name, script string
		outcome      spec.Outcome
		kind         spec.ErrorKind
		comments     int
	}{
		{"nothing wrong", "", spec.Done, "", 1},
		{"rate limit", op + "429", "", spec.RateLimited, 0},
		{"answer lost, done", op + "lost", spec.Done, "", 1},
		{"answer lost, nothing done", op + "drop", "", spec.Uncertain, 0},
		{"server error, done", op + "lost status=500", spec.Done, "", 1},
		{"answer too late", op + "hold 1h", "", spec.Uncertain, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			l := start(t)
			s := l.open(t)
			in := map[string]any{"ticket": ticket(t, s), "body": "isolated"}
			l.script(t, tt.script)
			r, err := call(t, s, "ticket.add_comment", "k", in, within(time.Second))
			if tt.kind != "" && spec.KindOf(err) != tt.kind || tt.kind == "" && err != nil || r.Outcome != tt.outcome {
				t.Errorf("got %s, %v; want %s%s", r.Outcome, err, tt.outcome, tt.kind)
			}
			if got := l.count(t, "comment"); got != tt.comments {
				t.Errorf("%d comments, want %d", got, tt.comments)
			}
			// Whatever happened, a second attempt leaves exactly one.
			l.script(t, "")
			if tt.comments > 0 {
				r, err = call(t, s, "ticket.add_comment", "k", in)
				if err != nil || r.Outcome != spec.Already || l.count(t, "comment") != 1 {
					t.Errorf("again: %s, %v, %d comments", r.Outcome, err, l.count(t, "comment"))
				}
			}
		})
	}
}

func TestMarkIsFoundBehindManyComments(t *testing.T) {
	l := start(t)
	s := l.open(t)
	h := ticket(t, s)
	add := func(key string, change ...func(*spec.Request)) spec.Reply {
		t.Helper()
		r, err := call(t, s, "ticket.add_comment", key, map[string]any{"ticket": h, "body": key}, change...)
		must(t, err)
		return r
	}
	add("first")
	for i := range 120 {
		add("other-" + strings.Repeat("x", i))
	}
	if r := add("first", back); r.Outcome != spec.Present {
		t.Errorf("the read-back says %s", r.Outcome)
	}
	if r := add("never", back); r.Outcome != spec.Absent {
		t.Errorf("the read-back of what never was says %s", r.Outcome)
	}
}

func TestSetStatus(t *testing.T) {
	const op = "jira transition: "
	for _, tt := range []struct {
		name, from, to, script string
		change                 func(*spec.Request)
		outcome                spec.Outcome
		kind                   spec.ErrorKind
		end                    string
	}{
		{"forward", "To Do", "done", "", nil, spec.Done, "", "Done"},
		{"already there", "Done", "Done", "", nil, spec.Already, "", "Done"},
		{"not in the workflow", "To Do", "Paid", "", nil, "", spec.Invalid, "To Do"},
		{"back to what was found", "Done", "Done", "", prior("In Progress"), spec.Done, "", "In Progress"},
		{"nothing to take back", "Done", "Done", "", prior("Done"), spec.Already, "", "Done"},
		{"taken back already", "To Do", "Done", "", prior("To Do"), spec.Already, "", "To Do"},
		{"moved on by a person", "In Progress", "Done", "", prior("To Do"), "", spec.Conflict, "In Progress"},
		{"answer lost, done", "To Do", "Done", op + "lost", nil, spec.Done, "", "Done"},
		{"answer lost, nothing done", "To Do", "Done", op + "drop", nil, "", spec.Uncertain, "To Do"},
		{"refused meanwhile", "To Do", "Done", op + "400", nil, "", spec.Invalid, "To Do"},
		{"rate limit", "To Do", "Done", op + "429 retry=1s", nil, "", spec.RateLimited, "To Do"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			l := start(t)
			s := l.open(t)
			h := ticket(t, s)
			must(t, l.jira.Move(h.Label, tt.from))
			change := []func(*spec.Request){within(time.Second)}
			r, err := call(t, s, "ticket.set_status", "k", map[string]any{"ticket": h, "status": tt.to}, back)
			if err != nil || r.Prior["status"] != tt.from {
				t.Errorf("the read-back before says %s, prior %v, %v; want %s", r.Outcome, r.Prior, err, tt.from)
			}
			if tt.change != nil {
				change = append(change, tt.change)
			}
			l.script(t, tt.script)
			r, err = call(t, s, "ticket.set_status", "k", map[string]any{"ticket": h, "status": tt.to}, change...)
			if tt.kind != "" && spec.KindOf(err) != tt.kind || tt.kind == "" && err != nil || r.Outcome != tt.outcome {
				t.Errorf("got %s, %v; want %s%s", r.Outcome, err, tt.outcome, tt.kind)
			}
			if err == nil && r.Prior["status"] != tt.from {
				t.Errorf("prior is %v, want %s", r.Prior, tt.from)
			}
			if world := l.dump(t); !strings.Contains(world, `"status":"`+tt.end+`"`) {
				t.Errorf("the world is %s, want status %s", world, tt.end)
			}
		})
	}
}

func TestOpenChecksItsSettings(t *testing.T) {
	for name, settings := range map[string]map[string]any{
		"project":  {"base_url": "https://example.atlassian.net", "project": `SEC" OR 1`},
		"severity": {"base_url": "https://example.atlassian.net", "project": "SEC", "priorities": map[string]any{"urgent": "High"}},
		"base":     {"base_url": "http://example.atlassian.net", "project": "SEC"},
	} {
		if _, err := jira.New().Open(t.Context(), sdk.Config{Settings: settings}); spec.KindOf(err) != spec.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
}

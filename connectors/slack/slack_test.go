package slack_test

import (
	"context"
	"encoding/json"
	"net/http/httptest"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/quell-soar/quell/connectors/conformance"
	"github.com/quell-soar/quell/connectors/conformance/openapi"
	"github.com/quell-soar/quell/connectors/fake"
	"github.com/quell-soar/quell/connectors/sdk"
	"github.com/quell-soar/quell/connectors/sdk/secret"
	"github.com/quell-soar/quell/connectors/slack"
	"github.com/quell-soar/quell/connectors/slack/fakeslack"
	"github.com/quell-soar/quell/connectors/spec"
	"github.com/quell-soar/quell/connectors/vocabulary"
)

const token = "xoxb-lab-token"

func TestMain(m *testing.M) { openapi.Main(m) }

// lab is a workspace and what is needed to reach it.
type lab struct {
	world *fake.World
	slack *fakeslack.Slack
	url   string
}

// start starts a workspace; check holds what is said against the description.
func start(t testing.TB, check bool) *lab {
	t.Helper()
	w := fake.NewWorld(fake.Real{}, fake.NewJournal(), 1)
	l := &lab{world: w, slack: fakeslack.New(w, token)}
	h := l.slack.Handler()
	if check {
		h = described(t, h)
	}
	srv := httptest.NewServer(h)
	l.url = srv.URL
	t.Cleanup(func() {
		w.Close()
		srv.CloseClientConnections()
		srv.Close()
	})
	l.slack.Pages(2)
	l.slack.Chatter(5)
	l.slack.Seed(
		[]fakeslack.Channel{{Name: "soc", ID: "C0LAB00001"}, {Name: "closed", ID: "C0LAB00002", Foreign: true}},
		fakeslack.User{Email: "ann@example.com"}, fakeslack.User{Email: "gone@example.com", Deleted: true},
	)
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

func (l *lab) settings() map[string]string {
	return map[string]string{"base_url": l.url, "channels": `{"soc":"C0LAB00001"}`}
}

func secrets(text string) map[string]secret.Value {
	return map[string]secret.Value{"bot_token": secret.New(text)}
}

func open(t testing.TB, texts map[string]string, bot string) (sdk.Session, error) {
	t.Helper()
	settings, err := sdk.ParseSettings(slack.New().Manifest(), texts)
	must(t, err)
	s, err := slack.New().Open(t.Context(), sdk.Config{Instance: "slack", Settings: settings, Secrets: secrets(bot)})
	if err == nil {
		t.Cleanup(func() { _ = s.Close() })
	}
	return s, err
}

func (l *lab) open(t testing.TB) sdk.Session {
	t.Helper()
	s, err := open(t, l.settings(), token)
	must(t, err)
	return s
}

func call(t testing.TB, s sdk.Session, mode spec.Mode, key string, in map[string]any, within time.Duration) (spec.Reply, error) {
	t.Helper()
	r := spec.Request{Action: "notify.send_message", Mode: mode, Key: key, Inputs: in, Deadline: time.Now().Add(within)}
	ctx, cancel := context.WithDeadline(t.Context(), r.Deadline)
	defer cancel()
	return s.Call(ctx, r)
}

// ours counts what the app posted.
func (l *lab) ours(name string) int {
	n := 0
	for _, m := range l.slack.Messages(name) {
		if m.App {
			n++
		}
	}
	return n
}

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
	conformance.Run(t, conformance.Target{
		Binary: binary(t), Connector: slack.New(), Lookup: vocabulary.Lookup,
		Start: func(t testing.TB) conformance.Fake {
			l := start(t, true)
			must(t, l.world.SetLag(map[string]time.Duration{"slack.history": 100 * time.Millisecond}))
			return conformance.Fake{
				Settings: l.settings(), Secrets: secrets(token), Fault: func(text string) { l.script(t, text) },
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
			"notify.send_message": {
				Inputs:  map[string]any{"to": "ann@example.com", "template": "reported-benign"},
				Missing: map[string]any{"to": "nobody@example.com", "text": "hello"},
				Faults:  conformance.Faults{SoftError: "slack post: always soft", Lost: "slack post: lost"},
			},
		},
		Faults: conformance.Faults{
			// What the description of 2021 says of a rate limit differs by call; on
			// this one it says it as today.
			RateLimited: "slack history: always 429 retry=2s", Unauthorized: "slack *: always 401", Slow: "slack *: always slow 3s",
		},
	})
}

// Each fault of Slack, and what the caller must hear.
func TestPostUnderFaults(t *testing.T) {
	const op = "slack post: "
	for _, tt := range []struct {
		name, script string
		outcome      spec.Outcome
		kind         spec.ErrorKind
		posts        int
	}{
		{"nothing wrong", "", spec.Done, "", 1},
		{"rate limit", op + "429 retry=2s", "", spec.RateLimited, 0},
		{"not permitted", op + "403", "", spec.Permission, 0},
		{"refused", op + "400", "", spec.Invalid, 0},
		{"archived, with a 200", op + "soft", "", spec.Conflict, 0},
		{"wrong token, with a 200", "slack *: always 401", "", spec.Auth, 0},
		{"server error, nothing done", op + "500", "", spec.Uncertain, 0},
		{"server error, done", op + "lost status=502", spec.Done, "", 1},
		{"answer lost, done", op + "lost", spec.Done, "", 1},
		{"answer lost, nothing done", op + "drop", "", spec.Uncertain, 0},
		{"answer lost, done soon", op + "late 300ms", spec.Done, "", 1},
		{"answer too late", op + "hold 1h", "", spec.Uncertain, 1},
		{"history cannot be read before", "slack history: always 500", "", spec.Transient, 0},
		{"history cannot be read after", "slack history: ok; always 403", spec.Pending, "", 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			l := start(t, false)
			s := l.open(t)
			l.script(t, tt.script)
			in := map[string]any{"channel": "soc", "text": "web-01 is isolated"}
			r, err := call(t, s, spec.Act, "k", in, 3*time.Second)
			if tt.kind != "" && spec.KindOf(err) != tt.kind || tt.kind == "" && err != nil || r.Outcome != tt.outcome {
				t.Errorf("got %s, %v; want %s%s", r.Outcome, err, tt.outcome, tt.kind)
			}
			if n := l.ours("soc"); n != tt.posts {
				t.Errorf("%d messages were posted, want %d", n, tt.posts)
			}
			// Another process knows nothing and finds what is there.
			l.script(t, "")
			want := map[bool]spec.Outcome{true: spec.Present, false: spec.Absent}[tt.posts == 1]
			if back, err := call(t, l.open(t), spec.Back, "k", in, 3*time.Second); err != nil || back.Outcome != want {
				t.Errorf("the read-back says %s, %v; want %s", back.Outcome, err, want)
			}
		})
	}
}

// Where the history is longer than it is read, nothing is said to be absent.
func TestALongHistoryIsUnsure(t *testing.T) {
	l := start(t, false)
	l.slack.Chatter(30)
	s := l.open(t)
	_, err := call(t, s, spec.Act, "k", map[string]any{"channel": "soc", "text": "x"}, 3*time.Second)
	must(t, err)
	r, err := call(t, l.open(t), spec.Back, "k", map[string]any{"channel": "soc", "text": "x"}, 3*time.Second)
	if err != nil || r.Outcome != spec.Unsure {
		t.Errorf("got %s, %v", r.Outcome, err)
	}
}

// Nothing that an attacker chose is markup, a mention or a link.
func TestTextIsPlain(t *testing.T) {
	l := start(t, false)
	s, err := open(t, map[string]string{
		"base_url": l.url, "channels": `{"soc":"C0LAB00001"}`, "templates": `{"t":"About {x}\n\nYou reported {x}."}`,
	}, token)
	must(t, err)
	_, err = call(t, s, spec.Act, "k", map[string]any{
		"channel": "soc", "template": "t", "values": map[string]any{"x": "<!channel> <https://evil.example|bank> &lt; {x}"},
	}, 3*time.Second)
	must(t, err)
	got := l.slack.Messages("soc")[0].Text
	if strings.ContainsAny(got, "<>") || !strings.Contains(got, "&lt;!channel&gt;") || !strings.Contains(got, "&amp;lt; {x}.") {
		t.Errorf("posted %q", got)
	}
}

func TestWhoGetsIt(t *testing.T) {
	l := start(t, false)
	s := l.open(t)
	for name, c := range map[string]struct {
		in   map[string]any
		kind spec.ErrorKind
	}{
		"nobody by that address": {map[string]any{"to": "x@example.com", "text": "x"}, spec.NotFound},
		"deactivated":            {map[string]any{"to": "gone@example.com", "text": "x"}, spec.NotFound},
		"channel by its id":      {map[string]any{"channel": "C0LAB00001", "text": "x"}, spec.NotFound},
		"both":                   {map[string]any{"channel": "soc", "to": "ann@example.com", "text": "x"}, spec.Invalid},
		"neither":                {map[string]any{"text": "x"}, spec.Invalid},
		"no text":                {map[string]any{"channel": "soc"}, spec.Invalid},
	} {
		if _, err := call(t, s, spec.Act, name, c.in, time.Second); err == nil || spec.KindOf(err) != c.kind {
			t.Errorf("%s: %v, want %s", name, err, c.kind)
		}
	}
	r, err := call(t, s, spec.Act, "k", map[string]any{"to": "ann@example.com", "text": "x"}, time.Second)
	if err != nil || r.Output["sent_to"] != "ann@example.com" || l.ours("ann@example.com") != 1 {
		t.Errorf("%v, %v", r.Output, err)
	}
	for name, c := range map[string]map[string]string{
		"channel":  {"channels": `{"soc":"#soc"}`},
		"template": {"templates": `{"x":"no body"}`},
		"base":     {"base_url": "http://slack.com/api"},
	} {
		if _, err := open(t, c, token); spec.KindOf(err) != spec.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
	other, err := open(t, map[string]string{"base_url": l.url, "channels": `{"closed":"C0LAB00002"}`}, token)
	must(t, err)
	if f := other.Check(t.Context()); len(f) != 2 || !f[0].OK || f[1].OK || !strings.Contains(f[1].Advice, "invite") {
		t.Errorf("check: %+v", f)
	}
	if _, err := call(t, other, spec.Act, "k", map[string]any{"channel": "closed", "text": "x"}, time.Second); spec.KindOf(err) != spec.Conflict {
		t.Errorf("a channel without the app: %v", err)
	}
}

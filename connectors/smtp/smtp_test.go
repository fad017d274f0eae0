package smtp_test

import (
	"context"
	"encoding/json"
	"io"
	"mime"
	"mime/quotedprintable"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/quell-soar/quell/connectors/conformance"
	"github.com/quell-soar/quell/connectors/fake"
	"github.com/quell-soar/quell/connectors/sdk"
	"github.com/quell-soar/quell/connectors/sdk/recall"
	"github.com/quell-soar/quell/connectors/sdk/secret"
	"github.com/quell-soar/quell/connectors/smtp"
	"github.com/quell-soar/quell/connectors/smtp/fakesmtp"
	"github.com/quell-soar/quell/connectors/spec"
	"github.com/quell-soar/quell/connectors/vocabulary"
)

const password = "smtp-lab-secret"

// lab is a relay and what is needed to reach it.
type lab struct {
	world   *fake.World
	relay   *fakesmtp.Relay
	address string
}

func start(t testing.TB, implicit bool) *lab {
	t.Helper()
	w := fake.NewWorld(fake.Real{}, fake.NewJournal(), 1)
	r, err := fakesmtp.New(w, "quell", password, "example.com")
	must(t, err)
	l := &lab{world: w, relay: r}
	l.address, err = r.Start("127.0.0.1:0", implicit)
	must(t, err)
	t.Cleanup(func() {
		w.Close()
		must(t, r.Close())
	})
	return l
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (l *lab) settings(more ...string) map[string]string {
	s := map[string]string{
		"relay": l.address, "authorities": l.relay.Authority, "user": "quell", "from": "soc@example.com",
		"channels": `{"soc":"soc-list@example.com"}`,
	}
	for i := 0; i+1 < len(more); i += 2 {
		s[more[i]] = more[i+1]
	}
	return s
}

func open(t testing.TB, texts map[string]string, pass string) (sdk.Session, error) {
	t.Helper()
	settings, err := sdk.ParseSettings(smtp.New().Manifest(), texts)
	must(t, err)
	secrets := map[string]secret.Value{}
	if pass != "" {
		secrets["password"] = secret.New(pass)
	}
	return smtp.New().Open(t.Context(), sdk.Config{Instance: "mail", Settings: settings, Secrets: secrets})
}

func send(t testing.TB, s sdk.Session, key string, in map[string]any, within time.Duration) (spec.Reply, error) {
	t.Helper()
	r := spec.Request{Action: "notify.send_message", Mode: spec.Act, Key: key, Inputs: in, Deadline: time.Now().Add(within)}
	ctx, cancel := context.WithDeadline(t.Context(), r.Deadline)
	defer cancel()
	return s.Call(ctx, r)
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
		Binary: binary(t), Connector: smtp.New(), Lookup: vocabulary.Lookup,
		Start: func(t testing.TB) conformance.Fake {
			l := start(t, false)
			return conformance.Fake{
				Settings: l.settings(), Secrets: map[string]secret.Value{"password": secret.New(password)},
				Fault: func(text string) { must(t, l.world.SetScript(text)) },
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
				Missing: map[string]any{"to": "nobody@elsewhere.example", "text": "hello"},
				// A relay has no success with an error within: the reply to the final
				// dot is the whole answer, and this one refuses.
				Faults: conformance.Faults{SoftError: "smtp send: always 400"},
			},
		},
		Faults: conformance.Faults{
			RateLimited: "smtp send: always 429", Unauthorized: "smtp auth: always 401", Slow: "smtp *: always slow 3s",
		},
	})
	t.Run("one key is one message", oneKey)
}

// Each fault of the relay, and what the caller must hear.
func TestSendUnderFaults(t *testing.T) {
	for _, tt := range []struct {
		name, script string
		kind         spec.ErrorKind
		sent         int
	}{
		{"nothing wrong", "", "", 1},
		{"greylisted", "smtp send: 429", spec.RateLimited, 0},
		{"refused", "smtp send: 400", spec.Invalid, 0},
		{"shutting down", "smtp send: 503", spec.RateLimited, 0},
		{"wrong password", "smtp auth: 401", spec.Auth, 0},
		{"sign-in fails for now", "smtp auth: 429", spec.RateLimited, 0},
		{"no greeting", "smtp connect: drop", spec.Transient, 0},
		{"hung up at sign-in", "smtp auth: drop", spec.Transient, 0},
		{"answer lost, sent", "smtp send: lost", spec.Uncertain, 1},
		{"answer lost, not sent", "smtp send: drop", spec.Uncertain, 0},
		{"answer too late", "smtp send: hold 1h", spec.Uncertain, 1},
		{"greeting too late", "smtp connect: slow 3s", spec.Transient, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			l := start(t, false)
			s, err := open(t, l.settings(), password)
			must(t, err)
			must(t, l.world.SetScript(tt.script))
			r, err := send(t, s, "k", map[string]any{"to": "ann@example.com", "text": "hello"}, time.Second)
			if tt.kind == "" && (err != nil || r.Outcome != spec.Done) || tt.kind != "" && (err == nil || spec.KindOf(err) != tt.kind) {
				t.Errorf("got %s, %v; want %s", r.Outcome, err, tt.kind)
			}
			if n := len(l.relay.Mails("")); n != tt.sent {
				t.Errorf("%d messages were sent, want %d", n, tt.sent)
			}
			back, err := s.Call(t.Context(), spec.Request{
				Action: "notify.send_message", Mode: spec.Back, Key: "k", Inputs: map[string]any{"to": "ann@example.com", "text": "hello"}, Deadline: time.Now().Add(time.Second),
			})
			if err != nil || back.Outcome != spec.Unsure {
				t.Errorf("nobody can know, and the read-back says %s, %v", back.Outcome, err)
			}
		})
	}
}

// oneKey is what the suite cannot ask of a vendor without a read-back and this
// connector promises: within one process a key is sent once.
func oneKey(t *testing.T) {
	l := start(t, true)
	s, err := open(t, l.settings("tls", "implicit"), password)
	must(t, err)
	in := map[string]any{"channel": "soc", "text": "web-01 is isolated"}
	first, err := send(t, s, "run-1", in, time.Second)
	must(t, err)
	again, err := send(t, s, "run-1", in, time.Second)
	if err != nil || again.Outcome != spec.Already || again.Output["message_id"] != first.Output["message_id"] {
		t.Errorf("the second call: %s, %v", again.Outcome, err)
	}
	mails := l.relay.Mails("soc-list@example.com")
	if len(mails) != 1 || mails[0].Header("Message-ID") != "<"+recall.Mark("run-1")+"@example.com>" || mails[0].From != "soc@example.com" {
		t.Fatalf("in the mailbox: %+v", mails)
	}
	if first.VendorRequestID != "2.0.0 Ok: queued as LAB00001" {
		t.Errorf("the relay's id is %q", first.VendorRequestID)
	}
}

// Nothing that an attacker chose adds a header, a recipient or a command.
func TestNothingIsInjected(t *testing.T) {
	l := start(t, false)
	s, err := open(t, l.settings("templates", `{"report":"About {subject}\n\nYou reported {subject}."}`), password)
	must(t, err)
	evil := "x\r\nBcc: eve@example.com\r\n\r\n.\r\nMAIL FROM:<eve@example.com>\n.\n=?utf-8?q?=0d=0a?= é {subject}"
	_, err = send(t, s, "k1", map[string]any{"to": "ann@example.com", "template": "report", "values": map[string]any{"subject": evil}}, time.Second)
	must(t, err)
	_, err = send(t, s, "k2", map[string]any{"to": "ann@example.com", "subject": evil, "text": evil}, time.Second)
	must(t, err)
	mails := l.relay.Mails("")
	if len(mails) != 2 {
		t.Fatalf("%d messages, want 2", len(mails))
	}
	for _, m := range mails {
		if m.To != "ann@example.com" || m.Header("Bcc") != "" || strings.Count(m.Raw, "\nFrom: ") != 0 || m.Header("From") != "<soc@example.com>" {
			t.Errorf("a header or recipient was added:\n%s", m.Raw)
		}
		got, err := new(mime.WordDecoder).DecodeHeader(m.Header("Subject"))
		if err != nil || strings.ContainsAny(got, "\r\n") || !strings.Contains(got, "é {subject}") {
			t.Errorf("the subject reads %q, %v", got, err)
		}
		body, err := io.ReadAll(quotedprintable.NewReader(strings.NewReader(m.Body())))
		if err != nil || !strings.Contains(string(body), "\n.\n") || !strings.Contains(string(body), "é {subject}") {
			t.Errorf("the text reads %q, %v", body, err)
		}
	}
	for _, to := range []string{"Ann <ann@example.com>", "ann@example.com\r\nRCPT TO:<eve@example.com>", "ann@example.com, eve@example.com", "ann"} {
		if _, err := send(t, s, to, map[string]any{"to": to, "text": "x"}, time.Second); spec.KindOf(err) != spec.Invalid {
			t.Errorf("to %q: %v", to, err)
		}
	}
}

func TestWhatIsRefusedBeforeAnythingIsSent(t *testing.T) {
	l := start(t, false)
	s, err := open(t, l.settings(), password)
	must(t, err)
	for name, c := range map[string]struct {
		in   map[string]any
		kind spec.ErrorKind
	}{
		"nobody":          {map[string]any{"text": "x"}, spec.Invalid},
		"two":             {map[string]any{"to": "ann@example.com", "channel": "soc", "text": "x"}, spec.Invalid},
		"no text":         {map[string]any{"to": "ann@example.com"}, spec.Invalid},
		"unknown channel": {map[string]any{"channel": "none", "text": "x"}, spec.NotFound},
		"unknown person":  {map[string]any{"to": "ann@elsewhere.example", "text": "x"}, spec.NotFound},
	} {
		if _, err := send(t, s, name, c.in, time.Second); spec.KindOf(err) != c.kind {
			t.Errorf("%s: %v, want %s", name, err, c.kind)
		}
	}
	if n := len(l.relay.Mails("")); n != 0 {
		t.Errorf("%d messages were sent", n)
	}
}

// A relay that cannot be trusted gets neither password nor message.
func TestTLS(t *testing.T) {
	l := start(t, false)
	for name, c := range map[string]struct {
		settings map[string]string
		kind     spec.ErrorKind
	}{
		"its own certificate": {l.settings(), ""},
		"an unknown one":      {l.settings("authorities", ""), spec.Invalid},
		"loopback, plain":     {l.settings("tls", "none"), ""},
	} {
		if c.settings["authorities"] == "" {
			delete(c.settings, "authorities")
		}
		s, err := open(t, c.settings, password)
		must(t, err)
		_, err = send(t, s, name, map[string]any{"to": "ann@example.com", "text": "x"}, 2*time.Second)
		if c.kind == "" && err != nil || c.kind != "" && spec.KindOf(err) != c.kind {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, c := range map[string]struct {
		texts map[string]string
		pass  string
	}{
		"plain beyond loopback": {l.settings("relay", "smtp.example.com:25", "tls", "none"), password},
		"no port":               {l.settings("relay", "smtp.example.com"), password},
		"no PEM":                {l.settings("authorities", "x"), password},
		"user without password": {l.settings(), ""},
		"bad template":          {l.settings("templates", `{"x":"no body"}`), password},
	} {
		if _, err := open(t, c.texts, c.pass); spec.KindOf(err) != spec.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
}

package okta_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
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
	"github.com/quell-soar/quell/connectors/okta"
	"github.com/quell-soar/quell/connectors/okta/fakeokta"
	"github.com/quell-soar/quell/connectors/sdk"
	"github.com/quell-soar/quell/connectors/sdk/secret"
	"github.com/quell-soar/quell/connectors/smtp/fakesmtp"
	"github.com/quell-soar/quell/connectors/spec"
	"github.com/quell-soar/quell/connectors/spec/kind"
	"github.com/quell-soar/quell/connectors/vocabulary"
)

const (
	apiToken      = "okta-lab-token"
	relayPassword = "smtp-lab-secret"
)

// keys are the service application's; making them takes a moment.
var keys = sync.OnceValues(func() (*rsa.PrivateKey, string) {
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		panic(err)
	}
	return k, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
})

func TestMain(m *testing.M) { openapi.Main(m) }

// lab is an org, a mail relay, and what is needed to reach them.
type lab struct {
	world *fake.World
	okta  *fakeokta.Okta
	relay *fakesmtp.Relay
	url   string
	mail  string
}

func start(t testing.TB) *lab {
	t.Helper()
	key, _ := keys()
	w := fake.NewWorld(fake.Real{}, fake.NewJournal(), 1)
	l := &lab{world: w, okta: fakeokta.New(w, fakeokta.Credentials{APIToken: apiToken, ClientID: "0oaquelllab", Key: &key.PublicKey})}
	var err error
	l.relay, err = fakesmtp.New(w, "quell", relayPassword)
	must(t, err)
	l.mail, err = l.relay.Start("127.0.0.1:0", false)
	must(t, err)
	mux := http.NewServeMux()
	srv := httptest.NewServer(mux)
	l.url = srv.URL
	api := openapi.Load(t, "okta-management-2026.06.3.trim.json", openapi.Options{Beyond: []string{
		"POST /oauth2/v1/token", "GET /api/v1/users/{id}/roles", "GET /api/v1/iam/assignees/users",
		"GET /api/v1/users/{id}/clients/{client}/grants", "DELETE /api/v1/users/{id}/clients/{client}/grants",
		"GET /api/v1/users/{id}/clients/{client}/tokens", "DELETE /api/v1/users/{id}/clients/{client}/tokens",
	}})
	mux.Handle("/", api.Wrap(l.okta.Handler(srv.URL)))
	t.Cleanup(func() {
		w.Close()
		srv.CloseClientConnections()
		srv.Close()
		must(t, l.relay.Close())
	})
	l.okta.Pages(1)
	must(t, l.world.SetLag(map[string]time.Duration{"okta.lifecycle": 100 * time.Millisecond, "okta.log": 100 * time.Millisecond}))
	must(t, l.okta.Seed([]fakeokta.Group{{Name: "VPN"}, {Name: "Contractors"}, {Name: "From AD", Type: "APP_GROUP"}},
		fakeokta.User{
			Login: "ann@example.com", Name: "Ann O'Brien", SecondEmail: "ann@home.example", Manager: "mia@example.com", Sessions: 2,
			Factors: []string{"push", "sms"}, Groups: []string{"Contractors", "VPN"},
			Grants: []fakeokta.Grant{{App: "Mail Sync", Scopes: []string{"openid", "offline_access"}}, {App: "Notes", Scopes: []string{"profile"}, Ago: "480h"}},
		},
		fakeokta.User{Login: "twin@example.com"}, fakeokta.User{Login: "twin@other.example"},
		fakeokta.User{Login: "held@example.com", Status: "SUSPENDED", Factors: []string{"push"}},
		fakeokta.User{Login: "locked@example.com", Status: "LOCKED_OUT"},
		fakeokta.User{Login: "mia@example.com", Roles: []string{"HELP_DESK_ADMIN"}},
		fakeokta.User{Login: "root@example.com", Roles: []string{"SUPER_ADMIN"}},
		fakeokta.User{Login: "old-root@example.com", Roles: []string{"SUPER_ADMIN"}, Status: "DEPROVISIONED"},
		fakeokta.User{Login: "ad@example.com", Provider: "ACTIVE_DIRECTORY"},
	))
	l.okta.Twin("Contractors")
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
	return map[string]string{
		"base_url": l.url, "client_id": "0oaquelllab", "key_id": "k1", "relay": l.mail, "relay_authorities": l.relay.Authority,
		"relay_user": "quell", "relay_from": "soc@example.com",
	}
}

func (l *lab) secrets() map[string]secret.Value {
	_, private := keys()
	return map[string]secret.Value{"private_key": secret.New(private), "relay_password": secret.New(relayPassword)}
}

func open(t testing.TB, texts map[string]string, secrets map[string]secret.Value) (sdk.Session, error) {
	t.Helper()
	settings, err := sdk.ParseSettings(okta.New().Manifest(), texts)
	must(t, err)
	s, err := okta.New().Open(t.Context(), sdk.Config{Instance: "okta", Settings: settings, Secrets: secrets})
	if err == nil {
		t.Cleanup(func() { _ = s.Close() })
	}
	return s, err
}

func (l *lab) open(t testing.TB) sdk.Session {
	t.Helper()
	s, err := open(t, l.settings(), l.secrets())
	must(t, err)
	return s
}

func call(t testing.TB, s sdk.Session, action, key string, in map[string]any, change ...func(*spec.Request)) (spec.Reply, error) {
	t.Helper()
	r := spec.Request{Action: action, Mode: spec.Act, Key: key, Inputs: in, Deadline: time.Now().Add(6 * time.Second)}
	for _, f := range change {
		f(&r)
	}
	ctx, cancel := context.WithDeadline(t.Context(), r.Deadline)
	defer cancel()
	return s.Call(ctx, r)
}

func back(r *spec.Request) { r.Mode = spec.Back }

func within(d time.Duration) func(*spec.Request) {
	return func(r *spec.Request) { r.Deadline = time.Now().Add(d) }
}

func prior(p map[string]any) func(*spec.Request) { return func(r *spec.Request) { r.Prior = p } }

// user finds an account.
func user(t testing.TB, s sdk.Session, name string) kind.Handle {
	t.Helper()
	r, err := call(t, s, "iam.find_user", "", map[string]any{"name": name})
	must(t, err)
	h, _ := r.Output["user"].(kind.Handle)
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

func samples() map[string]conformance.Sample {
	found := func(name string) conformance.Found {
		return conformance.Found{Action: "iam.find_user", Inputs: map[string]any{"name": name}, Output: "user"}
	}
	gone := kind.Handle{Name: "user", Instance: conformance.Instance, ID: "00u00000000000000000", Label: "gone"}
	ann := map[string]any{"user": found("ann@example.com")}
	absent := map[string]any{"user": gone}
	with := func(h any, name string, v any) map[string]any { return map[string]any{"user": h, name: v} }
	op := func(name string) conformance.Faults {
		return conformance.Faults{SoftError: "okta " + name + ": always soft", Lost: "okta " + name + ": lost"}
	}
	consent := conformance.Found{Action: "iam.list_consents", Inputs: ann, Output: "consents"}
	return map[string]conformance.Sample{
		"iam.find_user": {
			Inputs: map[string]any{"name": "ann@example.com"}, Missing: map[string]any{"name": "nobody@example.com"},
			Ambiguous: map[string]any{"name": "twin"},
		},
		"iam.disable_user": {Inputs: ann, Missing: absent, Faults: op("suspend")},
		"iam.enable_user": {
			Before: []conformance.Step{{Action: "iam.disable_user", Inputs: ann}}, Inputs: ann, Missing: absent, Faults: op("unsuspend"),
		},
		// The log alone tells whether sessions were cleared, and it may lag, so a
		// success that did nothing is pending, not an error.
		"iam.revoke_sessions": {Inputs: ann, Missing: absent, Faults: conformance.Faults{Lost: op("clear-sessions").Lost}},
		"iam.reset_password": {
			Inputs: with(found("ann@example.com"), "deliver", "nobody"), Missing: with(gone, "deliver", "nobody"), Faults: op("temp-password"),
		},
		"iam.reset_mfa":     {Inputs: ann, Missing: absent, Faults: op("delete-factor")},
		"iam.list_consents": {Inputs: ann, Missing: absent},
		"iam.revoke_consent": {Inputs: map[string]any{"consent": consent}, Faults: conformance.Faults{
			SoftError: "okta revoke-grants: always soft\nokta revoke-tokens: always soft", Lost: op("revoke-grants").Lost,
		}},
		"iam.add_group_member": {
			Inputs: with(found("mia@example.com"), "group", "VPN"), Missing: with(found("mia@example.com"), "group", "none"),
			Ambiguous: with(found("mia@example.com"), "group", "Contractors"), Faults: op("add-member"),
		},
		"iam.remove_group_member": {
			Inputs: with(found("ann@example.com"), "group", "VPN"), Missing: with(found("ann@example.com"), "group", "none"),
			Ambiguous: with(found("ann@example.com"), "group", "Contractors"), Faults: op("remove-member"),
		},
	}
}

func TestConformance(t *testing.T) {
	conformance.Run(t, conformance.Target{
		Binary: binary(t), Connector: okta.New(), Lookup: vocabulary.Lookup, Samples: samples(),
		Start: func(t testing.TB) conformance.Fake {
			l := start(t)
			return conformance.Fake{
				Settings: l.settings(), Secrets: l.secrets(),
				Fault: func(text string) { l.script(t, text) },
				World: func() string {
					d, err := l.world.Dump("")
					must(t, err)
					raw, err := json.Marshal(d)
					must(t, err)
					return string(raw)
				},
			}
		},
		Faults: conformance.Faults{
			RateLimited: "okta *: always 429 retry=2s", Expired: "okta *: expire-token",
			Unauthorized: "okta *: always 401", Slow: "okta *: always slow 3s",
		},
	})
}

func TestFindUser(t *testing.T) {
	l := start(t)
	s := l.open(t)
	for name, c := range map[string]struct {
		in   map[string]any
		want map[string]any // some of the outputs; nil is an error
		kind spec.ErrorKind
	}{
		"whole login":         {map[string]any{"name": "ANN@example.com"}, map[string]any{"name": "ann@example.com", "enabled": true, "mfa_registered": true, "privileged": false, "synced": false, "display_name": "Ann O'Brien"}, ""},
		"short login":         {map[string]any{"name": "mia"}, map[string]any{"privileged": true, "last_admin": false, "mfa_registered": false}, ""},
		"second address":      {map[string]any{"mail": "ann@home.example"}, map[string]any{"name": "ann@example.com"}, ""},
		"suspended":           {map[string]any{"name": "held"}, map[string]any{"enabled": false}, ""},
		"locked out":          {map[string]any{"name": "locked"}, map[string]any{"enabled": true}, ""},
		"last administrator":  {map[string]any{"name": "root"}, map[string]any{"privileged": true, "last_admin": true}, ""},
		"of Active Directory": {map[string]any{"name": "ad@example.com"}, map[string]any{"synced": true}, ""},
		"on the second page":  {map[string]any{"name": "twin@other.example"}, map[string]any{"name": "twin@other.example"}, ""},
		"two":                 {map[string]any{"name": "twin"}, nil, spec.Ambiguous},
		"nobody":              {map[string]any{"name": `x"or`}, nil, spec.NotFound},
		"an id is no name":    {map[string]any{"name": "00u00000000000000000"}, nil, spec.NotFound},
		"neither":             {map[string]any{}, nil, spec.Invalid},
		"both":                {map[string]any{"name": "ann", "mail": "ann@example.com"}, nil, spec.Invalid},
	} {
		r, err := call(t, s, "iam.find_user", "", c.in)
		if c.kind != "" {
			if err == nil || spec.KindOf(err) != c.kind {
				t.Errorf("%s: %v, want %s", name, err, c.kind)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for field, want := range c.want {
			if r.Output[field] != want {
				t.Errorf("%s: %s is %v, want %v", name, field, r.Output[field], want)
			}
		}
	}
}

// Each fault of Okta, and what the caller must hear.
func TestSuspendUnderFaults(t *testing.T) {
	const op = "okta suspend: "
	for _, tt := range []struct {
		name, script string
		within       time.Duration
		outcome      spec.Outcome
		kind         spec.ErrorKind
		writes       int
	}{
		{"nothing wrong", "", 4 * time.Second, spec.Done, "", 1},
		{"rate limit", op + "429 retry=2s", 4 * time.Second, "", spec.RateLimited, 0},
		{"refused", op + "400", 4 * time.Second, "", spec.Invalid, 0},
		{"not permitted", op + "403", 4 * time.Second, "", spec.Permission, 0},
		{"accepted, nothing done", op + "soft", 4 * time.Second, "", spec.Uncertain, 0},
		{"server error, nothing done", op + "500", 4 * time.Second, "", spec.Uncertain, 0},
		{"server error, done", op + "lost status=502", 4 * time.Second, spec.Done, "", 1},
		{"answer lost, done", op + "lost", 4 * time.Second, spec.Done, "", 1},
		{"answer lost, nothing done", op + "drop", 4 * time.Second, "", spec.Uncertain, 0},
		{"answer lost, done soon", op + "late 300ms", 4 * time.Second, spec.Done, "", 1},
		{"answer lost, done much later", op + "late 1h", 4 * time.Second, "", spec.Uncertain, 0},
		{"answer too late", op + "hold 1h", time.Second, "", spec.Uncertain, 1},
		{"token expired on the way", op + "expire-token", 4 * time.Second, spec.Done, "", 1},
		{"reading fails before", "okta get-user: always 500", time.Second, "", spec.Transient, 0},
		{"reading fails after", "okta get-user: ok; always 500", time.Second, spec.Pending, "", 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			l := start(t)
			s := l.open(t)
			h := user(t, s, "ann@example.com")
			l.script(t, tt.script)
			r, err := call(t, s, "iam.disable_user", "k", map[string]any{"user": h}, within(tt.within))
			if tt.kind != "" && spec.KindOf(err) != tt.kind || tt.kind == "" && err != nil || r.Outcome != tt.outcome {
				t.Errorf("got %s, %v; want %s%s", r.Outcome, err, tt.outcome, tt.kind)
			}
			if got := l.count(t, "suspend"); got != tt.writes {
				t.Errorf("Okta accepted %d writes, want %d", got, tt.writes)
			}
		})
	}
}

func TestStatuses(t *testing.T) {
	status := func(s string) map[string]any { return map[string]any{"status": s} }
	for _, tt := range []struct {
		name, action, user string
		prior              map[string]any
		outcome            spec.Outcome
		kind               spec.ErrorKind
		found              string
	}{
		{"disable", "iam.disable_user", "ann@example.com", nil, spec.Done, "", "ACTIVE"},
		{"disable what is suspended", "iam.disable_user", "held@example.com", nil, spec.Already, "", "SUSPENDED"},
		{"disable what is deactivated", "iam.disable_user", "old-root@example.com", nil, spec.Already, "", "DEPROVISIONED"},
		{"disable what is locked out", "iam.disable_user", "locked@example.com", nil, "", spec.Conflict, ""},
		{"enable what we suspended", "iam.enable_user", "held@example.com", status("ACTIVE"), spec.Done, "", "SUSPENDED"},
		{"leave what was suspended before us", "iam.enable_user", "held@example.com", status("SUSPENDED"), spec.Already, "", "SUSPENDED"},
		{"enable without a prior state", "iam.enable_user", "held@example.com", nil, spec.Done, "", "SUSPENDED"},
		{"enable what is deactivated", "iam.enable_user", "old-root@example.com", nil, "", spec.Conflict, ""},
		{"disable again what we enabled", "iam.disable_user", "ann@example.com", status("SUSPENDED"), spec.Done, "", "ACTIVE"},
		{"leave what was enabled before us", "iam.disable_user", "ann@example.com", status("ACTIVE"), spec.Already, "", "ACTIVE"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			l := start(t)
			s := l.open(t)
			r, err := call(t, s, tt.action, "k", map[string]any{"user": user(t, s, tt.user)}, prior(tt.prior))
			if tt.kind != "" {
				if spec.KindOf(err) != tt.kind {
					t.Errorf("got %v, want %s", err, tt.kind)
				}
				return
			}
			if err != nil || r.Outcome != tt.outcome || r.Prior["status"] != tt.found {
				t.Errorf("got %s, %v, found %v; want %s, found %s", r.Outcome, err, r.Prior, tt.outcome, tt.found)
			}
		})
	}
}

func TestCredentials(t *testing.T) {
	l := start(t)
	_, private := keys()
	token := map[string]secret.Value{"api_token": secret.New(apiToken)}
	s, err := open(t, map[string]string{"base_url": l.url}, token)
	must(t, err)
	for _, f := range s.Check(t.Context()) {
		if !f.OK {
			t.Errorf("with an API token: %+v", f)
		}
	}
	user(t, s, "ann@example.com")
	if _, err := call(t, s, "iam.reset_password", "k", map[string]any{"user": user(t, s, "ann@example.com"), "deliver": "manager"}); spec.KindOf(err) != spec.Invalid {
		t.Errorf("without a relay: %v", err)
	}
	for name, c := range map[string]struct {
		settings map[string]string
		secrets  map[string]secret.Value
	}{
		"nothing":             {map[string]string{}, nil},
		"both":                {map[string]string{"client_id": "x"}, map[string]secret.Value{"api_token": secret.New("x"), "private_key": secret.New(private)}},
		"key without an id":   {map[string]string{}, map[string]secret.Value{"private_key": secret.New(private)}},
		"no PEM":              {map[string]string{"client_id": "x"}, map[string]secret.Value{"private_key": secret.New("sesame")}},
		"relay without TLS":   {map[string]string{"relay": "smtp.example.com:25", "relay_tls": "none", "relay_from": "a@example.com"}, token},
		"relay and no sender": {map[string]string{"relay": "127.0.0.1:25"}, token},
		"plain http":          {map[string]string{"base_url": "http://example.okta.com"}, token},
	} {
		if c.settings["base_url"] == "" {
			c.settings["base_url"] = l.url
		}
		_, err := open(t, c.settings, c.secrets)
		if err == nil || spec.KindOf(err) != spec.Invalid || strings.Contains(err.Error(), "sesame") {
			t.Errorf("%s: %v", name, err)
		}
	}
	other, err := rsa.GenerateKey(rand.Reader, 2048)
	must(t, err)
	foreign := string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(other)}))
	s, err = open(t, map[string]string{"base_url": l.url, "client_id": "0oaquelllab"}, map[string]secret.Value{"private_key": secret.New(foreign)})
	must(t, err)
	if _, err := call(t, s, "iam.find_user", "", map[string]any{"name": "ann"}); spec.KindOf(err) != spec.Auth {
		t.Errorf("a key that Okta does not know: %v", err)
	}
}

package e2e

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/quell-soar/quell/connectors/fake/lab"
	"github.com/quell-soar/quell/server/api"
)

// vault is a house in which secrets were planted, with the scanner that knows
// them.
type vault struct {
	*house
	lab   *labProcess
	inner *lab.Lab
	scan  *scanner
	// otlp takes the traces.
	otlp    *receiver
	planted []string
	// kept are the files that hold a secret on purpose, as paths in the house.
	kept []string
	runs []string
}

// plant makes a secret of a kind that every door takes: 40 characters, printable,
// some of which are written otherwise in URLs, JSON and HTML.
func (v *vault) plant(name string) string {
	v.t.Helper()
	raw := make([]byte, 14)
	if _, err := rand.Read(raw); err != nil {
		v.t.Fatal(err)
	}
	return v.plantAs(name, `Pl`+hex.EncodeToString(raw)+`+/&<"=-_.~`)
}

func (v *vault) plantAs(name, text string) string {
	v.planted = append(v.planted, name)
	v.scan.plant(name, text)
	return text
}

// file keeps a planted secret in a file of the house and returns the reference.
func (v *vault) file(name, text string) string {
	v.t.Helper()
	v.write(name, text+"\n")
	v.kept = append(v.kept, name)
	return `"file:` + name + `"`
}

// newVault is the house of the examples with secrets in every place that takes
// one: honest credentials for the lab, others for instances behind the echo.
func newVault(t *testing.T) (*vault, *echo) {
	t.Helper()
	inner, err := lab.Start(lab.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = inner.Close() })
	raw, err := json.Marshal(inner.URLs)
	if err != nil {
		t.Fatal(err)
	}
	l := &labProcess{t: t}
	if err := json.Unmarshal(raw, &l.urls); err != nil {
		t.Fatal(err)
	}
	l.furnish()
	v := &vault{house: examplesHouse(t, l), lab: l, inner: inner, scan: newScanner(), otlp: startReceiver(t)}
	for name, text := range map[string]string{
		"falcon.secret": falconSecret, "jira.token": jiraToken, "entra.secret": lab.EntraClientSecret, "panos.secret": lab.PanosPassword,
		"vt.secret": lab.VirusTotalKey, "splunk.secret": lab.SplunkToken, "asset.secret": lab.AssetToken, "mail.secret": lab.MailPassword, "source.key": sourceKey,
	} {
		v.file(name, v.plantAs("the lab's "+name, text))
	}
	issued := map[string]string{
		"/oauth2/token": v.plant("falcon's bearer token"), "/oauth2/v2.0/token": v.plant("entra's bearer token"), "/keygen": v.plant("panos's API key"),
	}
	e, at := startEcho(t, issued)
	v.config = strings.Replace(v.config, "sources:\n", "sources:\n"+v.sources(), 1)
	v.config = regexp.MustCompile(`(?m)^log: .*$`).ReplaceAllString(v.config, "log: {level: trace, format: json}")
	v.config = strings.Replace(v.config, "access: {local_roles: [analyst]}\n", v.access(), 1)
	v.config = strings.Replace(v.config, "modes:\n  playbooks: {", "modes:\n  playbooks: {provoke: act, ", 1)
	v.config += v.behindEcho(at) + "  leaky:\n    connector: leaky\n    mode: act\n    binary: " + buildLeaky(t) + "\n    secrets: {token: " + v.file("leaky.secret", v.plant("the leaky connector's token")) + "}\n"
	v.config += "telemetry: {traces: {endpoint: " + v.otlp.URL + "/v1/traces, headers: {x-collector-key: " + v.file("collector.key", v.plant("the collector's key")) + "}}}\n"
	v.rebind("edr: falcon, ticket: jira, iam: entra, mail: entra, firewall: panos, intel: vt, sandbox: vt, search: splunk, asset: asset, notify: mail")
	provoke, err := os.ReadFile("testdata/provoke.yaml")
	if err != nil {
		t.Fatal(err)
	}
	v.write("playbooks/provoke.yaml", string(provoke))
	v.write("quell.yaml", v.config)
	return v, e
}

func buildLeaky(t *testing.T) string {
	t.Helper()
	out := filepath.Join(t.TempDir(), "leaky")
	cmd := exec.Command("go", "build", "-o", out, "./testdata/leaky")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if msg, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build leaky: %v\n%s", err, msg)
	}
	return out
}

// sources are eight senders of alerts with two keys each.
func (v *vault) sources() string {
	var b strings.Builder
	for i := range 8 {
		one, two := fmt.Sprintf("source-%d.old", i), fmt.Sprintf("source-%d.new", i)
		fmt.Fprintf(&b, "  extra-%d: {kind: generic, secrets: [%s, %s]}\n", i, v.file(one, v.plant("key "+one)), v.file(two, v.plant("key "+two)))
	}
	return b.String()
}

// access has a provider that is away, whose secret is asked for all the same.
func (v *vault) access() string {
	return "access:\n  local_roles: [analyst]\n  oidc:\n    issuer: http://127.0.0.1:1\n    client_id: quell\n    client_secret: " +
		v.file("oidc.secret", v.plant("the OIDC client's secret")) + "\n    redirect: http://127.0.0.1/v1/session/callback\n    roles: {SOC: [analyst]}\n"
}

// behindEcho are instances of all vendors whose API is the echo. One takes its
// secret from the environment of serve.
func (v *vault) behindEcho(at string) string {
	var b strings.Builder
	v.env = append(v.env, "QUELL_E2E_ASSET="+v.plant("asset's token, from the environment"))
	add := func(name, connector, settings string, secrets ...string) {
		var held []string
		for _, s := range secrets {
			ref := `"env:QUELL_E2E_ASSET"`
			if name != "bad-asset" {
				ref = v.file(name+"."+s, v.plant(name+"'s "+s))
			}
			held = append(held, s+": "+ref)
		}
		fmt.Fprintf(&b, "  %s:\n    connector: %s\n    binary: %s\n    mode: act\n    settings: {%s}\n    secrets: {%s}\n",
			name, connector, bin(v.t, "quell-connector"), settings, strings.Join(held, ", "))
	}
	base := func(path string) string { return "base_url: " + at + "/" + path }
	add("bad-falcon", "crowdstrike", base("falcon")+", client_id: quell-lab", "client_secret")
	add("bad-jira", "jira", base("jira")+", email: quell@lab.example, project: SEC", "api_token")
	add("bad-entra", "entra", fmt.Sprintf("tenant_id: %s, client_id: %s, mail_from: soc@lab.example, %s, login_url: %s, exchange_url: %[4]s",
		lab.EntraTenant, lab.EntraClientID, base("entra"), at+"/entra"), "client_secret")
	add("bad-okta", "okta", base("okta")+", relay: "+v.lab.urls["mail"]+", relay_tls: none, relay_user: nobody, relay_from: soc@lab.example", "api_token", "relay_password")
	add("bad-panos", "panos", base("panos")+", user: quell", "password")
	add("keyed-panos", "panos", base("panos")+", user: quell", "api_key")
	add("bad-vt", "virustotal", base("vt"), "api_key")
	add("bad-splunk", "splunk", fmt.Sprintf("%s, sign_ins: %q, url_clicks: %q", base("splunk"), lab.SplunkSignIns, lab.SplunkClicks), "token")
	add("bad-asset", "asset", base("asset"), "token")
	add("bad-slack", "slack", base("slack")+", channels: '{\"soc\":\"C0LAB00001\"}'", "bot_token")
	add("bad-mail", "smtp", "relay: "+v.lab.urls["mail"]+", tls: none, from: soc@lab.example, user: "+lab.MailUser, "password")
	return b.String()
}

// madly binds every domain to an instance behind the echo.
const madly = `edr: bad-falcon, ticket: bad-jira, iam: bad-okta, mail: bad-entra, firewall: bad-panos, intel: bad-vt, sandbox: bad-vt, search: bad-splunk, asset: bad-asset, notify: bad-slack`

// TestPlantedSecrets plants secrets wherever one can be, lets everything fail,
// and looks for them in all that is kept, said and shown. It takes a minute or
// two: the vendors are mad, and much is tried again. With QUELL_SOAK an
// incident goes from alert to undo before that, and the command line is looked
// at too. A decoy that is let go on purpose must be found.
func TestPlantedSecrets(t *testing.T) {
	if os.Getenv("QUELL_SOAK") == "" {
		integration(t)
	}
	v, e := newVault(t)
	if os.Getenv("QUELL_SOAK") != "" {
		v.start()
		v.tokens(6)
		v.honest()
		v.commands()
		v.processes()
		v.kill() // the log of the database stands beside it
		v.files("first")
	}
	v.rebind(madly)
	v.write("quell.yaml", v.config)
	v.start()
	v.tokens(4)
	v.provoke(many(1, 3))
	if os.Getenv("QUELL_SOAK") != "" {
		v.commands()
		v.backup()
	}
	v.processes()
	v.walk()
	v.kill()
	v.files("second")
	if os.Getenv("QUELL_SOAK") != "" {
		v.config += "keys: {payloads: [" + v.file("payload.key", v.plantAs("the payload key", strings.Repeat("5d71", 16))) + "]}\n"
		v.rebind(strings.NewReplacer("iam: bad-okta", "iam: bad-entra", "bad-panos", "keyed-panos", "bad-slack", "bad-mail").Replace(madly))
		v.write("quell.yaml", v.config)
		v.start()
		v.provoke(1)
		v.walk()
		v.stop()
		v.files("third")
	}
	v.verdict(e)
}

// verdict tells the decoy, which must have been seen, from the rest, of which
// nothing may.
func (v *vault) verdict(e *echo) {
	v.t.Helper()
	spans, raw := v.otlp.all()
	v.scan.scan("the traces", raw)
	if len(spans) < 50 {
		v.t.Errorf("only %d spans came", len(spans))
	}
	var decoys string
	found := slices.DeleteFunc(v.scan.found, func(f string) bool {
		is := strings.HasPrefix(f, decoy)
		if is {
			decoys += f + "\n"
		}
		return is
	})
	for _, where := range []string{"quell.db table ledger_payloads", "data/quell.db", "GET /v1/runs/", "GET /v1/ledger/export"} {
		if !strings.Contains(decoys, where) {
			v.t.Errorf("the decoy was not seen in %s, so that nothing else is says nothing; it was in\n%s", where, decoys)
		}
	}
	v.t.Logf("%d secrets planted, %d requests at the echo, %.0f MB looked through: %d found", len(v.planted), e.asked.Load(), float64(v.scan.read)/1e6, len(found))
	for _, f := range found[:min(len(found), 40)] {
		v.t.Errorf("found: %s", f)
	}
	if len(v.planted) < 50 || e.asked.Load() < 25 {
		v.t.Errorf("%d secrets and %d requests are too few to tell anything", len(v.planted), e.asked.Load())
	}
}

// decoy is the name of what is let go on purpose.
const decoy = "the decoy"

func (v *vault) rebind(to string) {
	v.config = regexp.MustCompile(`(?m)^bindings: .*$`).ReplaceAllString(v.config, "bindings: {"+to+"}")
}

// tokens makes, rotates and misuses tokens of the API.
func (v *vault) tokens(n int) {
	v.t.Helper()
	for i := range n {
		made, err := v.client().CreateToken(v.t.Context(), api.NewToken{Name: fmt.Sprintf("t%d", len(v.planted)), User: "ann", Roles: []string{"analyst"}, Scopes: []string{"read", "launch"}, Expires: "1d"})
		if err != nil {
			v.t.Fatal(err)
		}
		v.plantAs(fmt.Sprintf("API token %d", i), made.Secret)
		if i == 0 {
			again, err := v.client().RotateToken(v.t.Context(), made.ID, "1h")
			if err != nil {
				v.t.Fatal(err)
			}
			v.plantAs("API token 0, rotated", again.Secret)
		}
		v.misuse(made.Secret)
	}
	v.misuse(v.plant("a token of another system"))
	v.misuse(v.plant("a password typed into the wrong field"))
}

// misuse shows a credential where none belongs.
func (v *vault) misuse(token string) {
	v.t.Helper()
	at := "http://" + v.listen
	for _, how := range []func(*http.Request){
		func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+token) },
		func(r *http.Request) { r.Header.Set("Authorization", token) },
		func(r *http.Request) { r.SetBasicAuth("ann", token) },
		func(r *http.Request) {
			r.URL.RawQuery = "access_token=" + token[:20] + token[20:]
			r.Header.Set("Authorization", "Bearer nobody")
		},
		func(r *http.Request) {
			r.AddCookie(&http.Cookie{Name: "quell_session", Value: hex.EncodeToString([]byte(token))})
		},
		func(r *http.Request) {
			r.Header.Set("X-Api-Key", token)
			r.Header.Set("webhook-signature", "v1,"+token)
		},
	} {
		for _, path := range []string{"/v1/runs", "/v1/alerts/crowdstrike", "/v1/nothing"} {
			for _, method := range []string{http.MethodGet, http.MethodPost} {
				r, err := http.NewRequestWithContext(v.t.Context(), method, at+path, strings.NewReader(`{"playbook":"provoke"}`))
				if err != nil {
					v.t.Fatal(err)
				}
				r.Header.Set("Content-Type", "application/json")
				how(r)
				res, err := http.DefaultClient.Do(r)
				if err != nil {
					v.t.Fatal(err)
				}
				raw, _ := io.ReadAll(res.Body)
				_ = res.Body.Close()
				v.scan.scan("answer to a misused token at "+path, raw)
			}
		}
	}
}

// honest lets one incident go from alert to undo: with a password that is reset
// and handed to a manager.
func (v *vault) honest() {
	v.t.Helper()
	lena := v.person("lena", "analyst,ir-lead,ciso,service-desk")
	e := sixExamples()[1]
	id := v.byAlert(e)
	if ended := v.people(v.lab, lena, id); ended.Closing != "completed" {
		v.t.Errorf("%s closed %s: %s", id, ended.Closing, ended.Reason)
	}
	v.undo(id)
	v.house.t.Logf("the honest run is %s", id)
	v.runs = append(v.runs, id)
	handed := regexp.MustCompile(`New password: (\S+)`).FindAllStringSubmatch(strings.Join(v.inner.Entra.Mails(), "\n"), -1)
	if len(handed) == 0 {
		v.t.Error("no new password was handed to anybody, so none can be looked for")
	}
	for i, m := range handed {
		v.plantAs(fmt.Sprintf("new password %d", i), m[1])
	}
}

// person is a client of a person whose token is planted.
func (v *vault) person(name, roles string) *api.Client {
	v.t.Helper()
	token := v.plantAs("token of "+name, v.secret(name, roles))
	c, err := api.Dial(api.Options{Server: "http://" + v.listen, Token: token})
	if err != nil {
		v.t.Fatal(err)
	}
	return c
}

// provoke runs the playbook whose calls all fail, and checks every instance, n
// times each: the echo answers otherwise each time.
func (v *vault) provoke(n int) {
	v.t.Helper()
	lena := v.person(fmt.Sprintf("lena-%d", len(v.runs)), "analyst,ir-lead")
	list, err := v.client().Connectors(v.t.Context())
	if err != nil {
		v.t.Fatal(err)
	}
	for range n {
		for _, c := range list.Connectors {
			got, err := v.client().CheckConnector(v.t.Context(), c.Instance)
			raw, _ := json.Marshal(got)
			v.scan.scan("check of "+c.Instance, append(raw, fmt.Sprint(err)...))
		}
		got, err := lena.Start(v.t.Context(), api.StartRun{Playbook: "provoke", Reason: "let it fail: " + v.plant(decoy)}, "")
		if err != nil {
			v.t.Fatal(err)
		}
		v.shrug(lena, got.Run)
		v.runs = append(v.runs, got.Run)
	}
}

// shrug answers whatever is asked about failures until a run ends.
func (v *vault) shrug(lena *api.Client, id string) {
	v.t.Helper()
	eventually(v.t, 2*time.Minute, id+" ends", func() (bool, error) {
		d, err := v.client().Run(v.t.Context(), id)
		if err != nil {
			return false, err
		}
		for _, a := range d.Approvals {
			if a.Status != "open" {
				continue
			}
			switch {
			case a.Kind == api.RequestApproval:
				_, err = lena.Vote(v.t.Context(), a.ID, api.Vote{Decision: api.Approve, Seal: a.Seal})
			case len(a.Choices) > 0:
				choice := a.Choices[len(a.Choices)-1]
				for _, c := range a.Choices {
					if c == "skip" || c == "not_done" {
						choice = c
					}
				}
				_, err = lena.Resolve(v.t.Context(), a.ID, api.Resolve{Choice: choice, Reason: "the vendor is mad"})
			}
		}
		return d.Status == api.RunEnded, err
	})
}

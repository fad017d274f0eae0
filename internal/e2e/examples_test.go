package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/quell-soar/quell/connectors/fake/lab"
	"github.com/quell-soar/quell/server/api"
)

// The people, hosts and addresses of the examples' lab.
const (
	annaMail = "anna@lab.example"
	evil     = "https://evil.example/login"
	evilIP   = "198.51.100.66"
)

// example is one playbook with an alert that starts it and what a person gives
// by hand.
type example struct {
	name, source string
	alert        string
	byHand       map[string]string
	// held is what must be so while the run holds it, from the fakes' world.
	effects []string
}

// examples are the six, in the order in which they do not disturb each other:
// each undo takes back what the next would find.
func sixExamples() []example {
	host := func(n int) string { return hostname(n) }
	return []example{
		{"contain-infected-host", "crowdstrike", "", map[string]string{"hostname": `"` + host(3) + `"`}, []string{"contain"}},
		{
			"compromised-account", "okta", fmt.Sprintf(`{"id":"ca-1","kind":"risk","title":"Risky user","severity":"high","occurred":"%s","users":[{"name":"%s"}]}`, hourAgo(), annaMail),
			map[string]string{"account": `"` + annaMail + `"`},
			[]string{"update-user", "update-rule", "delete-grant", "delete-method"},
		},
		{
			"brute-force-success", "okta", fmt.Sprintf(`{"id":"bf-1","kind":"brute_force","title":"Guessed","severity":"high","occurred":"%s","users":[{"name":"%s"}],"ips":["%s"]}`, hourAgo(), annaMail, evilIP),
			map[string]string{"account": `"` + annaMail + `"`},
			[]string{"update-user", "user-id"},
		},
		{
			"leaked-cloud-key", "secret-scanner", fmt.Sprintf(`{"id":"lk-1","kind":"leaked_secret","title":"Key in a repository","severity":"high","occurred":"%s","users":[{"name":"%s"}],"urls":["https://git.example/leak"]}`, hourAgo(), annaMail),
			map[string]string{"account": `"` + annaMail + `"`, "where": `"https://git.example/other"`},
			[]string{"update-user", "user-id"},
		},
		{"ransomware-on-file-server", "crowdstrike", "", map[string]string{"server": `"` + host(6) + `"`, "account": `"` + annaMail + `"`, "clients": `["` + host(7) + `"]`}, []string{"contain", "update-user"}},
		{
			"reported-phishing", "phish-button", fmt.Sprintf(`{"id":"ph-1","kind":"user_report","title":"Reported","severity":"medium","occurred":"%s","urls":["%s"],"emails":[{"message_id":"<1@evil.example>","sender":"eve@evil.example","reporter":"%s","subject":"Invoice"}]}`, hourAgo(), evil, annaMail),
			map[string]string{"reporter": `"` + annaMail + `"`, "message_id": `"<2@evil.example>"`, "urls": `["` + evil + `"]`},
			[]string{"move-message", "write-senders"},
		},
	}
}

func hourAgo() string { return time.Now().Add(-time.Hour).UTC().Format(time.RFC3339) }

// furnish puts people, mail, sign-ins and assets into the lab.
func (l *labProcess) furnish() {
	l.t.Helper()
	post := func(path string, v any) {
		l.t.Helper()
		raw, err := json.Marshal(v)
		if err != nil {
			l.t.Fatal(err)
		}
		l.control(http.MethodPost, path, raw, nil)
	}
	type m = map[string]any
	l.hostsOf(8)
	post("/entra/users", m{"users": []m{
		{"name": "boss@lab.example", "methods": []string{"phone"}, "roles": []string{"Global Administrator"}},
		{"name": "soc@lab.example"},
		{
			"name": annaMail, "manager": "boss@lab.example", "methods": []string{"phone"},
			"consents": []m{{"app": "Mail Sync Pro", "scopes": "Mail.Read offline_access", "granted": time.Now().Add(-30 * time.Minute)}},
			"rules":    []m{{"name": "..", "forward": []string{"drop@evil.example"}, "delete": true}},
		},
	}})
	for i := 1; i <= 2; i++ {
		post("/entra/messages", m{"messages": []m{{
			"message_id": fmt.Sprintf("<%d@evil.example>", i), "from": "eve@evil.example", "subject": "Invoice", "to": []string{annaMail, "boss@lab.example"},
		}}})
	}
	post("/assets", m{"entries": []m{{"kind": "user", "name": annaMail, "criticality": "high", "owner": "sales", "vip": true}}})
	post("/splunk", m{"name": lab.SplunkSignIns, "search": "x", "by": m{"user": "user"}, "rows": []m{
		{"user": annaMail, "address": evilIP, "risky": "true", "at": hourAgo(), "succeeded": "true"},
		{"user": annaMail, "address": "192.0.2.10", "risky": "false", "at": hourAgo(), "succeeded": "true"},
	}})
	post("/splunk", m{"name": lab.SplunkClicks, "search": "x", "by": m{"urls": "url"}, "rows": []m{
		{"user": annaMail, "url": evil, "submitted_form": "false", "at": hourAgo()},
	}})
	post("/virustotal", m{"collection": "urls", "id": evil, "stats": m{"malicious": 9}})
}

// allConnectors is the configuration with a connector of every kind.
func allConnectors(l *labProcess, binary string) string {
	instance := func(name, connector, settings, secrets string) string {
		return fmt.Sprintf("  %s:\n    connector: %s\n    binary: %s\n    mode: act\n    settings: {%s}\n    secrets: {%s}\n", name, connector, binary, settings, secrets)
	}
	u := l.urls
	return fmt.Sprintf(`data_dir: data
listen: 127.0.0.1:0
playbooks: [playbooks]
log: {level: info, format: text}
access: {local_roles: [analyst]}
oncall: {soc: [lena]}
calendars:
  always: {zone: UTC, hours: {mon: ["00:00-24:00"], tue: ["00:00-24:00"], wed: ["00:00-24:00"], thu: ["00:00-24:00"], fri: ["00:00-24:00"], sat: ["00:00-24:00"], sun: ["00:00-24:00"]}}
settings:
  compromised-account: {hours: always}
  leaked-cloud-key: {watch: 1s}
sources:
  crowdstrike: {kind: generic, secrets: ["file:source.key"]}
  okta: {kind: generic, secrets: ["file:source.key"]}
  secret-scanner: {kind: generic, secrets: ["file:source.key"]}
  phish-button: {kind: generic, secrets: ["file:source.key"]}
modes:
  playbooks: {%s}
  triggers: {alert: act, manual: act}
bindings: {notify: mail, iam: entra}
connectors:
`, modesOf("act")) +
		instance("falcon", "crowdstrike", "base_url: "+u["crowdstrike"]+", client_id: quell-lab, allow_http: \"true\"", "client_secret: \"file:falcon.secret\"") +
		instance("jira", "jira", "base_url: "+u["jira"]+", email: quell@lab.example, project: SEC, allow_http: \"true\"", "api_token: \"file:jira.token\"") +
		instance("entra", "entra", fmt.Sprintf("tenant_id: %s, client_id: %s, mail_from: soc@lab.example, base_url: %s, login_url: %s, exchange_url: %s, allow_http: \"true\"",
			lab.EntraTenant, lab.EntraClientID, u["entra"], u["entra"], u["entra"]), "client_secret: \"file:entra.secret\"") +
		instance("panos", "panos", "base_url: "+u["panos"]+", user: quell, allow_http: \"true\"", "password: \"file:panos.secret\"") +
		instance("vt", "virustotal", "base_url: "+u["virustotal"]+", allow_http: \"true\"", "api_key: \"file:vt.secret\"") +
		instance("splunk", "splunk", fmt.Sprintf("base_url: %s, sign_ins: %q, url_clicks: %q, allow_http: \"true\"", u["splunk"], lab.SplunkSignIns, lab.SplunkClicks), "token: \"file:splunk.secret\"") +
		instance("asset", "asset", "base_url: "+u["asset"]+", allow_http: \"true\"", "token: \"file:asset.secret\"") +
		instance("mail", "smtp", "relay: "+u["mail"]+", tls: none, from: soc@lab.example, user: "+lab.MailUser, "password: \"file:mail.secret\"")
}

func modesOf(mode string) string {
	var all []string
	for _, e := range sixExamples() {
		all = append(all, e.name+": "+mode)
	}
	return strings.Join(all, ", ")
}

// examplesHouse is an installation with the six examples and a furnished lab.
func examplesHouse(t *testing.T, l *labProcess) *house {
	t.Helper()
	h := &house{t: t, dir: t.TempDir(), log: logFile(t, "serve.log")}
	for name, value := range map[string]string{
		"source.key": sourceKey, "falcon.secret": falconSecret, "jira.token": jiraToken, "entra.secret": lab.EntraClientSecret,
		"panos.secret": lab.PanosPassword, "vt.secret": lab.VirusTotalKey, "splunk.secret": lab.SplunkToken, "asset.secret": lab.AssetToken, "mail.secret": lab.MailPassword,
	} {
		h.write(name, value+"\n")
	}
	if err := os.Mkdir(filepath.Join(h.dir, "playbooks"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, e := range sixExamples() {
		raw, err := os.ReadFile("../../examples/" + e.name + ".yaml")
		if err != nil {
			t.Fatal(err)
		}
		h.write("playbooks/"+e.name+".yaml", string(raw))
	}
	h.config = allConnectors(l, bin(t, "quell-connector"))
	h.write("quell.yaml", h.config)
	t.Cleanup(h.stop)
	return h
}

// answers are what the people say to the examples' questions, by step.
var answers = map[string]string{
	"eradicate.choose": `{"consents":["%consent"],"rules":["%rule"]}`, "recover.spoken": `{"confirmed":true,"how":"called back"}`,
	"triage.decision": `{"verdict":"phishing","block_urls":["` + evil + `"],"block_sender":true}`, "recover.confirm": `{"right":true}`,
}

// people decide whatever is asked, as lena, until the run ended. What nobody
// expects fails the test.
func (h *house) people(l *labProcess, lena *api.Client, id string) api.Run {
	h.t.Helper()
	var ended api.Run
	begun := time.Now()
	eventually(h.t, 150*time.Second, id+" ends", func() (bool, error) {
		d, err := h.client().Run(h.t.Context(), id)
		if err != nil {
			return false, err
		}
		if time.Since(begun) > 100*time.Second {
			raw, _ := json.MarshalIndent(d.Tree, "", " ")
			h.t.Fatalf("%s does not end: %s", id, raw)
		}
		if d.Status == api.RunEnded {
			ended = d.Run
			return true, nil
		}
		for _, a := range d.Approvals {
			if a.Status == "open" {
				h.decide(l, lena, a)
			}
		}
		return false, nil
	})
	return ended
}

func (h *house) decide(l *labProcess, lena *api.Client, a api.Approval) {
	h.t.Helper()
	var err error
	switch a.Kind {
	case api.RequestApproval:
		_, err = lena.Vote(h.t.Context(), a.ID, api.Vote{Decision: api.Approve, Seal: a.Seal})
	case api.RequestQuestion:
		in := api.Answer{Reason: "done"}
		if len(a.Fields) == 0 {
			yes := true
			in.Done = &yes
		} else {
			in.Fields = map[string]json.RawMessage{}
			for _, f := range a.Fields {
				in.Fields[f.Name] = answerTo(a.Step, f)
			}
		}
		if a.Step == "eradicate.replaced" { // the key is replaced: the stranger is gone from the log
			l.control(http.MethodPost, "/splunk", []byte(`{"name":"`+lab.SplunkSignIns+`","search":"x","by":{"user":"user"},"rows":[]}`), nil)
		}
		if a.Step == "recover.spoken" { // the owner registers a factor, as the playbook waits for
			l.control(http.MethodPost, "/entra/methods", []byte(`{"name":"`+annaMail+`","method":"phone"}`), nil)
		}
		_, err = lena.Answer(h.t.Context(), a.ID, in)
	default:
		raw, _ := json.MarshalIndent(a, "", " ")
		h.t.Fatalf("nobody expects to be asked: %s", raw)
	}
	if err != nil {
		h.t.Logf("%s %s: %v", a.Kind, a.Step, err) // asked again by the next look
	}
}

// answerTo gives a person's answer to one field.
func answerTo(step string, f api.Field) json.RawMessage {
	var known map[string]json.RawMessage
	if err := json.Unmarshal([]byte(answers[step]), &known); err == nil && known[f.Name] != nil && f.Among == nil {
		return known[f.Name]
	}
	if f.Among != nil {
		return f.Among // all that is offered
	}
	return json.RawMessage(`true`)
}

// TestExamples runs each example by alert and by hand (by one of them without
// QUELL_SOAK) against a lab with a fake
// of every vendor, and takes back by `undo` what it still holds. Before each run
// `quell plan` calls no effect and names every target that the run touches; after
// all, what was recorded plays back through the same version as it went.
func TestExamples(t *testing.T) {
	alongside(t)
	for n, e := range sixExamples() {
		t.Run(e.name, func(t *testing.T) {
			l := startLab(t)
			l.furnish()
			h := examplesHouse(t, l)
			h.start()
			before := l.state()
			anna, lena := h.token("anna", "analyst"), h.token("lena", "analyst,ir-lead,ciso,service-desk")
			starts := []bool{true, false}
			if os.Getenv("QUELL_SOAK") == "" { // each by one way here, all by both there
				starts = starts[n%2 : n%2+1]
			}
			for _, byAlert := range starts {
				plan := h.planned(anna, l, e, byAlert)
				var id string
				if byAlert {
					id = h.byAlert(e)
				} else {
					id = h.byHand(anna, e)
				}
				ended := h.people(l, lena, id)
				h.named(plan, id)
				if ended.Closing != "completed" {
					d, _ := h.client().Run(t.Context(), id)
					raw, _ := json.MarshalIndent(d.Tree, "", " ")
					t.Errorf("%s closed %s: %s\n%.6000s", id, ended.Closing, ended.Reason, raw)
				}
				h.undo(id)
				if diff := cmp.Diff(before, l.state()); diff != "" {
					t.Errorf("after undo of %s the world is not what it was:\n%s", id, diff)
				}
			}
			h.playsBack(anna, l, e, len(starts))
			var seen []string
			for _, f := range l.effects("") {
				seen = append(seen, f.Operation)
			}
			for _, want := range e.effects {
				if !slices.Contains(seen, want) {
					t.Errorf("nothing did %s; the vendors saw %v", want, slices.Compact(slices.Sorted(slices.Values(seen))))
				}
			}
			h.auditOK()
		})
	}
}

// body is the alert that starts an example.
func (e example) body() string {
	switch e.name {
	case "contain-infected-host":
		return fmt.Sprintf(`{"id":"ci-1","kind":"detection","title":"Malware","severity":"critical","occurred":"%s","hosts":[{"name":"%s"}]}`, hourAgo(), hostname(2))
	case "ransomware-on-file-server":
		return fmt.Sprintf(`{"id":"rw-1","kind":"ransomware","title":"Files are encrypted","severity":"high","occurred":"%s","hosts":[{"name":"%s"},{"name":"%s"}],"users":[{"name":"%s"}]}`,
			hourAgo(), hostname(4), hostname(5), annaMail)
	}
	return e.alert
}

// byAlert posts an example's alert and returns the run that it started.
func (h *house) byAlert(e example) string {
	h.t.Helper()
	body := e.body()
	got, err := h.client().SendAlert(h.t.Context(), e.source, "", []byte(body), []byte(sourceKey))
	if err != nil {
		h.t.Fatal(err)
	}
	for _, r := range got.Runs {
		if r.Playbook == e.name && r.Verdict == "started" {
			return r.Run
		}
	}
	h.t.Fatalf("the alert started nothing: %+v", got)
	return ""
}

// byHand launches an example as anna.
func (h *house) byHand(anna *api.Client, e example) string {
	h.t.Helper()
	in := map[string]json.RawMessage{}
	for name, v := range e.byHand {
		in[name] = json.RawMessage(v)
	}
	got, err := anna.Start(h.t.Context(), api.StartRun{Playbook: e.name, Inputs: in, Reason: "by hand"}, "")
	if err != nil {
		h.t.Fatal(err)
	}
	return got.Run
}

// undo takes back what a run still holds, and logs what cannot be.
func (h *house) undo(id string) {
	h.t.Helper()
	started, err := h.client().Undo(h.t.Context(), id, api.UndoRun{Reason: "the test is over"})
	if err != nil {
		h.t.Fatal(err)
	}
	eventually(h.t, 60*time.Second, "undo of "+id, func() (bool, error) {
		got, err := h.client().UndoResult(h.t.Context(), started.ID)
		if err != nil || !got.Done {
			return false, err
		}
		for _, i := range got.Result.Items {
			h.t.Logf("undo of %s: %+v", id, i)
		}
		return true, nil
	})
}

// state is what of the lab's world an undo must bring back: containment of hosts,
// accounts, rules, messages, blocked senders, addresses and URLs. What no undo
// brings back (sessions, passwords, factors, consents, tickets) is left out.
func (l *labProcess) state() string {
	l.t.Helper()
	var world struct {
		CrowdStrike struct {
			Hosts []struct {
				Hostname string `json:"hostname"`
				Status   string `json:"status"`
			} `json:"hosts"`
		} `json:"crowdstrike"`
		Entra struct {
			Users []struct {
				Name     string   `json:"name"`
				Enabled  bool     `json:"enabled"`
				Rules    []string `json:"rules"`
				Messages []string `json:"messages"`
			} `json:"users"`
			Senders map[string]string `json:"senders"`
		} `json:"entra"`
		Panos json.RawMessage `json:"panos"`
	}
	l.control(http.MethodGet, "/world", nil, &world)
	raw, err := json.MarshalIndent(world, "", " ")
	if err != nil {
		l.t.Fatal(err)
	}
	return string(raw)
}

package lab_test

import (
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/quell-soar/quell/connectors/crowdstrike"
	"github.com/quell-soar/quell/connectors/entra"
	"github.com/quell-soar/quell/connectors/fake"
	"github.com/quell-soar/quell/connectors/fake/lab"
	"github.com/quell-soar/quell/connectors/jira"
	"github.com/quell-soar/quell/connectors/sdk"
	"github.com/quell-soar/quell/connectors/sdk/secret"
	"github.com/quell-soar/quell/connectors/spec"
)

func do(t *testing.T, method, url, body, host string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if host != "" {
		req.Host = host
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(raw)
}

func open(t *testing.T, c sdk.Connector, settings map[string]string, secrets map[string]string) sdk.Session {
	t.Helper()
	parsed, err := sdk.ParseSettings(c.Manifest(), settings)
	if err != nil {
		t.Fatal(err)
	}
	held := map[string]secret.Value{}
	for name, text := range secrets {
		held[name] = secret.New(text)
	}
	s, err := c.Open(t.Context(), sdk.Config{Instance: c.Manifest().Name, Settings: parsed, Secrets: held})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// One lab, its vendors, the control API, and the journal on disk.
func TestLab(t *testing.T) {
	data := t.TempDir()
	l, err := lab.Start(lab.Options{Data: data, Script: "crowdstrike contain: lost"})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()

	begin := time.Now()
	status, body := do(t, "POST", l.URLs.Control+"/hosts", `{"count":5000,"prefix":"host-","hosts":[{"hostname":"web-01"}]}`, "")
	if status != 200 || strings.TrimSpace(body) != `{"hosts":5001}` {
		t.Fatalf("seeding: %d %s", status, body)
	}
	t.Logf("5001 hosts were seeded in %s", time.Since(begin))

	falcon := open(t, crowdstrike.New(), map[string]string{"base_url": l.URLs.CrowdStrike, "client_id": lab.FalconClientID}, map[string]string{"client_secret": lab.FalconClientSecret})
	tickets := open(t, jira.New(), map[string]string{"base_url": l.URLs.Jira, "email": lab.JiraEmail, "project": lab.JiraProject}, map[string]string{"api_token": lab.JiraToken})
	if status, body = do(t, "POST", l.URLs.Control+"/entra/users", `{"users":[{"name":"ann@lab.example"},{"name":"bob@lab.example"}]}`, ""); status != 200 {
		t.Fatalf("seeding accounts: %d %s", status, body)
	}
	l.Entra.SetPage(1)
	directory := open(t, entra.New(), map[string]string{
		"tenant_id": lab.EntraTenant, "client_id": lab.EntraClientID, "base_url": l.URLs.Entra, "login_url": l.URLs.Entra, "exchange_url": l.URLs.Entra,
	}, map[string]string{"client_secret": lab.EntraClientSecret})
	for _, s := range []sdk.Session{falcon, tickets, directory} {
		for _, f := range s.Check(t.Context()) {
			if !f.OK {
				t.Errorf("check: %+v", f)
			}
		}
	}
	call := func(s sdk.Session, action string, in map[string]any) map[string]any {
		t.Helper()
		r, err := s.Call(t.Context(), spec.Request{Action: action, Mode: spec.Act, Key: action, Inputs: in, Deadline: time.Now().Add(5 * time.Second)})
		if err != nil {
			t.Fatalf("%s: %v", action, err)
		}
		return r.Output
	}
	host := call(falcon, "edr.find_host", map[string]any{"hostname": "host-04711"})
	call(falcon, "edr.isolate_host", map[string]any{"host": host["device"]})
	call(tickets, "ticket.create_ticket", map[string]any{"key": "INC-1", "title": "Malware"})

	ann := call(directory, "iam.find_user", map[string]any{"name": "ann@lab.example"})
	call(directory, "iam.disable_user", map[string]any{"user": ann["user"]})
	if got := call(directory, "mail.find_messages", map[string]any{"message_id": "<1@lab.example>"}); got["mailboxes"] != int64(2) {
		t.Errorf("a list of two pages: %v", got)
	}

	_, body = do(t, "GET", l.URLs.Control+"/effects?vendor=crowdstrike", "", "")
	var effects []fake.Effect
	if err := json.Unmarshal([]byte(body), &effects); err != nil || len(effects) != 1 || effects[0].Object != "host-04711" || effects[0].Answered {
		t.Errorf("journal: %s %v", body, err)
	}
	if _, body = do(t, "GET", l.URLs.Control+"/world?vendor=jira", "", ""); !strings.Contains(body, "SEC-1") {
		t.Errorf("world: %s", body)
	}
	if raw, err := os.ReadFile(filepath.Join(data, "effects.jsonl")); err != nil || strings.Count(string(raw), `"effect"`) != 3 {
		t.Errorf("journal on disk: %s %v", raw, err)
	}
	if status, _ = do(t, "GET", l.URLs.Control+"/world", "", "evil.example"); status != http.StatusForbidden {
		t.Errorf("a foreign host name got %d", status)
	}
}

func TestLabListensOnLoopbackOnly(t *testing.T) {
	for _, o := range []lab.Options{{Listen: "0.0.0.0:0"}, {Listen: "192.0.2.1:80"}, {Listen: "nonsense"}, {Script: "nonsense"}} {
		if l, err := lab.Start(o); err == nil {
			_ = l.Close()
			t.Errorf("%+v was accepted", o)
		}
	}
}

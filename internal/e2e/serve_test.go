package e2e

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/quell-soar/quell/server/api"
)

// sourceKey signs the alerts of the tests; the others are what the lab accepts.
const (
	sourceKey    = "e2e-source-key-0123456789abcdef"
	falconSecret = "falcon-lab-secret"
	jiraToken    = "jira-lab-token"
)

// house is an installation of Quell for a test: directory, configuration, and a
// serve process that may be killed and started again.
type house struct {
	t *testing.T
	// lab is what it acts on.
	lab    *labProcess
	dir    string
	env    []string
	cmd    *exec.Cmd
	listen string
	log    *os.File
	// program is the quell to serve with, where it is not this build's; under is
	// what it is run by.
	program string
	under   []string
	// local is the client of client, made once.
	dial    sync.Once
	local   *api.Client
	dialled error
	// config is the text of quell.yaml.
	config string
	// exited is closed once the present process is gone.
	exited chan struct{}
}

// newHouse writes a configuration against a lab. more is added to it.
func newHouse(t *testing.T, l *labProcess, more string) *house {
	t.Helper()
	dir := t.TempDir()
	h := &house{t: t, lab: l, dir: dir, log: logFile(t, "serve.log")}
	h.write("source.key", sourceKey+"\n")
	h.write("falcon.secret", falconSecret+"\n")
	h.write("jira.token", jiraToken+"\n")
	example, err := os.ReadFile("../../examples/contain-infected-host.yaml")
	if err != nil {
		t.Fatal(err)
	}
	h.write("contain-infected-host.yaml", string(example))
	h.config = configFor(l, bin(t, "quell-connector")) + more
	h.write("quell.yaml", h.config)
	t.Cleanup(h.stop)
	return h
}

// write puts a file into the house's directory.
func (h *house) write(name, text string) {
	h.t.Helper()
	if err := os.WriteFile(filepath.Join(h.dir, name), []byte(text), 0o600); err != nil {
		h.t.Fatal(err)
	}
}

func configFor(l *labProcess, connector string) string {
	return fmt.Sprintf(`data_dir: data
listen: 127.0.0.1:0
playbooks: [contain-infected-host.yaml]
log: {level: info, format: text}
access: {local_roles: [analyst, ir-lead]}
oncall: {soc: [lena, "local:0"]}
sources:
  crowdstrike: {kind: crowdstrike, secrets: ["file:source.key"], rate: 2000, burst: 5000}
modes:
  playbooks: {contain-infected-host: act}
  triggers: {alert: act, manual: act}
connectors:
  falcon:
    connector: crowdstrike
    binary: %[1]s
    mode: act
    settings: {base_url: %[2]s, client_id: quell-lab, allow_http: "true"}
    secrets: {client_secret: "file:falcon.secret"}
  jira:
    connector: jira
    binary: %[1]s
    mode: act
    settings: {base_url: %[3]s, email: quell@lab.example, project: SEC, allow_http: "true"}
    secrets: {api_token: "file:jira.token"}
  lab:
    connector: labdata
    binary: %[1]s
    mode: act
    settings: {criticality: high}
`, connector, l.urls["crowdstrike"], l.urls["jira"])
}

// start runs quell serve and returns when it is ready.
func (h *house) start() {
	h.t.Helper()
	if err := h.begin(); err != nil {
		h.t.Fatal(err)
	}
}

// begin is start for a process that may end before it is ready.
func (h *house) begin() error {
	h.t.Helper()
	program := h.program
	if program == "" {
		program = bin(h.t, "quell")
	}
	line := append(slices.Clone(h.under), program, "serve", "--config", filepath.Join(h.dir, "quell.yaml"))
	cmd := exec.Command(line[0], line[1:]...)
	cmd.Env = append(os.Environ(), h.env...)
	cmd.Stderr = h.log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	exited := make(chan struct{})
	h.cmd, h.exited = cmd, exited
	said, err := bufio.NewReader(out).ReadString('\n')
	go func() { _, _ = io.Copy(io.Discard, out); _ = cmd.Wait(); close(exited) }()
	var ready struct {
		Listen string `json:"listen"`
	}
	if err != nil || json.Unmarshal([]byte(said), &ready) != nil {
		return fmt.Errorf("serve did not become ready: %q, %w", said, err)
	}
	h.listen = ready.Listen
	return nil
}

// kill ends the process without warning.
func (h *house) kill() {
	h.t.Helper()
	if err := h.cmd.Process.Kill(); err != nil {
		h.t.Fatal(err)
	}
	<-h.exited
}

// stop ends the process in order, and by force if it takes too long.
func (h *house) stop() {
	if h.cmd == nil || h.cmd.Process == nil {
		return
	}
	_ = h.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-h.exited:
	case <-time.After(40 * time.Second):
		_ = h.cmd.Process.Kill()
		<-h.exited
	}
}

// client speaks to the house over its unix socket, as the local admin. It is one for
// the house's life: each keeps connections, which would look like a leak of the
// server's.
func (h *house) client() *api.Client {
	h.t.Helper()
	h.dial.Do(func() {
		h.local, h.dialled = api.Dial(api.Options{Socket: filepath.Join(h.dir, "data", "run", "quell.sock")})
	})
	if h.dialled != nil {
		h.t.Fatal(h.dialled)
	}
	return h.local
}

// alert posts a Falcon detection about a host and returns the run that it means.
func (h *house) alert(id, hostname string, files ...string) (api.AlertReceived, error) {
	body := map[string]any{
		"CompositeId": id, "Hostname": hostname, "SeverityName": "Critical", "Severity": 5, "Name": "Malware",
		"EventType": "Event_ExternalApiEvent", "ExternalApiType": "Event_EppDetectionSummaryEvent", "UTCTimestamp": time.Now().UTC().Format(time.RFC3339),
	}
	if len(files) > 0 {
		body["FilePath"], body["FileName"], body["SHA256String"] = files[0], "evil.exe", strings.Repeat("ab", 32)
	}
	raw, err := json.Marshal(body)
	if err != nil {
		return api.AlertReceived{}, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	return h.client().SendAlert(ctx, "crowdstrike", id, raw, []byte(sourceKey))
}

// runs lists all runs.
func (h *house) runs() ([]api.Run, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	var out []api.Run
	f := api.RunFilter{Limit: 200}
	for {
		page, err := h.client().Runs(ctx, f)
		if err != nil {
			return nil, err
		}
		out = append(out, page.Runs...)
		if page.Next == "" {
			return out, nil
		}
		f.Cursor = page.Next
	}
}

// ended waits until n runs have ended.
func (h *house) ended(n int, within time.Duration) []api.Run {
	h.t.Helper()
	var list []api.Run
	eventually(h.t, within, fmt.Sprintf("%d runs end", n), func() (bool, error) {
		all, err := h.runs()
		list = all
		done := 0
		for _, r := range all {
			if r.Status == api.RunEnded {
				done++
			}
		}
		return done >= n, err
	})
	return list
}

// requests lists what waits for people.
func (h *house) requests() ([]api.Approval, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	var list []api.Approval
	for a, err := range h.client().AllApprovals(ctx, api.ApprovalFilter{Limit: 200}) {
		if err != nil {
			return nil, err
		}
		list = append(list, a)
	}
	return list, nil
}

// approve says yes to a request, to exactly what it shows.
func (h *house) approve(a api.Approval) error {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	_, err := h.client().Vote(ctx, a.ID, api.Vote{Decision: api.Approve, Seal: a.Seal, Reason: "e2e"})
	return err
}

// labEffect is one entry of the lab's journal.
type labEffect struct {
	Seq       int64     `json:"seq"`
	Vendor    string    `json:"vendor"`
	Operation string    `json:"operation"`
	Object    string    `json:"object"`
	Key       string    `json:"key"`
	Before    string    `json:"before"`
	After     string    `json:"after"`
	Answered  bool      `json:"answered"`
	At        time.Time `json:"at"`
}

func (l *labProcess) effects(query string) []labEffect {
	l.t.Helper()
	var out []labEffect
	l.control(http.MethodGet, "/effects?"+query, nil, &out)
	return out
}

func (l *labProcess) script(text string) {
	l.t.Helper()
	l.control(http.MethodPut, "/script", []byte(text), nil)
}

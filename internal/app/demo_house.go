package app

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/quell-soar/quell/examples"
)

// What the demo is about: one laptop, one file, an alert on both.
const (
	demoPlaybook = "contain-infected-host"
	demoHost     = "lt-0471"
	demoPath     = `C:\Users\m.vogel\AppData\Roaming\invoice-viewer.exe`
	demoHash     = "d1ad2d1dba65a9c3b0ff3d6a54d4a0a5f6d4e6f0c8b7a69584736251403f2e1d"
	demoSource   = "crowdstrike"
	demoAnalyst  = "ana"
	demoOnCall   = "lena"
)

// demoHouse is the demo's directory: an installation of its own, beside which
// others may run.
type demoHouse struct {
	dir, config, world, alert string
	// socketDir is set where the directory's own path is too long for a socket.
	socketDir string
	socket    string
	sourceKey string
}

// maxDemoSocket leaves room below what a kernel takes for a socket's path.
const maxDemoSocket = 100

// newDemoHouse makes the directory, which is ours alone.
func newDemoHouse() (*demoHouse, error) {
	dir, err := os.MkdirTemp("", "quell-demo-")
	if err != nil {
		return nil, fmt.Errorf("the demo needs a directory for its data: %w; set TMPDIR", err)
	}
	h := &demoHouse{
		dir: dir, config: filepath.Join(dir, "quell.yaml"), world: filepath.Join(dir, "world.json"), alert: filepath.Join(dir, "alert.json"),
		socket: filepath.Join(dir, "data", "run", "quell.sock"), sourceKey: rand.Text(),
	}
	if len(h.socket) > maxDemoSocket {
		if h.socketDir, err = os.MkdirTemp("/tmp", "quell-"); err != nil {
			return nil, fmt.Errorf("%s is too long for a socket, and another directory cannot be made: %w", dir, err)
		}
		h.socket = filepath.Join(h.socketDir, "run", "quell.sock")
	}
	return h, nil
}

func (h *demoHouse) remove() {
	_ = os.RemoveAll(h.dir)
	if h.socketDir != "" {
		_ = os.RemoveAll(h.socketDir)
	}
}

func (h *demoHouse) write(file string, raw []byte, mode fs.FileMode) error {
	if err := os.WriteFile(file, raw, mode); err != nil {
		return fmt.Errorf("the demo's files: %w", err)
	}
	return nil
}

// furnish writes what the lab begins with and the alert that comes.
func (h *demoHouse) furnish() error {
	world, err := json.Marshal(map[string]any{
		"hosts": []any{map[string]any{"hostname": demoHost, "os": "Windows 11", "findings": []int{0}}},
		"files": []any{map[string]any{"hostname": demoHost, "path": demoPath, "sha256": demoHash, "state": "released"}},
	})
	if err != nil {
		return err
	}
	alert, err := json.Marshal(map[string]any{
		"DetectId": "ldt:demo:" + strings.ToLower(h.sourceKey[:8]), "DetectName": "Ransomware: shadow copies deleted", "SeverityName": "Critical",
		"ComputerName": demoHost, "FilePath": demoPath, "FileName": "invoice-viewer.exe", "SHA256String": demoHash,
	})
	if err != nil {
		return err
	}
	playbook, err := examples.Playbook(demoPlaybook)
	if err != nil {
		return err
	}
	for _, f := range []struct {
		file string
		raw  []byte
	}{
		{h.world, world},
		{h.alert, alert},
		{filepath.Join(h.dir, demoPlaybook+".yaml"), playbook},
		{filepath.Join(h.dir, "source.key"), []byte(h.sourceKey + "\n")},
		{filepath.Join(h.dir, "falcon.secret"), []byte(demoFalconSecret + "\n")},
		{filepath.Join(h.dir, "jira.token"), []byte(demoJiraToken + "\n")},
	} {
		if err := h.write(f.file, f.raw, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// What the lab takes as credentials; they guard nothing, and package lab says so.
const (
	demoFalconSecret = "falcon-lab-secret" //nolint:gosec // see above
	demoJiraToken    = "jira-lab-token"    //nolint:gosec // see above
)

// configure writes the configuration against a running lab.
func (h *demoHouse) configure(crowdstrike, jira string) error {
	text := fmt.Sprintf(`# The configuration of quell demo. It acts, against fakes on this machine.
data_dir: data
listen: 127.0.0.1:0
socket: %q
playbooks: [%s.yaml]
log: {level: info, format: text}
oncall: {soc: [%s, %s]}
sources:
  %s: {kind: crowdstrike, secrets: ["file:source.key"]}
modes:
  playbooks: {%[2]s: act}
  triggers: {alert: act, manual: act}
connectors:
  falcon:
    connector: crowdstrike
    mode: act
    settings: {base_url: %[6]q, client_id: quell-lab}
    secrets: {client_secret: "file:falcon.secret"}
  jira:
    connector: jira
    mode: act
    settings: {base_url: %[7]q, email: quell@lab.example, project: SEC}
    secrets: {api_token: "file:jira.token"}
  lab:
    connector: labdata
    mode: act
    settings: {criticality: high, hashes: '{"%[8]s": "malicious"}'}
`, h.socket, demoPlaybook, demoAnalyst, demoOnCall, demoSource, crowdstrike, jira, demoHash)
	return h.write(h.config, []byte(text), 0o600)
}

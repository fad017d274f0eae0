package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/quell-soar/quell/server/api"
)

// commands looks through what the command line prints, also where a secret was
// written into the configuration itself by mistake.
func (v *vault) commands() {
	v.t.Helper()
	socket := []string{"--server", filepath.Join(v.dir, "data", "run", "quell.sock")}
	config := []string{"--config", filepath.Join(v.dir, "quell.yaml")}
	all := [][]string{
		slices.Concat([]string{"doctor"}, config),
		{"config", "check", filepath.Join(v.dir, "quell.yaml")},
		slices.Concat([]string{"connector", "list", "-o", "json"}, socket), slices.Concat([]string{"token", "list", "-o", "json"}, socket),
		slices.Concat([]string{"audit", "list", "-o", "json"}, socket), slices.Concat([]string{"guard", "show", "-o", "json"}, socket),
		slices.Concat([]string{"run", "list", "-o", "json"}, socket), slices.Concat([]string{"alert", "list", "-o", "json"}, socket),
		slices.Concat([]string{"observe", "report"}, socket), slices.Concat([]string{"approval", "list", "-o", "json"}, socket),
		slices.Concat([]string{"audit", "export", filepath.Join(v.dir, fmt.Sprintf("export-%d.jsonl", len(v.runs)))}, socket),
	}
	for _, id := range v.runs {
		all = append(all, slices.Concat([]string{"run", "show", id, "-o", "json"}, socket), slices.Concat([]string{"run", "show", id}, socket))
		for _, form := range []string{"json", "html", "md"} {
			all = append(all, slices.Concat([]string{"run", "report", id, "--format", form}, socket))
		}
	}
	mistakes := map[string]string{
		"a secret in a setting": strings.Replace(v.config, `client_id: quell-lab, allow_http`, `client_secret: `+yamlOf(v.plant("a secret written into settings"))+`, client_id: quell-lab, allow_http`, 1),
		"a secret as reference": strings.Replace(v.config, `"file:falcon.secret"`, yamlOf(v.plant("a secret written in place of a reference")), 1),
	}
	for name, text := range mistakes {
		file := filepath.Join(v.t.TempDir(), "mistake.yaml")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			v.t.Fatal(err)
		}
		v.t.Logf("%s is tried", name)
		all = append(all, []string{"config", "check", file}, []string{"serve", "--config", file}, []string{"doctor", "--config", file})
	}
	for _, args := range all {
		ctx, cancel := context.WithTimeout(v.t.Context(), time.Minute)
		cmd := exec.CommandContext(ctx, bin(v.t, "quell"), args...)
		cmd.Env = append(os.Environ(), v.env...)
		out, err := cmd.CombinedOutput()
		cancel()
		what := "quell " + strings.Join(args[:min(3, len(args))], " ")
		v.scan.scan(what, out)
		if err != nil && !strings.Contains(what, "mistake") && !strings.Contains(what, "doctor") {
			v.t.Errorf("%s: %v: %.500s", strings.Join(args, " "), err, out)
		}
	}
}

func yamlOf(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

// processes looks through environment and arguments of serve and its children.
// What the operator put into serve's own environment stands there, and there only.
func (v *vault) processes() {
	v.t.Helper()
	pids := children(v.cmd.Process.Pid)
	if len(pids) < 15 {
		v.t.Errorf("serve has %d children; a connector is missing", len(pids))
	}
	for _, pid := range append(pids, v.cmd.Process.Pid) {
		for _, what := range []string{"environ", "cmdline"} {
			if pid == v.cmd.Process.Pid && what == "environ" {
				continue
			}
			raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", pid, what))
			if err != nil {
				v.t.Logf("%s of %d: %v", what, pid, err)
			}
			v.scan.scan(what+" of a process of serve", raw)
		}
	}
}

// walk asks every route that can be read, with every id that there is.
func (v *vault) walk() {
	v.t.Helper()
	get := func(path string) []byte {
		c := http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", filepath.Join(v.dir, "data", "run", "quell.sock"))
		}}}
		r, err := http.NewRequestWithContext(v.t.Context(), http.MethodGet, "http://localhost"+path, nil)
		if err != nil {
			v.t.Fatal(err)
		}
		res, err := c.Do(r)
		if err != nil {
			v.t.Fatalf("%s: %v", path, err)
		}
		defer func() { _ = res.Body.Close() }()
		raw, err := io.ReadAll(res.Body)
		if err != nil {
			v.t.Logf("%s: %v", path, err)
		}
		var heads strings.Builder
		_ = res.Header.Write(&heads)
		v.scan.scan("GET "+path, raw)
		v.scan.scan("headers of GET "+path, []byte(heads.String()))
		return raw
	}
	var doc struct {
		Paths map[string]map[string]json.RawMessage `json:"paths"`
	}
	if err := json.Unmarshal(get("/v1/openapi.json"), &doc); err != nil || len(doc.Paths) < 20 {
		v.t.Fatalf("the description has %d paths: %v", len(doc.Paths), err)
	}
	routes, asked := 0, 0
	for path, methods := range doc.Paths {
		if methods["get"] == nil {
			continue
		}
		routes++
		for _, p := range v.filled(path) {
			asked++
			get(p)
		}
	}
	v.t.Logf("%d routes were read, with %d requests", routes, asked)
}

// filled are the paths that a path with parameters stands for.
func (v *vault) filled(path string) []string {
	if !strings.Contains(path, "{") {
		return []string{path, path + "?limit=200&all=true"}
	}
	var out []string
	for _, id := range v.runs {
		if strings.Contains(path, "{playbook}") {
			s := strings.Split(id, "/")
			out = append(out, strings.NewReplacer("{playbook}", s[0], "{hash}", s[1], "{generation}", s[2], "{n}", "1").Replace(path))
		}
	}
	switch {
	case strings.HasPrefix(path, "/v1/alerts/"):
		if list, err := v.client().Alerts(v.t.Context(), api.AlertFilter{Limit: 200}); err == nil {
			for _, a := range list.Alerts {
				out = append(out, "/v1/alerts/"+a.ID)
			}
		}
	case strings.HasPrefix(path, "/v1/approvals/"):
		if list, err := v.client().Approvals(v.t.Context(), api.ApprovalFilter{All: true}); err == nil {
			for _, a := range list.Approvals {
				out = append(out, "/v1/approvals/"+a.ID)
			}
		}
	}
	if len(out) == 0 {
		out = []string{regexp.MustCompile(`\{[^}]+\}`).ReplaceAllString(path, "1")}
	}
	return out
}

// backup makes one while the house runs; it is looked through with the files.
func (v *vault) backup() {
	v.t.Helper()
	v.quell("backup", filepath.Join(v.dir, "copy"))
}

// files looks through all that the house keeps, the log included.
func (v *vault) files(when string) {
	v.t.Helper()
	for _, name := range []string{"ledger.key"} {
		if raw, err := os.ReadFile(filepath.Join(v.dir, "data-keys", name)); err == nil && when == "first" {
			v.plantAs("the ledger's signing key", strings.TrimSpace(string(raw)))
		}
	}
	but := append(slices.Clone(v.kept), "data-keys/ledger.key")
	if n := v.scan.tree(v.t, when, v.dir, but...); n < 10 {
		v.t.Errorf("the house has %d files only", n)
	}
	raw, err := os.ReadFile(v.log.Name())
	if err != nil || len(raw) == 0 {
		v.t.Errorf("no log: %v", err)
	}
	v.scan.scan("the log", raw)
}

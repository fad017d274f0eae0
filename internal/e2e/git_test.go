package e2e

import (
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/quell-soar/quell/server/api"
)

// TestGitSource serves playbooks of a repository over https: a commit becomes a
// version, a broken one is told and changes nothing, and a server whose
// repository is away starts with what it has.
func TestGitSource(t *testing.T) {
	alongside(t)
	git, err := exec.LookPath("git")
	if err != nil {
		t.Skip("git is not installed: nothing makes and serves a repository here")
	}
	dir := filepath.Join(t.TempDir(), "books.git")
	env := []string{"HOME=" + dir, "PATH=" + os.Getenv("PATH"), "GIT_CONFIG_NOSYSTEM=1", "GIT_HTTP_EXPORT_ALL=1", "GIT_PROJECT_ROOT=" + filepath.Dir(dir)}
	run := func(in string, args ...string) string {
		cmd := exec.CommandContext(t.Context(), git, args...)
		cmd.Env, cmd.Stdin = env, strings.NewReader(in)
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("git %v: %v", args, err)
		}
		return strings.TrimSpace(string(out))
	}
	run("", "init", "-q", "--bare", "-b", "main", dir)
	commit := func(text string) string {
		run(fmt.Sprintf("commit refs/heads/main\ncommitter ann <ann@example.com> 1700000000 +0000\ndata 1\nx\ndeleteall\nM 100644 inline soc/looking.yaml\ndata %d\n%s\n", len(text), text),
			"-C", dir, "fast-import", "--quiet", "--force")
		return run("", "-C", dir, "rev-parse", "main")
	}
	backend := &cgi.Handler{Path: filepath.Join(run("", "--exec-path"), "git-http-backend"), Env: env}
	srv := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if user, password, _ := r.BasicAuth(); user != "quell" || password != "sesame" {
			http.Error(w, "no", http.StatusUnauthorized)
			return
		}
		backend.ServeHTTP(w, r)
	}))
	defer srv.Close()

	h := newHouse(t, startLab(t), "git: {url: \""+srv.URL+"/books.git\", branch: main, folder: soc, every: 5s, user: quell, password: \"file:git.password\", ca: ca.pem}\n")
	h.write("git.password", "sesame\n")
	h.write("ca.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw})))
	first := commit(looking)
	h.start()
	shown := func() api.PlaybookDetail {
		d, err := h.client().Playbook(t.Context(), "looking")
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	if d := shown(); len(d.Versions) != 1 || d.Versions[0].Note != first || d.Versions[0].By != "system:git" || d.Own != "observe" {
		t.Errorf("%+v", d)
	}
	commit(strings.Replace(looking, "stop: benign", "stop: duplicate", 1))
	eventually(t, 60*time.Second, "the commit is a version", func() (bool, error) { return shown().Playbook.Version == 2, nil })
	commit(strings.Replace(looking, "stop: benign", "stopp: benign", 1))
	eventually(t, 60*time.Second, "the broken commit is told", func() (bool, error) {
		d := shown()
		return len(d.Problems) == 1 && strings.Contains(d.Problems[0], "stopp") && d.Playbook.Version == 2, nil
	})
	h.stop()
	srv.Close()
	h.start()
	if d := shown(); d.Playbook.Version != 2 {
		t.Errorf("%+v", d)
	}
	all, err := h.client().Playbooks(t.Context())
	if err != nil || len(all.Problems) != 1 || strings.Contains(all.Problems[0], "sesame") {
		t.Errorf("that the repository is away: %+v, %v", all.Problems, err)
	}
}

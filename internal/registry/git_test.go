package registry_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"

	"github.com/quell-soar/quell/connectors/sdk/secret"
	"github.com/quell-soar/quell/internal/registry"
)

// repo is a repository of git's own making, served by git's own server.
type repo struct {
	*testing.T
	dir, ca string
	url     string
	git     string
}

func newRepo(t *testing.T) *repo {
	t.Helper()
	git, err := exec.LookPath("git")
	if err != nil {
		t.Skip("git is not installed: nothing makes and serves a repository here")
	}
	r := &repo{T: t, dir: filepath.Join(t.TempDir(), "books.git"), git: git}
	r.run("", "init", "-q", "--bare", "-b", "main", r.dir)
	r.run("", "-C", r.dir, "config", "http.uploadpack", "true")
	r.serve()
	return r
}

func (r *repo) env() []string {
	return []string{
		"HOME=" + r.dir, "PATH=" + os.Getenv("PATH"), "GIT_CONFIG_NOSYSTEM=1", "GIT_AUTHOR_NAME=ann", "GIT_AUTHOR_EMAIL=ann@example.com",
		"GIT_COMMITTER_NAME=ann", "GIT_COMMITTER_EMAIL=ann@example.com", "GIT_HTTP_EXPORT_ALL=1", "GIT_PROJECT_ROOT=" + filepath.Dir(r.dir),
	}
}

// run runs git and gives what it prints.
func (r *repo) run(in string, args ...string) string {
	r.Helper()
	cmd := exec.CommandContext(r.Context(), r.git, args...)
	cmd.Env, cmd.Stdin = r.env(), strings.NewReader(in)
	var out, bad bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &bad
	if err := cmd.Run(); err != nil {
		r.Fatalf("git %v: %v: %s", args, err, bad.String())
	}
	return strings.TrimSpace(out.String())
}

// serve serves it over https, for ann with a password.
func (r *repo) serve() {
	backend := filepath.Join(r.run("", "--exec-path"), "git-http-backend")
	h := &cgi.Handler{Path: backend, Env: r.env()}
	srv := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		user, password, _ := req.BasicAuth()
		switch {
		case strings.HasPrefix(req.URL.Path, "/moved"):
			http.Redirect(w, req, "http://169.254.169.254/", http.StatusFound)
		case user != "ann" || password != "sesame":
			http.Error(w, "no", http.StatusUnauthorized)
		default:
			h.ServeHTTP(w, req)
		}
	}))
	r.Cleanup(srv.Close)
	r.ca = filepath.Join(r.TempDir(), "ca.pem")
	if err := os.WriteFile(r.ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw}), 0o600); err != nil {
		r.Fatal(err)
	}
	r.url = srv.URL + "/books.git"
}

func dial(ctx context.Context, network, address string) (net.Conn, error) {
	return (&net.Dialer{}).DialContext(ctx, network, address)
}

func (r *repo) source() *registry.Git {
	return &registry.Git{URL: r.url, Branch: "main", CAFile: r.ca, User: "ann", Password: secret.New("sesame"), Dial: dial}
}

// commit puts files, by name with mode and content, and gives the commit.
func (r *repo) commit(message string, files ...string) string {
	r.Helper()
	var b strings.Builder
	fmt.Fprintf(&b, "commit refs/heads/main\ncommitter ann <ann@example.com> 1700000000 +0000\ndata %d\n%s\ndeleteall\n", len(message), message)
	for i := 0; i < len(files); i += 3 {
		if files[i] == "160000" {
			fmt.Fprintf(&b, "M 160000 %s %s\n", files[i+2], files[i+1])
			continue
		}
		fmt.Fprintf(&b, "M %s inline %s\ndata %d\n%s\n", files[i], files[i+1], len(files[i+2]), files[i+2])
	}
	r.run(b.String(), "-C", r.dir, "fast-import", "--quiet", "--force")
	return r.run("", "-C", r.dir, "rev-parse", "main")
}

func TestGit(t *testing.T) {
	r := newRepo(t)
	first := r.commit("one", "100644", "books/a.yaml", book("a", "one", ""), "100644", "books/a.test.yaml", "tests", "100644", "books/.hidden.yaml", "x",
		"100755", "books/b.yml", book("b", "one", ""), "100644", "books/deep/c.yaml", "x", "120000", "elsewhere", "/etc/passwd", "100644", "README.md", "x")
	g := r.source()
	g.Folder = "books"
	got, err := g.Pull(t.Context(), registry.Pulled{})
	if err != nil || got.Commit != first || len(got.Texts) != 2 || string(got.Texts[0].Body) != book("a", "one", "") || string(got.Texts[0].Tests) != "tests" || got.Texts[1].File != "books/b.yml" {
		t.Fatalf("%+v %v", got, err)
	}
	if again, err := g.Pull(t.Context(), got); err != nil || again.Commit != first || len(again.Texts) != 2 {
		t.Errorf("%+v %v", again, err)
	}
	second := r.commit("two", "100644", "books/a.yaml", book("a", "two", ""))
	if got, err = g.Pull(t.Context(), got); err != nil || got.Commit != second || len(got.Texts) != 1 {
		t.Errorf("%+v %v", got, err)
	}
	g.Branch = ""
	if got, err := g.Pull(t.Context(), registry.Pulled{}); err != nil || got.Commit != second {
		t.Errorf("the default branch: %+v %v", got, err)
	}
	each(t, func(h house) {
		o := registry.Offer{Origin: "git:" + r.url, Note: got.Commit, Actor: "system:git", Standing: true, Texts: got.Texts}
		if taken, err := h.reg.Take(t.Context(), o, press); err != nil || statuses(taken) != "a:published:1" {
			t.Error(taken, err)
		}
		if v, err := h.reg.Version(t.Context(), "a", h.entry("a").Current.Digest); err != nil || v.Note != second {
			t.Error(v, err)
		}
	})
}

// What may not be pulled, and what the refusal says.
func TestGitRefusals(t *testing.T) {
	r := newRepo(t)
	one := r.commit("one", "100644", "a.yaml", book("a", "one", ""))
	refused := func(name, want string, change func(*registry.Git)) {
		t.Helper()
		g := r.source()
		change(g)
		if _, err := g.Pull(t.Context(), registry.Pulled{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", name, err)
		} else if strings.Contains(err.Error(), "sesame") {
			t.Errorf("%s: the password stands in %v", name, err)
		}
	}
	none := func(*registry.Git) {}
	for _, url := range []string{"file://" + r.dir, r.dir, "git://127.0.0.1/books.git", "http://127.0.0.1/books.git", "ext::sh -c id", "https:///books.git", ""} {
		refused(url, "neither https", func(g *registry.Git) { g.URL = url })
	}
	refused("a password in the URL", "put it under user", func(g *registry.Git) { g.URL = strings.Replace(r.url, "https://", "https://ann:sesame@", 1) })
	refused("another password", "401", func(g *registry.Git) { g.Password = secret.New("x") })
	refused("another authority", "certificate", func(g *registry.Git) { g.CAFile = "" })
	refused("a redirect", "302", func(g *registry.Git) { g.URL = strings.Replace(r.url, "/books.git", "/moved", 1) })
	refused("no such branch", "no branch other", func(g *registry.Git) { g.Branch = "other" })
	refused("no such folder", "folder x", func(g *registry.Git) { g.Folder = "x" })
	refused("a folder above", "folder ..", func(g *registry.Git) { g.Folder = ".." })
	refused("no signature", "not signed", func(g *registry.Git) { g.Signers = []string{r.ca} })

	r.commit("link", "120000", "a.yaml", "/etc/passwd")
	refused("a link", "a.yaml is a link", none)
	r.commit("folder that is a link", "120000", "books", "/etc")
	refused("a folder that is a link", "folder books", func(g *registry.Git) { g.Folder = "books" })
	r.commit("submodule", "160000", "sub", one, "100644", ".gitmodules", "[submodule \"sub\"]\n\tpath = sub\n\turl = file:///etc\n")
	refused("a submodule", "sub is a submodule", none)
	r.commit("long", "100644", "a.yaml", strings.Repeat("#", registry.MaxFile+1))
	refused("a long file", "a.yaml is longer", none)
	// 16 MiB of nothing are 16 KiB on the wire.
	r.commit("bomb", "100644", "elsewhere/a.bin", strings.Repeat("\x00", 16<<20), "100644", "a.yaml", book("a", "one", ""))
	refused("a large object", "object of 16777216 bytes", none)
	var many []string
	for i := range 10_000 {
		many = append(many, "100644", fmt.Sprintf("f%d.yaml", i), fmt.Sprint(i))
	}
	r.commit("many", many...)
	refused("many files", "10000 entries", none)
}

// keys makes keys of ssh and OpenPGP, and signs a commit with each.
func TestGitSignatures(t *testing.T) {
	r := newRepo(t)
	keygen, err := exec.LookPath("ssh-keygen")
	if err != nil {
		t.Skip("ssh-keygen is not installed: nothing signs here")
	}
	dir := t.TempDir()
	key := func(name, kind string) string {
		file := filepath.Join(dir, name)
		if out, err := exec.CommandContext(t.Context(), keygen, "-q", "-t", kind, "-N", "", "-C", name, "-f", file).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		return file
	}
	ours, rsa, theirs := key("ours", "ed25519"), key("rsa", "rsa"), key("theirs", "ed25519")
	tree := r.run("", "-C", r.dir, "rev-parse", r.commit("unsigned", "100644", "a.yaml", book("a", "one", ""))+"^{tree}")
	sign := func(with string) {
		c := r.run("signed", "-C", r.dir, "-c", "gpg.format=ssh", "-c", "user.signingkey="+with, "commit-tree", "-S", tree)
		r.run("", "-C", r.dir, "update-ref", "refs/heads/main", c)
	}
	pull := func() (registry.Pulled, error) {
		g := r.source()
		g.Signers = []string{ours + ".pub", rsa + ".pub"}
		return g.Pull(t.Context(), registry.Pulled{})
	}
	if _, err := pull(); err == nil || !strings.Contains(err.Error(), "not signed") {
		t.Error(err)
	}
	for _, k := range []string{ours, rsa} {
		sign(k)
		if got, err := pull(); err != nil || !strings.HasPrefix(got.Signer, "ssh:SHA256:") || len(got.Texts) != 1 {
			t.Error(k, got, err)
		}
	}
	sign(theirs)
	if _, err := pull(); err == nil || !strings.Contains(err.Error(), "none of the keys") {
		t.Error(err)
	}
	// A signature of ours over another commit.
	sign(ours)
	raw := r.run("", "-C", r.dir, "cat-file", "commit", "main")
	forged := r.run(strings.Replace(raw, "\n\nsigned", "\n\nforged", 1), "-C", r.dir, "hash-object", "-t", "commit", "-w", "--stdin")
	r.run("", "-C", r.dir, "update-ref", "refs/heads/main", forged)
	if _, err := pull(); err == nil || !strings.Contains(err.Error(), "none of the keys") && !strings.Contains(err.Error(), "does not hold") {
		t.Error(err)
	}
}

// Over ssh, the server must have the key that is known, and we one that it takes.
func TestGitOverSSH(t *testing.T) {
	r := newRepo(t)
	r.commit("one", "100644", "a.yaml", book("a", "one", ""))
	hostPub, hostKey := sshKey(t)
	userPub, userKey := sshKey(t)
	address := r.serveSSH(hostKey, userPub)
	known := filepath.Join(t.TempDir(), "known_hosts")
	if err := os.WriteFile(known, []byte(knownhosts.Line([]string{address}, hostPub)+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	source := func(key ssh.Signer, raw []byte) *registry.Git {
		_ = key
		return &registry.Git{URL: "ssh://git@" + address + r.dir, Branch: "main", Key: secret.New(string(raw)), KnownHosts: known, Dial: dial}
	}
	got, err := source(userKey.signer, userKey.pem).Pull(t.Context(), registry.Pulled{})
	if err != nil || len(got.Texts) != 1 || string(got.Texts[0].Body) != book("a", "one", "") {
		t.Fatal(got, err)
	}
	_, stranger := sshKey(t)
	if _, err := source(stranger.signer, stranger.pem).Pull(t.Context(), registry.Pulled{}); err == nil || !strings.Contains(err.Error(), "unable to authenticate") {
		t.Error(err)
	}
	other, _ := sshKey(t)
	if err := os.WriteFile(known, []byte(knownhosts.Line([]string{address}, other)+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := source(userKey.signer, userKey.pem).Pull(t.Context(), registry.Pulled{}); err == nil || !strings.Contains(err.Error(), "key mismatch") {
		t.Error(err)
	}
}

type keyPair struct {
	signer ssh.Signer
	pem    []byte
}

func sshKey(t *testing.T) (ssh.PublicKey, keyPair) {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.NewSignerFromKey(private)
	if err != nil {
		t.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKey(private, "")
	if err != nil {
		t.Fatal(err)
	}
	return signer.PublicKey(), keyPair{signer, pem.EncodeToMemory(block)}
}

// serveSSH serves git-upload-pack to the holder of one key.
func (r *repo) serveSSH(host keyPair, user ssh.PublicKey) string {
	conf := &ssh.ServerConfig{PublicKeyCallback: func(_ ssh.ConnMetadata, k ssh.PublicKey) (*ssh.Permissions, error) {
		if !bytes.Equal(k.Marshal(), user.Marshal()) {
			return nil, fmt.Errorf("who is that")
		}
		return nil, nil
	}}
	conf.AddHostKey(host.signer)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		r.Fatal(err)
	}
	r.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go r.session(c, conf)
		}
	}()
	return l.Addr().String()
}

func (r *repo) session(c net.Conn, conf *ssh.ServerConfig) {
	_, chans, reqs, err := ssh.NewServerConn(c, conf)
	if err != nil {
		return
	}
	go ssh.DiscardRequests(reqs)
	for n := range chans {
		ch, in, err := n.Accept()
		if err != nil {
			return
		}
		for req := range in {
			if req.Type != "exec" {
				_ = req.Reply(false, nil)
				continue
			}
			_ = req.Reply(true, nil)
			cmd := exec.Command("git-upload-pack", r.dir)
			cmd.Path, _ = exec.LookPath("git-upload-pack")
			cmd.Env = r.env()
			in, _ := cmd.StdinPipe()
			cmd.Stdout = ch
			if string(req.Payload[4:]) != "git-upload-pack '"+r.dir+"'" || cmd.Start() != nil {
				_ = ch.Close()
				return
			}
			go func() { _, _ = io.Copy(in, ch); _ = in.Close() }()
			_ = cmd.Wait()
			_ = ch.Close()
			return
		}
	}
}

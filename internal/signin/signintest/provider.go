package signintest

import (
	"bufio"
	_ "embed"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

//go:embed provider.mjs
var script []byte

// Provider is a running provider. It knows one client, "quell" with the secret
// "s3cret", and nobody before Set names them.
type Provider struct {
	t      testing.TB
	issuer string
	in     io.Writer
	out    *bufio.Reader
}

// Start installs the provider from the npm registry into a directory of the test
// and runs it until the test ends; where Node or npm is missing, the test is
// skipped. It sends browsers back to redirect, and to no other address.
func Start(t testing.TB, redirect string) *Provider {
	t.Helper()
	for _, tool := range []string{"node", "npm"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("%s is not here: %v", tool, err)
		}
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "provider.mjs"), script, 0o600); err != nil {
		t.Fatal(err)
	}
	install := exec.CommandContext(t.Context(), "npm", "install", "--no-audit", "--no-fund", "--prefix", dir, "oidc-provider@8.8.1")
	if out, err := install.CombinedOutput(); err != nil {
		t.Fatalf("npm install: %v\n%s", err, out)
	}
	cmd := exec.CommandContext(t.Context(), "node", "provider.mjs")
	cmd.Dir, cmd.Stderr, cmd.Env = dir, os.Stderr, append(os.Environ(), "QUELL_REDIRECT="+redirect)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = in.Close(); _ = cmd.Wait() })
	p := &Provider{t: t, in: in, out: bufio.NewReader(out)}
	p.issuer = p.line()
	return p
}

// Issuer is the provider's address, without a slash at its end.
func (p *Provider) Issuer() string { return p.issuer }

// Set changes accounts, or the provider's clock. The change is a JSON object of
// subjects: {"u1": {"name": "Alice", "groups": ["SOC"]}} makes or changes one,
// {"u1": null} removes it, {"$ahead": 600} sets the clock ahead by seconds. It
// holds when Set returns.
func (p *Provider) Set(change string) {
	p.t.Helper()
	if _, err := fmt.Fprintln(p.in, change); err != nil {
		p.t.Fatal(err)
	}
	if got := p.line(); got != "ok" {
		p.t.Fatalf("the provider said %q", got)
	}
}

func (p *Provider) line() string {
	p.t.Helper()
	s, err := p.out.ReadString('\n')
	if err != nil {
		p.t.Fatalf("the provider: %v", err)
	}
	return strings.TrimSpace(s)
}

var action = regexp.MustCompile(`<form[^>]* action="([^"]+)"`)

// Form is the form on one of the provider's pages, filled by who, and where it is
// to be sent. Consenting says that it is the last one, which asks who to consent.
func Form(page []byte, at *url.URL, who string) (to *url.URL, form url.Values, consenting bool, err error) {
	m := action.FindSubmatch(page)
	if m == nil {
		return nil, nil, false, fmt.Errorf("no form at %s:\n%s", at, page)
	}
	if to, err = at.Parse(string(m[1])); err != nil {
		return nil, nil, false, err
	}
	if strings.Contains(string(page), `name="login"`) {
		return to, url.Values{"prompt": {"login"}, "login": {who}, "password": {"any"}}, false, nil
	}
	return to, url.Values{"prompt": {"consent"}}, true, nil
}

package registry

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"

	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"
)

// overHTTPS speaks Git's smart protocol over https. It follows no redirect: the
// configuration names the place.
type overHTTPS struct {
	base, address, user, password string
	client                        *http.Client
}

func (g *Git) overHTTPS(u *url.URL, address string) (remote, error) {
	r := &overHTTPS{address: address, user: g.User, password: g.Password.Reveal()}
	if u.User != nil {
		return nil, errors.New("git: the URL holds a user; put it under user and password, where no log finds it")
	}
	r.base = strings.TrimSuffix(u.String(), "/")
	conf := &tls.Config{MinVersion: tls.VersionTLS12}
	if g.CAFile != "" {
		raw, err := os.ReadFile(g.CAFile)
		if err != nil {
			return nil, fmt.Errorf("git: %w", err)
		}
		conf.RootCAs = x509.NewCertPool()
		if !conf.RootCAs.AppendCertsFromPEM(raw) {
			return nil, fmt.Errorf("git: %s has no certificate", g.CAFile)
		}
	}
	r.client = &http.Client{
		Transport:     &http.Transport{DialContext: g.Dial, TLSClientConfig: conf, DisableKeepAlives: true, ForceAttemptHTTP2: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return r, nil
}

func (r *overHTTPS) refs(ctx context.Context) (*packp.AdvRefs, error) {
	body, err := r.send(ctx, http.MethodGet, "/info/refs?service=git-upload-pack", nil)
	if err != nil {
		return nil, err
	}
	defer func() { _ = body.Close() }()
	adv := packp.NewAdvRefs()
	if err := adv.Decode(&capped{body, maxRefs}); err != nil {
		return nil, fmt.Errorf("its list of branches cannot be read: %w", err)
	}
	return adv, nil
}

func (r *overHTTPS) ask(ctx context.Context, body []byte) (io.ReadCloser, error) {
	return r.send(ctx, http.MethodPost, "/git-upload-pack", body)
}

func (r *overHTTPS) send(ctx context.Context, method, path string, body []byte) (io.ReadCloser, error) {
	req, err := http.NewRequestWithContext(ctx, method, r.base+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/x-git-upload-pack-request")
	}
	req.Header.Set("User-Agent", "git/quell")
	if r.user != "" || r.password != "" {
		req.SetBasicAuth(r.user, r.password)
	}
	res, err := r.client.Do(req)
	if err != nil {
		return nil, err
	}
	if res.StatusCode != http.StatusOK {
		_ = res.Body.Close()
		return nil, fmt.Errorf("it answers %s; look at the URL, the user and the password", res.Status)
	}
	return res.Body, nil
}

func (r *overHTTPS) close() { r.client.CloseIdleConnections() }

// overSSH speaks it over ssh, in one session.
type overSSH struct {
	git                 *Git
	user, address, path string
	client              *ssh.Client
	in                  io.WriteCloser
	out                 io.Reader
	stop                func() bool
}

func (r *overSSH) refs(ctx context.Context) (*packp.AdvRefs, error) {
	conf, err := r.config()
	if err != nil {
		return nil, err
	}
	conn, err := r.git.Dial(ctx, "tcp", r.address)
	if err != nil {
		return nil, err
	}
	r.stop = context.AfterFunc(ctx, func() { _ = conn.Close() })
	c, chans, reqs, err := ssh.NewClientConn(conn, r.address, conf)
	if err != nil {
		return nil, errors.Join(err, closed(conn))
	}
	r.client = ssh.NewClient(c, chans, reqs)
	s, err := r.client.NewSession()
	if err != nil {
		return nil, err
	}
	if r.in, err = s.StdinPipe(); err != nil {
		return nil, err
	}
	if r.out, err = s.StdoutPipe(); err != nil {
		return nil, err
	}
	if err := s.Start("git-upload-pack '" + strings.ReplaceAll(r.path, "'", `'\''`) + "'"); err != nil {
		return nil, err
	}
	r.out = &capped{r.out, maxRefs + maxPack}
	adv := packp.NewAdvRefs()
	if err := adv.Decode(r.out); err != nil {
		return nil, fmt.Errorf("its list of branches cannot be read: %w", err)
	}
	return adv, nil
}

func closed(c net.Conn) error {
	_ = c.Close()
	return nil
}

func (r *overSSH) config() (*ssh.ClientConfig, error) {
	if r.git.KnownHosts == "" {
		return nil, errors.New("git: known_hosts is missing: nothing says which key the server has")
	}
	hosts, err := knownhosts.New(r.git.KnownHosts)
	if err != nil {
		return nil, fmt.Errorf("git: known_hosts: %w", err)
	}
	key, err := ssh.ParsePrivateKey([]byte(r.git.Key.Reveal()))
	if err != nil {
		return nil, errors.New("git: the key is no private key of ssh, or has a passphrase")
	}
	user := r.user
	if user == "" {
		user = r.git.User
	}
	if user == "" {
		user = "git"
	}
	return &ssh.ClientConfig{User: user, Auth: []ssh.AuthMethod{ssh.PublicKeys(key)}, HostKeyCallback: hosts, Timeout: pullTime}, nil
}

func (r *overSSH) ask(_ context.Context, body []byte) (io.ReadCloser, error) {
	if _, err := r.in.Write(body); err != nil {
		return nil, err
	}
	return io.NopCloser(r.out), nil
}

func (r *overSSH) close() {
	if r.client != nil {
		_ = r.client.Close()
	}
	if r.stop != nil {
		r.stop()
	}
}

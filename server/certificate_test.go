package server

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"slices"
	"testing"
	"time"

	"github.com/quell-soar/quell/internal/auth"
	"github.com/quell-soar/quell/server/api"
)

// authority signs certificates for a test.
type authority struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	a := &authority{t: t}
	pair := a.issue(x509.Certificate{IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign})
	var err error
	if a.cert, err = x509.ParseCertificate(pair.Certificate[0]); err != nil {
		t.Fatal(err)
	}
	a.key = pair.PrivateKey.(*ecdsa.PrivateKey)
	return a
}

// issue completes a certificate and signs it; an authority's first one signs itself.
func (a *authority) issue(c x509.Certificate) tls.Certificate {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	c.SerialNumber = big.NewInt(time.Now().UnixNano())
	c.Subject = pkix.Name{CommonName: "spiffe://soc/alice"} // a common name is nobody's
	if c.NotAfter.IsZero() {
		c.NotAfter = time.Now().Add(time.Hour)
	}
	c.NotBefore = time.Now().Add(-2 * time.Hour)
	parent, signer := a.cert, a.key
	if parent == nil {
		parent, signer = &c, key
	}
	raw, err := x509.CreateCertificate(rand.Reader, &c, parent, &key.PublicKey, signer)
	if err != nil {
		a.t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{raw}, PrivateKey: key}
}

// client is a certificate of a client with a name.
func (a *authority) client(name string, change ...func(*x509.Certificate)) tls.Certificate {
	a.t.Helper()
	c := x509.Certificate{ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
	if name != "" {
		u, err := url.Parse(name)
		if err != nil {
			a.t.Fatal(err)
		}
		c.URIs = []*url.URL{u}
	}
	for _, f := range change {
		f(&c)
	}
	return a.issue(c)
}

func (a *authority) pool() *x509.CertPool {
	p := x509.NewCertPool()
	p.AddCert(a.cert)
	return p
}

// certHouse serves TLS as internal/serve sets it up: a client may show a certificate
// of the authority, and one that is shown must hold.
func certHouse(t *testing.T, ours, clients *authority, people ...auth.Person) *house {
	t.Helper()
	serving := ours.issue(x509.Certificate{IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}})
	return openWith(t, func(h *house, a *Access) {
		var err error
		if a.People, err = auth.NewPeople(people); err != nil {
			t.Fatal(err)
		}
	}, func(c *Config) {
		c.TLS = &tls.Config{Certificates: []tls.Certificate{serving}, MinVersion: tls.VersionTLS12, ClientCAs: clients.pool(), ClientAuth: tls.VerifyClientCertIfGiven}
	})
}

// come makes a request with a certificate, or none, and a token, or none. A
// handshake that fails is status 0.
func (h *house) come(root *authority, pair *tls.Certificate, token, method, path string) (int, api.Whoami) {
	h.t.Helper()
	conf := &tls.Config{RootCAs: root.pool(), MinVersion: tls.VersionTLS12}
	if pair != nil {
		// Whatever authorities the server names: an attacker sends what they have.
		conf.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return pair, nil }
	}
	c := &http.Client{Transport: &http.Transport{TLSClientConfig: conf}}
	defer c.CloseIdleConnections()
	req, err := http.NewRequestWithContext(h.t.Context(), method, "https://"+h.tcp+path, nil)
	if err != nil {
		h.t.Fatal(err)
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	res, err := c.Do(req)
	if err != nil {
		return 0, api.Whoami{}
	}
	defer func() { _ = res.Body.Close() }()
	var who api.Whoami
	if res.StatusCode == http.StatusOK && path == "/v1/whoami" {
		if err := json.NewDecoder(res.Body).Decode(&who); err != nil {
			h.t.Fatal(err)
		}
	}
	return res.StatusCode, who
}

// TestClientCertificates: a certificate of the configured authority is the person
// whom the configuration links to its first subject alternative name, with that
// person's roles, and nobody else. One that does not hold ends the handshake; one
// of nobody, or of somebody who was taken out of the configuration, may do nothing.
func TestClientCertificates(t *testing.T) {
	ours, clients, others := newAuthority(t), newAuthority(t), newAuthority(t)
	alice := auth.Person{Name: "alice", Certificate: "spiffe://soc/alice", Roles: []string{"analyst", "ir-lead"}}
	h := certHouse(t, ours, clients, alice)
	good := clients.client("spiffe://soc/alice")

	status, who := h.come(ours, &good, "", "GET", "/v1/whoami")
	if status != http.StatusOK || who.Actor != "user:alice" || !slices.Equal(who.Roles, alice.Roles) || !slices.Equal(who.OnCall, []string{"oncall.soc"}) || slices.Contains(who.Scopes, "admin") || !slices.Contains(who.Scopes, "approve") {
		t.Errorf("%d %+v", status, who)
	}
	if status, _ := h.come(ours, &good, "", "GET", "/v1/runs"); status != http.StatusOK {
		t.Errorf("an analyst lists runs: %d", status)
	}
	if status, _ := h.come(ours, &good, "", "GET", "/v1/tokens"); status != http.StatusForbidden {
		t.Errorf("an analyst lists tokens: %d", status)
	}
	if status, _ := h.come(ours, nil, "", "GET", "/v1/runs"); status != http.StatusUnauthorized {
		t.Errorf("without a certificate: %d", status)
	}
	// A token that was sent counts, good or bad: no certificate stands in for it.
	bob := h.token("bob", nil, auth.Read)
	if status, who := h.come(ours, &good, bob, "GET", "/v1/whoami"); status != http.StatusOK || who.Actor != "user:bob" {
		t.Errorf("%d %+v", status, who)
	}
	if status, _ := h.come(ours, &good, "quell_wrong", "GET", "/v1/whoami"); status != http.StatusUnauthorized {
		t.Errorf("a bad token beside a good certificate: %d", status)
	}

	for name, pair := range map[string]tls.Certificate{
		"of another authority":        others.client("spiffe://soc/alice"),
		"of the server's authority":   ours.client("spiffe://soc/alice"),
		"of itself":                   (&authority{t: t}).client("spiffe://soc/alice"),
		"expired":                     clients.client("spiffe://soc/alice", func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) }),
		"for servers":                 clients.client("spiffe://soc/alice", func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} }),
		"signed by alice's, not a CA": (&authority{t: t, cert: leaf(t, good), key: good.PrivateKey.(*ecdsa.PrivateKey)}).client("spiffe://soc/alice"),
	} {
		if status, _ := h.come(ours, &pair, "", "GET", "/v1/runs"); status != 0 {
			t.Errorf("a certificate %s gets %d", name, status)
		}
	}
	for name, pair := range map[string]tls.Certificate{
		"of a stranger":            clients.client("spiffe://soc/mallory"),
		"with a common name alone": clients.client(""),
		"with alice's as second": clients.client("spiffe://soc/mallory", func(c *x509.Certificate) {
			c.URIs = append(c.URIs, &url.URL{Scheme: "spiffe", Host: "soc", Path: "/alice"})
		}),
		"of alice in capitals":      clients.client("spiffe://SOC/alice"),
		"with alice's as DNS name":  clients.client("", func(c *x509.Certificate) { c.DNSNames = []string{"alice"} }),
		"with alice's name as mail": clients.client("", func(c *x509.Certificate) { c.EmailAddresses = []string{"alice@soc"} }),
	} {
		status, who := h.come(ours, &pair, "", "GET", "/v1/whoami")
		if status != http.StatusOK || who.Actor == "user:alice" || len(who.Roles)+len(who.Scopes)+len(who.OnCall) != 0 {
			t.Errorf("a certificate %s is %d %+v", name, status, who)
		}
		for _, path := range []string{"/v1/runs", "/v1/metrics", "/v1/tokens"} {
			if status, _ := h.come(ours, &pair, "", "GET", path); status != http.StatusForbidden {
				t.Errorf("a certificate %s gets %s: %d", name, path, status)
			}
		}
	}
	if n := h.kinds("api.refused"); n == 0 {
		t.Error("no refusal is on record")
	}

	// Alice has left: her certificate holds still, and is nobody's.
	h = certHouse(t, ours, clients)
	if status, _ := h.come(ours, &good, "", "GET", "/v1/runs"); status != http.StatusForbidden {
		t.Errorf("who was taken out of the configuration gets %d", status)
	}
}

func leaf(t *testing.T, pair tls.Certificate) *x509.Certificate {
	t.Helper()
	c, err := x509.ParseCertificate(pair.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	return c
}

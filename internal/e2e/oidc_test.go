package e2e

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/quell-soar/quell/internal/signin/signintest"
	"github.com/quell-soar/quell/server/api"
)

// window is a person's browser: cookies, trust in the house's certificate, and
// nothing else.
type window struct {
	t    *testing.T
	base string
	c    *http.Client
	jar  *cookiejar.Jar
	// consenting is called before the last page of the provider is sent.
	consenting func()
}

func (h *house) window(base string, roots *x509.CertPool) *window {
	h.t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		h.t.Fatal(err)
	}
	w := &window{t: h.t, base: base, jar: jar}
	w.c = &http.Client{
		Jar: jar, Timeout: 20 * time.Second, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}},
		CheckRedirect: func(r *http.Request, _ []*http.Request) error {
			if strings.HasPrefix(r.URL.String(), base) && r.URL.Path != "/v1/session/callback" {
				return http.ErrUseLastResponse // signed in: where that lands is the console's matter
			}
			return nil
		},
	}
	return w
}

// signIn goes to the provider and through its pages as who, and returns the
// status that the house answered with, and what it said.
func (w *window) signIn(who string) (int, string) {
	w.t.Helper()
	res, err := w.c.Get(w.base + "/v1/session/begin")
	for range 6 {
		if err != nil {
			w.t.Fatal(err)
		}
		page, err2 := io.ReadAll(res.Body)
		_ = res.Body.Close()
		if err2 != nil {
			w.t.Fatal(err2)
		}
		if strings.HasPrefix(res.Request.URL.String(), w.base) {
			return res.StatusCode, string(page)
		}
		to, form, last, err2 := signintest.Form(page, res.Request.URL, who)
		if err2 != nil {
			w.t.Fatal(err2)
		}
		if last && w.consenting != nil {
			w.consenting()
		}
		res, err = w.c.PostForm(to.String(), form)
	}
	w.t.Fatal("the provider's pages do not end")
	return 0, ""
}

// send calls the API as a page of ours does.
func (w *window) send(method, path string, in, out any) (int, api.Error) {
	w.t.Helper()
	raw, err := json.Marshal(in)
	if err != nil {
		w.t.Fatal(err)
	}
	r, err := http.NewRequestWithContext(w.t.Context(), method, w.base+path, bytes.NewReader(raw))
	if err != nil {
		w.t.Fatal(err)
	}
	for _, c := range w.jar.Cookies(r.URL) {
		if c.Name == "__Host-quell-csrf" {
			r.Header.Set(api.HeaderCSRF, c.Value)
		}
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	res, err := w.c.Do(r)
	if err != nil {
		w.t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	var problem api.Error
	if res.StatusCode >= 300 {
		_ = json.Unmarshal(body, &problem)
	} else if err := json.Unmarshal(body, out); err != nil {
		w.t.Fatalf("%s %s: %v: %s", method, path, err, body)
	}
	return res.StatusCode, problem
}

// certificate writes a certificate of its own for 127.0.0.1 into the house.
func (h *house) certificate() *x509.CertPool {
	h.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		h.t.Fatal(err)
	}
	c := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "quell"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	raw, err := x509.CreateCertificate(rand.Reader, c, c, &key.PublicKey, key)
	if err != nil {
		h.t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		h.t.Fatal(err)
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: raw})
	h.write("quell.pem", string(text))
	h.write("quell.key", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})))
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(text)
	return roots
}

// idpHouse is a house over TLS at which people of a provider sign in. Its port
// must be known before it starts: the provider sends browsers back to it.
func idpHouse(t *testing.T) (*house, *signintest.Provider, func() *window) {
	t.Helper()
	l := startLab(t)
	l.hostsOf(3)
	spot, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	at := spot.Addr().String()
	_ = spot.Close()
	p := signintest.Start(t, "https://"+at+"/v1/session/callback")
	h := newHouse(t, l, "")
	roots := h.certificate()
	h.write("oidc.secret", "s3cret\n")
	h.config = strings.NewReplacer(
		"listen: 127.0.0.1:0\n", "listen: "+at+"\n",
		`oncall: {soc: [lena, "local:0"]}`, "oncall: {soc: [alice, bob]}",
		"access: {local_roles: [analyst, ir-lead]}\n", `access:
  local_roles: [analyst]
  tls: {cert: quell.pem, key: quell.key}
  people: {alice: {subject: 00u1}, bob: {subject: 00u2}}
  oidc:
    issuer: `+p.Issuer()+`
    client_id: quell
    client_secret: "file:oidc.secret"
    redirect: https://`+at+`/v1/session/callback
    scopes: [groups]
    roles: {SOC: [analyst, approver], Leads: [lead, ir-lead]}
`).Replace(h.config)
	h.write("quell.yaml", h.config)
	h.start()
	return h, p, func() *window { return h.window("https://"+at, roots) }
}

// TestOIDC signs people in at a real provider and a real serve over TLS: groups
// become roles, what cannot be known lets nobody in, clocks that differ are
// noticed, and who lost a group between question and answer decides nothing.
func TestOIDC(t *testing.T) {
	integration(t)
	h, p, open := idpHouse(t)
	p.Set(`{"00u1": {"name": "Alice", "groups": ["SOC"]}, "00u2": {"name": "Bob", "groups": ["SOC", "Leads", "Choir"]}, "00u3": {"name": "Eve", "groups": ["Choir"]}, "00u4": {"name": "Max", "hasgroups": "true"}}`)
	alice, bob := open(), open()
	for _, c := range []struct {
		w     *window
		who   string
		actor string
		roles []string
	}{{alice, "00u1", "user:alice", []string{"analyst", "approver"}}, {bob, "00u2", "user:bob", []string{"analyst", "approver", "ir-lead", "lead"}}} {
		if status, said := c.w.signIn(c.who); status != http.StatusSeeOther {
			t.Fatalf("%s: %d %s", c.who, status, said)
		}
		var me api.Whoami
		if status, p := c.w.send(http.MethodGet, "/v1/whoami", nil, &me); status != http.StatusOK || me.Actor != c.actor || !slices.Equal(slices.Sorted(slices.Values(me.Roles)), c.roles) {
			t.Errorf("%s: %d %+v, %+v", c.who, status, me, p)
		}
	}
	h.letNobodyIn(p, open)
	h.skewed(p, open)
	h.revoked(p, alice, bob)
	h.auditOK()
}

// refusals counts the refusals on record.
func (h *house) refusals(code, actor string) (n int) {
	h.t.Helper()
	for _, e := range h.entries() {
		if e.Kind == "api.refused" && e.Actor == actor && strings.Contains(string(e.Payload), `"`+code+`"`) {
			n++
		}
	}
	return n
}

// letNobodyIn: without a group that gives a role, and where the provider left the
// groups out because there are too many.
func (h *house) letNobodyIn(p *signintest.Provider, open func() *window) {
	h.t.Helper()
	for who, want := range map[string]struct {
		status      int
		code, actor string
	}{"00u3": {http.StatusForbidden, "forbidden", "00u3"}, "00u4": {http.StatusUnauthorized, "unauthenticated", "unknown"}} {
		before := len(h.entries())
		w := open()
		if status, said := w.signIn(who); status != want.status || !strings.Contains(said, want.code) {
			h.t.Errorf("%s: %d %s, want %d", who, status, said, want.status)
		}
		var me api.Whoami
		if status, _ := w.send(http.MethodGet, "/v1/whoami", nil, &me); status != http.StatusUnauthorized {
			h.t.Errorf("%s is let in: %d %+v", who, status, me)
		}
		told := 0
		for _, e := range h.entries()[before:] {
			if e.Kind == "api.refused" && strings.Contains(e.Actor, want.actor) && strings.Contains(string(e.Payload), "/v1/session/callback") {
				told++
			}
		}
		if told != 1 {
			h.t.Errorf("%s: the refused sign-in stands %d times on record, want once", who, told)
		}
	}
}

// skewed: a minute is let pass, ten are not, in neither direction past the end
// of a token.
func (h *house) skewed(p *signintest.Provider, open func() *window) {
	h.t.Helper()
	for ahead, want := range map[int]int{60: http.StatusSeeOther, -60: http.StatusSeeOther, 600: http.StatusUnauthorized, -3 * 3600: http.StatusUnauthorized} {
		w := open()
		w.consenting = func() { p.Set(fmt.Sprintf(`{"$ahead": %d}`, ahead)) }
		if status, said := w.signIn("00u2"); status != want {
			h.t.Errorf("the provider's clock is ahead by %d s: %d %s, want %d", ahead, status, said, want)
		}
		p.Set(`{"$ahead": 0}`)
	}
}

// revoked: alice saw the question, lost her group, and says yes. Nothing happens
// and it stands on record; bob's yes counts. Then bob is gone from the provider
// altogether, and his session with him.
func (h *house) revoked(p *signintest.Provider, alice, bob *window) {
	h.t.Helper()
	got, err := h.alert("oidc-1", hostname(1))
	if err != nil || len(got.Runs) != 1 {
		h.t.Fatalf("%+v, %v", got, err)
	}
	var req api.Approval
	eventually(h.t, time.Minute, "the run asks", func() (bool, error) {
		var list api.Approvals
		status, p := alice.send(http.MethodGet, "/v1/approvals", nil, &list)
		if len(list.Approvals) == 1 {
			req = list.Approvals[0]
		}
		return len(list.Approvals) == 1, fmt.Errorf("%d %v", status, p.Detail)
	})
	yes, path := api.Vote{Decision: api.Approve, Seal: req.Seal, Reason: "I saw it"}, "/v1/approvals/"+url.PathEscape(req.ID)+"/vote"
	var after api.Approval
	p.Set(`{"00u1": {"name": "Alice", "groups": ["Choir"]}}`)
	if status, problem := alice.send(http.MethodPost, path, yes, &after); status != http.StatusForbidden {
		h.t.Errorf("alice, who lost her group: %d %+v", status, problem)
	}
	if n := h.refusals("forbidden", "user:alice"); n != 1 {
		h.t.Errorf("alice's refused vote stands %d times on record, want once", n)
	}
	if now, err := h.client().Approval(h.t.Context(), req.ID); err != nil || now.Status != "open" {
		h.t.Fatalf("after a vote that does not count: %+v, %v", now, err)
	}
	if status, problem := bob.send(http.MethodPost, path, yes, &after); status != http.StatusOK {
		h.t.Fatalf("bob: %d %+v", status, problem)
	}
	p.Set(`{"00u2": null}`)
	got, err = h.alert("oidc-2", hostname(2))
	if err != nil || len(got.Runs) != 1 {
		h.t.Fatalf("%+v, %v", got, err)
	}
	eventually(h.t, time.Minute, "the second run asks", func() (bool, error) {
		list, err := h.requests()
		for _, r := range list {
			if r.Run == got.Runs[0].Run && r.Status == "open" {
				req = r
				return true, nil
			}
		}
		return false, err
	})
	yes.Seal = req.Seal
	if status, problem := bob.send(http.MethodPost, "/v1/approvals/"+url.PathEscape(req.ID)+"/vote", yes, &after); status != http.StatusUnauthorized {
		h.t.Errorf("bob, who is gone: %d %+v", status, problem)
	}
	var me api.Whoami
	if status, _ := bob.send(http.MethodGet, "/v1/whoami", nil, &me); status != http.StatusUnauthorized {
		h.t.Errorf("bob's session goes on: %d %+v", status, me)
	}
}

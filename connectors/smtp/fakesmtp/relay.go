package fakesmtp

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/quell-soar/quell/connectors/fake"
)

// Mail is one accepted message as it lies in a mailbox.
type Mail struct {
	From string `json:"from"`
	To   string `json:"to"`
	// Raw is the whole message, its lines ended by \n.
	Raw string `json:"raw"`
}

// Relay is the fake.
type Relay struct {
	world    *fake.World
	vendor   *fake.Vendor
	user     string
	password string
	domains  []string

	listener net.Listener
	tls      *tls.Config
	// Authority is the PEM of the certificate that the relay shows.
	Authority string
	conns     sync.WaitGroup
	end       context.CancelFunc
	life      context.Context

	mails  []Mail
	serial int
}

// New makes a relay in the world that knows one account and delivers to the
// domains given; other recipients are unknown to it.
func New(w *fake.World, user, password string, domains ...string) (*Relay, error) {
	r := &Relay{world: w, user: user, password: password, domains: domains}
	r.life, r.end = context.WithCancel(context.Background())
	r.vendor = &fake.Vendor{
		Name: "smtp", Authorize: func(*fake.Call) *fake.Answer { return nil }, Refused: refused, Dump: r.dump, Expire: func() {},
	}
	w.Lag("smtp.latency", 0)
	w.Add(r.vendor)
	return r, r.certify()
}

// certify makes the relay's certificate, which signs itself.
func (r *Relay) certify() error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	tpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "relay of the lab"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, IsCA: true, BasicConstraintsValid: true,
		DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
	}
	der, err := x509.CreateCertificate(rand.Reader, tpl, tpl, &key.PublicKey, key)
	if err != nil {
		return err
	}
	r.tls = &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
	r.Authority = string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	return nil
}

// Start listens on a loopback address and returns host:port. implicit begins
// each connection with TLS.
func (r *Relay) Start(address string, implicit bool) (string, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(r.life, "tcp", address)
	if err != nil {
		return "", fmt.Errorf("the mail relay cannot listen: %w", err)
	}
	if implicit {
		l = tls.NewListener(l, r.tls)
	}
	r.listener = l
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return // closed
			}
			r.conns.Go(func() { r.serve(conn, implicit) })
		}
	}()
	return l.Addr().String(), nil
}

// Close ends the relay and its connections.
func (r *Relay) Close() error {
	r.end()
	if r.listener == nil {
		return nil
	}
	err := r.listener.Close()
	r.conns.Wait()
	return err
}

// Mails returns what was accepted for an address, oldest first; for "" all.
func (r *Relay) Mails(to string) []Mail {
	var out []Mail
	r.world.Do(func() {
		for _, m := range r.mails {
			if to == "" || strings.EqualFold(m.To, to) {
				out = append(out, m)
			}
		}
	})
	return out
}

func (r *Relay) dump() any {
	out := []map[string]string{}
	for _, m := range r.mails {
		// Date and Message-ID are no state that a test compares.
		out = append(out, map[string]string{"from": m.From, "to": m.To, "subject": m.Header("Subject"), "text": m.Body()})
	}
	return map[string]any{"mails": out}
}

// Header returns the first header of that name, unfolded; "" where there is none.
func (m Mail) Header(name string) string {
	head, _, _ := strings.Cut(m.Raw, "\n\n")
	head = strings.ReplaceAll(head, "\n ", " ")
	for line := range strings.SplitSeq(head, "\n") {
		if n, v, ok := strings.Cut(line, ":"); ok && strings.EqualFold(n, name) {
			return strings.TrimSpace(v)
		}
	}
	return ""
}

// Body is the message behind the headers, as it was sent.
func (m Mail) Body() string {
	_, body, _ := strings.Cut(m.Raw, "\n\n")
	return body
}

func (r *Relay) knows(to string) bool {
	_, domain, ok := strings.Cut(to, "@")
	return ok && (len(r.domains) == 0 || slices.ContainsFunc(r.domains, func(d string) bool { return strings.EqualFold(d, domain) }))
}

// say is an answer: code and text.
func say(code int, text string) fake.Answer { return fake.Answer{Status: code, Body: text} }

func refused(_ *fake.Call, status int, _ time.Duration) fake.Answer {
	switch {
	case status == http.StatusUnauthorized:
		return say(535, "5.7.8 Authentication credentials invalid")
	case status == http.StatusTooManyRequests:
		return say(451, "4.7.1 Try again later")
	case status >= 500:
		return say(421, "4.3.0 Service not available")
	}
	return say(554, "5.7.1 Rejected")
}

package mail

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/smtp"
	"net/textproto"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/quell-soar/quell/connectors/sdk/reach"
	"github.com/quell-soar/quell/connectors/sdk/secret"
	"github.com/quell-soar/quell/connectors/spec"
)

// How the connection to a relay is encrypted.
const (
	// StartTLS upgrades a plain connection before anything is said (port 587).
	StartTLS = "starttls"
	// Implicit begins with TLS (port 465).
	Implicit = "implicit"
	// Plain is not encrypted; only on the loopback interface.
	Plain = "none"
)

// dialTime is how long a connection may take to stand.
const dialTime = 5 * time.Second

// Relay is a mail server that takes messages from us. It may be used from many
// goroutines; each message has a connection of its own.
type Relay struct {
	// Address is host:port.
	Address string
	// TLS is StartTLS, Implicit or Plain.
	TLS string
	// Authorities are the certificates that the relay's may be signed by, as PEM;
	// empty are the machine's.
	Authorities string
	// User and Password sign in; without a user nobody signs in.
	User     string
	Password secret.Value
	// From is the sender's address.
	From string

	host  string
	roots *x509.CertPool
}

// Check reports the first thing in the options that cannot work, and prepares
// the relay; it dials nobody. It must be called once before Send.
func (r *Relay) Check() error {
	host, _, err := reach.Split(r.Address)
	if err != nil {
		return spec.Errorf(spec.Invalid, "the relay is no host:port that may be reached, such as smtp.example.com:587: %v", err)
	}
	r.host = host
	switch r.TLS {
	case StartTLS, Implicit:
	case Plain:
		if !slices.Contains(reach.Named(host), reach.Loopback) {
			return spec.Errorf(spec.Invalid, "the relay %s is not on the loopback interface, so it needs TLS: starttls or implicit", host)
		}
	default:
		return spec.Errorf(spec.Invalid, "TLS to the relay is starttls, implicit or none, not %q", r.TLS)
	}
	if r.Authorities != "" {
		r.roots = x509.NewCertPool()
		if !r.roots.AppendCertsFromPEM([]byte(r.Authorities)) {
			return spec.Errorf(spec.Invalid, "there is no certificate in the authorities of the relay; give them as PEM")
		}
	}
	if err := CheckAddress(r.From); err != nil {
		return fmt.Errorf("sender: %w", err)
	}
	return nil
}

// Receipt is what the relay said when it took a message, such as
// "2.0.0 Ok: queued as 4F1A2".
type Receipt string

// Send hands a message to the relay. Errors are *spec.Error: only Uncertain
// means that the message may be under way.
func (r *Relay) Send(ctx context.Context, m Message) (Receipt, error) {
	raw, err := m.bytes(r.From)
	if err != nil {
		return "", err
	}
	c, err := r.open(ctx)
	if err != nil {
		return "", err
	}
	defer func() { _ = c.Close() }()
	if err := c.Mail(r.From); err != nil {
		return "", r.refused(ctx, "the sender "+r.From, err)
	}
	if err := c.Rcpt(m.To); err != nil {
		return "", r.refused(ctx, "the recipient", err)
	}
	return r.data(ctx, c, raw)
}

// Probe connects and signs in, and sends nothing.
func (r *Relay) Probe(ctx context.Context) error {
	c, err := r.open(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	if err := c.Noop(); err != nil {
		return r.refused(ctx, "the session", err)
	}
	_ = c.Quit()
	return nil
}

// open connects, encrypts and signs in.
func (r *Relay) open(ctx context.Context) (*smtp.Client, error) {
	if err := ctx.Err(); err != nil {
		return nil, spec.Errorf(spec.Transient, "nothing was sent: %v", err)
	}
	conn, err := (&reach.Dialer{Allow: reach.Named(r.host), Timeout: dialTime}).Dial(ctx, r.Address)
	var no *reach.RefusedError
	if errors.As(err, &no) {
		return nil, spec.Errorf(spec.Invalid, "nothing was sent to the relay %s: %v", r.host, err)
	}
	if err != nil {
		return nil, r.refused(ctx, "the connection", err)
	}
	if end, ok := ctx.Deadline(); ok {
		// The deadline bounds every read and write from here on.
		if err := conn.SetDeadline(end); err != nil {
			_ = conn.Close()
			return nil, r.refused(ctx, "the connection", err)
		}
	}
	settings := &tls.Config{ServerName: r.host, RootCAs: r.roots, MinVersion: tls.VersionTLS12}
	if r.TLS == Implicit {
		conn = tls.Client(conn, settings)
	}
	c, err := smtp.NewClient(conn, r.host)
	if err != nil {
		_ = conn.Close()
		return nil, r.refused(ctx, "the connection", err)
	}
	if err := r.greet(ctx, c, settings); err != nil {
		_ = c.Close()
		return nil, err
	}
	return c, nil
}

func (r *Relay) greet(ctx context.Context, c *smtp.Client, settings *tls.Config) error {
	if err := c.Hello("quell.invalid"); err != nil {
		return r.refused(ctx, "the greeting", err)
	}
	if r.TLS == StartTLS {
		// A relay that does not offer it is refused: whoever stands between could
		// have taken the offer away.
		if ok, _ := c.Extension("STARTTLS"); !ok {
			return spec.Errorf(spec.Invalid, "the relay %s offers no STARTTLS; nothing was sent. Use its port with implicit TLS, or enable it there", r.Address)
		}
		if err := c.StartTLS(settings); err != nil {
			return r.refused(ctx, "the encryption", err)
		}
	}
	if r.User == "" {
		return nil
	}
	if ok, _ := c.Extension("AUTH"); !ok {
		return spec.Errorf(spec.Auth, "the relay %s lets nobody sign in on this connection; nothing was sent", r.Address)
	}
	if err := c.Auth(smtp.PlainAuth("", r.User, r.Password.Reveal(), r.host)); err != nil {
		e := r.refused(ctx, "the user or password", err)
		var said *textproto.Error
		if errors.As(err, &said) && said.Code/100 == 5 {
			e.Kind = spec.Auth
		}
		return e
	}
	return nil
}

// data sends the message. Up to the final dot nothing can have happened.
func (r *Relay) data(ctx context.Context, c *smtp.Client, raw []byte) (Receipt, error) {
	id, err := c.Text.Cmd("DATA")
	if err != nil {
		return "", r.refused(ctx, "the message", err)
	}
	c.Text.StartResponse(id)
	_, _, err = c.Text.ReadResponse(354)
	c.Text.EndResponse(id)
	if err != nil {
		return "", r.refused(ctx, "the message", err)
	}
	w := c.Text.DotWriter()
	if _, err := w.Write(raw); err != nil {
		return "", r.refused(ctx, "the message", err)
	}
	err = w.Close()
	said := ""
	if err == nil {
		_, said, err = c.Text.ReadResponse(250)
	}
	var refusal *textproto.Error
	switch {
	case errors.As(err, &refusal):
		return "", r.refused(ctx, "the message", err)
	case err != nil:
		return "", spec.Errorf(spec.Uncertain, "the message was sent to %s and its answer lost: %s; it may be under way", r.Address, r.why(ctx, err))
	}
	_ = c.Quit() // it was taken; how the session ends changes nothing
	return Receipt(r.clean(said)), nil
}

// refused is the error of anything before a message was taken: nothing was sent.
func (r *Relay) refused(ctx context.Context, what string, err error) *spec.Error {
	e := &spec.Error{Kind: spec.Transient, Message: fmt.Sprintf("nothing was sent: the relay %s did not take %s: %s", r.Address, what, r.why(ctx, err))}
	var said *textproto.Error
	var unknown x509.UnknownAuthorityError
	var name x509.HostnameError
	switch {
	case errors.As(err, &said):
		e.VendorCode = fmt.Sprintf("SMTP %d", said.Code)
		e.Kind = kindOf(said.Code)
		if e.Kind == spec.RateLimited {
			e.RetryAfter = time.Minute
		}
	case errors.As(err, &unknown), errors.As(err, &name):
		e.Kind = spec.Invalid
		e.Message += "; check the relay's name, and give the authority of its certificate"
	}
	return e
}

// kindOf says what a reply code means (RFC 5321 §4.2, RFC 4954 §6).
func kindOf(code int) spec.ErrorKind {
	switch code {
	case 421, 450, 451, 452, 454:
		// Busy, greylisted, full: the relay asks to come back.
		return spec.RateLimited
	case 530, 534, 535, 538:
		return spec.Auth
	case 550, 551, 553, 556:
		return spec.NotFound
	}
	if code/100 == 4 {
		return spec.Transient
	}
	return spec.Invalid
}

func (r *Relay) why(ctx context.Context, err error) string {
	var timeout net.Error
	if ctx.Err() != nil || errors.As(err, &timeout) && timeout.Timeout() {
		return "the deadline came first"
	}
	return r.clean(err.Error())
}

// clean makes a server's text fit to be shown.
func (r *Relay) clean(s string) string {
	const most = 200
	s = strings.Map(func(c rune) rune {
		if unicode.IsControl(c) {
			return ' '
		}
		return c
	}, strings.ToValidUTF8(s, "?"))
	s = secret.NewRedactor(r.Password).Text(s)
	if rs := []rune(s); len(rs) > most {
		s = string(rs[:most]) + "…"
	}
	return strings.TrimSpace(s)
}

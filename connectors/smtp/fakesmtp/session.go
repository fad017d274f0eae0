package fakesmtp

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"github.com/quell-soar/quell/connectors/fake"
)

// maxLine and maxMail bound what a client may send.
const (
	maxLine = 2048
	maxMail = 1 << 20
)

// errEnd ends a session.
var errEnd = errors.New("the session is over")

// session is one connection.
type session struct {
	r      *Relay
	conn   net.Conn
	in     *bufio.Reader
	secure bool
	signed bool
	from   string
	to     string
}

var _ fake.Line = (*session)(nil)

func (r *Relay) serve(conn net.Conn, secure bool) {
	ctx, cancel := context.WithCancel(r.life)
	defer cancel()
	// An ending relay frees sessions that wait for their client.
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	s := &session{r: r, conn: conn, in: bufio.NewReaderSize(conn, maxLine), secure: secure}
	defer func() { _ = s.conn.Close() }()
	if s.exchange(ctx, "connect", nil, func(*fake.Call) fake.Act { return fake.Say("", say(220, "lab ESMTP fakesmtp")) }) != nil {
		return
	}
	for {
		line, err := s.line()
		if err != nil || s.command(ctx, line) != nil {
			return
		}
	}
}

// Send writes a reply.
func (s *session) Send(a fake.Answer) error {
	text, _ := a.Body.(string)
	_, err := fmt.Fprintf(s.conn, "%d %s\r\n", a.Status, text)
	if err == nil && a.Status == 421 {
		return errors.Join(errEnd, s.conn.Close())
	}
	return err
}

// HangUp closes the connection.
func (s *session) HangUp() error { return errors.Join(errEnd, s.conn.Close()) }

// exchange runs one operation under the world's faults.
func (s *session) exchange(ctx context.Context, name string, body []byte, prepare func(*fake.Call) fake.Act) error {
	return s.r.world.Exchange(ctx, s, s.r.vendor, fake.Operation{Name: name, Public: true, Prepare: prepare}, body)
}

func (s *session) line() (string, error) {
	if err := s.conn.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		return "", err
	}
	raw, err := s.in.ReadSlice('\n')
	if err != nil {
		return "", err
	}
	return strings.TrimRight(string(raw), "\r\n"), nil
}

// command serves one command; an error ends the session.
func (s *session) command(ctx context.Context, line string) error {
	verb, rest, _ := strings.Cut(line, " ")
	switch strings.ToUpper(verb) {
	case "EHLO", "HELO":
		return s.hello()
	case "STARTTLS":
		return s.startTLS(ctx)
	case "AUTH":
		return s.auth(ctx, rest)
	case "MAIL":
		s.from, s.to = address(rest, "FROM:"), ""
		if s.r.user != "" && !s.signed {
			return s.Send(say(530, "5.7.0 Authentication required"))
		}
		return s.Send(say(250, "2.1.0 Ok"))
	case "RCPT":
		to := address(rest, "TO:")
		if !s.r.knows(to) {
			return s.Send(say(550, "5.1.1 No such user here"))
		}
		s.to = to
		return s.Send(say(250, "2.1.5 Ok"))
	case "DATA":
		return s.data(ctx)
	case "RSET":
		s.from, s.to = "", ""
		return s.Send(say(250, "2.0.0 Ok"))
	case "NOOP":
		return s.Send(say(250, "2.0.0 Ok"))
	case "QUIT":
		_ = s.Send(say(221, "2.0.0 Bye"))
		return errEnd
	}
	return s.Send(say(500, "5.5.2 Command not recognized"))
}

func (s *session) hello() error {
	offer := []string{"lab", "8BITMIME", "SMTPUTF8"}
	if !s.secure {
		offer = append(offer, "STARTTLS")
	}
	if s.secure || loopback(s.conn) {
		offer = append(offer, "AUTH PLAIN")
	}
	var b strings.Builder
	for i, o := range offer {
		sep := "-"
		if i == len(offer)-1 {
			sep = " "
		}
		fmt.Fprintf(&b, "250%s%s\r\n", sep, o)
	}
	_, err := io.WriteString(s.conn, b.String())
	return err
}

func loopback(c net.Conn) bool {
	host, _, err := net.SplitHostPort(c.RemoteAddr().String())
	return err == nil && net.ParseIP(host).IsLoopback()
}

func (s *session) startTLS(ctx context.Context) error {
	if s.secure || s.in.Buffered() > 0 { // what was sent ahead is not obeyed under TLS
		return s.Send(say(503, "5.5.1 Not now"))
	}
	if err := s.Send(say(220, "2.0.0 Ready")); err != nil {
		return err
	}
	conn := tls.Server(s.conn, s.r.tls)
	if err := conn.HandshakeContext(ctx); err != nil {
		return err
	}
	s.conn, s.in, s.secure, s.signed = conn, bufio.NewReaderSize(conn, maxLine), true, false
	return nil
}

func (s *session) auth(ctx context.Context, rest string) error {
	how, coded, _ := strings.Cut(rest, " ")
	raw, err := base64.StdEncoding.DecodeString(coded)
	good := err == nil && strings.EqualFold(how, "PLAIN") && string(raw) == "\x00"+s.r.user+"\x00"+s.r.password
	return s.exchange(ctx, "auth", nil, func(*fake.Call) fake.Act {
		return fake.Act{Run: func() fake.Done {
			if !good {
				return fake.Done{Answer: say(535, "5.7.8 Authentication credentials invalid")}
			}
			s.signed = true
			return fake.Done{Answer: say(235, "2.7.0 Authentication successful")}
		}}
	})
}

func (s *session) data(ctx context.Context) error {
	if s.from == "" || s.to == "" {
		return s.Send(say(503, "5.5.1 MAIL and RCPT first"))
	}
	if err := s.Send(say(354, "End data with <CR><LF>.<CR><LF>")); err != nil {
		return err
	}
	var b strings.Builder
	for {
		line, err := s.line()
		if err != nil {
			return err // no final dot, no message
		}
		if line == "." {
			break
		}
		if b.Len() > maxMail {
			return s.Send(say(552, "5.3.4 Message too big"))
		}
		b.WriteString(strings.TrimPrefix(line, "."))
		b.WriteByte('\n')
	}
	m := Mail{From: s.from, To: s.to, Raw: b.String()}
	s.from, s.to = "", ""
	return s.exchange(ctx, "send", []byte(m.Raw), func(*fake.Call) fake.Act {
		return fake.Act{Object: m.To, Run: func() fake.Done {
			s.r.serial++
			s.r.mails = append(s.r.mails, m)
			return fake.Done{
				Answer:  say(250, fmt.Sprintf("2.0.0 Ok: queued as LAB%05d", s.r.serial)),
				Effects: []fake.Change{{Object: m.To, Key: m.Header("Message-ID"), After: m.Header("Subject")}},
			}
		}}
	})
}

// address takes the path out of MAIL FROM:<a@b> or RCPT TO:<a@b>.
func address(s, prefix string) string {
	if len(s) < len(prefix) || !strings.EqualFold(s[:len(prefix)], prefix) {
		return ""
	}
	path, _, _ := strings.Cut(strings.TrimSpace(s[len(prefix):]), " ")
	return strings.TrimSuffix(strings.TrimPrefix(path, "<"), ">")
}

package mail

import (
	"bytes"
	"fmt"
	"mime"
	"mime/quotedprintable"
	"net/mail"
	"regexp"
	"strings"
	"time"
	"unicode"

	"github.com/quell-soar/quell/connectors/spec"
)

// Limits of a message.
const (
	maxSubject = 200
	maxText    = 256 << 10
)

// Message is one plain text to one person.
type Message struct {
	// To is a bare address: name@example.com.
	To      string
	Subject string
	Text    string
	// ID is the Message-ID with its angle brackets.
	ID   string
	Date time.Time
}

var idForm = regexp.MustCompile(`^<[A-Za-z0-9.!#$%&'*+/=?^_{|}~-]{1,200}@[A-Za-z0-9.-]{1,200}>$`)

// CheckAddress reports why a text is not one bare address.
func CheckAddress(s string) error {
	a, err := mail.ParseAddress(s)
	if err != nil || a.Address != s || len(s) > 254 || strings.ContainsFunc(s, unicode.IsControl) || strings.ContainsAny(s, " <>") {
		return spec.Errorf(spec.Invalid, "%q is no mail address such as name@example.com", s)
	}
	return nil
}

// lineEnds makes one sort of line end of all.
var lineEnds = strings.NewReplacer("\r\n", "\n", "\r", "\n")

// bytes writes the message as it is sent.
func (m Message) bytes(from string) ([]byte, error) {
	if err := CheckAddress(m.To); err != nil {
		return nil, err
	}
	if !idForm.MatchString(m.ID) {
		return nil, spec.Errorf(spec.Internal, "%q is no Message-ID", m.ID)
	}
	if len(m.Text) > maxText {
		return nil, spec.Errorf(spec.Invalid, "the text has %d bytes, more than %d", len(m.Text), maxText)
	}
	var b bytes.Buffer
	header := func(name, value string) { fmt.Fprintf(&b, "%s: %s\r\n", name, value) }
	header("From", "<"+from+">")
	header("To", "<"+m.To+">")
	header("Subject", subject(m.Subject))
	header("Date", m.Date.UTC().Format("Mon, 02 Jan 2006 15:04:05 -0700"))
	header("Message-ID", m.ID)
	header("MIME-Version", "1.0")
	header("Content-Type", "text/plain; charset=utf-8")
	header("Content-Transfer-Encoding", "quoted-printable")
	// No vacation notice answers it (RFC 3834).
	header("Auto-Submitted", "auto-generated")
	b.WriteString("\r\n")
	w := quotedprintable.NewWriter(&b)
	if _, err := w.Write([]byte(lineEnds.Replace(strings.ToValidUTF8(m.Text, "?")))); err != nil {
		return nil, spec.Errorf(spec.Internal, "writing the text: %v", err)
	}
	if err := w.Close(); err != nil {
		return nil, spec.Errorf(spec.Internal, "writing the text: %v", err)
	}
	b.WriteString("\r\n")
	return b.Bytes(), nil
}

// subject makes one header line of a text: what is no printable ASCII becomes
// an encoded word, so that nothing in it can end the line.
func subject(s string) string {
	s = strings.Map(func(c rune) rune {
		if unicode.IsControl(c) {
			return ' '
		}
		return c
	}, strings.ToValidUTF8(s, "?"))
	// A text that looks like an encoded word would be decoded by its reader.
	s = strings.ReplaceAll(strings.Join(strings.Fields(s), " "), "=?", "= ?")
	if r := []rune(s); len(r) > maxSubject {
		s = string(r[:maxSubject-1]) + "…"
	}
	// Folded as RFC 2047 asks: mime writes words of at most 75 characters.
	return strings.ReplaceAll(mime.QEncoding.Encode("utf-8", s), "?= =?", "?=\r\n =?")
}

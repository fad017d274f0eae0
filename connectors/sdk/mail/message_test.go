package mail

import (
	"bytes"
	"io"
	"mime"
	"mime/quotedprintable"
	netmail "net/mail"
	"strings"
	"testing"
	"time"
)

// Whatever stands in a subject and a text: the message has the headers that we
// wrote, and says what was given.
func FuzzMessage(f *testing.F) {
	f.Add("plain", "one\ntwo\n")
	f.Add("x\r\nBcc: eve@example.com", ".\r\n.\r\nMAIL FROM:<eve@example.com>")
	f.Add("=?utf-8?q?=0d=0aBcc:_x?=", "\x00 é \xff")
	f.Add(strings.Repeat("ü", 300), "")
	f.Fuzz(func(t *testing.T, subject, text string) {
		m := Message{To: "ann@example.com", Subject: subject, Text: text, ID: "<quell-1@example.com>", Date: time.Unix(0, 0)}
		raw, err := m.bytes("soc@example.com")
		if err != nil {
			if len(text) <= maxText {
				t.Fatal(err)
			}
			return
		}
		read, err := netmail.ReadMessage(bytes.NewReader(raw))
		if err != nil {
			t.Fatalf("%v in %q", err, raw)
		}
		if len(read.Header) != 9 || read.Header.Get("To") != "<ann@example.com>" || read.Header.Get("From") != "<soc@example.com>" {
			t.Fatalf("the headers are %v", read.Header)
		}
		got, err := new(mime.WordDecoder).DecodeHeader(read.Header.Get("Subject"))
		if err != nil || strings.ContainsAny(got, "\r\n\x00") {
			t.Fatalf("the subject reads %q, %v", got, err)
		}
		for line := range strings.SplitSeq(string(raw), "\r\n") {
			if len(line) > 998 || strings.ContainsAny(line, "\r\n") {
				t.Fatalf("a line that SMTP does not carry: %q", line)
			}
		}
		body, err := io.ReadAll(quotedprintable.NewReader(read.Body))
		want := lineEnds.Replace(strings.ToValidUTF8(text, "?"))
		said := strings.ReplaceAll(strings.TrimSuffix(string(body), "\r\n"), "\r\n", "\n")
		if err != nil || said != want {
			t.Fatalf("the text reads %q, %v; want %q", said, err, want)
		}
	})
}

func TestAddresses(t *testing.T) {
	for address, ok := range map[string]bool{
		"ann@example.com": true, "a.b+c@example.com": true, `"a b"@example.com`: false, "Ann <ann@example.com>": false, "ann": false,
		"ann@example.com\r\nRCPT TO:<eve@example.com>": false, "ann@example.com,eve@example.com": false, "": false,
		strings.Repeat("x", 250) + "@example.com": false,
	} {
		if err := CheckAddress(address); (err == nil) != ok {
			t.Errorf("%q: %v", address, err)
		}
	}
}

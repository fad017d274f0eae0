package panos

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/quell-soar/quell/connectors/sdk/rest"
	"github.com/quell-soar/quell/connectors/spec"
)

var apiPath = []string{"api"}

// answer is the frame of every answer.
type answer struct {
	XMLName xml.Name `xml:"response"`
	Status  string   `xml:"status,attr"`
	Code    string   `xml:"code,attr"`
	Result  struct {
		Inner []byte `xml:",innerxml"`
	} `xml:"result"`
}

// ask sends one request and reads the result into out where that is not nil. A
// key that is no longer good is made anew once. It returns what the firewall
// said. reads says that the request changes nothing.
func (s *session) ask(ctx context.Context, form url.Values, reads bool, out any) (string, error) {
	form.Set("vsys", s.vsys)
	for again := false; ; again = true {
		used := s.key.current()
		rep, err := s.client.Do(ctx, rest.Request{
			Method: http.MethodPost, Path: apiPath, Slash: true, Form: form, Read: reads, Accept: []int{http.StatusForbidden},
		})
		if err != nil {
			return "", err
		}
		said, err := read(rep, reads, out)
		// A key that was refused did nothing, so a write may be sent again.
		if spec.KindOf(err) == spec.Auth && err != nil && !again && s.key.Renew(used) {
			continue
		}
		var e *spec.Error
		if errors.As(err, &e) {
			e.Message = s.key.Scrub(e.Message)
		}
		return said, err
	}
}

// read reads an answer: HTTP 200 may well be an error.
func read(rep *rest.Reply, reads bool, out any) (string, error) {
	unclear := spec.Uncertain
	if reads {
		unclear = spec.Transient
	}
	var a answer
	if err := xml.Unmarshal(rep.Body, &a); err != nil {
		return "", spec.Errorf(unclear, "the firewall's answer is not the XML it should be; check the base URL and what stands in between")
	}
	said := words(rep.Body)
	if a.Status != "success" {
		return said, refusal(a.Code, said, unclear)
	}
	if out == nil {
		return said, nil
	}
	if err := xml.Unmarshal(fmt.Appendf(nil, "<result>%s</result>", a.Result.Inner), out); err != nil {
		return said, spec.Errorf(unclear, "the firewall's answer is not what it should be: %v", err)
	}
	return said, nil
}

// refusal gives an error of the API a kind.
func refusal(code, said string, unclear spec.ErrorKind) *spec.Error {
	low := strings.ToLower(said)
	k := spec.Invalid
	switch {
	case code == "22" || strings.Contains(low, "invalid credential"):
		k = spec.Auth
	case code == "16" || code == "15" || code == "403":
		k = spec.Permission
	case code == "7":
		k = spec.NotFound
	case strings.Contains(low, "lock") || strings.Contains(low, "commit is in progress") || strings.Contains(low, "commit is pending"):
		k = spec.Conflict
	case code == "14":
		k = spec.Conflict
	case code == "2" || code == "3" || code == "4" || code == "5" || code == "11" || code == "21":
		k = unclear
	}
	return &spec.Error{Kind: k, VendorCode: "PAN-OS " + code, Message: "the firewall refused: " + short(said)}
}

// fault reads the text of a refusal by status.
func fault(body []byte) (message, code string) {
	var a answer
	if xml.Unmarshal(body, &a) != nil {
		return "", ""
	}
	return words(body), a.Code
}

// words are the texts of an answer's messages, and the message attributes in
// it, in one line.
func words(body []byte) string {
	var out []string
	inside := 0
	for dec := xml.NewDecoder(bytes.NewReader(body)); ; {
		t, err := dec.Token()
		if err != nil {
			if !errors.Is(err, io.EOF) {
				return ""
			}
			return strings.Join(strings.Fields(strings.Join(out, " ")), " ")
		}
		switch t := t.(type) {
		case xml.StartElement:
			if t.Name.Local == "msg" || t.Name.Local == "details" || inside > 0 {
				inside++
			}
			for _, a := range t.Attr {
				if a.Name.Local == "message" {
					out = append(out, a.Value)
				}
			}
		case xml.EndElement:
			inside = max(inside-1, 0)
		case xml.CharData:
			if inside > 0 {
				out = append(out, string(t))
			}
		}
	}
}

// short cuts a vendor's text.
func short(s string) string {
	const most = 200
	s = strings.ToValidUTF8(s, "?")
	if r := []rune(s); len(r) > most {
		return string(r[:most]) + "…"
	}
	if s == "" {
		return "it did not say why"
	}
	return s
}

// element writes a text as the content of an XML element.
func element(text string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(text)) // a strings.Builder does not fail
	return b.String()
}

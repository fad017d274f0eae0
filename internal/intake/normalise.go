package intake

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/quell-soar/quell/connectors/spec/kind"
	"github.com/quell-soar/quell/internal/alert"
)

// Format is the shape in which a source writes its alerts.
type Format string

// The formats.
const (
	// Generic is Quell's own shape, docs/alerts.md.
	Generic Format = "generic"
	// CrowdStrike is a Falcon detection, flat or within an event stream's
	// envelope.
	CrowdStrike Format = "crowdstrike"
)

const (
	maxItems   = 100
	maxDropped = 100
	maxID      = 256
	maxTitle   = 1024
)

// ErrShape says that a body is not an alert at all, so that there is nothing to
// keep.
var ErrShape = errors.New("the body is not an alert")

// Normalise reads a body as an alert of a source. delivery is the id of the
// delivery; it stands in where the alert has no usable id of its own. An error
// wraps ErrShape; everything short of that is noted in Dropped.
func Normalise(source string, f Format, delivery string, received time.Time, body []byte) (alert.Alert, error) {
	m, err := object(body)
	if err != nil {
		return alert.Alert{}, err
	}
	s := &sheet{}
	a := alert.Alert{Source: source, Received: received.UTC(), Raw: body}
	switch f {
	case CrowdStrike:
		s.crowdstrike(&a, m)
	case Generic:
		s.generic(&a, m)
	default:
		return alert.Alert{}, fmt.Errorf("%w: source %s has the unknown format %q", ErrShape, source, f)
	}
	if a.ID == "" {
		s.drop("id", "there is none to use; the delivery's id stands in")
		a.ID = delivery
	}
	if a.Kind == "" {
		a.Kind = "detection"
	}
	if a.Severity == "" {
		s.drop("severity", "there is none to use; taken as info, so that nothing starts on a guess")
		a.Severity = "info"
	}
	if a.Occurred.IsZero() {
		s.drop("occurred", "there is none to use; the time of receipt stands in")
		a.Occurred = a.Received
	}
	a.Dropped = s.dropped
	if err := kind.Check(alert.Type(), a.Value()); err != nil {
		return alert.Alert{}, fmt.Errorf("%w: %w", ErrShape, err)
	}
	return a, nil
}

// object decodes a body whose texts all survive decoding byte for byte.
// encoding/json would put U+FFFD for what is not Unicode: a repair.
func object(body []byte) (map[string]any, error) {
	if !utf8.Valid(body) {
		return nil, fmt.Errorf("%w: it is not valid UTF-8", ErrShape)
	}
	if loneSurrogate(body) {
		return nil, fmt.Errorf("%w: it escapes half a surrogate pair", ErrShape)
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		return nil, fmt.Errorf("%w: it is not valid JSON", ErrShape)
	}
	if _, err := dec.Token(); err != io.EOF {
		return nil, fmt.Errorf("%w: it has more than one JSON value", ErrShape)
	}
	m, ok := v.(map[string]any)
	if !ok {
		return nil, fmt.Errorf("%w: it is not a JSON object", ErrShape)
	}
	return m, nil
}

// loneSurrogate reports whether a \u escape names half of a surrogate pair
// without its other half. Backslashes stand only within strings in valid JSON,
// and what is not valid is refused after this.
func loneSurrogate(body []byte) bool {
	for i := 0; i+1 < len(body); i++ {
		if body[i] != '\\' {
			continue
		}
		r, ok := escape(body[i:])
		switch {
		case !ok:
			i++
		case r >= 0xd800 && r < 0xdc00:
			low, ok := escape(body[i+6:])
			if !ok || low < 0xdc00 || low > 0xdfff {
				return true
			}
			i += 11
		case r >= 0xdc00 && r <= 0xdfff:
			return true
		default:
			i += 5
		}
	}
	return false
}

func escape(b []byte) (uint64, bool) {
	if len(b) < 6 || b[0] != '\\' || b[1] != 'u' {
		return 0, false
	}
	r, err := strconv.ParseUint(string(b[2:6]), 16, 32)
	return r, err == nil
}

// sheet reads fields of a decoded body and notes what does not fit.
type sheet struct{ dropped []string }

func (s *sheet) drop(where, format string, args ...any) {
	if len(s.dropped) == maxDropped {
		s.dropped = append(s.dropped, "and more")
	}
	if len(s.dropped) < maxDropped {
		s.dropped = append(s.dropped, where+": "+fmt.Sprintf(format, args...))
	}
}

// text reads the first of names that is there and not empty, as a text of kind
// k. where is the path of m, ending in a dot, or "".
func (s *sheet) text(m map[string]any, where string, k kind.Kind, most int, names ...string) string {
	for _, name := range names {
		v, ok := m[name]
		if !ok || v == nil || v == "" {
			continue
		}
		c, err := kind.FromJSON(kind.Of(k), v)
		if err != nil {
			s.drop(where+name, "%v", err)
			continue
		}
		t, ok := c.(string)
		if !ok || len(t) > most {
			s.drop(where+name, "longer than %d bytes", most)
			continue
		}
		return t
	}
	return ""
}

// hash reads a hash of exactly size hex digits. Sources write zeros where they
// have none.
func (s *sheet) hash(m map[string]any, where string, size int, names ...string) string {
	h := s.text(m, where, kind.Hash, size, names...)
	switch {
	case h == "":
		return ""
	case len(h) != size:
		s.drop(where+names[0], "a hash of %d hex digits, not %d", len(h), size)
		return ""
	case strings.Trim(h, "0") == "":
		s.drop(where+names[0], "all zeros, which stands for none")
		return ""
	}
	return h
}

// list reads a list of at most maxItems elements.
func (s *sheet) list(m map[string]any, where, name string) []any {
	v, ok := m[name]
	if !ok || v == nil {
		return nil
	}
	l, ok := v.([]any)
	if !ok {
		s.drop(where+name, "not a list")
		return nil
	}
	if len(l) > maxItems {
		s.drop(where+name, "%d elements; those after the first %d", len(l), maxItems)
		l = l[:maxItems]
	}
	return l
}

// records reads a list of objects and calls f for each with its path.
func (s *sheet) records(m map[string]any, name string, f func(where string, m map[string]any)) {
	for i, v := range s.list(m, "", name) {
		where := fmt.Sprintf("%s[%d]", name, i)
		if e, ok := v.(map[string]any); ok {
			f(where+".", e)
		} else {
			s.drop(where, "not an object")
		}
	}
}

// texts reads a list of texts of kind k.
func (s *sheet) texts(m map[string]any, where, name string, k kind.Kind) []string {
	var out []string
	for i, v := range s.list(m, where, name) {
		c, err := kind.FromJSON(kind.Of(k), v)
		if t, ok := c.(string); ok && err == nil {
			out = append(out, t)
		} else {
			s.drop(fmt.Sprintf("%s%s[%d]", where, name, i), "%v", err)
		}
	}
	return out
}

// severity reads a severity's name, in any case.
func (s *sheet) severity(m map[string]any, names ...string) string {
	t := strings.ToLower(s.text(m, "", kind.String, 64, names...))
	if t == "informational" {
		t = "info"
	}
	if t != "" && kind.Of(kind.Severity).Rank(t) < 0 {
		s.drop(names[0], "%q is not one of info, low, medium, high, critical", t)
		return ""
	}
	return t
}

// when reads a time: RFC 3339, the two forms without T that vendors write (in
// UTC), or a number of seconds or milliseconds since 1970.
func (s *sheet) when(m map[string]any, where string, names ...string) time.Time {
	for _, name := range names {
		switch v := m[name].(type) {
		case nil:
		case string:
			for _, layout := range []string{time.RFC3339Nano, "2006-01-02 15:04:05.999999999Z07:00", "2006-01-02 15:04:05.999999999"} {
				if at, err := time.Parse(layout, v); err == nil && plausible(at) {
					return at.UTC()
				}
			}
			s.drop(where+name, "not a time such as 2026-01-31T17:00:00Z")
		case json.Number:
			n, err := v.Int64()
			at := time.Unix(n, 0)
			if n > 1e11 {
				at = time.UnixMilli(n)
			}
			if err == nil && plausible(at) {
				return at.UTC()
			}
			s.drop(where+name, "not a time in seconds or milliseconds")
		default:
			s.drop(where+name, "not a time")
		}
	}
	return time.Time{}
}

// plausible keeps times whose arithmetic stays within what RFC 3339 can write.
func plausible(at time.Time) bool { return at.Year() >= 1990 && at.Year() < 2200 }

// generic reads Quell's own shape.
func (s *sheet) generic(a *alert.Alert, m map[string]any) {
	a.ID = s.text(m, "", kind.String, maxID, "id")
	a.Kind = s.text(m, "", kind.String, 64, "kind")
	a.Title = s.text(m, "", kind.String, maxTitle, "title")
	a.Severity = s.severity(m, "severity")
	a.Occurred = s.when(m, "", "occurred")
	s.records(m, "hosts", func(at string, m map[string]any) {
		h := alert.Host{
			Name: s.text(m, at, kind.Hostname, 253, "name"), IP: s.text(m, at, kind.IP, 64, "ip"),
			DeviceID: s.text(m, at, kind.String, maxID, "device_id"),
		}
		s.host(a, at, h)
	})
	s.records(m, "users", func(at string, m map[string]any) {
		u := alert.User{Name: s.text(m, at, kind.Username, 256, "name"), Domain: s.text(m, at, kind.String, 256, "domain")}
		s.user(a, at, u)
	})
	s.records(m, "files", func(at string, m map[string]any) {
		f := alert.File{
			Path: s.text(m, at, kind.Path, 4096, "path"), Name: s.text(m, at, kind.String, 256, "name"),
			SHA256: s.hash(m, at, 64, "sha256"), MD5: s.hash(m, at, 32, "md5"),
		}
		s.file(a, at, f)
	})
	a.IPs = s.texts(m, "", "ips", kind.IP)
	a.URLs = s.texts(m, "", "urls", kind.URL)
	s.records(m, "emails", func(at string, m map[string]any) {
		e := alert.Email{
			MessageID: s.text(m, at, kind.MessageID, 998, "message_id"), Sender: s.text(m, at, kind.Email, 320, "sender"),
			Reporter: s.text(m, at, kind.Email, 320, "reporter"), Subject: s.text(m, at, kind.String, 4096, "subject"),
			Attachments: s.texts(m, at, "attachments", kind.Artifact),
		}
		if e.MessageID == "" || e.Reporter == "" {
			s.drop(strings.TrimSuffix(at, "."), "an e-mail needs message_id and reporter")
			return
		}
		a.Emails = append(a.Emails, e)
	})
}

func (s *sheet) host(a *alert.Alert, at string, h alert.Host) {
	if h.Name == "" {
		s.drop(strings.TrimSuffix(at, "."), "a host needs a name")
		return
	}
	a.Hosts = append(a.Hosts, h)
}

func (s *sheet) user(a *alert.Alert, at string, u alert.User) {
	if u.Name == "" {
		s.drop(strings.TrimSuffix(at, "."), "a user needs a name")
		return
	}
	a.Users = append(a.Users, u)
}

func (s *sheet) file(a *alert.Alert, at string, f alert.File) {
	if f.Path == "" || f.SHA256 == "" {
		s.drop(strings.TrimSuffix(at, "."), "a file needs path and sha256")
		return
	}
	a.Files = append(a.Files, f)
}

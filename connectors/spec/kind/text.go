package kind

import (
	"fmt"
	"math"
	"net/mail"
	"net/netip"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// MaxText is the longest text, in bytes, that any value may carry inline. What
// is larger belongs into the evidence store and travels by reference.
const MaxText = 64 << 10

var (
	hostnameForm = regexp.MustCompile(`^[A-Za-z0-9_]([A-Za-z0-9_-]{0,62})(\.[A-Za-z0-9_]([A-Za-z0-9_-]{0,62}))*\.?$`)
	hashForm     = regexp.MustCompile(`^(?:[0-9a-fA-F]{32}|[0-9a-fA-F]{40}|[0-9a-fA-F]{64}|[0-9a-fA-F]{128})$`)
	usernameForm = regexp.MustCompile(`^[^\s\x00-\x1f\x7f"/\[\]:;|=,+*?<>]{1,256}$`)
	messageForm  = regexp.MustCompile(`^<[^<>\s\x00-\x1f]{1,990}>$`)
	artifactForm = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)
	integerForm  = regexp.MustCompile(`^-?(0|[1-9][0-9]*)$`)
)

// Parse reads a text as a value of a scalar type t; text kinds keep their bytes
// exactly as they came. It is used for literals of a playbook, for values typed
// by a person and for JSON strings. Errors are *ValueError.
func Parse(t Type, s string) (any, error) {
	bad := func(problem string) (any, error) {
		return nil, &ValueError{Want: t.String(), Problem: problem}
	}
	if len(s) > MaxText {
		return bad(fmt.Sprintf("%d bytes, more than %d", len(s), MaxText))
	}
	if !utf8.ValidString(s) {
		return bad("not valid UTF-8")
	}
	if names, ok := t.Enum(); ok {
		if t.Rank(s) < 0 {
			return bad(fmt.Sprintf("%s is not one of %s", quote(s), strings.Join(names, ", ")))
		}
		return s, nil
	}
	if t.Text() {
		if problem := checkText(t.Kind, s); problem != "" {
			return bad(problem)
		}
		return s, nil
	}
	switch t.Kind {
	case Int:
		n, err := strconv.ParseInt(s, 10, 64)
		if err != nil || !integerForm.MatchString(s) {
			return bad(quote(s) + " is not a whole number")
		}
		return n, nil
	case Double:
		f, err := strconv.ParseFloat(s, 64)
		if err != nil || math.IsNaN(f) || math.IsInf(f, 0) {
			return bad(quote(s) + " is not a number")
		}
		return f, nil
	case Boolean:
		if s == "true" || s == "false" {
			return s == "true", nil
		}
		return bad(quote(s) + " is neither true nor false")
	case Timestamp:
		at, err := time.Parse(time.RFC3339Nano, s)
		if err != nil {
			return bad(quote(s) + " is not a time such as 2026-01-31T17:00:00Z (RFC 3339)")
		}
		return at.UTC(), nil
	case Duration:
		d, err := ParseDuration(s)
		if err != nil {
			return bad(err.Error())
		}
		return d, nil
	}
	return bad("it has no form as text")
}

// checkText says what is wrong with s as a text of kind k, or "".
func checkText(k Kind, s string) string {
	if strings.ContainsRune(s, 0) {
		return "it contains a NUL byte"
	}
	ok := true
	switch k {
	case String, Secret:
		return ""
	case Hostname, Domain:
		ok = len(s) <= 253 && hostnameForm.MatchString(s)
	case IP:
		a, err := netip.ParseAddr(s)
		ok = err == nil && a.Zone() == ""
	case CIDR:
		_, err := netip.ParsePrefix(s)
		ok = err == nil
	case URL:
		u, err := url.Parse(s)
		ok = err == nil && u.Scheme != "" && (u.Host != "" || u.Opaque != "") && !hasControl(s) && !strings.Contains(s, " ")
	case Email:
		a, err := mail.ParseAddress(s)
		ok = err == nil && a.Address == s && !hasControl(s)
	case Username:
		ok = usernameForm.MatchString(s)
	case Hash:
		ok = hashForm.MatchString(s)
	case Path:
		ok = s != "" && len(s) <= 4096 && !hasControl(s)
	case MessageID:
		ok = messageForm.MatchString(s)
	case Artifact:
		ok = artifactForm.MatchString(s)
	case Calendar:
		ok = usernameForm.MatchString(s)
	}
	if ok {
		return ""
	}
	if k == URL && s != "" && !strings.Contains(s, "://") {
		return quote(s) + " has no scheme in front; write it like https://api.example.com"
	}
	return quote(s) + " does not have the form of one"
}

func hasControl(s string) bool {
	return strings.ContainsFunc(s, func(r rune) bool { return r < 0x20 || r == 0x7f })
}

// quote shows a hostile text in an error: escaped and cut.
func quote(s string) string {
	const most = 64
	if len(s) > most {
		s = s[:most] + "…"
	}
	return strconv.Quote(s)
}

var durationPart = regexp.MustCompile(`^([0-9]+(?:\.[0-9]+)?)(ns|us|µs|ms|w|d|h|m|s)`)

var durationUnit = map[string]time.Duration{
	"ns": time.Nanosecond, "us": time.Microsecond, "µs": time.Microsecond, "ms": time.Millisecond,
	"s": time.Second, "m": time.Minute, "h": time.Hour, "d": 24 * time.Hour, "w": 7 * 24 * time.Hour,
}

// ParseDuration reads 90s, 15m, 24h, 7d, 2w and sums such as 1h30m. A day is
// always 24 hours; calendars are another matter.
func ParseDuration(s string) (time.Duration, error) {
	rest, negative := strings.CutPrefix(s, "-")
	if rest == "0" {
		return 0, nil
	}
	if rest == "" {
		return 0, fmt.Errorf("%s is not a duration such as 90s, 15m, 24h, 7d", quote(s))
	}
	var sum float64
	var whole time.Duration
	for rest != "" {
		m := durationPart.FindStringSubmatch(rest)
		if m == nil {
			return 0, fmt.Errorf("%s is not a duration such as 90s, 15m, 24h, 7d", quote(s))
		}
		rest = rest[len(m[0]):]
		unit := durationUnit[m[2]]
		if n, err := strconv.ParseInt(m[1], 10, 64); err == nil {
			if n != 0 && time.Duration(n) > (math.MaxInt64-whole)/unit {
				return 0, fmt.Errorf("%s is longer than 292 years", quote(s))
			}
			whole += time.Duration(n) * unit
			continue
		}
		f, err := strconv.ParseFloat(m[1], 64)
		if err != nil {
			return 0, fmt.Errorf("%s is not a duration", quote(s))
		}
		sum += f * float64(unit)
	}
	// float64 rounds the largest int64 up, so that equal is too long as well.
	if sum > 0 && sum >= float64(math.MaxInt64-whole) {
		return 0, fmt.Errorf("%s is longer than 292 years", quote(s))
	}
	whole += time.Duration(sum)
	if negative {
		whole = -whole
	}
	return whole, nil
}

// FormatDuration writes d in its shortest exact form: 90s is 1m30s, 86400s is
// 1d, 0 is 0s. ParseDuration reads it back to the same value.
func FormatDuration(d time.Duration) string {
	if d == 0 {
		return "0s"
	}
	var b strings.Builder
	if d < 0 {
		if d == math.MinInt64 {
			return "-" + FormatDuration(math.MaxInt64)
		}
		b.WriteByte('-')
		d = -d
	}
	for _, u := range []struct {
		name string
		unit time.Duration
	}{{"d", 24 * time.Hour}, {"h", time.Hour}, {"m", time.Minute}, {"s", time.Second}, {"ms", time.Millisecond}, {"us", time.Microsecond}, {"ns", 1}} {
		if n := d / u.unit; n > 0 {
			fmt.Fprintf(&b, "%d%s", n, u.name)
			d -= n * u.unit
		}
	}
	return b.String()
}

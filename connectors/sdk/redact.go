package sdk

import (
	"strings"
	"unicode/utf8"

	"github.com/quell-soar/quell/connectors/sdk/secret"
	"github.com/quell-soar/quell/connectors/spec/kind"
)

// maxText is the longest text of an error or a finding in bytes.
const maxText = 4 << 10

// text takes secrets out of a text that leaves the process and makes it valid
// UTF-8 of bounded length: protobuf refuses a message with any other.
func (a *Adapter) text(s string) string {
	a.mu.RLock()
	redact := a.redact
	a.mu.RUnlock()
	s = redact.Text(strings.ToValidUTF8(s, "\uFFFD"))
	if len(s) > maxText {
		cut := maxText
		for cut > 0 && !utf8.RuneStart(s[cut]) {
			cut--
		}
		s = s[:cut] + "…"
	}
	return s
}

// redactValue returns v with the secrets in its texts replaced; v itself is not
// changed.
func redactValue(r *secret.Redactor, v any) any {
	switch x := v.(type) {
	case string:
		return r.Text(x)
	case kind.Handle:
		x.ID, x.Label = r.Text(x.ID), r.Text(x.Label)
		if facts, err := x.ReadFacts(); err == nil && facts != nil {
			// What does not fit after this is refused with the whole reply.
			x, _ = x.WithFacts(redactValue(r, facts).(map[string]any))
		}
		return x
	case []any:
		out := make([]any, len(x))
		for i, e := range x {
			out[i] = redactValue(r, e)
		}
		return out
	case map[string]any:
		if x == nil {
			return x
		}
		out := make(map[string]any, len(x))
		for k, e := range x {
			out[r.Text(k)] = redactValue(r, e)
		}
		return out
	}
	return v
}

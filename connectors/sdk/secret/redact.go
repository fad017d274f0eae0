package secret

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"html"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// minRedacted is the shortest text that is taken out. Shorter ones occur by
// chance in honest text, and replacing them would shred it.
const minRedacted = 4

// Redactor takes secrets out of text. The zero value takes out nothing. It may
// be used from many goroutines.
type Redactor struct {
	forms    []string
	replacer *strings.Replacer
}

// NewRedactor knows the given secrets in every form in which they usually leak:
// as they are, JSON-escaped, URL-escaped, escaped for HTML and XML, in hex, in base64 (also inside a
// longer base64 text, as in a Basic authorization header), and each long line
// of a secret of several lines.
func NewRedactor(values ...Value) *Redactor {
	seen := map[string]bool{}
	add := func(form string) {
		if len(form) >= minRedacted {
			seen[form] = true
		}
	}
	for _, v := range values {
		for _, text := range parts(v.Reveal()) {
			for _, form := range formsOf(text) {
				add(form)
			}
		}
	}
	r := &Redactor{forms: make([]string, 0, len(seen))}
	for form := range seen {
		r.forms = append(r.forms, form)
	}
	// Longest first: a secret that is the beginning of another must not leave
	// the other's tail behind.
	slices.SortFunc(r.forms, func(a, b string) int {
		if len(a) != len(b) {
			return len(b) - len(a)
		}
		return strings.Compare(a, b)
	})
	pairs := make([]string, 0, 2*len(r.forms))
	for _, form := range r.forms {
		pairs = append(pairs, form, Mark)
	}
	r.replacer = strings.NewReplacer(pairs...)
	return r
}

// Text returns s with every secret replaced by Mark.
func (r *Redactor) Text(s string) string {
	if r == nil || len(r.forms) == 0 {
		return s
	}
	return r.trimmed(r.replacer.Replace(s))
}

// cut stands where a text was shortened.
const cut = "…"

// trimmed takes out what is left of a secret before a cut: who shortens a text
// does not know that a secret lies across its end.
func (r *Redactor) trimmed(s string) string {
	if !strings.Contains(s, cut) {
		return s
	}
	pieces := strings.Split(s, cut)
	for i, piece := range pieces[:len(pieces)-1] {
		most := 0
		for _, form := range r.forms {
			for n := min(len(form)-1, len(piece)); n > most && n >= minRedacted; n-- {
				if strings.HasSuffix(piece, form[:n]) {
					most = n
				}
			}
		}
		if most > 0 {
			pieces[i] = piece[:len(piece)-most] + Mark
		}
	}
	return strings.Join(pieces, cut)
}

// Found reports whether s contains a secret in one of its forms.
func (r *Redactor) Found(s string) bool {
	if r == nil {
		return false
	}
	return slices.ContainsFunc(r.forms, func(form string) bool { return strings.Contains(s, form) })
}

// parts returns the secret and, for one of several lines such as a private key,
// each line that is long enough to be telling.
func parts(text string) []string {
	const telling = 16
	out := []string{text, strings.TrimSpace(text)}
	if strings.Contains(text, "\n") {
		for line := range strings.SplitSeq(text, "\n") {
			if line = strings.TrimSpace(line); len(line) >= telling && !strings.HasPrefix(line, "-----") {
				out = append(out, line)
			}
		}
	}
	return out
}

// Escapes of other languages: XML and HTML with names, and a URL's component as
// JavaScript writes it.
var (
	markup    = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;", "'", "&apos;")
	component = strings.NewReplacer("+", "%20", "%21", "!", "%27", "'", "%28", "(", "%29", ")", "%2A", "*")
)

func formsOf(text string) []string {
	if len(text) < minRedacted {
		return nil
	}
	forms := []string{
		text, url.QueryEscape(text), url.PathEscape(text),
		strings.ReplaceAll(url.QueryEscape(text), "+", "%20"),
		hex.EncodeToString([]byte(text)), strings.ToUpper(hex.EncodeToString([]byte(text))),
	}
	if raw, err := json.Marshal(text); err == nil {
		forms = append(forms, string(raw[1:len(raw)-1]))
	}
	quoted := strconv.Quote(text) // JSON of those who leave <, > and & alone
	forms = append(forms, quoted[1:len(quoted)-1], html.EscapeString(text), markup.Replace(text), component.Replace(url.QueryEscape(text)))
	for _, enc := range []*base64.Encoding{base64.StdEncoding, base64.URLEncoding} {
		forms = append(forms, enc.EncodeToString([]byte(text)))
		for shift := range 3 {
			forms = append(forms, inner(enc, text, shift))
		}
	}
	return forms
}

// inner is the part of a base64 text that stands for the secret alone when
// shift bytes of something else stand before it: the characters that also
// encode a neighbour's bits are left out.
func inner(enc *base64.Encoding, text string, shift int) string {
	const least = 8
	padded := strings.Repeat("\x00", shift) + text
	whole := len(padded) / 3 * 3
	coded := enc.EncodeToString([]byte(padded[:whole]))
	if shift > 0 && len(coded) >= 4 {
		coded = coded[4:]
	}
	if len(coded) < least {
		return ""
	}
	return coded
}

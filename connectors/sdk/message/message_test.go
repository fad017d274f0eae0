package message_test

import (
	"strings"
	"testing"

	"github.com/quell-soar/quell/connectors/sdk/message"
	"github.com/quell-soar/quell/connectors/spec"
)

func TestRender(t *testing.T) {
	own := map[string]any{
		"greet":           "Hello {who}\n\nDear {who},\nyour {{key}} is {key}.\n",
		"reported-thanks": "Thanks\n\nOur own words.\n",
	}
	tpl, err := message.New(own)
	if err != nil {
		t.Fatal(err)
	}
	values := map[string]any{"who": "Ann\r\nBcc: eve@example.com", "key": "{who} \u202e"}
	for name, c := range map[string]struct {
		in            map[string]any
		subject, body string // no body is an error
	}{
		"text":                        {map[string]any{"text": "one\r\n{two}"}, "", "one\n{two}"},
		"text with a subject":         {map[string]any{"text": "x", "subject": "a\nb"}, "a b", "x"},
		"values fill once":            {map[string]any{"template": "greet", "values": values}, "Hello Ann Bcc: eve@example.com", "Dear Ann\nBcc: eve@example.com,\nyour {key} is {who} ."},
		"subject in place":            {map[string]any{"template": "greet", "values": values, "subject": "S"}, "S", "Dear Ann\nBcc: eve@example.com,\nyour {key} is {who} ."},
		"own before built in":         {map[string]any{"template": "reported-thanks"}, "Thanks", "Our own words."},
		"a value is missing":          {map[string]any{"template": "greet", "values": map[string]any{"who": "Ann"}}, "", ""},
		"unknown template":            {map[string]any{"template": "none"}, "", ""},
		"template and text":           {map[string]any{"template": "greet", "text": "x"}, "", ""},
		"neither":                     {map[string]any{}, "", ""},
		"text with values":            {map[string]any{"text": "{who}", "values": values}, "", ""},
		"nothing to see":              {map[string]any{"text": "\u200e\x07 \n"}, "", ""},
		"more than a medium can take": {map[string]any{"text": strings.Repeat("x", 30001)}, "", ""},
	} {
		got, err := tpl.Render(c.in)
		if c.body == "" {
			if spec.KindOf(err) != spec.Invalid || err == nil {
				t.Errorf("%s: %q %v", name, got, err)
			}
			continue
		}
		if err != nil || got.Subject != c.subject || got.Body != c.body {
			t.Errorf("%s: %q, %v; want %q and %q", name, got, err, c.subject, c.body)
		}
	}
	if got, err := tpl.Render(map[string]any{"template": "reported-benign"}); err != nil || !strings.Contains(got.Body, "harmless") {
		t.Errorf("a built-in template: %q %v", got, err)
	}
}

func TestTemplatesAreChecked(t *testing.T) {
	for name, text := range map[string]string{
		"Bad Name": "a\n\nb", "no-body": "a", "two-lines": "a\nb\n\nc", "no-subject": "\n\nb",
		"open": "a\n\n{who", "alone": "a\n\n}", "no-field": "a\n\n{Who}", "empty": "",
	} {
		if _, err := message.New(map[string]any{name: text}); spec.KindOf(err) != spec.Invalid || err == nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Whatever stands in a template and its values: no field is left and no value
// is read as one.
func FuzzRender(f *testing.F) {
	f.Add("a {x}\n\nb {{x}} {x}", "{x}")
	f.Add("a\n\n}}{{", "\x00\u202e")
	f.Fuzz(func(t *testing.T, text, value string) {
		tpl, err := message.New(map[string]any{"t": text})
		if err != nil {
			return
		}
		got, err := tpl.Render(map[string]any{"template": "t", "values": map[string]any{"x": value}})
		if err != nil {
			return
		}
		if strings.ContainsAny(got.Subject, "\r\n") {
			t.Errorf("the subject has more than one line: %q", got.Subject)
		}
	})
}

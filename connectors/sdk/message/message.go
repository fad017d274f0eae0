package message

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"github.com/quell-soar/quell/connectors/spec"
	"github.com/quell-soar/quell/connectors/spec/kind"
)

// maxText is the longest body in bytes; both mail and chat take it.
const maxText = 30000

// builtin are the templates that every instance has.
var builtin = map[string]string{
	"reported-benign": "The message you reported is harmless\n\n" +
		"Thank you for reporting a message. We looked at it and it is harmless: you can use it as usual.\n\n" +
		"Please go on reporting what looks wrong to you. Better one time too often.\n",
	"reported-thanks": "The message you reported was dangerous\n\n" +
		"Thank you for reporting a message. It was an attack, and we have removed it from the mailboxes that got it.\n\n" +
		"If you clicked a link in it, opened a file or entered a password, please tell the security team at once.\n",
	"reported-phishing": "The message you reported is phishing\n\n" +
		"Thank you for reporting a message. It is phishing. Please do not open its links or files.\n\n" +
		"If you already did, please tell the security team at once.\n",
}

// Text is what is sent.
type Text struct{ Subject, Body string }

// Templates are the named texts of one instance.
type Templates struct{ named map[string]template }

type template struct{ subject, body string }

// Setting is the setting by which an instance brings templates of its own.
func Setting() spec.Setting {
	return spec.Setting{
		Name: "templates", Type: kind.MapOf(kind.Of(kind.String)), Optional: true,
		Doc: "texts by name: the subject, an empty line, the body; {field} is filled from values. Built in are " + strings.Join(slices.Sorted(maps.Keys(builtin)), ", "),
	}
}

var nameForm = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,63}$`)

// New reads an instance's templates, as its settings hold them, and adds those
// that are built in.
func New(own any) (*Templates, error) {
	t := &Templates{named: map[string]template{}}
	texts := maps.Clone(builtin)
	given, _ := own.(map[string]any)
	for name, v := range given {
		texts[name], _ = v.(string)
	}
	for _, name := range slices.Sorted(maps.Keys(texts)) {
		if !nameForm.MatchString(name) {
			return nil, spec.Errorf(spec.Invalid, "setting templates: %q is no name; write it like reported-benign", name)
		}
		subject, body, ok := strings.Cut(strings.ReplaceAll(texts[name], "\r\n", "\n"), "\n\n")
		if !ok || strings.TrimSpace(subject) == "" || strings.Contains(subject, "\n") || strings.TrimSpace(body) == "" {
			return nil, spec.Errorf(spec.Invalid, "setting templates: %s needs a first line that is the subject, an empty line, and a body", name)
		}
		if _, err := fill(subject+body, nil, true); err != nil {
			return nil, spec.Errorf(spec.Invalid, "setting templates: %s: %v", name, err)
		}
		t.named[name] = template{subject, body}
	}
	return t, nil
}

// Render makes the text of a request's inputs: template with values, or text,
// which needs no filling.
func (t *Templates) Render(inputs map[string]any) (Text, error) {
	text, _ := inputs["text"].(string)
	name, named := inputs["template"].(string)
	subject, _ := inputs["subject"].(string)
	values, _ := inputs["values"].(map[string]any)
	switch {
	case named && text != "" || !named && strings.TrimSpace(text) == "":
		return Text{}, spec.Errorf(spec.Invalid, "a message has either a template or a text")
	case !named && len(values) > 0:
		return Text{}, spec.Errorf(spec.Invalid, "values fill a template; a text is sent as it is")
	case !named:
		return clean(Text{subject, text})
	}
	tpl, ok := t.named[name]
	if !ok {
		return Text{}, spec.Errorf(spec.Invalid, "there is no template %q; there are %s", name, strings.Join(slices.Sorted(maps.Keys(t.named)), ", "))
	}
	filled, err := fill(tpl.subject, values, false)
	if err != nil {
		return Text{}, spec.Errorf(spec.Invalid, "template %s: %v", name, err)
	}
	body, err := fill(tpl.body, values, false)
	if err != nil {
		return Text{}, spec.Errorf(spec.Invalid, "template %s: %v", name, err)
	}
	if subject == "" {
		subject = filled
	}
	return clean(Text{subject, body})
}

var fieldForm = regexp.MustCompile(`^[a-z][a-z0-9_]{0,63}$`)

// fill puts values in, in one pass over the template. With dry, fields may lack
// a value.
func fill(s string, values map[string]any, dry bool) (string, error) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		c := s[i]
		if (c == '{' || c == '}') && i+1 < len(s) && s[i+1] == c {
			b.WriteByte(c)
			i++
			continue
		}
		if c == '}' {
			return "", fmt.Errorf("a } stands alone; write }}")
		}
		if c != '{' {
			b.WriteByte(c)
			continue
		}
		end := strings.IndexByte(s[i:], '}')
		if end < 0 || !fieldForm.MatchString(s[i+1:i+end]) {
			return "", fmt.Errorf("a { begins no field such as {reporter}; write {{ for a brace")
		}
		name := s[i+1 : i+end]
		v, ok := values[name].(string)
		if !ok && !dry {
			return "", fmt.Errorf("it has the field {%s}, for which values has nothing", name)
		}
		b.WriteString(v)
		i += end
	}
	return b.String(), nil
}

// clean takes out what could hide or reorder text on a screen: control
// characters other than line ends and tabs, and marks of writing direction.
func clean(t Text) (Text, error) {
	printable := func(s string) string {
		s = strings.ReplaceAll(strings.ToValidUTF8(s, "?"), "\r\n", "\n")
		return strings.Map(func(r rune) rune {
			switch {
			case r == '\n' || r == '\t':
				return r
			case unicode.IsControl(r), r >= 0x202A && r <= 0x202E, r >= 0x2066 && r <= 0x2069, r == 0x200E, r == 0x200F:
				return -1
			}
			return r
		}, s)
	}
	t.Subject = strings.Join(strings.Fields(printable(t.Subject)), " ")
	t.Body = strings.TrimRight(printable(t.Body), "\n")
	if strings.TrimSpace(t.Body) == "" {
		return t, spec.Errorf(spec.Invalid, "the message says nothing")
	}
	if len(t.Body) > maxText {
		return t, spec.Errorf(spec.Invalid, "the message has %d bytes, more than %d; shorten it or attach it to the ticket", len(t.Body), maxText)
	}
	return t, nil
}

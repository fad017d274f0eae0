package secret_test

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"

	"github.com/quell-soar/quell/connectors/sdk/secret"
)

// The last four values are taken out, in their other forms too; out of data only
// those that stand there by no chance.
func TestIssued(t *testing.T) {
	var i secret.Issued
	if i.Text("a text") != "a text" || i.Data("data") != "data" {
		t.Error("nothing was given out, and something was taken out")
	}
	for n := range 6 {
		i.Add(secret.New(fmt.Sprintf("token-number-%d-of-this", n)))
		i.Add(secret.New(fmt.Sprintf("token-number-%d-of-this", n)))
	}
	i.Add(secret.New("short"))
	i.Add(secret.New(""))
	for n := range 6 {
		plain := fmt.Sprintf("token-number-%d-of-this", n)
		coded := base64.StdEncoding.EncodeToString([]byte("user:" + plain))
		for _, text := range []string{"x " + plain, `{"a":"` + coded + `"}`} {
			if gone := i.Text(text) != text; gone != (n >= 3) || gone != (i.Data(text) != text) {
				t.Errorf("%q became %q and %q", text, i.Text(text), i.Data(text))
			}
		}
	}
	if i.Text("a short text") != "a [secret] text" || i.Data("a short text") != "a short text" {
		t.Errorf("a short value: %q, %q", i.Text("a short text"), i.Data("a short text"))
	}
}

// A secret is known in the escapes of other languages.
func TestEscapes(t *testing.T) {
	const a = `k<&>"'(e)*y! x+/`
	r := secret.NewRedactor(secret.New(a))
	for name, leak := range map[string]string{
		"Go and JSON without HTML": fmt.Sprintf("%q", a), "XML": "k&lt;&amp;&gt;&quot;&apos;(e)*y! x+/", "HTML": "k&lt;&amp;&gt;&#34;&#39;(e)*y! x+/",
		"JavaScript": "k%3C%26%3E%22'(e)*y!%20x%2B%2F",
	} {
		if got := r.Text("<" + leak + ">"); strings.Contains(got, "e)") || !strings.Contains(got, secret.Mark) {
			t.Errorf("%s: %q", name, got)
		}
	}
}

// What is left of a secret where a text was cut is taken out too.
func TestCutSecret(t *testing.T) {
	r := secret.NewRedactor(secret.New("token-0123456789abcdef"))
	coded := base64.StdEncoding.EncodeToString([]byte("token-0123456789abcdef"))
	for text, want := range map[string]string{
		"refused token-01234…": "refused [secret]…", "a " + coded[:12] + "… and more": "a [secret]… and more", "refused by whom…": "refused by whom…",
		"an end in tok…": "an end in tok…", "token-0123456789abcdef…": "[secret]…",
	} {
		if got := r.Text(text); got != want {
			t.Errorf("%q became %q, want %q", text, got, want)
		}
	}
}

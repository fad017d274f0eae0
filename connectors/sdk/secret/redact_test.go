package secret_test

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"net/url"
	"strings"
	"testing"

	"github.com/quell-soar/quell/connectors/sdk/secret"
)

func TestRedactor(t *testing.T) {
	const a, b, key = `p@ss w0rd/+"&<ü`, `p@ss`, "-----BEGIN KEY-----\nMIIEvgIBADANBgkqhkiG9w0BAQEFAASC\nQUJDREVGR0hJSktMTU5PUFFSU1RVVg==\n-----END KEY-----\n"
	r := secret.NewRedactor(secret.New(a), secret.New(b), secret.New(key), secret.New("no"), secret.New(""))
	quoted, err := json.Marshal(a)
	if err != nil {
		t.Fatal(err)
	}
	for name, leak := range map[string]string{
		"plain":          "token " + a + " refused",
		"json":           string(quoted),
		"query":          "?t=" + url.QueryEscape(a),
		"path":           "/" + url.PathEscape(a) + "/x",
		"hex":            hex.EncodeToString([]byte(a)),
		"base64":         base64.StdEncoding.EncodeToString([]byte(a)),
		"base64 raw url": base64.RawURLEncoding.EncodeToString([]byte(a)),
		"basic":          base64.StdEncoding.EncodeToString([]byte("user:" + a)),
		"basic, shifted": base64.StdEncoding.EncodeToString([]byte("user2:" + a)),
		"basic, again":   base64.StdEncoding.EncodeToString([]byte("user22:" + a)),
		"a line of key":  "unexpected MIIEvgIBADANBgkqhkiG9w0BAQEFAASC here",
	} {
		got := r.Text(leak)
		if !r.Found(leak) || !strings.Contains(got, secret.Mark) || r.Found(got) || strings.Contains(got, a) {
			t.Errorf("%s: %q became %q", name, leak, got)
		}
	}
	for _, honest := range []string{"", "no secret here", "-----BEGIN KEY-----", "password"} {
		if got := r.Text(honest); got != honest || r.Found(honest) {
			t.Errorf("%q became %q", honest, got)
		}
	}
	if got := r.Text("x " + a + " y"); got != "x "+secret.Mark+" y" {
		t.Errorf("the shorter secret shredded the longer: %q", got)
	}
	var none *secret.Redactor
	if none.Text("x") != "x" || none.Found("x") {
		t.Error("no redactor changes a text")
	}
}

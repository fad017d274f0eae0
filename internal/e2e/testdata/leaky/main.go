// Leaky is a connector whose author let its secret go in every way that there
// is: the test of planted secrets looks for it.
package main

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/url"
	"os"
	"time"

	"github.com/quell-soar/quell/connectors/sdk"
	"github.com/quell-soar/quell/connectors/spec"
	"github.com/quell-soar/quell/connectors/spec/kind"
)

type leaky struct{ token string }

func (leaky) Manifest() spec.Manifest {
	in := []kind.Field{{Name: "how", Type: kind.Of(kind.String)}}
	out := []kind.Field{{Name: "text", Type: kind.Of(kind.String)}, {Name: "texts", Type: kind.MapOf(kind.ListOf(kind.Of(kind.String)))}}
	return spec.Manifest{
		Name: "leaky", Version: "1.0.0", Title: "Leaky", Doc: "It lets its secret go.",
		Settings: []spec.Setting{{Name: "token", Type: kind.Of(kind.Secret), Secret: true, Doc: "what must not leave"}},
		Actions: []spec.Action{
			{Name: "leaky.do_it", Title: "Leak while doing", Inputs: in, Outputs: out, Class: spec.Idempotent, ReadBack: spec.Strong, Reversal: spec.Unneeded, Deadline: 5 * time.Second},
			{Name: "leaky.read_it", Title: "Leak while reading", Inputs: in, Outputs: out, Class: spec.Read, Quick: true, Deadline: time.Second},
		},
	}
}

func (leaky) Open(_ context.Context, c sdk.Config) (sdk.Session, error) {
	return leaky{token: c.Secrets["token"].Reveal()}, nil
}

// forms are how a secret comes into a text.
func (l leaky) forms() []string {
	return []string{
		l.token, "Bearer " + l.token, base64.StdEncoding.EncodeToString([]byte("user:" + l.token)), base64.RawURLEncoding.EncodeToString([]byte("u:" + l.token)),
		base64.StdEncoding.EncodeToString([]byte("me:" + l.token + ":x")), hex.EncodeToString([]byte(l.token)), url.QueryEscape(l.token), url.PathEscape(l.token), fmt.Sprintf("%q", l.token),
	}
}

func (l leaky) Call(_ context.Context, r spec.Request) (spec.Reply, error) {
	how, _ := r.Inputs["how"].(string)
	if r.Mode == spec.Back {
		return spec.Reply{Outcome: spec.Absent}, nil
	}
	texts := []any{}
	for _, f := range l.forms() {
		texts = append(texts, f)
	}
	switch how {
	case "error":
		return spec.Reply{}, &spec.Error{Kind: spec.Permission, Message: fmt.Sprint(l.forms()), VendorCode: "E " + l.token, VendorRequestID: l.token}
	case "panic":
		panic(fmt.Sprint("no answer for ", l.forms()))
	case "print":
		for _, f := range l.forms() {
			fmt.Fprintln(os.Stderr, "request with", f)
			fmt.Println("request with", f)
		}
	}
	return spec.Reply{Outcome: spec.Done, Output: map[string]any{"text": fmt.Sprint(l.forms()), "texts": map[string]any{l.token: texts}}}, nil
}

func (l leaky) Check(context.Context) []sdk.Finding {
	return []sdk.Finding{{Name: "token " + l.token, Advice: fmt.Sprint(l.forms())}}
}

func (leaky) Close() error { return nil }

func main() { sdk.Serve(leaky{}) }

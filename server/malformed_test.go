package server

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/quell-soar/quell/internal/auth"
	"github.com/quell-soar/quell/server/api"
)

// good are bodies that routes take; malformed ones are made from them.
var good = map[string]string{
	"startRun": `{"playbook":"contain","inputs":{"hostname":"ws-12","hashes":["d41d8cd98f00b204e9800998ecf8427e"],"n":3},"incident":"INC-1","severity":"high","mode":"observe","reason":"r"}`,
	"undoRun":  `{"steps":["contain.isolate"],"reason":"r"}`, "cancelRun": `{"reason":"r"}`,
	"vote": `{"decision":"approve","seal":"s","reason":"r"}`, "answer": `{"fields":{"a":["x"],"b":{"c":1}},"reason":"r"}`, "resolve": `{"choice":"retry","reason":"r"}`,
	"kill": `{"reason":"r"}`, "liftKillSwitch": `{"reason":"r"}`, "createToken": `{"name":"n","user":"u","roles":["r"],"scopes":["read"],"expires":"1h"}`,
	"rotateToken": `{"overlap":"1h"}`, "firstAdmin": `{"code":"quell_first_x","user":"u","name":"n"}`,
	"planRun":   `{"source":{"file":"a.yaml","text":"quell: 1\nplaybook: a\ntitle: A\n"},"inputs":{"hostname":"ws-12"}}`,
	"backtest":  `{"source":{"file":"a.yaml","text":"quell: 1\nplaybook: contain\ntitle: A\n"},"beside":[{"file":"b.yaml","text":"x"}],"since":"30d"}`,
	"sendAlert": `{"id":"1","title":"t","severity":"high","hosts":[{"name":"ws-12"}]}`,
}

// hostile are pieces that break readers.
var hostile = []string{
	`"`, `{`, `}`, `[`, `]`, `,`, `:`, `null`, `true`, `-0`, `1e999`, `99999999999999999999999`, `0.1e-400`, `\u0000`, `\ud800`, "\x00", "\xff\xfe", "\u202e",
	`{"a":`, `[[[[[[[[[[[[[[[[`, `"__proto__"`, `"$ref"`, `../../etc/passwd`, `%00`, `%ff`, `{{7*7}}`, `${{ 1 }}`, `' OR 1=1 --`, `<script>`, "\r\n\r\n", strings.Repeat("9", 400), strings.Repeat("a", 5000),
}

// mangle makes a malformed body: pieces are cut, doubled, exchanged and put in.
func mangle(r *rand.Rand, body string) string {
	b := []byte(body)
	for range 1 + r.IntN(4) {
		at := r.IntN(len(b) + 1)
		switch r.IntN(5) {
		case 0:
			b = b[:at]
		case 1:
			p := hostile[r.IntN(len(hostile))]
			b = append(b[:at:at], append([]byte(p), b[at:]...)...)
		case 2:
			if at < len(b) {
				b[at] = byte(r.IntN(256))
			}
		case 3:
			to := at + r.IntN(len(b)-at+1)
			b = append(b[:to:to], b[at:]...)
		case 4:
			to := at + r.IntN(len(b)-at+1)
			b = append(b[:at:at], b[to:]...)
		}
		if len(b) == 0 {
			b = []byte(hostile[r.IntN(len(hostile))])
		}
	}
	return string(b)
}

// request makes a malformed request to a route.
func request(r *rand.Rand, rt route, token string) *http.Request {
	path := concrete(rt.path)
	if strings.Contains(rt.path, "{") && r.IntN(2) == 0 {
		path = strings.Replace(path, "/1", "/"+escape(hostile[r.IntN(len(hostile))]), 1)
	}
	if r.IntN(2) == 0 {
		path += "?" + []string{"limit", "cursor", "after", "run", "all", "status", "again", "state"}[r.IntN(8)] + "=" + escape(hostile[r.IntN(len(hostile))])
	}
	body := good[rt.id]
	if body == "" {
		body = `{"reason":"r"}`
	}
	q := httptest.NewRequest(rt.method, "http://localhost"+path, strings.NewReader(mangle(r, body)))
	q.Header.Set("Authorization", "Bearer "+token)
	q.Header.Set("Content-Type", []string{"application/json", "application/json", "application/json", "text/plain", "application/json; charset=\x00", ""}[r.IntN(6)])
	for _, h := range []string{api.HeaderIdempotency, "Last-Event-ID", "If-None-Match", "Accept", api.HeaderWebhookID, api.HeaderWebhookTimestamp, api.HeaderWebhookSignature} {
		if r.IntN(6) == 0 {
			q.Header.Set(h, strings.Map(func(c rune) rune {
				if c < 0x20 {
					return -1
				}
				return c
			}, hostile[r.IntN(len(hostile))]))
		}
	}
	return q
}

// bounded is a request whose client leaves after half a second: a stream that was
// asked for well does not end by itself.
func bounded(q *http.Request) (*http.Request, context.CancelFunc) {
	ctx, leave := context.WithTimeout(q.Context(), 500*time.Millisecond)
	return q.WithContext(ctx), leave
}

func escape(s string) string {
	var b strings.Builder
	for _, c := range []byte(s) {
		_, _ = fmt.Fprintf(&b, "%%%02x", c)
	}
	return b.String()
}

// decent says what is wrong with an answer to a malformed request.
func decent(res *httptest.ResponseRecorder, took time.Duration) string {
	switch {
	case took > time.Second:
		return fmt.Sprintf("it took %s", took)
	case res.Code >= 500 && res.Code != http.StatusServiceUnavailable:
		return fmt.Sprintf("%d %s", res.Code, res.Body)
	case res.Code >= 400:
		var p api.Error
		if ct := res.Header().Get("Content-Type"); ct != api.ProblemType || json.Unmarshal(res.Body.Bytes(), &p) != nil || p.Code == "" || p.Detail == "" {
			return fmt.Sprintf("%d is no problem: %q", res.Code, res.Body)
		}
	}
	return ""
}

// TestMalformed sends malformed requests to every family of routes: 10,000 to
// each with QUELL_SOAK, 300 without.
func TestMalformed(t *testing.T) {
	h := open(t)
	h.srv.limits = newLimits(func() func() time.Time {
		at := time.Now()
		return func() time.Time { at = at.Add(time.Second); return at }
	}())
	h.srv.log = zerolog.Nop()
	token := h.token("root", []string{"ir-lead"}, auth.Admin)
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 1))
	families := map[string][]route{}
	for _, rt := range h.srv.routes() {
		families[rt.tag] = append(families[rt.tag], rt)
	}
	each := 300
	if os.Getenv("QUELL_SOAK") != "" {
		each = 10_000
	}
	var slowest time.Duration
	for tag, routes := range families {
		for range each {
			rt := routes[r.IntN(len(routes))]
			q, leave := bounded(request(r, rt, token))
			res := httptest.NewRecorder()
			began := time.Now()
			h.srv.Handler().ServeHTTP(res, q)
			took := time.Since(began)
			leave()
			slowest = max(slowest, took)
			if bad := decent(res, took); bad != "" {
				t.Errorf("%s %s: %s", q.Method, q.URL, bad)
			}
		}
		t.Logf("%-12s %6d requests to %d routes", tag, each, len(routes))
	}
	t.Logf("the slowest answer took %s", slowest)
	if strings.Contains(h.log.String(), "panicked") {
		t.Error("a handler panicked")
	}
}

// FuzzRequest is TestMalformed with the fuzzer's bytes as body and path.
func FuzzRequest(f *testing.F) {
	for id, body := range good {
		f.Add(id, "1", []byte(body))
	}
	f.Add("showRun", "%00", []byte(nil))
	h := open(f)
	token := h.token("root", nil, auth.Admin)
	f.Fuzz(func(t *testing.T, id, part string, body []byte) {
		for _, rt := range h.srv.routes() {
			if rt.id != id {
				continue
			}
			q := httptest.NewRequest(rt.method, "http://localhost"+strings.Replace(concrete(rt.path), "/1", "/"+escape(part), 1), bytes.NewReader(body))
			q.Header.Set("Authorization", "Bearer "+token)
			q.Header.Set("Content-Type", "application/json")
			q, leave := bounded(q)
			defer leave()
			res := httptest.NewRecorder()
			began := time.Now()
			h.srv.limits = newLimits(time.Now)
			h.srv.Handler().ServeHTTP(res, q)
			if bad := decent(res, time.Since(began)); bad != "" {
				t.Errorf("%s: %s", rt.pattern(), bad)
			}
		}
	})
}

package e2e

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
)

// echo is the worst vendor that there could be. Whatever is asked, it gives
// back what it was sent, credentials first, in the error bodies, headers and
// data of all vendors at once, and never the same way twice in a row.
type echo struct {
	turn atomic.Int64
	// issued are the tokens that it gives out, by path.
	issued map[string]string
	asked  atomic.Int64
}

func startEcho(t *testing.T, issued map[string]string) (*echo, string) {
	t.Helper()
	e := &echo{issued: issued}
	srv := httptest.NewServer(e)
	t.Cleanup(srv.Close)
	return e, srv.URL
}

// said is all that came with a request, in the forms in which it may leak.
func said(r *http.Request) string {
	body, _ := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	var heads []string
	for name, values := range r.Header {
		if name == "Authorization" || strings.HasPrefix(strings.ToLower(name), "x-") {
			heads = append(heads, values...)
		}
	}
	slices.Sort(heads)
	var out []string
	for _, h := range append(heads, string(body)) {
		last := h[strings.LastIndexByte(h, ' ')+1:] // without Bearer
		if raw, err := base64.StdEncoding.DecodeString(last); err == nil && strings.HasPrefix(h, "Basic ") {
			_, last, _ = strings.Cut(string(raw), ":")
		}
		if form, err := url.ParseQuery(string(body)); err == nil && h == string(body) {
			last = form.Get("client_secret") + form.Get("password")
		}
		out = append(out, last, h, base64.StdEncoding.EncodeToString([]byte("x"+last)), hex.EncodeToString([]byte(last)), url.QueryEscape(last))
	}
	return strings.Join(out, " ")
}

func (e *echo) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	e.asked.Add(1)
	turn, path := e.turn.Add(1), r.URL.Path
	text := said(r)
	if q := r.URL.Query().Get("type"); q == "keygen" || strings.Contains(text, "keygen") {
		path += "/keygen"
	}
	for end, token := range e.issued {
		if strings.HasSuffix(path, end) && turn%4 != 0 {
			w.Header().Set("Content-Type", "application/json")
			if end == "/keygen" {
				fmt.Fprintf(w, `<response status="success"><result><key>%s</key></result></response>`, html.EscapeString(token))
				return
			}
			_ = json.NewEncoder(w).Encode(map[string]any{"access_token": token, "token_type": "bearer", "expires_in": 3600})
			return
		}
	}
	for _, name := range []string{"X-Cs-Traceid", "Request-Id", "X-Ms-Request-Id", "X-Okta-Request-Id", "X-Slack-Req-Id", "X-Arequestid", "Retry-After"} {
		w.Header().Set(name, text)
	}
	status := []int{401, 200, 400, 403, 500, 200, 429, 302, 409, 404}[turn%10]
	if status == 302 {
		w.Header().Set("Location", "http://192.168.0.1/?"+url.QueryEscape(text))
	}
	if strings.HasSuffix(path, "/api/") || strings.Contains(r.URL.Path, "panos") {
		w.WriteHeader(status)
		fmt.Fprintf(w, `<response status="error" code="403"><msg><line>%s</line></msg></response>`, html.EscapeString(text))
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	if turn%7 == 3 { // not what it should be
		fmt.Fprintf(w, `{"broken": %q, `, text)
		return
	}
	fault := map[string]any{
		"errorMessages": []string{text}, "errorSummary": text, "errorCode": text, "errorCauses": []any{map[string]any{"errorSummary": text}},
		"message": text, "messages": []any{map[string]any{"type": text, "text": text}}, "error_description": text, "ok": false, "warning": text,
		"meta": map[string]any{"trace_id": text}, "resources": []any{text}, "value": []any{map[string]any{"id": text, "displayName": text}}, "id": text, "key": text, "name": text,
	}
	switch {
	case strings.Contains(path, "falcon"):
		fault["errors"] = []any{map[string]any{"code": 403, "message": text}}
	case strings.Contains(path, "jira"):
		fault["errors"] = map[string]string{"summary": text}
	}
	fault["error"] = any(text)
	if strings.Contains(path, "entra") || strings.Contains(path, "vt") {
		fault["error"] = map[string]any{"code": text, "message": text}
	}
	_ = json.NewEncoder(w).Encode(fault)
}

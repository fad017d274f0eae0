package openapi_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/quell-soar/quell/connectors/conformance/openapi"
)

const description = `{
  "openapi": "3.0.3", "info": {"title": "Acme", "version": "1"},
  "servers": [{"url": "https://acme.example/v1.0"}],
  "paths": {
    "/hosts/{id}": {
      "parameters": [{"name": "id", "in": "path", "required": true, "schema": {"type": "string"}}],
      "patch": {
        "parameters": [{"name": "force", "in": "query", "schema": {"type": "boolean"}}],
        "requestBody": {"required": true, "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Host"}}}},
        "responses": {"200": {"description": "ok", "content": {"application/json": {"schema": {
          "allOf": [{"$ref": "#/components/schemas/Host"}, {"type": "object", "properties": {"seen": {"type": "integer"}}}]}}}}}
      }
    }
  },
  "components": {"schemas": {"Host": {"type": "object", "properties": {
    "name": {"type": "string"}, "tags": {"type": "array", "items": {"type": "object", "properties": {"key": {"type": "string"}}}},
    "free": {"type": "object"}}}}}
}`

// recorder is a test that only remembers.
type recorder struct {
	testing.TB
	problems []string
}

func (*recorder) Helper()             {}
func (*recorder) Cleanup(func())      {}
func (*recorder) Logf(string, ...any) {}
func (r *recorder) Errorf(format string, args ...any) {
	r.problems = append(r.problems, fmt.Sprintf(format, args...))
}

func TestWrap(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "acme.json"), []byte(description), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("QUELL_SPECS", dir)
	for _, tt := range []struct {
		name, method, path, body string
		status                   int
		answer                   string
		problem                  string // empty is none
		count                    openapi.Count
	}{
		{"all is well", "PATCH", "/v1.0/hosts/7", `{"name":"a","free":{"x":1}}`, 200, `{"name":"a","seen":3,"tags":[{"key":"k"}],"@note":1}`, "", openapi.Count{Requests: 1, Answers: 1}},
		{"a fault that is not described", "PATCH", "/v1.0/hosts/7", `{}`, 503, `{"any":1}`, "", openapi.Count{Requests: 1}},
		{"a wrong type sent", "PATCH", "/v1.0/hosts/7", `{"name":1}`, 200, `{}`, "does not fit", openapi.Count{Requests: 1, Answers: 1}},
		{"a wrong parameter", "PATCH", "/v1.0/hosts/7?force=perhaps", `{}`, 200, `{}`, "does not fit", openapi.Count{Requests: 1, Answers: 1}},
		{"a field that is not sent so", "PATCH", "/v1.0/hosts/7", `{"nmae":"a"}`, 200, `{}`, "has the field nmae", openapi.Count{Requests: 1, Answers: 1}},
		{"a wrong type answered", "PATCH", "/v1.0/hosts/7", `{}`, 200, `{"seen":"x"}`, "the answer 200", openapi.Count{Requests: 1, Answers: 1}},
		{"a field that is not answered so", "PATCH", "/v1.0/hosts/7", `{}`, 200, `{"tags":[{"kye":"x"}]}`, "tags[].kye", openapi.Count{Requests: 1, Answers: 1}},
		{"a field that the vendor has", "PATCH", "/v1.0/hosts/7", `{}`, 200, `{"extra":"x"}`, "", openapi.Count{Requests: 1, Answers: 1}},
		{"a status that is not described", "PATCH", "/v1.0/hosts/7", `{}`, 202, `{}`, "the answer 202", openapi.Count{Requests: 1, Answers: 1}},
		{"no such path", "PATCH", "/v1.0/host/7", `{}`, 200, `{}`, "is not described", openapi.Count{}},
		{"no such method", "GET", "/v1.0/hosts/7", ``, 200, `{}`, "is not described", openapi.Count{}},
		{"without the prefix", "PATCH", "/hosts/7", `{}`, 200, `{}`, "is not described", openapi.Count{}},
		{"beyond", "GET", "/v1.0/hosts/7/owner", ``, 200, `{}`, "", openapi.Count{Beyond: 1}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := &recorder{TB: t}
			api := openapi.Load(r, "acme.json", openapi.Options{Prefix: "/v1.0", Beyond: []string{"GET /hosts/{id}/owner"}, Extra: []string{"ext*"}})
			srv := httptest.NewServer(api.Wrap(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
				if body, err := io.ReadAll(r.Body); err != nil || string(body) != tt.body {
					t.Errorf("the handler got %q (%v)", body, err)
				}
				rw.Header().Set("Content-Type", "application/json")
				rw.WriteHeader(tt.status)
				_, _ = io.WriteString(rw, tt.answer)
			})))
			defer srv.Close()
			req, err := http.NewRequestWithContext(t.Context(), tt.method, srv.URL+tt.path, strings.NewReader(tt.body))
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Content-Type", "application/json")
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(resp.Body)
			_ = resp.Body.Close()
			if err != nil || resp.StatusCode != tt.status || string(got) != tt.answer {
				t.Errorf("the client got %d %s (%v)", resp.StatusCode, got, err)
			}
			srv.Close() // the answer is validated after it was sent
			if all := strings.Join(r.problems, "; "); (tt.problem == "") != (all == "") || !strings.Contains(all, tt.problem) {
				t.Errorf("problems: %q, want %q", all, tt.problem)
			}
			if api.Count() != tt.count {
				t.Errorf("counted %+v, want %+v", api.Count(), tt.count)
			}
		})
	}
}

// Without the descriptions everything passes, and it is said.
func TestWithoutDescriptions(t *testing.T) {
	t.Setenv("QUELL_SPECS", t.TempDir())
	api := openapi.Load(t, "acme.json", openapi.Options{})
	srv := httptest.NewServer(api.Wrap(http.NotFoundHandler()))
	defer srv.Close()
	resp, err := http.Get(srv.URL)
	if err != nil || resp.StatusCode != http.StatusNotFound || api.Count() != (openapi.Count{}) {
		t.Errorf("got %v, %v", resp, err)
	}
	_ = resp.Body.Close()
}

package server

import (
	"encoding/json"
	"flag"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/google/go-cmp/cmp"

	"github.com/quell-soar/quell/internal/auth"
)

var update = flag.Bool("update", false, "write the API's description into docs")

// fetch gets a document as a caller does.
func (h *house) fetch(path string) []byte {
	h.t.Helper()
	req, err := http.NewRequestWithContext(h.t.Context(), http.MethodGet, "http://"+h.tcp+path, nil)
	if err != nil {
		h.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+h.token("reader", nil, auth.Read))
	res, err := stays.Do(req)
	if err != nil {
		h.t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	raw, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		h.t.Fatalf("%s: %s, %v", path, res.Status, err)
	}
	return raw
}

// The description names every route in both versions, and holds as OpenAPI.
func TestDescription(t *testing.T) {
	h := open(t, func(c *Config) { c.Version = "1" })
	for path, version := range map[string]string{"/v1/openapi.json": "3.1.0", "/v1/openapi-3.0.json": "3.0.3"} {
		var doc struct {
			OpenAPI string                                `json:"openapi"`
			Paths   map[string]map[string]json.RawMessage `json:"paths"`
		}
		if err := json.Unmarshal(h.fetch(path), &doc); err != nil || doc.OpenAPI != version {
			t.Fatalf("%s: %s, %v", path, doc.OpenAPI, err)
		}
		described := 0
		for _, methods := range doc.Paths {
			described += len(methods)
		}
		for _, rt := range h.srv.routes() {
			if doc.Paths[rt.path][strings.ToLower(rt.method)] == nil {
				t.Errorf("%s does not describe %s", path, rt.pattern())
			}
		}
		if described != len(h.srv.routes()) {
			t.Errorf("%s describes %d routes of %d", path, described, len(h.srv.routes()))
		}
	}
	loader := openapi3.NewLoader()
	doc, err := loader.LoadFromData(h.fetch("/v1/openapi-3.0.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := doc.Validate(loader.Context); err != nil {
		t.Errorf("the description does not hold as OpenAPI 3.0: %v", err)
	}
}

// docs/openapi.json is what the server answers, so that a client is generated
// without a server.
func TestDescriptionInDocs(t *testing.T) {
	h := open(t, func(c *Config) { c.Version = "1" })
	for name, path := range map[string]string{"openapi.json": "/v1/openapi.json", "openapi-3.0.json": "/v1/openapi-3.0.json"} {
		var v any
		if err := json.Unmarshal(h.fetch(path), &v); err != nil {
			t.Fatal(err)
		}
		got, err := json.MarshalIndent(v, "", " ")
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, '\n')
		file := filepath.Join("..", "docs", name)
		if *update {
			if err := os.WriteFile(file, got, 0o600); err != nil {
				t.Fatal(err)
			}
			continue
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), string(got)); diff != "" {
			t.Errorf("docs/%s is not what the server answers; make docs:\n%.2000s", name, diff)
		}
	}
}

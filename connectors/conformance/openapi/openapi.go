package openapi

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"
)

// Options say where a description and the truth differ.
type Options struct {
	// Prefix is the part of a request's path that stands before the
	// description's paths, such as /v1.0. A request without it is not described.
	Prefix string
	// Beyond are operations that the vendor has and the description lacks, as
	// "GET /users/{id}/manager": a segment in braces stands for any one. They
	// pass and are counted apart.
	Beyond []string
	// Extra are fields that the vendor has and the description lacks, by the
	// place in a body, as "user.manager" or "value[].id"; a trailing * stands for
	// all that begin so.
	Extra []string
}

// API is one vendor's description.
type API struct {
	t       testing.TB
	file    string
	options Options
	router  routers.Router

	mu   sync.Mutex
	over bool
	seen Count
	said map[string]bool
}

// Count is what was validated so far. Beyond counts the requests of operations
// that the description lacks.
type Count struct{ Requests, Answers, Beyond int }

// parsed keeps descriptions for the tests of one process: reading them takes a
// second.
var parsed = struct {
	sync.Mutex
	docs map[string]routers.Router
}{docs: map[string]routers.Router{}}

// Load reads a description. Where there is no such file it logs that and returns
// an API that validates nothing.
func Load(t testing.TB, file string, o Options) *API {
	t.Helper()
	a := &API{t: t, file: file, options: o, said: map[string]bool{}}
	path, ok := find(file)
	if !ok {
		t.Logf("no folder shared/specs with %s beside this repository (QUELL_SPECS names another): nothing is validated against the vendor's description", file)
		return a
	}
	router, err := open(path)
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	a.router = router
	t.Cleanup(a.finish)
	return a
}

// Must is Load, and skips the test where there is no such description.
func Must(t testing.TB, file string, o Options) *API {
	t.Helper()
	a := Load(t, file, o)
	if a.router == nil {
		t.Skipf("%s is not there", file)
	}
	return a
}

func find(file string) (string, bool) {
	if dir := os.Getenv("QUELL_SPECS"); dir != "" {
		path := filepath.Join(dir, file)
		_, err := os.Stat(path) //nolint:gosec // the tester names the folder
		return path, err == nil
	}
	dir, err := os.Getwd()
	for err == nil {
		path := filepath.Join(dir, "shared", "specs", file)
		if _, missing := os.Stat(path); missing == nil {
			return path, true
		}
		up := filepath.Dir(dir)
		if up == dir {
			return "", false
		}
		dir = up
	}
	return "", false
}

func open(path string) (routers.Router, error) {
	parsed.Lock()
	defer parsed.Unlock()
	if r, ok := parsed.docs[path]; ok {
		return r, nil
	}
	doc, err := openapi3.NewLoader().LoadFromFile(path)
	if err != nil {
		return nil, err
	}
	// The paths count, wherever the fake listens.
	doc.Servers = nil
	for _, item := range doc.Paths.Map() {
		item.Servers = nil
		for _, op := range item.Operations() {
			op.Servers = nil
			lenient(op)
		}
	}
	if err := doc.Validate(context.Background(), openapi3.DisableExamplesValidation()); err != nil {
		return nil, err
	}
	r, err := gorillamux.NewRouter(doc)
	if err != nil {
		return nil, err
	}
	parsed.docs[path] = r
	return r, nil
}

// lenient lets a form leave fields out: kin-openapi reads a field that is not
// there as null.
func lenient(op *openapi3.Operation) {
	if op.RequestBody == nil {
		return
	}
	form := op.RequestBody.Value.Content["application/x-www-form-urlencoded"]
	if form == nil || form.Schema == nil {
		return
	}
	for name, field := range form.Schema.Value.Properties {
		if !slices.Contains(form.Schema.Value.Required, name) && field.Value != nil {
			field.Value.Nullable = true
		}
	}
}

// Count returns what was validated so far.
func (a *API) Count() Count {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.seen
}

func (a *API) count(add func(*Count)) {
	a.mu.Lock()
	add(&a.seen)
	a.mu.Unlock()
	total.Lock()
	defer total.Unlock()
	c := total.of[a.file]
	add(&c)
	total.of[a.file] = c
}

// total is what all tests of this process validated.
var total = struct {
	sync.Mutex
	of     map[string]Count
	beyond map[string]bool
}{of: map[string]Count{}, beyond: map[string]bool{}}

// Main runs a package's tests and prints how much was validated.
func Main(m *testing.M) {
	code := m.Run()
	total.Lock()
	for _, file := range slices.Sorted(maps.Keys(total.of)) {
		c := total.of[file]
		fmt.Fprintf(os.Stdout, "%s: %d requests and %d answers validated; %d requests of operations that it lacks: %s\n",
			file, c.Requests, c.Answers, c.Beyond, strings.Join(slices.Sorted(maps.Keys(total.beyond)), ", "))
	}
	total.Unlock()
	os.Exit(code)
}

func (a *API) finish() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.over = true
}

// problem reports once what does not fit, as long as the test runs.
func (a *API) problem(format string, args ...any) {
	a.mu.Lock()
	defer a.mu.Unlock()
	text := fmt.Sprintf(format, args...)
	if a.over || a.said[text] {
		return
	}
	a.said[text] = true
	a.t.Errorf("%s: %s", a.file, text)
}

// lacking finds the entry of Beyond that allows an operation.
func (a *API) lacking(method, path string) (string, bool) {
	got := strings.Split(path, "/")
	for _, entry := range a.options.Beyond {
		m, pattern, _ := strings.Cut(entry, " ")
		want := strings.Split(pattern, "/")
		if m != method || len(want) != len(got) {
			continue
		}
		fits := true
		for i := range want {
			fits = fits && (want[i] == got[i] || strings.HasPrefix(want[i], "{"))
		}
		if fits {
			return entry, true
		}
	}
	return "", false
}

func options() *openapi3filter.Options {
	return &openapi3filter.Options{
		AuthenticationFunc: openapi3filter.NoopAuthenticationFunc, MultiError: true, IncludeResponseStatus: true,
	}
}

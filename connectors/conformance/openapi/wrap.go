package openapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
)

// Wrap validates what passes through a handler and changes nothing of it.
func (a *API) Wrap(h http.Handler) http.Handler {
	if a.router == nil {
		return h
	}
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return // the client left; there is nothing to hold against anything
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		in, known := a.request(r, body)
		tee := &tee{ResponseWriter: rw}
		h.ServeHTTP(tee, r)
		// Nothing was answered where the client or the fake hung up.
		if known && tee.status != 0 {
			a.answer(in, tee)
		}
	})
}

// request validates one request.
func (a *API) request(r *http.Request, body []byte) (*openapi3filter.RequestValidationInput, bool) {
	seen := r.Clone(r.Context())
	seen.Body = io.NopCloser(bytes.NewReader(body))
	path, described := strings.CutPrefix(r.URL.EscapedPath(), a.options.Prefix)
	what := r.Method + " " + path
	if entry, ok := a.lacking(r.Method, path); ok {
		a.count(func(c *Count) { c.Beyond++ })
		total.Lock()
		total.beyond[entry] = true
		total.Unlock()
		return nil, false
	}
	// The router looks at scheme, host and path.
	seen.URL.Path, seen.URL.RawPath = strings.TrimPrefix(r.URL.Path, a.options.Prefix), path
	var route *routers.Route
	var params map[string]string
	err := errors.New("it lies outside of " + a.options.Prefix)
	if described {
		route, params, err = a.router.FindRoute(seen)
	}
	if err != nil {
		a.problem("the request %s is not described: %v", what, err)
		return nil, false
	}
	in := &openapi3filter.RequestValidationInput{Request: seen, PathParams: params, Route: route, Options: options()}
	if err := openapi3filter.ValidateRequest(r.Context(), in); err != nil {
		a.problem("the request %s does not fit: %v", what, err)
	}
	if op := route.Operation; op.RequestBody != nil && op.RequestBody.Value != nil {
		a.names("the request "+route.Method+" "+route.Path, op.RequestBody.Value.Content, r.Header, body)
	}
	a.count(func(c *Count) { c.Requests++ })
	return in, true
}

// answer validates one answer. A refusal that the description does not tell of,
// or that speaks no JSON, is no answer to hold against it: the faults of a script
// and of what stands in between are none of the operation's.
func (a *API) answer(in *openapi3filter.RequestValidationInput, got *tee) {
	op := in.Route.Operation
	what := in.Route.Method + " " + in.Route.Path
	ref := op.Responses.Status(got.status)
	plain := !strings.Contains(got.Header().Get("Content-Type"), "json")
	if got.status >= http.StatusBadRequest && (plain || ref == nil && op.Responses.Default() == nil) {
		return
	}
	with := options()
	with.ExcludeResponseBody = got.status == http.StatusNoContent
	out := &openapi3filter.ResponseValidationInput{
		RequestValidationInput: in, Status: got.status, Header: got.Header(), Options: with,
		Body: io.NopCloser(bytes.NewReader(got.body.Bytes())),
	}
	if err := openapi3filter.ValidateResponse(in.Request.Context(), out); err != nil {
		a.problem("the answer %d to %s does not fit: %v", got.status, what, err)
	}
	if ref == nil {
		ref = op.Responses.Default()
	}
	if ref != nil && ref.Value != nil {
		a.names("the answer to "+what, ref.Value.Content, got.Header(), got.body.Bytes())
	}
	a.count(func(c *Count) { c.Answers++ })
}

// names reports fields of a JSON body that its schema does not have.
func (a *API) names(what string, content openapi3.Content, h http.Header, body []byte) {
	kind, _, _ := mime.ParseMediaType(h.Get("Content-Type"))
	media := content.Get(kind)
	if media == nil || media.Schema == nil || !strings.HasSuffix(kind, "json") || len(body) == 0 {
		return
	}
	var v any
	if err := json.Unmarshal(body, &v); err != nil {
		a.problem("%s is no JSON: %v", what, err)
		return
	}
	for path := range unknown(media.Schema.Value, v, "") {
		if !a.extra(path) {
			a.problem("%s has the field %s, which the description lacks", what, path)
		}
	}
}

func (a *API) extra(path string) bool {
	for _, e := range a.options.Extra {
		if head, open := strings.CutSuffix(e, "*"); path == e || open && strings.HasPrefix(path, head) {
			return true
		}
	}
	return false
}

// tee keeps what is answered.
type tee struct {
	http.ResponseWriter
	status int // 0 until something is answered
	body   bytes.Buffer
}

// WriteHeader keeps the status.
func (t *tee) WriteHeader(status int) {
	t.status = status
	t.ResponseWriter.WriteHeader(status)
}

// Write keeps the body.
func (t *tee) Write(p []byte) (int, error) {
	if t.status == 0 {
		t.status = http.StatusOK
	}
	t.body.Write(p)
	return t.ResponseWriter.Write(p)
}

// Unwrap gives http.ResponseController the rest.
func (t *tee) Unwrap() http.ResponseWriter { return t.ResponseWriter }

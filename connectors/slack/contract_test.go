package slack_test

import (
	"bytes"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/quell-soar/quell/connectors/conformance/openapi"
)

// described validates against Slack's description of 2021, which differs from
// today's API in how things are carried, not in what: the token is a header or
// a value of the query named token, and a failure is "any other status". The
// handler outside turns requests into that form and answers back; the one inside
// does the reverse for answers.
func described(t testing.TB, h http.Handler) http.Handler {
	api := openapi.Load(t, "slack-web-api.oas3.trim.json", openapi.Options{
		// Newer than the description.
		Beyond: []string{"GET /conversations.history"},
		Extra:  []string{"metadata*"},
	})
	inside := http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		told := httptest.NewRecorder()
		hijacked := &through{ResponseRecorder: told, outer: rw}
		h.ServeHTTP(hijacked, r)
		if hijacked.gone {
			return
		}
		if told.Code == http.StatusOK && failed(told.Body.Bytes()) {
			told.Code = http.StatusTeapot
		}
		copyTo(rw, told)
	})
	valid := api.Wrap(inside)
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		token := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
		r.Header.Set("Token", token)
		if r.URL.Path == "/users.lookupByEmail" {
			q := r.URL.Query()
			q.Set("token", url.QueryEscape(token))
			r.URL.RawQuery = q.Encode()
		}
		told := httptest.NewRecorder()
		hijacked := &through{ResponseRecorder: told, outer: rw}
		valid.ServeHTTP(hijacked, r)
		if hijacked.gone {
			return
		}
		if told.Code == http.StatusTeapot {
			told.Code = http.StatusOK
		}
		copyTo(rw, told)
	})
}

func failed(body []byte) bool {
	var e struct {
		OK *bool `json:"ok"`
	}
	return json.Unmarshal(body, &e) == nil && e.OK != nil && !*e.OK
}

func copyTo(rw http.ResponseWriter, told *httptest.ResponseRecorder) {
	maps.Copy(rw.Header(), told.Header())
	rw.WriteHeader(told.Code)
	_, _ = io.Copy(rw, bytes.NewReader(told.Body.Bytes()))
}

// through records an answer and lets the fake hang up on the real connection.
type through struct {
	*httptest.ResponseRecorder
	outer http.ResponseWriter
	gone  bool
}

// Unwrap leads http.ResponseController to the connection once the fake asks for
// it; then there is no answer to record.
func (w *through) Unwrap() http.ResponseWriter {
	w.gone = true
	return w.outer
}

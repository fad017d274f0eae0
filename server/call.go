package server

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strconv"
	"unicode/utf8"

	"github.com/quell-soar/quell/internal/auth"
	"github.com/quell-soar/quell/server/api"
)

// call is one request with who makes it.
type call struct {
	*http.Request
	w     http.ResponseWriter
	actor auth.Actor
	// id is the request's own id: in the answer's header, the log, the ledger.
	id string
}

// answer is what a handler gives back. A handler that wrote the answer itself
// says so.
type answer struct {
	status  int
	body    any
	written bool
}

// handler answers one route. An error becomes a problem.
type handler func(c *call) (answer, error)

func ok(body any) (answer, error) { return answer{status: http.StatusOK, body: body}, nil }

func done() (answer, error) { return answer{status: http.StatusNoContent}, nil }

func invalid(format string, args ...any) error {
	return api.Problem(api.CodeInvalid, fmt.Sprintf(format, args...))
}

// read decodes the body, which must be one JSON value of exactly v's shape. The
// media type is demanded because no form of another site can send it.
func (c *call) read(v any) error {
	if t, _, err := mime.ParseMediaType(c.Header.Get("Content-Type")); err != nil || t != "application/json" {
		return invalid("the body must be application/json")
	}
	raw, err := io.ReadAll(c.Body)
	if err != nil {
		return err
	}
	if !utf8.Valid(raw) { // encoding/json would put U+FFFD for what is not
		return invalid("the body is not valid UTF-8")
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil {
		return invalid("the body is not what this route takes: %v", jsonFault(err))
	}
	if _, err := dec.Token(); err != io.EOF {
		return invalid("the body has more than one JSON value")
	}
	return nil
}

// jsonFault keeps encoding/json's word about place and field, and nothing of
// Go's type names.
func jsonFault(err error) string {
	var typed *json.UnmarshalTypeError
	var syntax *json.SyntaxError
	switch {
	case errors.As(err, &typed):
		return fmt.Sprintf("field %q cannot be a %s", typed.Field, typed.Value)
	case errors.As(err, &syntax):
		return fmt.Sprintf("not JSON at byte %d", syntax.Offset)
	case errors.Is(err, io.EOF):
		return "it is empty"
	}
	return err.Error()
}

// run gives the run's id of the path.
func (c *call) run() string {
	return c.PathValue("playbook") + "/" + c.PathValue("hash") + "/" + c.PathValue("generation")
}

// limit reads the page size: 50 unless told, 200 at most.
func (c *call) limit() (int, error) {
	text := c.URL.Query().Get("limit")
	if text == "" {
		return 50, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		return 0, invalid("limit %q is not a number from 1", text)
	}
	return min(n, 200), nil
}

// write sends an answer as JSON.
func (c *call) write(status int, contentType string, body any) {
	h := c.w.Header()
	if status == http.StatusNoContent {
		c.w.WriteHeader(status)
		return
	}
	raw, err := json.Marshal(body)
	if err != nil {
		status, contentType = http.StatusInternalServerError, api.ProblemType
		raw = []byte(`{"type":"urn:quell:problem:internal","title":"Internal Server Error","status":500,"code":"internal"}`)
	}
	h.Set("Content-Type", contentType)
	h.Set("Content-Length", strconv.Itoa(len(raw)+1))
	c.w.WriteHeader(status)
	_, _ = c.w.Write(append(raw, '\n'))
}

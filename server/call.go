package server

import (
	"bytes"
	"encoding/json"
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
	// body is that of a typed route, read whole.
	body []byte
}

func invalid(format string, args ...any) error {
	return api.Problem(api.CodeInvalid, fmt.Sprintf(format, args...))
}

// take reads the body of a request to a typed route, so that what follows sees
// it whole. The media type is demanded because no form of another site can send
// it; text that is not UTF-8 would silently become another.
func (c *call) take() error {
	if c.Body == nil || c.Body == http.NoBody {
		return nil
	}
	body, err := io.ReadAll(c.Body)
	if err != nil {
		return err
	}
	if len(body) > 0 {
		if t, _, err := mime.ParseMediaType(c.Header.Get("Content-Type")); err != nil || t != "application/json" {
			return invalid("the body must be application/json")
		}
		if !utf8.Valid(body) {
			return invalid("the body is not valid UTF-8")
		}
	}
	c.body = body
	c.Body = io.NopCloser(bytes.NewReader(body))
	return nil
}

// run gives the run's id of the path.
func (c *call) run() string {
	return c.PathValue("playbook") + "/" + c.PathValue("hash") + "/" + c.PathValue("generation")
}

// write sends an answer as JSON.
func (c *call) write(status int, contentType string, body any) {
	if status == http.StatusNoContent {
		c.w.WriteHeader(status)
		return
	}
	raw, err := json.Marshal(body)
	if err != nil {
		status, contentType = http.StatusInternalServerError, api.ProblemType
		raw = []byte(`{"type":"urn:quell:problem:internal","title":"Internal Server Error","status":500,"code":"internal"}`)
	}
	c.bytes(status, contentType, append(raw, '\n'))
}

// bytes sends an answer as it is.
func (c *call) bytes(status int, contentType string, raw []byte) {
	h := c.w.Header()
	h.Set("Content-Type", contentType)
	h.Set("Content-Length", strconv.Itoa(len(raw)))
	c.w.WriteHeader(status)
	_, _ = c.w.Write(raw)
}

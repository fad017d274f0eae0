package server

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"path"
	"reflect"
	"strings"
	"sync"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/quell-soar/quell/connectors/spec/kind"
	"github.com/quell-soar/quell/server/api"
)

// reply is a success: a status and a body.
type reply[B any] struct {
	Status int
	Body   B
}

// ok answers 200.
func ok[B any](body B) (*reply[B], error) { return status(http.StatusOK, body) }

func status[B any](code int, body B) (*reply[B], error) {
	return &reply[B]{Status: code, Body: body}, nil
}

// none is the answer of routes that have nothing to say.
type none struct{ Status int }

// does binds a handler to a route. What comes in is read and checked by I's
// tags before the handler sees it, and the same tags make the API's description.
func does[I, O any](f func(c *call, in *I) (*O, error)) func(*Server, route) {
	return func(s *Server, rt route) {
		huma.Register(s.huma, rt.operation(), func(ctx context.Context, in *I) (*O, error) {
			c := callOf(ctx)
			out, err := f(c, in)
			if err != nil {
				return nil, s.refused(c, rt, err)
			}
			return out, nil
		})
	}
}

// raw binds a handler that reads and writes itself: signed bodies, streams.
func raw(f func(c *call) error) func(*Server, route) {
	return func(s *Server, rt route) {
		op := rt.operation()
		op.Parameters = append(op.Parameters, rt.named()...)
		op.Responses = map[string]*huma.Response{"default": {Description: "a problem (RFC 9457)", Content: map[string]*huma.MediaType{
			api.ProblemType: {Schema: s.huma.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[api.Error](), true, "Problem")},
		}}}
		for code, media := range rt.answers {
			op.Responses[code] = &huma.Response{Description: http.StatusText(atoi(code)), Content: map[string]*huma.MediaType{media: {Schema: &huma.Schema{Type: huma.TypeString}}}}
		}
		s.huma.OpenAPI().AddOperation(&op)
		s.gate.HandleFunc(rt.pattern(), func(_ http.ResponseWriter, r *http.Request) {
			c := callOf(r.Context())
			if err := f(c); err != nil {
				p := s.refused(c, rt, err)
				c.write(p.Status, api.ProblemType, p)
			}
		})
	}
}

// operation describes a route.
func (rt route) operation() huma.Operation {
	op := huma.Operation{
		Method: rt.method, Path: rt.path, OperationID: rt.id, Summary: rt.summary, Tags: []string{rt.tag},
		Errors: []int{http.StatusBadRequest}, DefaultStatus: rt.status, Parameters: rt.parameters(),
		MaxBodyBytes: -1, BodyReadTimeout: -1, // the gate bounds both
		Responses: map[string]*huma.Response{},
	}
	if rt.need != public && rt.need != signed {
		op.Security = []map[string][]string{{"token": {}}, {"session": {}}}
		op.Errors = append(op.Errors, http.StatusUnauthorized, http.StatusForbidden, http.StatusTooManyRequests)
		op.Description = "Needs " + rt.need.words() + "."
	}
	if strings.Contains(rt.path, "{") {
		op.Errors = append(op.Errors, http.StatusNotFound)
	}
	return op
}

// named describes what a raw route takes: the parts of its path and its headers.
// Typed routes have theirs from their types.
func (rt route) named() []*huma.Param {
	var out []*huma.Param
	text := func(in, name, doc string, must bool) {
		out = append(out, &huma.Param{In: in, Name: name, Description: doc, Required: must, Schema: &huma.Schema{Type: huma.TypeString}})
	}
	for part := range strings.SplitSeq(rt.path, "/") {
		if name, isName := strings.CutPrefix(part, "{"); isName {
			text("path", strings.TrimSuffix(name, "}"), "", true)
		}
	}
	if rt.id == "watchRun" {
		text("header", "Last-Event-ID", "the id of the last event that was seen", false)
	}
	if rt.need == signed {
		text("header", api.HeaderWebhookID, "the delivery's own id", true)
		text("header", api.HeaderWebhookTimestamp, "seconds since 1970", true)
		text("header", api.HeaderWebhookSignature, "v1, and the HMAC-SHA256 of id, time and body in base64", true)
	}
	return out
}

func (rt route) parameters() []*huma.Param {
	if rt.method != http.MethodPost || rt.need == public || rt.need == signed {
		return nil
	}
	most := 200
	return []*huma.Param{{
		Name: api.HeaderIdempotency, In: "header", Schema: &huma.Schema{Type: huma.TypeString, MaxLength: &most},
		Description: "The same key with the same request is answered as the first time and does nothing again, for a day.",
	}}
}

// gate is the mux under huma. Every pattern that is registered must be of the
// table, and is wrapped in what must hold before its handler.
type gate struct {
	s       *Server
	mux     *http.ServeMux
	routes  map[string]route
	mounted map[string]bool
	problem error
}

var _ humago.Mux = (*gate)(nil)

// HandleFunc mounts a pattern of the table.
func (g *gate) HandleFunc(pattern string, handler func(http.ResponseWriter, *http.Request)) {
	rt, known := g.routes[pattern]
	if !known {
		g.problem = fmt.Errorf("route %s stands in no table: nothing says who may use it", pattern)
		return
	}
	g.mounted[pattern] = true
	g.mux.HandleFunc(pattern, g.s.guarded(rt, handler))
}

func (g *gate) ServeHTTP(w http.ResponseWriter, r *http.Request) { g.mux.ServeHTTP(w, r) }

// callKey finds the call of a request's context.
type callKey struct{}

func callOf(ctx context.Context) *call {
	c, _ := ctx.Value(callKey{}).(*call)
	return c
}

// jsonFormat writes one line of JSON and reads exactly one value.
var jsonFormat = huma.Format{
	Marshal: func(w io.Writer, v any) error {
		raw, err := json.Marshal(v)
		if err != nil {
			return fmt.Errorf("write JSON: %w", err)
		}
		_, err = w.Write(append(raw, '\n'))
		return err
	},
	Unmarshal: func(raw []byte, v any) error {
		if len(bytes.TrimSpace(raw)) == 0 {
			return io.EOF
		}
		return json.Unmarshal(raw, v)
	},
}

// problems makes huma's own refusals ours. huma keeps this in variables of its
// package, so they are set once for the process.
var problems = sync.OnceFunc(func() {
	huma.DefaultArrayNullable = false // an empty list is [] in our answers
	huma.NewErrorWithContext = func(hc huma.Context, code int, msg string, errs ...error) huma.StatusError {
		p := humaProblem(code, msg, errs)
		if hc != nil {
			if c := callOf(hc.Context()); c != nil {
				p.Request = c.id
			}
		}
		return p
	}
	huma.NewError = func(code int, msg string, errs ...error) huma.StatusError { return humaProblem(code, msg, errs) }
})

// humaProblem writes what huma found in a request in our words.
func humaProblem(code int, msg string, errs []error) *api.Error {
	var details []string
	for _, err := range errs {
		if err == nil {
			continue
		}
		text := err.Error()
		if d, isDetail := err.(huma.ErrorDetailer); isDetail { // huma passes it so
			text = d.ErrorDetail().Message
			if at := d.ErrorDetail().Location; at != "" {
				text = at + ": " + text
			}
		}
		details = append(details, shorten(text))
	}
	detail := msg
	if len(details) > 0 {
		detail += ": " + strings.Join(details[:min(len(details), 5)], "; ")
	}
	switch {
	case code == http.StatusRequestEntityTooLarge:
		return api.Problem(api.CodeTooLarge, "the body is longer than this route takes")
	case code >= 500:
		return api.Problem(api.CodeInternal, "a fault of Quell; its log has this request")
	case code == http.StatusNotAcceptable:
		return api.Problem(api.CodeInvalid, "the answer is application/json; Accept must allow it")
	}
	return api.Problem(api.CodeInvalid, detail)
}

// schemaName names a type's schema: those of the API by their own name, those of
// other rooms with the room's before it.
func schemaName(t reflect.Type, hint string) string {
	name := huma.DefaultSchemaNamer(t, hint)
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice {
		t = t.Elem()
	}
	if room := path.Base(t.PkgPath()); t.Name() != "" && room != "api" && room != "." {
		return strings.ToUpper(room[:1]) + room[1:] + name
	}
	return name
}

// newHuma makes the API's description and its registry of schemas.
func newHuma(g *gate, version string) huma.API {
	problems()
	reg := huma.NewMapRegistry("#/components/schemas/", schemaName)
	reg.RegisterTypeAlias(reflect.TypeFor[kind.Kind](), reflect.TypeFor[string]())
	return humago.New(g, huma.Config{
		OpenAPI: &huma.OpenAPI{
			OpenAPI: "3.1.0",
			Info:    &huma.Info{Title: "Quell", Version: version, Description: "Incident response playbooks: runs, decisions, effects and their record.", License: &huma.License{Name: "Apache-2.0", URL: "https://www.apache.org/licenses/LICENSE-2.0"}},
			Components: &huma.Components{Schemas: reg, SecuritySchemes: map[string]*huma.SecurityScheme{
				"token":   {Type: "http", Scheme: "bearer", Description: "A token of quell token create, or of the sign-in."},
				"session": {Type: "apiKey", In: "cookie", Name: sessionCookie, Description: "A browser's session; changes need " + api.HeaderCSRF + " beside it."},
			}},
		},
		Formats:       map[string]huma.Format{"application/json": jsonFormat, "json": jsonFormat},
		DefaultFormat: "application/json", RejectUnknownQueryParameters: true,
	})
}

// openAPI answers with the API's description.
func (s *Server) openAPI(c *call) error {
	raw, err := json.Marshal(s.huma.OpenAPI())
	if err != nil {
		return fmt.Errorf("describe the API: %w", err)
	}
	c.bytes(http.StatusOK, "application/json", raw)
	return nil
}

// openAPI30 answers with the description as OpenAPI 3.0 has it.
func (s *Server) openAPI30(c *call) error {
	raw, err := s.huma.OpenAPI().Downgrade()
	if err != nil {
		return fmt.Errorf("describe the API: %w", err)
	}
	c.bytes(http.StatusOK, "application/json", raw)
	return nil
}

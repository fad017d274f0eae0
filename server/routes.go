package server

import (
	"fmt"
	"net/http"
	"slices"

	"github.com/quell-soar/quell/internal/auth"
)

// need is what a route demands of its caller: a scope, or one of the words
// below.
type need string

const (
	// public: nobody is asked. Only what tells nothing.
	public need = "public"
	// signed: the body's signature is the proof; the handler checks it.
	signed need = "signed"
	// known: any caller with a good token, or of the unix socket.
	known need = "known"
)

// route is one row of the table.
type route struct {
	method, path string
	need         need
	handle       handler
	// body is the longest body taken; 0 means defaultBody.
	body int64
}

func (r route) pattern() string { return r.method + " " + r.path }

// defaultBody bounds what a route takes unless its row says otherwise.
const defaultBody = 256 << 10

// oneRun is the path of one run: its id as three segments.
const oneRun = "/v1/runs/{playbook}/{hash}/{generation}"

// routes is the table. There is no other way in.
func (s *Server) routes() []route {
	const read, launch, respond = need(auth.Read), need(auth.Launch), need(auth.Respond)
	const approve, audit, admin = need(auth.Approve), need(auth.Audit), need(auth.Admin)
	r, p, o, a := s.runs, s.people, s.operate, s.alerts
	return []route{
		{method: "GET", path: "/v1/health", need: public, handle: o.health},
		{method: "GET", path: "/v1/ready", need: read, handle: o.ready},
		{method: "GET", path: "/v1/whoami", need: known, handle: o.whoami},

		{method: "POST", path: "/v1/runs", need: launch, handle: r.start, body: 1 << 20},
		{method: "GET", path: "/v1/runs", need: read, handle: r.list},
		{method: "GET", path: oneRun, need: read, handle: r.show},
		{method: "GET", path: oneRun + "/events", need: read, handle: r.watch},
		{method: "POST", path: oneRun + "/undo", need: respond, handle: r.undo},
		{method: "GET", path: oneRun + "/undo/{n}", need: read, handle: r.undoResult},
		{method: "POST", path: oneRun + "/cancel", need: respond, handle: r.cancel},

		{method: "GET", path: "/v1/approvals", need: read, handle: p.list},
		{method: "GET", path: "/v1/approvals/{id}", need: read, handle: p.show},
		{method: "POST", path: "/v1/approvals/{id}/vote", need: approve, handle: p.vote},
		{method: "POST", path: "/v1/approvals/{id}/answer", need: approve, handle: p.answer},
		{method: "POST", path: "/v1/approvals/{id}/resolve", need: approve, handle: p.resolve},

		{method: "POST", path: "/v1/alerts/{source}", need: signed, handle: a.receive, body: s.cfg.MaxAlert},
		{method: "GET", path: "/v1/alerts", need: read, handle: a.list},
		{method: "GET", path: "/v1/alerts/{id}", need: read, handle: a.show},

		{method: "GET", path: "/v1/connectors", need: read, handle: o.connectors},
		{method: "POST", path: "/v1/connectors/{instance}/check", need: respond, handle: o.checkConnector},
		{method: "GET", path: "/v1/playbooks", need: read, handle: o.playbooks},

		{method: "GET", path: "/v1/guard/kill", need: read, handle: s.guard.show},
		{method: "POST", path: "/v1/guard/kill", need: respond, handle: s.guard.kill},
		{method: "POST", path: "/v1/guard/lift", need: admin, handle: s.guard.lift},

		{method: "GET", path: "/v1/ledger/entries", need: audit, handle: o.entries},
		{method: "GET", path: "/v1/ledger/export", need: audit, handle: o.export},
		{method: "GET", path: "/v1/ledger/checkpoint", need: audit, handle: o.checkpoint},

		{method: "POST", path: "/v1/tokens", need: admin, handle: o.createToken},
		{method: "GET", path: "/v1/tokens", need: admin, handle: o.listTokens},
		{method: "DELETE", path: "/v1/tokens/{id}", need: admin, handle: o.revokeToken},
	}
}

// mux builds the mux from the table and refuses a row without a demand that
// somebody defined.
func (s *Server) mux() (*http.ServeMux, error) {
	m := http.NewServeMux()
	demands := []need{public, signed, known}
	for _, sc := range auth.Scopes() {
		demands = append(demands, need(sc))
	}
	for _, rt := range s.routes() {
		if !slices.Contains(demands, rt.need) || rt.handle == nil {
			return nil, fmt.Errorf("route %s demands %q, which is nothing known, or has no handler", rt.pattern(), rt.need)
		}
		m.HandleFunc(rt.pattern(), s.guarded(rt))
	}
	nowhere := route{path: "/", need: known, handle: missing}
	m.HandleFunc("/", s.guarded(nowhere))
	return m, nil
}

package server

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"

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
	// known: any caller with a good token or session, or of the unix socket.
	known need = "known"
)

func (n need) words() string {
	switch n {
	case public:
		return "nothing"
	case signed:
		return "the source's signature"
	case known:
		return "any caller whom the server knows"
	}
	return "the scope " + string(n)
}

// route is one row of the table.
type route struct {
	method, path string
	need         need
	// mount binds the handler, by does or raw.
	mount func(*Server, route)
	// id, tag and summary describe it.
	id, tag, summary string
	// body is the longest body taken; 0 means defaultBody.
	body int64
	// status is that of a success; 0 means 200.
	status int
	// answers are the successes of a raw route: status to media type.
	answers map[string]string
	// stream says that the answer is written piece by piece.
	stream bool
	// landing says that the identity provider sends browsers here.
	landing bool
	// unkept says that no answer is kept for an idempotency key: it has a secret
	// in it, or the handler has a memory of its own.
	unkept bool
}

func (r route) pattern() string { return r.method + " " + r.path }

// defaultBody bounds what a route takes unless its row says otherwise.
const defaultBody = 256 << 10

// oneRun is the path of one run: its id as three segments.
const oneRun = "/v1/runs/{playbook}/{hash}/{generation}"

// routes is the table. There is no other way in.
func (s *Server) routes() []route {
	return slices.Concat(s.runRoutes(), s.peopleRoutes(), s.playbookRoutes(), s.operateRoutes(), s.accessRoutes())
}

func (s *Server) runRoutes() []route {
	const read, launch, respond = need(auth.Read), need(auth.Launch), need(auth.Respond)
	r, a := s.runs, s.alerts
	return []route{
		{method: "POST", path: "/v1/runs", need: launch, unkept: true, mount: does(r.start), body: 1 << 20, status: http.StatusAccepted, id: "startRun", tag: "runs", summary: "Start a playbook"},
		{method: "GET", path: "/v1/runs", need: read, mount: does(r.list), id: "listRuns", tag: "runs", summary: "List runs, the newest first"},
		{method: "GET", path: oneRun, need: read, mount: does(r.show), id: "showRun", tag: "runs", summary: "Show a run with its tree, effects, decisions and record"},
		{method: "GET", path: oneRun + "/events", need: read, mount: raw(r.watch), stream: true, answers: map[string]string{"200": "text/event-stream"}, id: "watchRun", tag: "runs", summary: "Follow a run as server-sent events; Last-Event-ID resumes"},
		{method: "GET", path: oneRun + "/report", need: read, mount: raw(r.review), answers: map[string]string{"200": "application/json"}, id: "reviewRun", tag: "runs", summary: "The post-incident review as data; kept=true: as a report step kept it; place: where it will be put, for it to say"},
		{method: "GET", path: oneRun + "/report.html", need: read, mount: raw(r.review), answers: map[string]string{"200": "text/html"}, id: "reviewRunPage", tag: "runs", summary: "The post-incident review as a page"},
		{method: "GET", path: oneRun + "/report.md", need: read, mount: raw(r.review), answers: map[string]string{"200": "text/markdown"}, id: "reviewRunMarkdown", tag: "runs", summary: "The post-incident review as Markdown"},
		{method: "POST", path: oneRun + "/undo", need: respond, mount: does(r.undo), status: http.StatusAccepted, id: "undoRun", tag: "runs", summary: "Take back what a run did"},
		{method: "GET", path: oneRun + "/undo/{n}", need: read, mount: does(r.undoResult), id: "showUndo", tag: "runs", summary: "Show how an undo went"},
		{method: "POST", path: oneRun + "/cancel", need: respond, mount: does(r.cancel), status: http.StatusAccepted, id: "cancelRun", tag: "runs", summary: "Cancel a run"},

		{method: "POST", path: "/v1/plans", need: launch, unkept: true, mount: does(s.plans.plan), body: 4 << 20, id: "planRun", tag: "runs", summary: "Show what a playbook would do: reads are called, effects only resolved"},

		{method: "POST", path: "/v1/backtests", need: read, unkept: true, mount: does(s.plans.backtest), body: 4 << 20, id: "backtest", tag: "runs", summary: "Play what was recorded through a new version of a playbook; no connector is called"},
		{method: "GET", path: oneRun + "/answers", need: read, mount: does(s.plans.answers), id: "listAnswers", tag: "runs", summary: "List what connectors answered to a run"},

		{method: "POST", path: "/v1/alerts/{source}", need: signed, mount: raw(a.receive), body: s.cfg.MaxAlert, answers: map[string]string{"200": "application/json", "202": "application/json"}, id: "sendAlert", tag: "alerts", summary: "Send an alert (Standard Webhooks signature)"},
		{method: "GET", path: "/v1/alerts", need: read, mount: does(a.list), id: "listAlerts", tag: "alerts", summary: "List alerts, the newest first"},
		{method: "GET", path: "/v1/alerts/{id}", need: read, mount: does(a.show), id: "showAlert", tag: "alerts", summary: "Show an alert as it came and as it was read"},
	}
}

func (s *Server) peopleRoutes() []route {
	const read, approve = need(auth.Read), need(auth.Approve)
	p := s.people
	return []route{
		{method: "GET", path: "/v1/approvals", need: read, mount: does(p.list), id: "listApprovals", tag: "approvals", summary: "List requests to people"},
		{method: "GET", path: "/v1/approvals/{id}", need: read, mount: does(p.show), id: "showApproval", tag: "approvals", summary: "Show a request with what it seals"},
		{method: "POST", path: "/v1/approvals/{id}/vote", need: approve, mount: does(p.vote), id: "vote", tag: "approvals", summary: "Approve or deny"},
		{method: "POST", path: "/v1/approvals/{id}/answer", need: approve, mount: does(p.answer), id: "answer", tag: "approvals", summary: "Answer a question"},
		{method: "POST", path: "/v1/approvals/{id}/resolve", need: approve, mount: does(p.resolve), id: "resolve", tag: "approvals", summary: "Decide what becomes of a failed or unknown step"},
	}
}

func (s *Server) playbookRoutes() []route {
	const read, respond, publish = need(auth.Read), need(auth.Respond), need(auth.Publish)
	const one = "/v1/playbooks/{playbook}"
	p := s.playbooks
	return []route{
		{method: "GET", path: "/v1/playbooks", need: read, mount: does(p.list), id: "listPlaybooks", tag: "playbooks", summary: "List the playbooks as they stand"},
		{method: "POST", path: "/v1/playbooks", need: publish, mount: does(p.publish), body: 16 << 20, id: "publishPlaybooks", tag: "playbooks", summary: "Compile, test, bind and publish texts, all or none"},
		{method: "GET", path: one, need: read, mount: does(p.show), id: "showPlaybook", tag: "playbooks", summary: "Show a playbook with its versions"},
		{method: "GET", path: one + "/versions/{digest}", need: read, mount: does(p.version), id: "showPlaybookVersion", tag: "playbooks", summary: "Show one version with its text"},
		{method: "GET", path: one + "/diff", need: read, mount: does(p.diff), id: "diffPlaybook", tag: "playbooks", summary: "Tell what changes from one version to another"},
		{method: "POST", path: one + "/promote", need: respond, mount: does(p.promote), id: "promotePlaybook", tag: "playbooks", summary: "Set a playbook's mode; raising it needs the scope admin"},
		{method: "POST", path: one + "/retire", need: respond, mount: does(p.retire), id: "retirePlaybook", tag: "playbooks", summary: "Let no new run start; runs under way go on"},
	}
}

func (s *Server) operateRoutes() []route {
	const metrics, read, respond, audit, admin = need(auth.Metrics), need(auth.Read), need(auth.Respond), need(auth.Audit), need(auth.Admin)
	o, g := s.operate, s.guard
	return []route{
		{method: "GET", path: "/v1/health", need: public, mount: does(o.health), id: "health", tag: "server", summary: "Whether the process answers"},
		{method: "GET", path: "/v1/ready", need: read, mount: does(o.ready), id: "ready", tag: "server", summary: "Whether each part works"},
		{method: "GET", path: "/v1/metrics", need: metrics, mount: raw(o.metrics), answers: map[string]string{"200": "application/openmetrics-text"}, id: "metrics", tag: "server", summary: "Metrics for Prometheus, as OpenMetrics text"},

		{method: "GET", path: "/v1/connectors", need: read, mount: does(o.connectors), id: "listConnectors", tag: "connectors", summary: "List connector instances"},
		{method: "POST", path: "/v1/connectors/{instance}/check", need: respond, mount: does(o.checkConnector), id: "checkConnector", tag: "connectors", summary: "Ask an instance whether credential and network are good"},
		{method: "GET", path: "/v1/installed", need: read, mount: does(o.installed), id: "showInstalled", tag: "connectors", summary: "Show what playbooks can be checked against: the actions of each instance, bindings, roles and duties"},

		{method: "GET", path: "/v1/guard", need: read, mount: does(g.rules), id: "showGuards", tag: "guards", summary: "Show the guards as they stand, with budgets and what is spent"},
		{method: "GET", path: "/v1/observe", need: read, mount: does(g.observed), id: "listObserved", tag: "guards", summary: "Show what observe mode kept from happening, beside what people did"},
		{method: "GET", path: "/v1/guard/kill", need: read, mount: does(g.show), id: "showKillSwitch", tag: "guards", summary: "Show the kill switch"},
		{method: "POST", path: "/v1/guard/kill", need: respond, mount: does(g.kill), id: "kill", tag: "guards", summary: "Stop new effects"},
		{method: "POST", path: "/v1/guard/lift", need: admin, mount: does(g.lift), id: "liftKillSwitch", tag: "guards", summary: "Let effects happen again"},

		{method: "GET", path: "/v1/ledger/entries", need: audit, mount: does(o.entries), id: "listEntries", tag: "ledger", summary: "Read the record"},
		{method: "GET", path: "/v1/ledger/export", need: audit, mount: raw(o.export), stream: true, answers: map[string]string{"200": "application/x-ndjson"}, id: "exportLedger", tag: "ledger", summary: "Export the record for quell audit verify"},
		{method: "GET", path: "/v1/ledger/checkpoint", need: audit, mount: does(o.checkpoint), id: "showCheckpoint", tag: "ledger", summary: "Show the last signed checkpoint"},
	}
}

func (s *Server) accessRoutes() []route {
	const read, admin = need(auth.Read), need(auth.Admin)
	o, i := s.operate, s.sessions
	return []route{
		{method: "GET", path: "/v1/whoami", need: known, mount: does(o.whoami), id: "whoami", tag: "access", summary: "Who the caller is and may do"},
		{method: "GET", path: "/v1/roles", need: read, mount: does(i.roles), id: "listRoles", tag: "access", summary: "List roles and what they allow"},
		{method: "POST", path: "/v1/first-admin", need: public, mount: does(i.first), unkept: true, status: http.StatusCreated, id: "firstAdmin", tag: "access", summary: "Use up the code for the first admin"},
		{method: "POST", path: "/v1/tokens", need: admin, mount: does(o.createToken), unkept: true, status: http.StatusCreated, id: "createToken", tag: "access", summary: "Make a token; its secret is shown once"},
		{method: "GET", path: "/v1/tokens", need: admin, mount: does(o.listTokens), id: "listTokens", tag: "access", summary: "List tokens"},
		{method: "POST", path: "/v1/tokens/{id}/rotate", need: admin, mount: does(o.rotateToken), unkept: true, status: http.StatusCreated, id: "rotateToken", tag: "access", summary: "Give a token another secret"},
		{method: "DELETE", path: "/v1/tokens/{id}", need: admin, mount: does(o.revokeToken), status: http.StatusNoContent, id: "revokeToken", tag: "access", summary: "Revoke a token at once"},

		{method: "GET", path: "/v1/session/begin", need: public, mount: raw(i.begin), stream: true, landing: true, answers: map[string]string{"303": "text/plain"}, id: "beginSession", tag: "access", summary: "Sign in: send the browser to the identity provider"},
		{method: "GET", path: "/v1/session/callback", need: public, mount: raw(i.callback), stream: true, landing: true, answers: map[string]string{"303": "text/plain"}, id: "callback", tag: "access", summary: "Where the identity provider sends the browser back"},
		{method: "POST", path: "/v1/session/end", need: known, mount: does(i.end), unkept: true, status: http.StatusNoContent, id: "endSession", tag: "access", summary: "Sign out"},
		{method: "GET", path: "/v1/sessions", need: admin, mount: does(i.list), id: "listSessions", tag: "access", summary: "List who is signed in"},
		{method: "DELETE", path: "/v1/sessions/{id}", need: admin, mount: does(i.endOne), status: http.StatusNoContent, id: "endOneSession", tag: "access", summary: "Sign somebody out"},

		{method: "GET", path: "/v1/openapi.json", need: known, mount: raw(s.openAPI), answers: map[string]string{"200": "application/json"}, id: "openapi", tag: "server", summary: "This description, OpenAPI 3.1"},
		{method: "GET", path: "/v1/openapi-3.0.json", need: known, mount: raw(s.openAPI30), answers: map[string]string{"200": "application/json"}, id: "openapi30", tag: "server", summary: "This description, OpenAPI 3.0 for generators"},
	}
}

// build mounts the table. It refuses a row without a demand that somebody
// defined, a pattern that stands twice or nowhere, and a row that mounts nothing.
func (s *Server) build() error {
	demands := []need{public, signed, known}
	for _, sc := range auth.Scopes() {
		demands = append(demands, need(sc))
	}
	s.gate = &gate{s: s, mux: http.NewServeMux(), routes: map[string]route{}, mounted: map[string]bool{}}
	s.huma = newHuma(s.gate, s.cfg.Version)
	table := s.routes()
	for _, rt := range table {
		if !slices.Contains(demands, rt.need) || rt.mount == nil {
			return fmt.Errorf("route %s demands %q, which is nothing known, or has no handler", rt.pattern(), rt.need)
		}
		if _, twice := s.gate.routes[rt.pattern()]; twice {
			return fmt.Errorf("route %s stands twice", rt.pattern())
		}
		s.gate.routes[rt.pattern()] = rt
	}
	for _, rt := range table {
		rt.mount(s, rt)
		if !s.gate.mounted[rt.pattern()] {
			return fmt.Errorf("route %s mounts nothing", rt.pattern())
		}
	}
	if s.gate.problem != nil {
		return s.gate.problem
	}
	nowhere := route{path: "/", need: known}
	s.gate.mux.HandleFunc("/", s.guarded(nowhere, func(_ http.ResponseWriter, r *http.Request) {
		c := callOf(r.Context())
		p := s.refused(c, nowhere, missing(c))
		c.write(p.Status, p.ContentType(""), p)
	}))
	return nil
}

func atoi(s string) int {
	n, _ := strconv.Atoi(s)
	return n
}

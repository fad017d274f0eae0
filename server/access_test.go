package server

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/quell-soar/quell/internal/auth"
	"github.com/quell-soar/quell/server/api"
)

// concrete fills a route's path with values.
func concrete(path string) string {
	for _, part := range []string{"playbook", "hash", "generation", "n", "id", "source", "instance"} {
		path = strings.ReplaceAll(path, "{"+part+"}", "1")
	}
	return path
}

// Every route of the table × every scope: without the scope it is 403, without
// a token 401, and with it anything but these two.
func TestRouteByScope(t *testing.T) {
	h := open(t)
	tokens := map[auth.Scope]string{}
	for _, s := range auth.Scopes() {
		tokens[s] = h.token("u-"+string(s), nil, s)
	}
	cells := 0
	for _, rt := range h.srv.routes() {
		path := concrete(rt.path)
		if strings.HasSuffix(path, "/events") {
			path = strings.ReplaceAll(path, "/1/1/1/", "/no/such/1/") // a stream would not end
		}
		try := func(token string) int {
			cells++
			status, _, _ := h.raw(rt.method, path, token, strings.NewReader("{}"), map[string]string{"Content-Type": "application/json"})
			return status
		}
		switch status := try(""); rt.need {
		case public:
			if status == http.StatusUnauthorized || status == http.StatusForbidden {
				t.Errorf("%s: %d", rt.pattern(), status)
			}
			continue
		default:
			if status != http.StatusUnauthorized {
				t.Errorf("%s without a token: %d", rt.pattern(), status)
			}
		}
		for _, s := range auth.Scopes() {
			status := try(tokens[s])
			allowed := rt.need == known || need(s) == rt.need || s == auth.Admin
			refused := status == http.StatusForbidden || status == http.StatusUnauthorized
			if rt.need == signed {
				allowed = false // no token replaces the signature
			}
			if allowed == refused {
				t.Errorf("%s with %s: %d", rt.pattern(), s, status)
			}
		}
	}
	t.Logf("%d routes, %d requests", len(h.srv.routes()), cells)
}

func TestEveryRouteHasADemand(t *testing.T) {
	h := open(t)
	seen := map[string]bool{}
	publics := []string{}
	for _, rt := range h.srv.routes() {
		if rt.need == "" || seen[rt.pattern()] {
			t.Errorf("%s: no demand, or twice", rt.pattern())
		}
		seen[rt.pattern()] = true
		if rt.need == public || rt.need == signed {
			publics = append(publics, rt.pattern())
		}
	}
	slices.Sort(publics)
	if want := []string{"GET /v1/health", "GET /v1/session/begin", "GET /v1/session/callback", "POST /v1/alerts/{source}", "POST /v1/first-admin"}; !slices.Equal(publics, want) {
		t.Errorf("open without a token: %v", publics)
	}
}

func TestUnknownRoutes(t *testing.T) {
	h := open(t)
	admin := h.token("root", nil, auth.Admin)
	for _, path := range []string{"/", "/v1", "/v1/runs/a", "/v1/runs/a/b/1/nothing", "/debug/pprof/", "/v1/tokens/x/y", "/metrics"} {
		if status, _, _ := h.raw("GET", path, "", nil, nil); status != http.StatusUnauthorized {
			t.Errorf("%s without a token: %d", path, status)
		}
		if status, _, p := h.raw("GET", path, admin, nil, nil); status != http.StatusNotFound || p.Code != api.CodeNotFound {
			t.Errorf("%s: %d", path, status)
		}
	}
	if status, _, _ := h.raw("PUT", "/v1/runs", admin, nil, nil); status != http.StatusNotFound {
		t.Errorf("another method: %d", status)
	}
}

// The classes of CVE-2019-9580 (null origin) and of DNS rebinding.
func TestHostAndOrigin(t *testing.T) {
	h := open(t)
	admin := h.token("root", nil, auth.Admin)
	port := h.tcp[strings.LastIndexByte(h.tcp, ':'):]
	for _, head := range []map[string]string{
		{"Host": "evil.example"},
		{"Host": "evil.example" + port},
		{"Host": "127.0.0.1.evil.example"},
		{"Host": "169.254.169.254"},
		{"Host": "localhost.evil.example"},
		{"Host": "user@localhost"},
		{"Host": "10.0.0.1"},
		{"Host": "0.0.0.0"},
		{"Origin": "null"},
		{"Origin": "https://evil.example"},
		{"Origin": "http://localhost"},
		{"Origin": "https://console.example.evil.example"},
		{"Origin": "https://console.example:8443"},
		{"Origin": "HTTPS://CONSOLE.EXAMPLE"},
		{"Origin": "*"},
		{"Sec-Fetch-Site": "cross-site"},
		{"Sec-Fetch-Site": "same-site"},
	} {
		for _, path := range []string{"/v1/health", "/v1/runs", "/v1/whoami"} {
			status, got, p := h.raw("GET", path, admin, nil, head)
			if status != http.StatusForbidden || p.Code != api.CodeForbidden {
				t.Errorf("%v %s: %d", head, path, status)
			}
			if got.Get("Access-Control-Allow-Origin") != "" {
				t.Errorf("%v: a CORS header is sent", head)
			}
		}
		if status, _, _ := h.raw("POST", "/v1/alerts/siem", "", strings.NewReader("{}"), head); status != http.StatusForbidden {
			t.Errorf("%v alert: %d", head, status)
		}
	}
	for _, head := range []map[string]string{
		{"Host": "localhost"},
		{"Host": "localhost:1"},
		{"Host": "127.0.0.1"},
		{"Host": "[::1]:80"},
		{"Host": "quell.example"},
		{"Host": "quell.example:443"},
		{"Origin": "https://console.example"},
		{"Origin": "https://console.example", "Sec-Fetch-Site": "same-site"},
		{"Sec-Fetch-Site": "same-origin"},
		{"Sec-Fetch-Site": "none"},
	} {
		if status, _, _ := h.raw("GET", "/v1/whoami", admin, nil, head); status != http.StatusOK {
			t.Errorf("%v: %d", head, status)
		}
	}
	if status, got, _ := h.raw("OPTIONS", "/v1/runs", "", nil, map[string]string{"Origin": "https://console.example", "Access-Control-Request-Method": "POST"}); status < 400 || got.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("a preflight is answered: %d %v", status, got)
	}
}

func TestHeaders(t *testing.T) {
	h := open(t)
	for _, path := range []string{"/v1/health", "/v1/runs"} {
		_, head, _ := h.raw("GET", path, "", nil, nil)
		for name, want := range map[string]string{"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store", "X-Frame-Options": "DENY"} {
			if head.Get(name) != want {
				t.Errorf("%s %s: %q", path, name, head.Get(name))
			}
		}
		if !strings.HasPrefix(head.Get(requestHeader), "req_") {
			t.Errorf("%s: no request id", path)
		}
	}
	if _, head, _ := h.raw("GET", "/v1/health", "", nil, map[string]string{requestHeader: "req_mine"}); head.Get(requestHeader) == "req_mine" {
		t.Error("the caller chose the request's id")
	}
}

func TestBadAuthorization(t *testing.T) {
	h := open(t)
	good := h.token("alice", nil, auth.Read)
	for _, head := range []string{"Basic " + good, "bearer " + good, good, "Bearer", "Bearer ", "Bearer " + good + "," + good, "Bearer quell_x"} {
		if status, _, p := h.raw("GET", "/v1/runs", "", nil, map[string]string{"Authorization": head}); status != http.StatusUnauthorized || strings.Contains(p.Detail, good) {
			t.Errorf("%.12q: %d %s", head, status, p.Detail)
		}
	}
	if status, _, _ := h.raw("GET", "/v1/runs?token="+good, "", nil, nil); status != http.StatusUnauthorized {
		t.Errorf("a token in the URL: %d", status)
	}
}

func TestSocket(t *testing.T) {
	h := open(t)
	st, err := os.Stat(h.socket)
	if err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("socket: %v, %v", st.Mode(), err)
	}
	if st, err = os.Stat(filepath.Dir(h.socket)); err != nil || st.Mode().Perm() != 0o700 {
		t.Errorf("directory: %v, %v", st.Mode(), err)
	}
	who, err := h.client("").Whoami(t.Context())
	if err != nil || who.Actor != "local:"+strconv.Itoa(os.Getuid()) || len(who.Scopes) != len(auth.Scopes()) {
		t.Errorf("%+v, %v", who, err)
	}
	c, err := api.Dial(api.Options{Socket: h.socket, Token: "quell_wrong"})
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.Whoami(t.Context())
	wantCode(t, "a wrong token on the socket", err, api.CodeUnauthenticated)
	alice, err := h.client(h.token("alice", []string{"analyst"}, auth.Read)).Whoami(t.Context())
	if err != nil || alice.Actor != "user:alice" || !slices.Equal(alice.OnCall, []string{"oncall.soc"}) || !slices.Equal(alice.Scopes, []string{"read"}) {
		t.Errorf("%+v, %v", alice, err)
	}
}

func TestSocketPlaces(t *testing.T) {
	dir := t.TempDir()
	wide := filepath.Join(dir, "wide")
	if err := os.Mkdir(wide, 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := listenUnix(t.Context(), filepath.Join(wide, "s")); err == nil {
		t.Error("a directory open to others is taken")
	}
	own := filepath.Join(dir, "own")
	l, err := listenUnix(t.Context(), filepath.Join(own, "s"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := listenUnix(t.Context(), filepath.Join(own, "s")); err == nil || !strings.Contains(err.Error(), "another server") {
		t.Errorf("a second server: %v", err)
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if l, err = listenUnix(t.Context(), filepath.Join(own, "s")); err != nil {
		t.Fatalf("the socket of a dead server: %v", err)
	}
	_ = l.Close()
	file := filepath.Join(own, "f")
	if err := os.WriteFile(file, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := listenUnix(t.Context(), file); err == nil {
		t.Error("a file was taken for a socket")
	}
	if raw, err := os.ReadFile(file); err != nil || string(raw) != "x" {
		t.Error("a file was removed")
	}
	for _, addr := range []string{"0.0.0.0:0", "[::]:0", "10.0.0.1:80", "localhost:80", ":80"} {
		s := &Server{cfg: Config{Listen: addr}}
		if _, err := s.listen(t.Context()); err == nil {
			t.Errorf("it listens on %s", addr)
		}
	}
}

func TestTooLarge(t *testing.T) {
	h := open(t, func(c *Config) { c.MaxAlert = 10_000 })
	token := h.token("alice", nil, auth.Launch, auth.Approve)
	big := strings.Repeat("a", 2<<20)
	for _, path := range []string{"/v1/runs", "/v1/approvals/x/vote"} {
		// A reader without a length makes the client send in chunks.
		for _, body := range []io.Reader{strings.NewReader(big), struct{ io.Reader }{strings.NewReader(big)}} {
			status, _, p := h.raw("POST", path, token, body, map[string]string{"Content-Type": "application/json"})
			if status != http.StatusRequestEntityTooLarge || p.Code != api.CodeTooLarge {
				t.Errorf("%s: %d %s", path, status, p.Code)
			}
		}
	}
	client := h.client("")
	if _, err := client.SendAlert(t.Context(), "siem", "", []byte(`{"title":"`+big[:9_900]+`"}`), alertKey); err != nil {
		t.Errorf("an alert just below: %v", err)
	}
	_, err := client.SendAlert(t.Context(), "siem", "", []byte(`{"title":"`+big[:10_000]+`"}`), alertKey)
	wantCode(t, "an alert above", err, api.CodeTooLarge)
}

// A body that comes by drops is cut off, and the server answers others.
func TestSlowBody(t *testing.T) {
	h := open(t, func(c *Config) { c.BodyTime = 300 * time.Millisecond })
	token := h.token("alice", nil, auth.Launch)
	d := net.Dialer{}
	c, err := d.DialContext(t.Context(), "tcp", h.tcp)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	head := "POST /v1/runs HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nAuthorization: Bearer " + token + "\r\nContent-Length: 100000\r\n\r\n{"
	if _, err := c.Write([]byte(head)); err != nil {
		t.Fatal(err)
	}
	if err := c.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	if _, err := io.ReadAll(c); err != nil {
		t.Errorf("the connection stays open: %v", err)
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("it took %v", took)
	}
	if _, err := h.client("").Health(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestBodies(t *testing.T) {
	h := open(t)
	token := h.token("alice", []string{"analyst"}, auth.Launch)
	for name, body := range map[string]string{
		"empty": "", "not JSON": "{", "another type": `[]`, "unknown field": `{"playbook":"contain","x":1}`, "two values": `{} {}`,
		"wrong type": `{"playbook":7}`, "not Unicode": "{\"playbook\":\"\xff\"}", "deep": strings.Repeat("[", 100_000),
	} {
		if status, _, p := h.raw("POST", "/v1/runs", token, strings.NewReader(body), map[string]string{"Content-Type": "application/json"}); status != http.StatusBadRequest || p.Code != api.CodeInvalid {
			t.Errorf("%s: %d %+v", name, status, p)
		}
	}
	for _, ct := range []string{"", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"} {
		if status, _, _ := h.raw("POST", "/v1/runs", token, strings.NewReader(`{"playbook":"contain"}`), map[string]string{"Content-Type": ct}); status != http.StatusBadRequest {
			t.Errorf("content type %q: %d", ct, status)
		}
	}
}

// Refusals stand in the ledger, and a flood of them does not fill it.
func TestRefusalsAreRecorded(t *testing.T) {
	h := open(t)
	eve := h.token("eve", nil, auth.Read)
	if status, _, _ := h.raw("POST", "/v1/tokens", eve, strings.NewReader("{}"), nil); status != http.StatusForbidden {
		t.Fatal(status)
	}
	list, err := h.rooms.entriesOf(t.Context(), "", 0, 100)
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(list, func(e api.Entry) bool { return e.Kind == "api.refused" })
	if i < 0 || list[i].Actor != "user:eve" || !strings.HasPrefix(list[i].Request, "req_") || !strings.Contains(string(list[i].Payload), "POST /v1/tokens") {
		t.Fatalf("%+v", list)
	}
	frozen := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	h.srv.refusals.now = func() time.Time { return frozen }
	h.srv.failures = auth.NewFailures(10_000, time.Minute, time.Now)
	before := h.kinds("api.refused")
	for range 3 * refusalsAMinute {
		h.raw("GET", "/v1/runs", "", nil, nil)
	}
	if n := h.kinds("api.refused") - before; n != refusalsAMinute {
		t.Errorf("%d refusals of a flood were written, want %d", n, refusalsAMinute)
	}
	h.srv.refusals.mu.Lock()
	h.srv.refusals.now = func() time.Time { return frozen.Add(time.Minute) }
	h.srv.refusals.mu.Unlock()
	h.raw("GET", "/v1/runs", "", nil, nil)
	if list, err = h.rooms.entriesOf(t.Context(), "", 0, 1000); err != nil || !strings.Contains(string(list[len(list)-1].Payload), `"left_out_before":120`) {
		t.Errorf("what was left out is not counted: %s, %v", list[len(list)-1].Payload, err)
	}
}

// No token stands in the log, whatever was refused.
func TestNoTokenInLogs(t *testing.T) {
	h := open(t)
	secret := h.token("alice", nil, auth.Read)
	h.raw("POST", "/v1/tokens", secret, strings.NewReader("{}"), nil)
	h.raw("GET", "/v1/runs", secret+"x", nil, nil)
	h.raw("GET", "/v1/runs/"+secret+"/x/1", secret, nil, nil)
	if log := h.log.String(); !strings.Contains(log, "refused") || strings.Contains(log, secret) {
		t.Errorf("the log: %s", log)
	}
}

func TestTokensOverTheAPI(t *testing.T) {
	h := open(t)
	local := h.client("")
	made, err := local.CreateToken(t.Context(), api.NewToken{Name: "ci", User: "bot", Scopes: []string{"read"}, Expires: "12h"})
	if err != nil || made.Secret == "" || made.By != "local:"+strconv.Itoa(os.Getuid()) {
		t.Fatalf("%+v, %v", made.Token, err)
	}
	bot := h.client(made.Secret)
	if _, err := bot.Runs(t.Context(), api.RunFilter{}); err != nil {
		t.Fatal(err)
	}
	_, err = bot.CreateToken(t.Context(), api.NewToken{Name: "more", User: "bot", Scopes: []string{"admin"}})
	wantCode(t, "a token makes itself an admin", err, api.CodeForbidden)
	for _, bad := range []api.NewToken{
		{Name: "x", User: "b", Scopes: []string{"root"}},
		{Name: "x", User: "b"},
		{Name: "x", User: "b", Scopes: []string{"read"}, Expires: "soon"},
		{Name: "x", User: "b", Scopes: []string{"read"}, Expires: "400d"},
		{Name: "ci", User: "b", Scopes: []string{"read"}},
	} {
		_, err := local.CreateToken(t.Context(), bad)
		wantCode(t, "a bad wish", err, api.CodeInvalid)
	}
	list, err := local.Tokens(t.Context())
	if err != nil || len(list.Tokens) != 1 || list.Tokens[0].LastUsed.IsZero() {
		t.Errorf("%+v, %v", list, err)
	}
	if err := local.RevokeToken(t.Context(), made.ID); err != nil {
		t.Fatal(err)
	}
	_, err = bot.Runs(t.Context(), api.RunFilter{})
	wantCode(t, "a revoked token", err, api.CodeUnauthenticated)
	wantCode(t, "revoked twice", local.RevokeToken(t.Context(), made.ID), api.CodeNotFound)
	if h.kinds("token.created") != 1 || h.kinds("token.revoked") != 1 {
		t.Error("the ledger does not know the tokens")
	}
}

func TestUnreachable(t *testing.T) {
	c, err := api.Dial(api.Options{Socket: filepath.Join(t.TempDir(), "none")})
	if err != nil {
		t.Fatal(err)
	}
	var gone *api.Unreachable
	if _, err := c.Health(t.Context()); !errors.As(err, &gone) {
		t.Errorf("%v", err)
	}
	for _, o := range []api.Options{{}, {Socket: "a", Server: "http://b"}, {Server: "b"}, {Server: "http://10.0.0.1", Token: "quell_x"}, {Server: "http://u:p@localhost"}} {
		if _, err := api.Dial(o); err == nil {
			t.Errorf("%+v is dialled", o)
		}
	}
	for _, o := range []api.Options{{Server: "http://127.0.0.1:1", Token: "quell_x"}, {Server: "https://10.0.0.1", Token: "quell_x"}} {
		if _, err := api.Dial(o); err != nil {
			t.Error(err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.Health(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

// The table in docs/api.md is the table of the code.
func TestRoutesAreDocumented(t *testing.T) {
	h := open(t)
	raw, err := os.ReadFile(filepath.Join("..", "docs", "api.md"))
	if err != nil {
		t.Fatal(err)
	}
	names := strings.NewReplacer("{playbook}", "PLAYBOOK", "{hash}", "HASH", "{generation}", "N", "{n}", "M",
		"{id}", "ID", "{source}", "SOURCE", "{instance}", "INSTANCE")
	rows := 0
	for line := range strings.SplitSeq(string(raw), "\n") {
		if strings.HasPrefix(line, "| `") && strings.Contains(line, " /v1/") {
			rows++
		}
	}
	for _, rt := range h.srv.routes() {
		demand := "`" + string(rt.need) + "`"
		switch rt.need {
		case public:
			demand = "nothing"
		case signed:
			demand = "a signature"
		case known:
			demand = "any token"
		}
		if row := "| `" + names.Replace(rt.pattern()) + "` | " + demand; !strings.Contains(string(raw), row) {
			t.Errorf("docs/api.md has no row %s", row)
		}
	}
	if rows != len(h.srv.routes()) {
		t.Errorf("docs/api.md has %d routes, the code %d", rows, len(h.srv.routes()))
	}
}

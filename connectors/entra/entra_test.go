package entra_test

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/quell-soar/quell/connectors/conformance"
	"github.com/quell-soar/quell/connectors/conformance/openapi"
	"github.com/quell-soar/quell/connectors/entra"
	"github.com/quell-soar/quell/connectors/entra/fakegraph"
	"github.com/quell-soar/quell/connectors/fake"
	"github.com/quell-soar/quell/connectors/sdk"
	"github.com/quell-soar/quell/connectors/sdk/secret"
	"github.com/quell-soar/quell/connectors/spec"
	"github.com/quell-soar/quell/connectors/spec/kind"
	"github.com/quell-soar/quell/connectors/vocabulary"
)

const (
	tenant       = "11111111-2222-3333-4444-555555555555"
	client       = "66666666-7777-8888-9999-aaaaaaaaaaaa"
	clientSecret = "graph-lab-secret"
	phish        = "<invoice-77@evil.example>"
	nobody       = "00000000-0000-0000-0000-000000000000"
)

// described says what Graph has and its description lacks.
var described = openapi.Options{
	Prefix: "/v1.0",
	// What memberOf lists are groups; the description has their base type.
	Extra: []string{"value[].displayName"},
	Beyond: []string{
		"GET /users/{id}/manager", "GET /users/{id}/appRoleAssignments", "GET /users/{id}/transitiveMemberOf/microsoft.graph.directoryRole",
		"GET /directoryRoles", "GET /directoryRoles/{id}/members", "POST /directoryObjects/getByIds", "GET /groups",
		"GET /oauth2PermissionGrants", "GET /oauth2PermissionGrants/{id}",
		"DELETE /users/{id}/authentication/fido2Methods/{id}", "DELETE /users/{id}/authentication/softwareOathMethods/{id}",
		"GET /users/{id}/messages/{id}/$value", "GET /users/{id}/mailFolders/{id}",
		"GET /users/{id}/mailFolders/inbox/messageRules", "GET /users/{id}/mailFolders/inbox/messageRules/{id}",
		"PATCH /users/{id}/mailFolders/inbox/messageRules/{id}",
	},
}

func TestMain(m *testing.M) { openapi.Main(m) }

// lab is a fake tenant and what is needed to reach it.
type lab struct {
	world *fake.World
	graph *fakegraph.Graph
	url   string
}

func start(t testing.TB) *lab {
	t.Helper()
	w := fake.NewWorld(fake.Real{}, fake.NewJournal(), 1)
	l := &lab{world: w, graph: fakegraph.New(w, tenant, client, clientSecret)}
	mux := http.NewServeMux()
	srv := httptest.NewServer(mux)
	handler := l.graph.Handler(srv.URL)
	mux.Handle("/", handler)
	mux.Handle("/v1.0/", openapi.Load(t, "msgraph-v1.0.derived-openapi.json", described).Wrap(handler))
	t.Cleanup(func() {
		w.Close()
		srv.CloseClientConnections()
		srv.Close()
	})
	l.url = srv.URL
	l.seed(t)
	return l
}

// seed makes a tenant whose lists need more than one page.
func (l *lab) seed(t testing.TB) {
	t.Helper()
	l.graph.SetPage(1)
	l.graph.SeedGroup("leavers")
	l.graph.SeedGroup("twins")
	l.graph.SeedGroup("twins")
	last := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	must(t, l.graph.SeedUsers(
		fakegraph.User{Name: "boss@example.com"},
		fakegraph.User{
			Name: "ann@example.com", DisplayName: "Ann", Manager: "boss@example.com", Methods: []string{"phone", "microsoftAuthenticator", "fido2"},
			Groups: []string{"staff"}, OtherMails: []string{"ann@home.example"}, Proxies: []string{"shared@example.com"},
			Consents: []fakegraph.Consent{{App: "Calendar", Scopes: "Calendars.Read", Granted: &last}, {App: "Mail Harvester", Scopes: "offline_access Mail.Read"}},
			Rules:    []fakegraph.Rule{{Name: ".", Forward: []string{"eve@evil.example"}, Delete: true}, {Name: "newsletters", Disabled: true}},
		},
		fakegraph.User{Name: "root@example.com", Roles: []string{"global-admin"}},
		fakegraph.User{Name: "svc@example.com", Mail: "-", Disabled: true, Roles: []string{"global-admin"}},
		fakegraph.User{Name: "twin@example.com", Proxies: []string{"shared@example.com"}},
		fakegraph.User{Name: "locked@example.com", Disabled: true},
		fakegraph.User{Name: "zoe@example.com"},
	))
	must(t, l.graph.SeedMessages(
		fakegraph.Message{MessageID: phish, From: "eve@evil.example", Subject: "Invoice", Body: "Pay here", To: []string{"twin@example.com", "zoe@example.com"}},
		fakegraph.Message{MessageID: phish, From: "eve@evil.example", Subject: "Invoice", Body: "Pay here", To: []string{"locked@example.com"}, Folder: "archive"},
		fakegraph.Message{MessageID: "<other@example.com>", From: "boss@example.com", Subject: "Lunch", To: []string{"zoe@example.com"}},
	))
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (l *lab) script(t testing.TB, text string) {
	t.Helper()
	must(t, l.world.SetScript(text))
}

func (l *lab) dump(t testing.TB) string {
	t.Helper()
	d, err := l.world.Dump("")
	must(t, err)
	raw, err := json.Marshal(d)
	must(t, err)
	return string(raw)
}

func (l *lab) settings() map[string]string {
	return map[string]string{
		"tenant_id": tenant, "client_id": client, "mail_from": "boss@example.com",
		"base_url": l.url, "login_url": l.url, "exchange_url": l.url,
	}
}

// open opens a session; more are further settings, in pairs.
func (l *lab) open(t testing.TB, more ...string) sdk.Session {
	t.Helper()
	texts := l.settings()
	for i := 0; i+1 < len(more); i += 2 {
		texts[more[i]] = more[i+1]
	}
	settings, err := sdk.ParseSettings(entra.New().Manifest(), texts)
	must(t, err)
	s, err := entra.New().Open(t.Context(), sdk.Config{
		Instance: "entra", Settings: settings, Secrets: map[string]secret.Value{"client_secret": secret.New(clientSecret)},
	})
	must(t, err)
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// call runs an action and holds its reply to the manifest. A user is named by
// his name, and found first.
func call(t testing.TB, s sdk.Session, action string, in map[string]any, change ...func(*spec.Request)) (spec.Reply, error) {
	t.Helper()
	if name, ok := in["user"].(string); ok {
		found, err := call(t, s, "iam.find_user", map[string]any{"name": name})
		must(t, err)
		in["user"] = found.Output["user"]
	}
	r := spec.Request{Action: action, Mode: spec.Act, Key: "key-1", Inputs: in, Deadline: time.Now().Add(6 * time.Second)}
	for _, f := range change {
		f(&r)
	}
	reply, err := s.Call(t.Context(), r)
	if err == nil {
		a, ok := entra.New().Manifest().Action(action)
		if !ok {
			t.Fatalf("there is no action %s", action)
		}
		must(t, sdk.CheckReply(a, r.Mode, reply))
	}
	return reply, err
}

func back(r *spec.Request) { r.Mode = spec.Back }

func key(k string) func(*spec.Request) { return func(r *spec.Request) { r.Key = k } }

func after(prior map[string]any) func(*spec.Request) {
	return func(r *spec.Request) { r.Prior, r.Key = prior, r.Key+"/undo" }
}

func within(d time.Duration) func(*spec.Request) {
	return func(r *spec.Request) { r.Deadline = time.Now().Add(d) }
}

func of(user string, more ...any) map[string]any {
	in := map[string]any{"user": user}
	for i := 0; i+1 < len(more); i += 2 {
		in[more[i].(string)] = more[i+1]
	}
	return in
}

// count is how many writes of an operation were accepted.
func (l *lab) count(t testing.TB, operation string) int {
	t.Helper()
	e, err := l.world.Effects(fake.Filter{Operation: operation})
	must(t, err)
	return len(e)
}

// binary builds the program that serves the connector, for the run over the
// wire.
func binary(t *testing.T) string {
	t.Helper()
	if testing.Short() {
		return ""
	}
	path := filepath.Join(t.TempDir(), "quell-connector")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", path, "../../cmd/quell-connector").CombinedOutput(); err != nil {
		t.Fatalf("building the connector: %v\n%s", err, out)
	}
	return path
}

func found(action, output string, in map[string]any) conformance.Found {
	return conformance.Found{Action: action, Inputs: in, Output: output}
}

func handle(name, id string) kind.Handle {
	return kind.Handle{Name: name, Instance: conformance.Instance, ID: id, Label: "gone"}
}

func samples(t testing.TB) map[string]conformance.Sample {
	user := func(name string) conformance.Found {
		return found("iam.find_user", "user", map[string]any{"name": name})
	}
	ann := map[string]any{"user": user("ANN@example.com")}
	gone := map[string]any{"user": handle("user", nobody)}
	with := func(in map[string]any, name string, v any) map[string]any {
		out := map[string]any{name: v}
		maps.Copy(out, in)
		return out
	}
	faults := func(op string) conformance.Faults { return conformance.Faults{Lost: "entra " + op + ": lost"} }
	soft := func(op string) conformance.Faults {
		return conformance.Faults{Lost: "entra " + op + ": lost", SoftError: "entra " + op + ": always soft"}
	}
	rule := map[string]any{"rule": found("mail.list_rules", "rules", ann)}
	lostRule, err := handle("mail_rule", nobody+"/gone").WithFacts(map[string]any{
		"name": "x", "enabled": true, "changed": time.Now().UTC(), "dated": false, "forwards_to": []any{}, "deletes": false,
	})
	must(t, err)
	copies := found("mail.find_messages", "messages", map[string]any{"message_id": phish})
	copies.All = true
	sweep := map[string]any{"messages": copies}
	noCopy := map[string]any{"messages": []any{handle("message", nobody+"/gone")}}
	sender := map[string]any{"address": "eve@evil.example"}
	staff := with(ann, "group", "staff")
	return map[string]conformance.Sample{
		"iam.find_user": {
			Inputs: map[string]any{"name": "ann@example.com"}, Missing: map[string]any{"mail": "o'nobody@example.com"},
			Ambiguous: map[string]any{"mail": "shared@example.com"},
		},
		"iam.disable_user": {Inputs: ann, Missing: gone, Faults: faults("update-user")},
		"iam.enable_user": {
			Inputs: map[string]any{"user": user("locked@example.com")}, Missing: gone, Faults: faults("update-user"),
		},
		"iam.revoke_sessions": {Inputs: ann, Missing: gone, Faults: soft("revoke-sessions")},
		"iam.reset_password":  {Inputs: with(ann, "deliver", "manager"), Missing: with(gone, "deliver", "manager"), Faults: faults("update-user")},
		"iam.reset_mfa":       {Inputs: ann, Missing: gone, Faults: faults("delete-method")},
		"iam.list_consents":   {Inputs: ann, Missing: gone},
		"iam.revoke_consent": {
			Inputs: map[string]any{"consent": found("iam.list_consents", "consents", ann)}, Faults: faults("delete-grant"),
		},
		"iam.add_group_member": {
			Inputs: with(ann, "group", "leavers"), Missing: with(ann, "group", "no such group"), Ambiguous: with(ann, "group", "twins"),
			Faults: faults("add-member"),
		},
		"iam.remove_group_member": {
			Inputs: staff, Missing: with(ann, "group", "no such group"), Ambiguous: with(ann, "group", "twins"), Faults: faults("remove-member"),
		},
		"mail.get_message":   {Inputs: map[string]any{"message_id": "<other@example.com>"}, Missing: map[string]any{"message_id": "<none@example.com>"}},
		"mail.find_messages": {Inputs: map[string]any{"message_id": phish}},
		"mail.quarantine_message": {
			Inputs: sweep, Missing: noCopy, Faults: faults("move-message"),
		},
		"mail.restore_message": {
			Before: []conformance.Step{{Action: "mail.quarantine_message", Inputs: sweep}}, Inputs: sweep, Missing: noCopy, Faults: faults("move-message"),
		},
		"mail.list_rules":   {Inputs: ann, Missing: gone},
		"mail.disable_rule": {Inputs: rule, Missing: map[string]any{"rule": lostRule}, Faults: faults("update-rule")},
		"mail.enable_rule": {
			Before: []conformance.Step{{Action: "mail.disable_rule", Inputs: rule}}, Inputs: rule,
			Missing: map[string]any{"rule": lostRule}, Faults: faults("update-rule"),
		},
		"mail.block_sender": {Inputs: sender, Faults: soft("write-senders")},
		"mail.unblock_sender": {
			Before: []conformance.Step{{Action: "mail.block_sender", Inputs: sender}}, Inputs: sender, Faults: soft("write-senders"),
		},
	}
}

func TestConformance(t *testing.T) {
	conformance.Run(t, conformance.Target{
		Binary:    binary(t),
		Connector: entra.New(),
		Lookup:    vocabulary.Lookup,
		Start: func(t testing.TB) conformance.Fake {
			l := start(t)
			settings := l.settings()
			// Where a search still sees what is quarantined.
			settings["quarantine_folder"] = "junkemail"
			return conformance.Fake{
				Settings: settings, Secrets: map[string]secret.Value{"client_secret": secret.New(clientSecret)},
				Fault: func(text string) { l.script(t, text) }, World: func() string { return l.dump(t) },
			}
		},
		Samples: samples(t),
		Faults: conformance.Faults{
			RateLimited: "entra *: always 429 retry=2s", Expired: "entra *: expire-token",
			Unauthorized: "entra *: always 401", Slow: "entra *: always slow 3s",
		},
	})
}

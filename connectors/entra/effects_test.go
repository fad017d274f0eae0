package entra_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/quell-soar/quell/connectors/entra"
	"github.com/quell-soar/quell/connectors/entra/fakegraph"
	"github.com/quell-soar/quell/connectors/sdk"
	"github.com/quell-soar/quell/connectors/spec"
	"github.com/quell-soar/quell/connectors/spec/kind"
)

// Each fault of Graph, and what the caller must hear.
func TestDisableUnderFaults(t *testing.T) {
	const op = "entra update-user: "
	for _, tt := range []struct {
		name, script string
		within       time.Duration
		outcome      spec.Outcome
		kind         spec.ErrorKind
		writes       int
	}{
		{"nothing wrong", "", 3 * time.Second, spec.Done, "", 1},
		{"rate limit", op + "429 retry=2s", 3 * time.Second, "", spec.RateLimited, 0},
		{"refused", op + "400", 3 * time.Second, "", spec.Invalid, 0},
		{"not permitted", op + "403", 3 * time.Second, "", spec.Permission, 0},
		{"accepted and not done", op + "soft", time.Second, spec.Pending, "", 0},
		{"server error, nothing done", op + "503", 3 * time.Second, "", spec.Uncertain, 0},
		{"server error, done", op + "lost status=502", 3 * time.Second, spec.Done, "", 1},
		{"answer lost, done", op + "lost", 3 * time.Second, spec.Done, "", 1},
		{"answer lost, nothing done", op + "drop", 3 * time.Second, "", spec.Uncertain, 0},
		{"answer lost, done soon", op + "late 300ms", 3 * time.Second, spec.Done, "", 1},
		{"answer too late", op + "hold 1h", time.Second, "", spec.Uncertain, 1},
		{"token expired on the way", op + "expire-token", 3 * time.Second, spec.Done, "", 1},
		{"reading fails twice", "entra get-user: 2x 503", 3 * time.Second, spec.Done, "", 1},
		{"reading fails before", "entra get-user: always 500", 3 * time.Second, "", spec.Transient, 0},
		{"reading fails after", "entra get-user: ok; always 500", time.Second, spec.Pending, "", 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			l := start(t)
			s := l.open(t)
			ann, err := call(t, s, "iam.find_user", map[string]any{"name": "ann@example.com"})
			must(t, err)
			l.script(t, tt.script)
			r, err := call(t, s, "iam.disable_user", map[string]any{"user": ann.Output["user"]}, within(tt.within))
			if tt.kind != "" && spec.KindOf(err) != tt.kind || tt.kind == "" && err != nil || r.Outcome != tt.outcome {
				t.Errorf("got %s, %v; want %s%s", r.Outcome, err, tt.outcome, tt.kind)
			}
			if got := l.count(t, "update-user"); got != tt.writes {
				t.Errorf("Graph accepted %d writes, want %d", got, tt.writes)
			}
		})
	}
}

func TestFindUser(t *testing.T) {
	s := start(t).open(t)
	for _, tt := range []struct {
		name string
		want map[string]any
	}{
		{"ann@example.com", map[string]any{"enabled": true, "privileged": false, "last_admin": false, "mfa_registered": true, "synced": false, "mail": "ann@example.com"}},
		{"root@example.com", map[string]any{"enabled": true, "privileged": true, "last_admin": true, "mfa_registered": false}},
		// Disabled: whoever it is, it is not the last one that can sign in.
		{"svc@example.com", map[string]any{"enabled": false, "privileged": true, "last_admin": false, "mail": nil}},
	} {
		r, err := call(t, s, "iam.find_user", map[string]any{"name": tt.name})
		must(t, err)
		for field, want := range tt.want {
			if r.Output[field] != want {
				t.Errorf("%s: %s is %v, want %v", tt.name, field, r.Output[field], want)
			}
		}
	}
	if _, err := call(t, s, "iam.find_user", map[string]any{}); spec.KindOf(err) != spec.Invalid {
		t.Errorf("neither name nor mail: %v", err)
	}
	if _, err := call(t, s, "iam.find_user", map[string]any{"name": "x", "mail": "x@example.com"}); spec.KindOf(err) != spec.Invalid {
		t.Errorf("both name and mail: %v", err)
	}
}

// A second administrator stands on the second page: then root is not the last.
func TestLastAdmin(t *testing.T) {
	l := start(t)
	must(t, l.graph.SeedUsers(fakegraph.User{Name: "root2@example.com", Roles: []string{"global-admin"}}))
	r, err := call(t, l.open(t), "iam.find_user", map[string]any{"name": "root@example.com"})
	if err != nil || r.Output["last_admin"] != false {
		t.Errorf("last_admin is %v, %v", r.Output["last_admin"], err)
	}
}

func TestSyncedAccountsAreChangedElsewhere(t *testing.T) {
	l := start(t)
	must(t, l.graph.SeedUsers(fakegraph.User{Name: "hybrid@example.com", Synced: true}))
	s := l.open(t)
	if _, err := call(t, s, "iam.disable_user", of("hybrid@example.com")); spec.KindOf(err) != spec.Invalid {
		t.Errorf("a synced account: %v", err)
	}
}

func TestPrivilegesByPage(t *testing.T) {
	l := start(t)
	must(t, l.graph.SeedUsers(fakegraph.User{
		Name: "reader@example.com", Roles: []string{"88d8e3e3-8f55-4a1e-953a-9b9898b8876b"},
	}, fakegraph.User{
		Name: "helpdesk@example.com", Roles: []string{"88d8e3e3-8f55-4a1e-953a-9b9898b8876b", "fe930be7-5e62-47db-91af-98c3a49a38b1"},
	}))
	s := l.open(t)
	for name, want := range map[string]bool{"reader@example.com": false, "helpdesk@example.com": true} {
		r, err := call(t, s, "iam.find_user", map[string]any{"name": name})
		if err != nil || r.Output["privileged"] != want {
			t.Errorf("%s: privileged is %v, %v", name, r.Output["privileged"], err)
		}
	}
}

func TestResetPassword(t *testing.T) {
	l := start(t)
	s := l.open(t)
	reset := func(k, user, deliver string) (spec.Reply, error) {
		return call(t, s, "iam.reset_password", of(user, "deliver", deliver), key(k))
	}
	r, err := reset("a", "ann@example.com", "manager")
	if err != nil || r.Outcome != spec.Done || r.Output["delivered_to"] != "boss@example.com" {
		t.Fatalf("got %+v, %v", r, err)
	}
	secret := l.graph.Password("ann@example.com")
	if mails := l.graph.Mails(); len(mails) != 1 || !strings.Contains(mails[0], secret) || !strings.Contains(mails[0], `"address":"boss@example.com"`) {
		t.Errorf("mails: %q", mails)
	}
	if said := fmt.Sprintf("%+v", r); secret == "" || strings.Contains(said, secret) {
		t.Errorf("the reply holds the password: %s", said)
	}
	if r, err = reset("a", "ann@example.com", "manager"); err != nil || r.Outcome != spec.Already || l.count(t, "update-user") != 1 {
		t.Errorf("again: %s, %v", r.Outcome, err)
	}
	if r, err = reset("b", "ann@example.com", "nobody"); err != nil || r.Outcome != spec.Done || len(l.graph.Mails()) != 1 {
		t.Errorf("nobody: %s, %v", r.Outcome, err)
	}
	if r, err = reset("c", "ann@example.com", "user"); err != nil || r.Output["delivered_to"] != "ann@home.example" {
		t.Errorf("user: %v, %v", r.Output, err)
	}
	for _, deliver := range []string{"manager", "user"} {
		if _, err = reset("d", "zoe@example.com", deliver); spec.KindOf(err) != spec.Invalid {
			t.Errorf("without a %s: %v", deliver, err)
		}
	}
	if l.graph.Password("zoe@example.com") != "" {
		t.Error("a password was set though nobody could get it")
	}
	l.script(t, "entra send-mail: 503")
	if r, err = reset("e", "ann@example.com", "manager"); err != nil || r.Outcome != spec.Partial || len(r.Failed) != 1 {
		t.Errorf("delivery failed: %+v, %v", r, err)
	}
}

// The default method can be removed last only, and it stands first.
func TestResetMFA(t *testing.T) {
	l := start(t)
	s := l.open(t)
	r, err := call(t, s, "iam.reset_mfa", of("ann@example.com"))
	if err != nil || r.Outcome != spec.Done || fmt.Sprint(r.Output["removed"]) != "[phone microsoftAuthenticator fido2]" {
		t.Errorf("got %+v, %v", r, err)
	}
	if r, err = call(t, s, "iam.find_user", map[string]any{"name": "ann@example.com"}); err != nil || r.Output["mfa_registered"] != false {
		t.Errorf("mfa_registered is %v, %v", r.Output["mfa_registered"], err)
	}
	must(t, l.graph.SeedUsers(fakegraph.User{Name: "odd@example.com", Methods: []string{"hardwareOath", "fido2"}}))
	if r, err = call(t, s, "iam.reset_mfa", of("odd@example.com"), key("k2")); err != nil || r.Outcome != spec.Partial || len(r.Failed) != 1 {
		t.Errorf("a method that Graph cannot delete: %+v, %v", r, err)
	}
}

func TestConsents(t *testing.T) {
	l := start(t)
	s := l.open(t)
	r, err := call(t, s, "iam.list_consents", of("ann@example.com"))
	must(t, err)
	all, _ := r.Output["consents"].([]any)
	if len(all) != 2 {
		t.Fatalf("consents: %v", all)
	}
	facts := make([]map[string]any, 2)
	for i, c := range all {
		facts[i], err = c.(kind.Handle).ReadFacts()
		must(t, err)
	}
	if facts[0]["dated"] != true || !facts[0]["granted"].(time.Time).Equal(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)) {
		t.Errorf("a consent with a time: %v", facts[0])
	}
	// Without a time it must not be lost by a filter for what is recent.
	if facts[1]["dated"] != false || time.Since(facts[1]["granted"].(time.Time)) > time.Minute || facts[1]["app"] != "Mail Harvester" {
		t.Errorf("a consent without a time: %v", facts[1])
	}
	if r, err = call(t, s, "iam.revoke_consent", map[string]any{"consent": all[1]}); err != nil || r.Outcome != spec.Done {
		t.Errorf("revoke: %s, %v", r.Outcome, err)
	}
	l.script(t, "entra get-grant: ok; ok; always 503")
	if r, err = call(t, s, "iam.revoke_consent", map[string]any{"consent": all[0]}, key("k2"), within(time.Second)); err != nil || r.Outcome != spec.Pending {
		t.Errorf("revoked and not seen: %s, %v", r.Outcome, err)
	}
}

// Another hand is quicker between our read and our write: Graph refuses with a
// 400 or a 404, and what was wanted is there.
func TestAnotherHandIsQuicker(t *testing.T) {
	l := start(t)
	s, other := l.open(t), l.open(t)
	must(t, l.world.SetLag(map[string]time.Duration{"entra.replication": 700 * time.Millisecond}))
	in := of("ann@example.com", "group", "leavers")
	if r, err := call(t, other, "iam.add_group_member", in, within(400*time.Millisecond)); err != nil || r.Outcome != spec.Pending {
		t.Fatalf("the other hand: %s, %v", r.Outcome, err)
	}
	// Our read is stale, our write a duplicate.
	r, err := call(t, s, "iam.add_group_member", in)
	if err != nil || r.Outcome != spec.Already || r.Prior["state"] != "member" {
		t.Errorf("ours: %s, %v", r.Outcome, err)
	}
	if n := l.count(t, "add-member"); n != 1 {
		t.Errorf("%d members were added", n)
	}
}

func TestRules(t *testing.T) {
	s := start(t).open(t)
	r, err := call(t, s, "mail.list_rules", of("ann@example.com"))
	must(t, err)
	all, _ := r.Output["rules"].([]any)
	if len(all) != 2 {
		t.Fatalf("rules: %v", all)
	}
	evil := all[0].(kind.Handle)
	facts, err := evil.ReadFacts()
	if err != nil || facts["deletes"] != true || fmt.Sprint(facts["forwards_to"]) != "[eve@evil.example]" || facts["dated"] != false {
		t.Errorf("facts: %v, %v", facts, err)
	}
	if evil.Label != "rule ., forwards to eve@evil.example, deletes" {
		t.Errorf("label: %q", evil.Label)
	}
	// What was disabled before us stays so.
	r, err = call(t, s, "mail.disable_rule", map[string]any{"rule": all[1]})
	if err != nil || r.Outcome != spec.Already {
		t.Fatalf("disable: %s, %v", r.Outcome, err)
	}
	if r, err = call(t, s, "mail.enable_rule", map[string]any{"rule": all[1]}, after(r.Prior)); err != nil || r.Outcome != spec.Already || r.Output["enabled"] != false {
		t.Errorf("undo: %+v, %v", r, err)
	}
}

func TestMessages(t *testing.T) {
	l := start(t)
	s := l.open(t)
	r, err := call(t, s, "mail.get_message", map[string]any{"message_id": phish})
	must(t, err)
	eml, _ := r.Output["eml"].(string)
	if content := r.Artifacts[eml]; !strings.Contains(string(content), "Pay here") || kind.ArtifactOf(content) != eml || r.Output["sender"] != "eve@evil.example" {
		t.Errorf("got %v with %q", r.Output, content)
	}
	r, err = call(t, s, "mail.get_message", map[string]any{"message_id": phish, "mailbox": "zoe@example.com"})
	if err != nil || r.Output["mailbox"] != "zoe@example.com" {
		t.Errorf("the reporter's mailbox first: %v, %v", r.Output, err)
	}
	r, err = call(t, s, "mail.find_messages", map[string]any{"message_id": phish})
	must(t, err)
	if all, _ := r.Output["messages"].([]any); len(all) != 3 || r.Output["mailboxes"] != int64(6) {
		t.Errorf("copies: %v", r.Output)
	}
	l.script(t, "entra list-messages zoe@example.com: always 403")
	if r, err = call(t, s, "mail.find_messages", map[string]any{"message_id": phish}); err != nil || r.Outcome != spec.Partial || r.Failed["zoe@example.com"] == "" || fmt.Sprint(r.Output["refused"]) != "[zoe@example.com]" {
		t.Errorf("a mailbox that refuses: %+v, %v", r, err)
	}
	// A limit in the middle of a search is waited for; the search does not begin
	// anew.
	for i := range 16 { // so many are asked at once: the one after them has forerunners
		must(t, l.graph.SeedUsers(fakegraph.User{Name: fmt.Sprintf("more%d@example.com", i)}))
	}
	must(t, l.graph.SeedUsers(fakegraph.User{Name: "late@example.com"}))
	l.script(t, "entra list-messages late@example.com: 429 retry=1s")
	if r, err = call(t, s, "mail.find_messages", map[string]any{"message_id": phish}); err != nil || r.Outcome != spec.Done {
		t.Errorf("a limit on the way: %+v, %v", r, err)
	}
	l.script(t, "entra list-messages: always 429 retry=1s")
	if _, err = call(t, s, "mail.find_messages", map[string]any{"message_id": phish}); spec.KindOf(err) != spec.RateLimited {
		t.Errorf("a limit from the beginning: %v", err)
	}
	l.script(t, "entra list-messages: always 500")
	if _, err = call(t, s, "mail.find_messages", map[string]any{"message_id": phish}, within(3*time.Second)); spec.KindOf(err) != spec.Transient {
		t.Errorf("no mailbox answers: %v", err)
	}
}

// where is the folder of each copy of the phishing message.
func (l *lab) where(t testing.TB) string {
	t.Helper()
	var out []string
	for part := range strings.SplitSeq(l.dump(t), `"`) {
		if id, folder, ok := strings.Cut(part, " in "); ok && strings.Contains(id, "invoice-77") {
			out = append(out, folder)
		}
	}
	slices.Sort(out)
	return strings.Join(out, " ")
}

func TestQuarantine(t *testing.T) {
	l := start(t)
	s := l.open(t)
	r, err := call(t, s, "mail.find_messages", map[string]any{"message_id": phish})
	must(t, err)
	copies := map[string]any{"messages": r.Output["messages"]}
	before := l.where(t)
	if before != "archive inbox inbox" {
		t.Fatalf("before: %s", before)
	}
	// One copy is not moved: the others are, and it is named.
	l.script(t, "entra move-message zoe@example.com: 403")
	r, err = call(t, s, "mail.quarantine_message", copies)
	if err != nil || r.Outcome != spec.Partial || len(r.Failed) != 1 || r.Output["quarantined"] != int64(2) {
		t.Fatalf("got %+v, %v", r, err)
	}
	prior := r.Prior
	if r, err = call(t, s, "mail.quarantine_message", copies); err != nil || r.Outcome != spec.Done || fmt.Sprint(r.Prior) != fmt.Sprint(prior) {
		t.Fatalf("again: %+v, %v; the prior state was %v", r, err, prior)
	}
	if got := l.where(t); got != "recoverableitemsdeletions recoverableitemsdeletions recoverableitemsdeletions" {
		t.Fatalf("quarantined: %s", got)
	}
	if r, err = call(t, s, "mail.quarantine_message", copies, back); err != nil || r.Outcome != spec.Present {
		t.Errorf("read-back: %s, %v", r.Outcome, err)
	}
	if r, err = call(t, s, "mail.restore_message", copies, after(prior)); err != nil || r.Outcome != spec.Done || l.where(t) != before {
		t.Errorf("restored: %+v, %v: %s", r, err, l.where(t))
	}
}

// A copy that was in quarantine before us stays there.
func TestUndoLeavesWhatWasQuarantined(t *testing.T) {
	l := start(t)
	s := l.open(t)
	r, err := call(t, s, "mail.find_messages", map[string]any{"message_id": phish})
	must(t, err)
	all, _ := r.Output["messages"].([]any)
	_, err = call(t, s, "mail.quarantine_message", map[string]any{"messages": all[:1]}, key("somebody"))
	must(t, err)
	r, err = call(t, s, "mail.quarantine_message", map[string]any{"messages": all})
	must(t, err)
	_, err = call(t, s, "mail.restore_message", map[string]any{"messages": all}, after(r.Prior))
	must(t, err)
	if got := l.where(t); got != "archive inbox recoverableitemsdeletions" {
		t.Errorf("after the undo: %s", got)
	}
}

func TestSenders(t *testing.T) {
	l := start(t)
	s := l.open(t)
	l.graph.SeedSender("partner@example.net", "Allow")
	if _, err := call(t, s, "mail.block_sender", map[string]any{"address": "partner@example.net"}); spec.KindOf(err) != spec.Conflict {
		t.Errorf("a sender that is expressly allowed: %v", err)
	}
	l.graph.SeedSender("old@evil.example", "Block")
	r, err := call(t, s, "mail.block_sender", map[string]any{"address": "Old@evil.example"})
	if err != nil || r.Outcome != spec.Already {
		t.Fatalf("block: %s, %v", r.Outcome, err)
	}
	if r, err = call(t, s, "mail.unblock_sender", map[string]any{"address": "Old@evil.example"}, after(r.Prior)); err != nil || r.Outcome != spec.Already || r.Output["blocked"] != true {
		t.Errorf("undo: %+v, %v", r, err)
	}
}

// The next page must lie where the list lies: it gets the token.
func TestForeignPages(t *testing.T) {
	for _, next := range []string{"https://evil.example/v1.0/users?$skiptoken=1", "http://127.0.0.1:1/v1.0/users", "://", "//x@y/v1.0/users"} {
		var tokens int
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			if strings.HasSuffix(r.URL.Path, "/token") {
				tokens++
				_, _ = fmt.Fprint(w, `{"access_token":"t","expires_in":3600}`)
				return
			}
			_, _ = fmt.Fprintf(w, `{"value":[],"@odata.nextLink":%q}`, next)
		}))
		l := &lab{url: srv.URL}
		s := l.open(t)
		if _, err := call(t, s, "iam.find_user", map[string]any{"name": "ann@example.com"}); spec.KindOf(err) != spec.Internal || tokens != 1 {
			t.Errorf("%s: %v", next, err)
		}
		srv.Close()
	}
}

func TestHostileHandles(t *testing.T) {
	s := start(t).open(t)
	for _, tt := range []struct {
		action, input, handle, id string
	}{
		{"iam.disable_user", "user", "user", "../../groups"},
		{"iam.revoke_consent", "consent", "consent", "a/../../users"},
		{"mail.disable_rule", "rule", "mail_rule", "x/y"},
		{"mail.quarantine_message", "messages", "message", "nobody/1"},
	} {
		h := kind.Handle{Name: tt.handle, Instance: "entra", ID: tt.id, Label: "x"}
		var v any = h
		if tt.input == "messages" {
			v = []any{h}
		}
		if _, err := call(t, s, tt.action, map[string]any{tt.input: v}); spec.KindOf(err) != spec.Invalid {
			t.Errorf("%s of %s: %v", tt.action, tt.id, err)
		}
	}
}

func TestSettings(t *testing.T) {
	l := &lab{url: "http://127.0.0.1:1"}
	for name, value := range map[string]string{
		"tenant_id": "contoso", "client_id": "x", "quarantine_folder": "inbox", "base_url": "http://graph.example", "login_url": "ftp://x",
	} {
		texts := l.settings()
		texts[name] = value
		settings, err := sdk.ParseSettings(entra.New().Manifest(), texts)
		if err == nil {
			_, err = entra.New().Open(t.Context(), sdk.Config{Instance: "entra", Settings: settings})
		}
		if err == nil {
			t.Errorf("%s = %s was taken", name, value)
		}
	}
}

func TestCheckNamesWhatIsMissing(t *testing.T) {
	l := start(t)
	s := l.open(t)
	l.script(t, "entra list-methods: always 403\nentra read-senders: always 403")
	var missing []string
	for _, f := range s.Check(t.Context()) {
		if !f.OK {
			missing = append(missing, f.Name)
		}
	}
	if got := strings.Join(missing, "; "); got != "permission UserAuthenticationMethod.Read.All; permission Exchange.ManageAsApp with the role Security Administrator" {
		t.Errorf("missing: %s", got)
	}
	l.script(t, "entra token: always 401")
	if f := l.open(t).Check(t.Context()); len(f) != 1 || f[0].OK || f[0].Name != "credentials" {
		t.Errorf("a wrong secret: %+v", f)
	}
}

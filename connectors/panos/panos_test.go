package panos_test

import (
	"context"
	"encoding/json"
	"net/http/httptest"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/quell-soar/quell/connectors/conformance"
	"github.com/quell-soar/quell/connectors/fake"
	"github.com/quell-soar/quell/connectors/panos"
	"github.com/quell-soar/quell/connectors/panos/fakepanos"
	"github.com/quell-soar/quell/connectors/sdk"
	"github.com/quell-soar/quell/connectors/sdk/secret"
	"github.com/quell-soar/quell/connectors/spec"
	"github.com/quell-soar/quell/connectors/vocabulary"
)

const (
	password = "panos-lab-secret"
	evil     = "198.51.100.7"
	held     = "198.51.100.8"
	login    = "https://evil.example/login?next=%2F"
	entry    = "evil.example/login?next=%2F"
	category = "quell-block"
)

// lab is a fake firewall and what is needed to reach it.
type lab struct {
	world *fake.World
	panos *fakepanos.Panos
	url   string
}

func start(t testing.TB) *lab {
	t.Helper()
	w := fake.NewWorld(fake.Real{}, fake.NewJournal(), 1)
	l := &lab{world: w, panos: fakepanos.New(w, password)}
	srv := httptest.NewServer(l.panos.Handler())
	t.Cleanup(func() {
		w.Close()
		srv.CloseClientConnections()
		srv.Close()
	})
	l.url = srv.URL
	l.panos.Tag(held, "quell-block")
	l.panos.Tag(evil, "watched")
	l.panos.List(category, "held.example/")
	must(t, w.SetLag(map[string]time.Duration{"panos.commit": 50 * time.Millisecond}))
	return l
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (l *lab) settings() map[string]string {
	return map[string]string{"base_url": l.url, "user": fakepanos.Admin}
}

func (l *lab) open(t testing.TB, more ...string) sdk.Session {
	t.Helper()
	texts := l.settings()
	for i := 0; i+1 < len(more); i += 2 {
		texts[more[i]] = more[i+1]
	}
	settings, err := sdk.ParseSettings(panos.New().Manifest(), texts)
	must(t, err)
	s, err := panos.New().Open(t.Context(), sdk.Config{
		Instance: "fw", Settings: settings, Secrets: map[string]secret.Value{"password": secret.New(password)},
	})
	must(t, err)
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func call(t testing.TB, s sdk.Session, r spec.Request, within time.Duration) (spec.Reply, error) {
	t.Helper()
	if r.Mode == "" {
		r.Mode = spec.Act
	}
	if r.Key == "" {
		r.Key = "key-1"
	}
	r.Deadline = time.Now().Add(within)
	ctx, cancel := context.WithDeadline(t.Context(), r.Deadline)
	defer cancel()
	return s.Call(ctx, r)
}

func address(a string) map[string]any { return map[string]any{"address": a} }
func link(u string) map[string]any    { return map[string]any{"url": u} }

// count is how many writes of an operation the firewall accepted.
func (l *lab) count(t testing.TB, operation string) int {
	t.Helper()
	e, err := l.world.Effects(fake.Filter{Operation: operation})
	must(t, err)
	return len(e)
}

func (l *lab) dump(t testing.TB) string {
	t.Helper()
	d, err := l.world.Dump("")
	must(t, err)
	raw, err := json.Marshal(d)
	must(t, err)
	return string(raw)
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

func TestConformance(t *testing.T) {
	soft := func(op string) conformance.Faults {
		return conformance.Faults{SoftError: "panos " + op + ": always soft", Lost: "panos " + op + ": lost"}
	}
	conformance.Run(t, conformance.Target{
		Binary:    binary(t),
		Connector: panos.New(),
		Lookup:    vocabulary.Lookup,
		Start: func(t testing.TB) conformance.Fake {
			l := start(t)
			return conformance.Fake{
				Settings: l.settings(),
				Secrets:  map[string]secret.Value{"password": secret.New(password)},
				Fault:    func(text string) { must(t, l.world.SetScript(text)) },
				World:    func() string { return l.dump(t) },
			}
		},
		Samples: map[string]conformance.Sample{
			"firewall.block_ip": {Inputs: address(evil), Faults: soft("user-id")},
			"firewall.unblock_ip": {
				Before: []conformance.Step{{Action: "firewall.block_ip", Inputs: address(evil)}}, Inputs: address(evil), Faults: soft("user-id"),
			},
			"firewall.block_url": {Inputs: link(login), Faults: soft("commit")},
			"firewall.unblock_url": {
				Before: []conformance.Step{{Action: "firewall.block_url", Inputs: link(login)}}, Inputs: link(login), Faults: soft("commit"),
			},
		},
		Faults: conformance.Faults{
			Expired: "panos *: expire-token", Unauthorized: "panos *: always 401", Slow: "panos *: always slow 3s",
		},
		Without: map[string]string{
			"rate limited": "PAN-OS has no rate limit of its own",
			"not found":    "an address or URL need not be known to be blocked",
			"ambiguous":    "an address or URL is one",
		},
	})
}

// Each fault of the firewall, and what the caller must hear.
func TestUnderFaults(t *testing.T) {
	for _, tt := range []struct {
		name, script string
		in           map[string]any
		within       time.Duration
		outcome      spec.Outcome
		kind         spec.ErrorKind
		unchanged    bool
	}{
		{"nothing wrong", "", address(evil), 3 * time.Second, spec.Done, "", false},
		{"error within 200", "panos user-id: soft", address(evil), 3 * time.Second, "", spec.Invalid, true},
		{"not permitted", "panos user-id: 403", address(evil), 3 * time.Second, "", spec.Permission, true},
		{"key refused on the way", "panos user-id: expire-token", address(evil), 3 * time.Second, spec.Done, "", false},
		{"server error, nothing done", "panos user-id: 500", address(evil), 3 * time.Second, "", spec.Uncertain, true},
		{"answer lost, done", "panos user-id: lost", address(evil), 3 * time.Second, spec.Done, "", false},
		{"answer lost, nothing done", "panos user-id: drop", address(evil), 3 * time.Second, "", spec.Uncertain, true},
		{"answer lost, done soon", "panos user-id: late 300ms", address(evil), 3 * time.Second, spec.Done, "", false},
		{"reading fails before", "panos show-tags: always 500", address(evil), 3 * time.Second, "", spec.Transient, true},
		{"reading fails after", "panos show-tags: ok; always 500", address(evil), time.Second, spec.Pending, "", false},

		{"url: nothing wrong", "", link(login), 3 * time.Second, spec.Done, "", false},
		{"url: set refused", "panos set: soft", link(login), 3 * time.Second, "", spec.Invalid, true},
		{"url: set lost", "panos set: lost", link(login), 3 * time.Second, spec.Done, "", false},
		{"url: set dropped", "panos set: drop", link(login), 3 * time.Second, "", spec.Uncertain, true},
		{"url: commit refused", "panos commit: soft", link(login), 3 * time.Second, "", spec.Invalid, true},
		{"url: commit refused and not taken back", "panos commit: soft\npanos delete: 500", link(login), 3 * time.Second, "", spec.Uncertain, false},
		{"url: commit lost", "panos commit: lost", link(login), 3 * time.Second, spec.Done, "", false},
		{"url: commit dropped", "panos commit: drop", link(login), 3 * time.Second, spec.Done, "", false},
		{"url: commit always dropped", "panos commit: always drop", link(login), 700 * time.Millisecond, "", spec.Uncertain, false},
		{"url: job cannot be read", "panos show-job: always 500", link(login), 700 * time.Millisecond, spec.Pending, "", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			l := start(t)
			s := l.open(t)
			before := l.dump(t)
			must(t, l.world.SetScript(tt.script))
			action := "firewall.block_ip"
			if tt.in["url"] != nil {
				action = "firewall.block_url"
			}
			r, err := call(t, s, spec.Request{Action: action, Inputs: tt.in}, tt.within)
			if tt.kind != "" && spec.KindOf(err) != tt.kind || tt.kind == "" && err != nil || r.Outcome != tt.outcome {
				t.Errorf("got %s, %v; want %s%s", r.Outcome, err, tt.outcome, tt.kind)
			}
			if after := l.dump(t); tt.unchanged && after != before {
				t.Errorf("it failed and left something behind.\nbefore: %s\nafter:  %s", before, after)
			}
		})
	}
}

func TestStates(t *testing.T) {
	for _, tt := range []struct {
		name, action string
		in, prior    map[string]any
		outcome      spec.Outcome
		found        bool
	}{
		{"block", "firewall.block_ip", address(evil), nil, spec.Done, false},
		{"block what is blocked", "firewall.block_ip", address(held), nil, spec.Already, true},
		{"block in another spelling", "firewall.block_ip", address("::ffff:" + held), nil, spec.Already, true},
		{"unblock what we blocked", "firewall.unblock_ip", address(held), map[string]any{"blocked": false}, spec.Done, true},
		{"leave what was blocked before us", "firewall.unblock_ip", address(held), map[string]any{"blocked": true}, spec.Already, true},
		{"block again what we unblocked", "firewall.block_ip", address(evil), map[string]any{"blocked": true}, spec.Done, false},
		{"block a URL", "firewall.block_url", link(login), nil, spec.Done, false},
		{"block a URL that is blocked", "firewall.block_url", link("HTTP://Held.example"), nil, spec.Already, true},
		{"unblock a URL", "firewall.unblock_url", link("https://held.example/"), map[string]any{"blocked": false}, spec.Done, true},
		{"leave a URL that was blocked before us", "firewall.unblock_url", link("https://held.example/"), map[string]any{"blocked": true}, spec.Already, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := start(t).open(t)
			r, err := call(t, s, spec.Request{Action: tt.action, Inputs: tt.in, Prior: tt.prior}, 3*time.Second)
			if err != nil || r.Outcome != tt.outcome || r.Prior["blocked"] != tt.found {
				t.Errorf("got %s with prior %v, %v; want %s with %v", r.Outcome, r.Prior, err, tt.outcome, tt.found)
			}
		})
	}
}

func TestWhatCannotBeBlocked(t *testing.T) {
	l := start(t)
	s := l.open(t)
	before := l.dump(t)
	for _, a := range []string{"0.0.0.0", "::", "255.255.255.255", "127.0.0.1", "::1", "224.0.0.1", "169.254.1.1", "0.1.2.3", "::ffff:0.0.0.0"} {
		if _, err := call(t, s, spec.Request{Action: "firewall.block_ip", Inputs: address(a)}, time.Second); spec.KindOf(err) != spec.Invalid {
			t.Errorf("%s: %v", a, err)
		}
	}
	for _, u := range []string{
		"https://com/", "https://198.51.100.07/", "https://3325256711/", "https://0xc6.0x33.0x64.0x07/", "https://*.example/", "https://evil.example/*", "https://evil.example/^", "ftp://evil.example/",
		"https://evil.example/" + strings.Repeat("a", 255), "mailto:a@evil.example", "https://evil.example/?q=ü",
	} {
		if _, err := call(t, s, spec.Request{Action: "firewall.block_url", Inputs: link(u)}, time.Second); spec.KindOf(err) != spec.Invalid {
			t.Errorf("%s: %v", u, err)
		}
	}
	if after := l.dump(t); after != before {
		t.Errorf("something was blocked: %s", after)
	}
}

// What stands in an entry is the host that a browser would ask, however the URL
// tries to hide it, and nothing of it reaches XML or XPath as markup.
func TestEntriesOfHostileURLs(t *testing.T) {
	for in, want := range map[string]string{
		"https://bank.example@evil.example/a":    "evil.example/a",
		"https://EVIL.example.:8443":             "evil.example:8443/",
		`https://evil.example/"]|//*[text()="x`:  `evil.example/%22%5D%7C//`, // refused below: it has a star
		"https://evil.example/</member><member>": "evil.example/%3C/member%3E%3Cmember%3E",
		"https://evil.example/?a='b'&c=<d>#top":  "evil.example/?a='b'&c=<d>",
		"https://[2001:db8::1]/x":                "[2001:db8::1]/x",
	} {
		l := start(t)
		s := l.open(t)
		_, err := call(t, s, spec.Request{Action: "firewall.block_url", Inputs: link(in)}, 3*time.Second)
		if strings.Contains(in, "*") {
			if spec.KindOf(err) != spec.Invalid {
				t.Errorf("%s: %v", in, err)
			}
			continue
		}
		e, _ := l.world.Effects(fake.Filter{Operation: "set"})
		if err != nil || len(e) != 1 || e[0].Object != want {
			t.Errorf("%s became %+v, %v; want %s", in, e, err, want)
		}
		if r, err := call(t, s, spec.Request{Action: "firewall.unblock_url", Key: "key-2", Inputs: link(in)}, 3*time.Second); err != nil || r.Outcome != spec.Done {
			t.Errorf("%s cannot be unblocked: %s %v", in, r.Outcome, err)
		}
	}
}

// What nobody of ours did stays where it is: locks, other people's changes,
// commits that fail.
func TestOtherAdministrators(t *testing.T) {
	block := spec.Request{Action: "firewall.block_url", Inputs: link(login)}
	for _, tt := range []struct {
		name    string
		prepare func(p *fakepanos.Panos)
		says    string
	}{
		{"the configuration is locked", func(p *fakepanos.Panos) { p.Lock("alice") }, "locked by alice"},
		{"commits fail", func(p *fakepanos.Panos) { p.Break("rule 7 is invalid") }, "rule 7 is invalid"},
		{"the entry is somebody else's", func(p *fakepanos.Panos) { p.Stage("alice", category, entry) }, "another administrator"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			l := start(t)
			tt.prepare(l.panos)
			before := l.dump(t)
			_, err := call(t, l.open(t), block, 3*time.Second)
			if spec.KindOf(err) != spec.Conflict || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("got %v; want a conflict that says %q", err, tt.says)
			}
			if after := l.dump(t); after != before {
				t.Errorf("something was left behind.\nbefore: %s\nafter:  %s", before, after)
			}
		})
	}
	l := start(t)
	l.panos.Stage("alice", category, "half.example/")
	if r, err := call(t, l.open(t), block, 3*time.Second); err != nil || r.Outcome != spec.Done {
		t.Fatalf("got %s, %v", r.Outcome, err)
	}
	if d := l.dump(t); !strings.Contains(d, "alice quell-block half.example/") {
		t.Errorf("somebody else's change went live: %s", d)
	}
}

func TestCommitsAreShared(t *testing.T) {
	l := start(t)
	must(t, l.world.SetLag(map[string]time.Duration{"panos.commit": 300 * time.Millisecond}))
	s := l.open(t)
	var wg sync.WaitGroup
	const links = 12
	for i := range links {
		wg.Go(func() {
			u := "https://evil.example/" + strings.Repeat("x", i+1)
			if r, err := call(t, s, spec.Request{Action: "firewall.block_url", Key: u, Inputs: link(u)}, 10*time.Second); err != nil || r.Outcome != spec.Done {
				t.Errorf("%s: %s %v", u, r.Outcome, err)
			}
		})
	}
	wg.Wait()
	if n := l.count(t, "commit"); n > links/2 {
		t.Errorf("%d URLs took %d commits", links, n)
	}
}

func TestCommitUnderWayIsNeitherPresentNorAbsent(t *testing.T) {
	l := start(t)
	must(t, l.world.SetLag(map[string]time.Duration{"panos.commit": time.Hour}))
	s := l.open(t)
	r, err := call(t, s, spec.Request{Action: "firewall.block_url", Inputs: link(login)}, 2*time.Second)
	if err != nil || r.Outcome != spec.Pending {
		t.Fatalf("got %s, %v", r.Outcome, err)
	}
	if r, err = call(t, s, spec.Request{Action: "firewall.block_url", Mode: spec.Back, Inputs: link(login)}, 2*time.Second); spec.KindOf(err) != spec.Transient {
		t.Errorf("the read-back says %s, %v", r.Outcome, err)
	}
	// Another one waits for the commit and does not fail because of it.
	r, err = call(t, s, spec.Request{Action: "firewall.block_url", Key: "key-2", Inputs: link("https://evil.example/2")}, 2*time.Second)
	if err != nil || r.Outcome != spec.Pending {
		t.Errorf("beside a commit: %s, %v", r.Outcome, err)
	}
}

func TestCheckSaysWhatIsMissing(t *testing.T) {
	l := start(t)
	l.panos.Remove(category)
	bad := 0
	for _, f := range l.open(t).Check(t.Context()) {
		if !f.OK {
			bad++
		}
	}
	if bad != 2 {
		t.Errorf("%d findings, want group and category", bad)
	}
	_, err := call(t, l.open(t), spec.Request{Action: "firewall.block_url", Inputs: link(login)}, time.Second)
	if spec.KindOf(err) != spec.NotFound {
		t.Errorf("without a category: %v", err)
	}
}

func TestOpenRefuses(t *testing.T) {
	for name, c := range map[string]sdk.Config{
		"no credential":   {Settings: map[string]any{"tag": "t", "url_category": "c", "vsys": "v"}},
		"markup in a tag": {Settings: map[string]any{"tag": "a<b", "url_category": "c", "vsys": "v"}},
		"long backstop":   {Settings: map[string]any{"tag": "t", "url_category": "c", "vsys": "v", "backstop": 31 * 24 * time.Hour}},
	} {
		if _, err := panos.New().Open(t.Context(), c); spec.KindOf(err) != spec.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
}

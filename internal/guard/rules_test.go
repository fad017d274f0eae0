package guard_test

import (
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/quell-soar/quell/internal/guard"
	"github.com/quell-soar/quell/internal/guard/subject"
	"github.com/quell-soar/quell/internal/store"
	"github.com/quell-soar/quell/internal/store/storetest"
)

// asker asks one guard.
type asker struct {
	testing.TB
	db *store.DB
	g  *guard.Guard
}

func newAsker(t *testing.T, r guard.Rules) *asker {
	t.Helper()
	g, err := guard.New(r)
	if err != nil {
		t.Fatal(err)
	}
	return &asker{t, storetest.Open(t, store.Options{Dir: t.TempDir()}, guard.Schema()), g}
}

func (a *asker) ask(at time.Time, q guard.Question) *guard.Refusal {
	a.Helper()
	var no *guard.Refusal
	if err := a.db.Update(a.Context(), func(tx *store.Tx) (err error) {
		no, err = a.g.Check(tx, at, q)
		return err
	}); err != nil {
		a.Fatal(err)
	}
	return no
}

func known(values map[string]any) *guard.Facts { return &guard.Facts{Values: values, At: time.Now()} }

var someTime = time.Date(2026, 5, 6, 12, 0, 0, 0, time.UTC) // a Wednesday

// TestTargets asks about one target, with one rule of each kind set.
func TestTargets(t *testing.T) {
	a := newAsker(t, guard.Rules{
		Protected: []string{"krbtgt", "dc01.corp.example", "10.1.0.0/16"},
		Own:       []string{"quell.soc.example", "192.0.2.10", "svc-quell@corp.example"},
		Tags:      []string{"Tier-0"}, Groups: []string{"Domain Controllers"},
		Domains: []string{"partner.test", "corp.example."}, URLs: []string{"https://cdn.example/partner"},
		Senders: []string{"billing@vendor.example", "@partner.example"},
	})
	plain := map[string]any{"tags": []any{"web"}, "groups": []any{}}
	device := func(label string, values map[string]any) guard.Target {
		return guard.Target{ID: "device:" + label, Label: label, Kind: "device", Facts: known(values)}
	}
	user := func(label string, more map[string]any) guard.Target {
		v := map[string]any{"tags": []any{}, "groups": []any{}, "last_admin": false, "privileged": false}
		maps.Copy(v, more)
		return guard.Target{ID: "user:00u1", Label: label, Kind: "user", Facts: known(v)}
	}
	text := func(kindOf, v string) guard.Target { return guard.Target{ID: v, Label: v, Kind: kindOf} }
	for _, c := range []struct {
		what   string
		target guard.Target
		want   string // a part of the reason; empty lets it go
	}{
		{"a host", device("ws-1", plain), ""},
		{"a protected host", device("DC01", plain), "is protected"},
		{"its tag", device("x", map[string]any{"tags": []any{"web", "tier-0"}, "groups": []any{}}), `its tag "tier-0"`},
		{"its group", device("x", map[string]any{"tags": []any{}, "groups": []any{"domain controllers"}}), "its group"},
		{"tags unknown", device("x", map[string]any{"groups": []any{}}), "its tags, which are not known"},
		{"nothing read", guard.Target{ID: "device:x", Label: "x", Kind: "device"}, "not known"},
		{"an address of the host", device("x", map[string]any{"tags": []any{}, "groups": []any{}, "addresses": []any{"198.51.100.1", "10.1.2.3"}}), "is protected"},
		{"our own machine", device("quell", plain), "Quell's own"},
		{"our own address", text("ip", "192.0.2.10"), "Quell's own"},
		{"a block around us", text("cidr", "192.0.2.0/24"), "Quell's own"},
		{"our address in IPv6", text("ip", "::ffff:192.0.2.10"), "Quell's own"},
		{"our name", text("domain", "quell.soc.example"), "Quell's own"},
		{"the domain that we are in", text("domain", "soc.example"), "Quell's own"},
		{"another domain", text("domain", "evil.example"), ""},
		{"our URL", text("url", "https://quell.soc.example:8443/x"), "Quell's own"},
		{"our address in a URL", text("url", "http://192.0.2.10/x"), "Quell's own"},
		{"our address in a URL in IPv6", text("url", "http://[::ffff:192.0.2.10]/x"), "Quell's own"},
		{"a partner", text("domain", "partner.test"), "never blocked"},
		{"under a partner", text("domain", "a.B.partner.test"), "never blocked"},
		{"above a partner", text("domain", "test"), "never blocked"},
		{"like a partner", text("domain", "notpartner.test"), ""},
		{"a partner's URL", text("url", "https://shop.partner.test/cart?x=1"), "never blocked"},
		{"a listed URL", text("url", "http://CDN.example/partner/"), "never blocked"},
		{"beneath a listed URL", text("url", "https://cdn.example/partner/a.js"), "never blocked"},
		{"above a listed URL", text("url", "https://cdn.example/"), "never blocked"},
		{"beside a listed URL", text("url", "https://cdn.example/partners"), ""},
		{"another URL", text("url", "https://evil.example/partner"), ""},
		{"a partner's sender", text("email", "Anyone@Partner.example"), "never blocked"},
		{"a listed sender", text("email", "billing@vendor.example"), "never blocked"},
		{"another sender there", text("email", "sales@vendor.example"), ""},
		{"an account", user("bob", nil), ""},
		{"a protected account", user("KRBTGT@corp.example", nil), "is protected"},
		{"a protected account of NT", user(`CORP\krbtgt`, nil), "is protected"},
		{"our own account", user("svc-quell@corp.example", nil), "Quell's own"},
		{"our own account by its mail", user("00u7", map[string]any{"mail": "svc-quell@corp.example"}), "Quell's own"},
		{"an administrator", user("ann", map[string]any{"privileged": true}), ""},
		{"the last administrator", user("ann", map[string]any{"privileged": true, "last_admin": true}), "last administrator"},
		{"perhaps the last", guard.Target{ID: "user:1", Label: "ann", Kind: "user", Facts: &guard.Facts{Values: plain, Why: "503"}}, "last administrator is not known: 503"},
	} {
		no := a.ask(someTime, guard.Question{Action: "x.y", Targets: []guard.Target{device("free", plain), c.target}, Approved: true})
		switch {
		case c.want == "" && no != nil:
			t.Errorf("%s: %s", c.what, no)
		case c.want != "" && (no == nil || no.Rule != "protected" || no.Ask || !strings.Contains(no.Reason, c.want)):
			t.Errorf("%s: %v, want %q", c.what, no, c.want)
		}
	}
	two := []guard.Target{user("ann", map[string]any{"privileged": true}), user("bob", map[string]any{"privileged": true})}
	if no := a.ask(someTime, guard.Question{Targets: two}); no == nil || no.Rule != "protected" {
		t.Errorf("two administrators in one call: %v", no)
	}
}

// TestConditions: a condition refuses or asks, and one that cannot be told
// applies.
func TestConditions(t *testing.T) {
	a := newAsker(t, guard.Rules{Conditions: []guard.Condition{
		{Name: "tier-0", When: `target.kind == "device" && "tier-0" in target.tags`, Then: guard.Refuse, Reason: "domain controllers"},
		{Name: "worth", When: `target.criticality >= criticality.high`, Actions: []string{"edr.isolate_host"}, Then: guard.AskFirst},
		{Name: "nights", When: `action == "mail.block_sender" && now.getHours() < 6`, Then: guard.Refuse},
	}})
	device := func(values map[string]any) []guard.Target {
		return []guard.Target{{ID: "device:1", Label: "ws", Kind: "device", Facts: known(values)}}
	}
	low := map[string]any{"tags": []any{}, "criticality": "low"}
	high := map[string]any{"tags": []any{}, "criticality": "high"}
	for _, c := range []struct {
		what string
		q    guard.Question
		at   time.Time
		want string
	}{
		{"nothing", guard.Question{Action: "edr.isolate_host", Targets: device(low)}, someTime, ""},
		{"tier-0", guard.Question{Action: "edr.scan_host", Targets: device(map[string]any{"tags": []any{"tier-0"}}), Approved: true}, someTime, "condition: the guard tier-0 on ws: domain controllers"},
		{"tags not known", guard.Question{Action: "edr.scan_host", Targets: device(nil), Approved: true}, someTime, "cannot be decided, so it applies: target.tags is absent"},
		{"high", guard.Question{Action: "edr.isolate_host", Targets: device(high)}, someTime, "ask condition: the guard worth on ws"},
		{"high, approved", guard.Question{Action: "edr.isolate_host", Targets: device(high), Approved: true}, someTime, ""},
		{"high, another action", guard.Question{Action: "edr.scan_host", Targets: device(high)}, someTime, ""},
		{"worth not known", guard.Question{Action: "edr.isolate_host", Targets: device(map[string]any{"tags": []any{}})}, someTime, "ask condition: the guard worth on ws cannot be decided"},
		{"by day", guard.Question{Action: "mail.block_sender", Targets: []guard.Target{{ID: "a@b.c", Kind: "email"}}}, someTime, ""},
		{"by night", guard.Question{Action: "mail.block_sender", Targets: []guard.Target{{ID: "a@b.c", Kind: "email"}}}, someTime.Add(-10 * time.Hour), "condition: the guard nights"},
		{"no targets", guard.Question{Action: "ticket.create_ticket"}, someTime, ""},
	} {
		got := ""
		if no := a.ask(c.at, c.q); no != nil {
			if got = no.String(); no.Ask {
				got = "ask " + got
			}
		}
		if c.want == "" && got != "" || !strings.HasPrefix(got, c.want) && !strings.Contains(got, c.want) {
			t.Errorf("%s: %q, want %q", c.what, got, c.want)
		}
	}
}

// TestFreezes: once and weekly, over the jump of the clock, for all actions and
// for some.
func TestFreezes(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Skip("no time zones here")
	}
	weekend, err := subject.ParseWeek("Fri 18:00 - Mon 06:00", berlin)
	if err != nil {
		t.Fatal(err)
	}
	a := newAsker(t, guard.Rules{Freezes: []guard.Freeze{
		{Weekly: weekend, Reason: "weekend", Then: guard.AskFirst},
		{From: someTime, To: someTime.Add(time.Hour), Reason: "audit", Actions: []string{"firewall"}},
	}})
	at := func(text string) time.Time {
		v, err := time.ParseInLocation("2006-01-02 15:04:05", text, berlin)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	for _, c := range []struct {
		at, want string
	}{
		{"2026-03-27 17:59:59", ""},
		{"2026-03-27 18:00:00", "ask"}, // summer time begins on the 29th
		{"2026-03-28 12:00:30", "ask"},
		{"2026-03-30 05:59:59", "ask"},
		{"2026-03-30 06:00:00", ""},
		{"2026-10-25 23:00:00", "ask"},
		{"2026-10-26 06:00:00", ""},
	} {
		no := a.ask(at(c.at), guard.Question{Action: "edr.isolate_host"})
		if (no != nil) != (c.want != "") || no != nil && (!no.Ask || no.Rule != "freeze") {
			t.Errorf("%s: %v, want %q", c.at, no, c.want)
		}
		if no := a.ask(at(c.at), guard.Question{Action: "edr.isolate_host", Approved: true}); no != nil {
			t.Errorf("%s, approved: %v", c.at, no)
		}
	}
	for action, want := range map[string]bool{"firewall.block_ip": true, "edr.isolate_host": false} {
		if no := a.ask(someTime, guard.Question{Action: action, Approved: true}); (no != nil) != want {
			t.Errorf("%s: %v", action, no)
		}
	}
	for _, bad := range []string{"", "Fri", "Fri 18:00", "Fri 18:00 - Mon", "Fri 24:00 - Mon 06:00", "Fri 18:60 - Mon 06:00", "Fry 18:00 - Mon 06:00", "Fri 18:00 - Fri 18:00", "Fri 1:00 - Mon 06:00"} {
		if _, err := subject.ParseWeek(bad, berlin); err == nil {
			t.Errorf("the week %q was taken", bad)
		}
	}
}

// TestSources: a source causes what its ceiling names, and a launch by hand is
// bound by none.
func TestSources(t *testing.T) {
	a := newAsker(t, guard.Rules{Sources: map[string][]string{"siem": {"ticket", "edr.scan_host"}, "mute": {}, "free": nil}})
	for _, c := range []struct {
		source, action string
		refused        bool
	}{
		{"siem", "ticket.create_ticket", false},
		{"siem", "edr.scan_host", false},
		{"siem", "edr.isolate_host", true},
		{"mute", "ticket.create_ticket", true},
		{"free", "edr.isolate_host", false},
		{"other", "edr.isolate_host", false},
		{"", "edr.isolate_host", false},
	} {
		no := a.ask(someTime, guard.Question{Source: c.source, Action: c.action, Approved: true})
		if (no != nil) != c.refused || no != nil && no.Rule != "source" {
			t.Errorf("%s causes %s: %v", c.source, c.action, no)
		}
	}
}

func TestNoRules(t *testing.T) {
	for what, bad := range map[string]guard.Rules{
		"condition": {Conditions: []guard.Condition{{Name: "x", When: "target.nothing", Then: guard.Refuse}}},
		"then":      {Conditions: []guard.Condition{{Name: "x", When: "true", Then: "allow"}}},
		"domain":    {Domains: []string{"a b"}},
		"url":       {URLs: []string{"partner"}},
		"sender":    {Senders: []string{"partner.example"}},
		"freeze":    {Freezes: []guard.Freeze{{}}},
		"budget":    {Budgets: []guard.Budget{{Name: "x", Actions: []string{"edr"}}}},
		"twice":     {Budgets: []guard.Budget{{Name: "x", Actions: []string{"edr"}, Targets: 1, Per: 1}, {Name: "x", Actions: []string{"edr"}, Targets: 1, Per: 1}}},
		"class":     {Budgets: []guard.Budget{{Name: "x", Actions: []string{"edr"}, Targets: 1, Per: 1, Criticality: []string{"huge"}}}},
	} {
		if _, err := guard.New(bad); err == nil {
			t.Errorf("a bad %s was taken", what)
		}
	}
}

package intake

import (
	"strings"
	"testing"

	"github.com/quell-soar/quell/internal/alert"
)

// TestCeiling: what a source may not say is lowered or left out, noted, and kept
// in the body as it came; a ceiling that is not there changes nothing.
func TestCeiling(t *testing.T) {
	full := func() alert.Alert {
		return alert.Alert{
			Source: "siem", Severity: "critical", Hosts: []alert.Host{{Name: "ws"}}, Users: []alert.User{{Name: "bob"}},
			Files: []alert.File{{Path: "x"}}, IPs: []string{"192.0.2.1"}, URLs: []string{"https://x.example"}, Emails: []alert.Email{{MessageID: "<1@x>"}},
			Dropped: []string{"before"}, Raw: []byte("{}"),
		}
	}
	for _, c := range []struct {
		name     string
		ceiling  Ceiling
		severity string
		left     string // which fields are left: h u f i l e
		dropped  int
	}{
		{"none", Ceiling{}, "critical", "hufile", 1},
		{"severity", Ceiling{Severity: "medium"}, "medium", "hufile", 2},
		{"severity above", Ceiling{Severity: "critical"}, "critical", "hufile", 1},
		{"some fields", Ceiling{Fields: []string{"hosts", "urls"}}, "critical", "hl", 5},
		{"no fields", Ceiling{Fields: []string{}}, "critical", "", 7},
	} {
		a := full()
		c.ceiling.lower(&a)
		left := ""
		for _, f := range []struct {
			mark string
			n    int
		}{{"h", len(a.Hosts)}, {"u", len(a.Users)}, {"f", len(a.Files)}, {"i", len(a.IPs)}, {"l", len(a.URLs)}, {"e", len(a.Emails)}} {
			left += strings.Repeat(f.mark, f.n)
		}
		if a.Severity != c.severity || left != c.left || len(a.Dropped) != c.dropped || string(a.Raw) != "{}" {
			t.Errorf("%s: %s, %q left, dropped %q", c.name, a.Severity, left, a.Dropped)
		}
	}
	low := alert.Alert{Severity: "low"}
	if (Ceiling{Severity: "high", Fields: []string{}}).lower(&low); low.Severity != "low" || len(low.Dropped) != 0 {
		t.Errorf("what is below was changed: %+v", low)
	}
	for _, c := range []struct {
		ceiling Ceiling
		barred  bool
	}{{Ceiling{}, false}, {Ceiling{Playbooks: []string{"p"}}, false}, {Ceiling{Playbooks: []string{"q"}}, true}, {Ceiling{Playbooks: []string{}}, true}} {
		if why := c.ceiling.bars("siem", "p"); (why != "") != c.barred {
			t.Errorf("%+v: %q", c.ceiling, why)
		}
	}
}

// TestCeilingOfASource: a playbook that the source may not start is refused with
// the reason, nothing is claimed, and one whose trigger asks for more than the
// source may say does not start.
func TestCeilingOfASource(t *testing.T) {
	for name, c := range map[string]struct {
		ceiling Ceiling
		verdict string
	}{
		"free":         {Ceiling{}, Started},
		"another":      {Ceiling{Playbooks: []string{"another"}}, Refused},
		"too grave":    {Ceiling{Severity: "low"}, ""},
		"names nobody": {Ceiling{Fields: []string{"files"}}, ""},
	} {
		d := openDesk(t, "", contain(t))
		s := d.sources["siem"]
		s.Ceiling = c.ceiling
		d.sources["siem"] = s
		got, err := d.Receive(t.Context(), "siem", signed(key, "msg_1", noon, hostAlert("1", "ws-12", "high")))
		if err != nil {
			t.Fatal(err)
		}
		claimed := d.count(t, "runs")
		switch {
		case c.verdict == "" && (claimed != 0 || len(got.Verdicts) > 0 && got.Verdicts[0].Verdict == Started),
			c.verdict != "" && (len(got.Verdicts) != 1 || got.Verdicts[0].Verdict != c.verdict || (claimed == 1) != (c.verdict == Started)):
			t.Errorf("%s: %+v, %d runs", name, got, claimed)
		}
	}
}

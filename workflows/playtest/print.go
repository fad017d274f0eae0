package playtest

import (
	"cmp"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/quell-soar/quell/connectors/spec/kind"
	"github.com/quell-soar/quell/playbooks/diag"
)

// Text writes what came of a suite for people.
func (s *Suite) Text(w io.Writer) error {
	if err := diag.Render(w, s.List); err != nil {
		return err
	}
	passed := 0
	p := func(format string, args ...any) { _, _ = fmt.Fprintf(w, format+"\n", args...) }
	for _, t := range s.Tests {
		if len(t.Differs) == 0 {
			passed++
			p("ok    %s: %s (%s, %s)", s.Playbook, t.Name, t.Closing, kind.FormatDuration(t.Took))
			continue
		}
		p("FAIL  %s: %s (%s:%d)", s.Playbook, t.Name, s.File, t.Line)
		for _, d := range t.Differs {
			p("      %s", d)
		}
	}
	p("%s: %d of %d tests pass", s.File, passed, len(s.Tests))
	if s.Ways != nil {
		missing := s.Missing()
		if len(missing) > 0 {
			p("%s", Annotate(s.Source, s.Ways))
		}
		p("coverage: %d of %d ways taken", len(s.Ways)-len(missing), len(s.Ways))
		for _, m := range missing {
			p("  never: line %d, %s: %s", m.Line, m.Path, m.What)
		}
	}
	if s.Mutants != nil {
		s.mutants(p)
	}
	if s.Sweep != nil {
		s.sweep(p)
	}
	return nil
}

func (s *Suite) mutants(p func(string, ...any)) {
	noticed := 0
	for _, m := range s.Mutants {
		if m.By != "" {
			noticed++
		}
	}
	p("mutants: %d of %d noticed", noticed, len(s.Mutants))
	for _, m := range s.Mutants {
		switch {
		case m.By != "":
		case m.Because != "":
			p("  accepted: line %d, %s (%s)", m.Line, m, m.Because)
		default:
			p("  survives: line %d, %s", m.Line, m)
		}
	}
	for _, name := range s.Stale {
		p("  accepted, and does not survive: %s", name)
	}
}

// sweep writes the sweep's table, one row for each way in which an action's
// failures end.
func (s *Suite) sweep(p func(string, ...any)) {
	type row struct{ action, closing, asked, bad string }
	kinds, runs := map[row][]string{}, 0
	var order []row
	for _, c := range s.Sweep {
		r := row{c.Action, c.Closing, "-", c.Bad}
		if c.Asked {
			r.asked = "asked"
		}
		if kinds[r] == nil {
			order = append(order, r)
		}
		if !slices.Contains(kinds[r], c.Kind) {
			kinds[r] = append(kinds[r], c.Kind)
		}
		runs += c.Runs
	}
	slices.SortStableFunc(order, func(a, b row) int { return cmp.Or(cmp.Compare(a.action, b.action), cmp.Compare(a.closing, b.closing)) })
	p("sweep: %d runs with one failing call each", runs)
	p("  %-26s %-14s %-6s %s", "ACTION", "RUN ENDS", "PERSON", "WHEN THE CALL FAILS AS")
	for _, r := range order {
		p("  %-26s %-14s %-6s %s", r.action, r.closing, r.asked, strings.Join(kinds[r], " "))
		if r.bad != "" {
			p("    BAD: %s", r.bad)
		}
	}
}

// JSON writes what came of suites for programs.
func JSON(w io.Writer, all []*Suite) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(map[string]any{"suites": all})
}

// JUnit writes the tests in the form that CI servers read: testsuites, testsuite,
// testcase with a failure. The times are real, in seconds.
func JUnit(w io.Writer, all []*Suite) error {
	type failure struct {
		Message string `xml:"message,attr"`
		Text    string `xml:",chardata"`
	}
	type testcase struct {
		Name    string   `xml:"name,attr"`
		Class   string   `xml:"classname,attr"`
		Time    string   `xml:"time,attr"`
		Failure *failure `xml:"failure,omitempty"`
	}
	type testsuite struct {
		Name     string     `xml:"name,attr"`
		Tests    int        `xml:"tests,attr"`
		Failures int        `xml:"failures,attr"`
		Cases    []testcase `xml:"testcase"`
	}
	type testsuites struct {
		XMLName xml.Name    `xml:"testsuites"`
		Suites  []testsuite `xml:"testsuite"`
	}
	var out testsuites
	for _, s := range all {
		ts := testsuite{Name: s.File}
		add := func(name string, secs float64, differs []string) {
			c := testcase{Name: name, Class: s.Playbook, Time: fmt.Sprintf("%.3f", secs)}
			if len(differs) > 0 {
				ts.Failures++
				c.Failure = &failure{Message: differs[0], Text: show(differs)}
			}
			ts.Tests++
			ts.Cases = append(ts.Cases, c)
		}
		for _, t := range s.Tests {
			add(t.Name, t.Real.Seconds(), t.Differs)
		}
		if s.List.HasErrors() {
			add("the file can be read", 0, []string{s.List.Error()})
		}
		for _, x := range s.Missing() {
			add(fmt.Sprintf("coverage: %s: %s", x.Path, x.What), 0, []string{fmt.Sprintf("line %d: no test takes it", x.Line)})
		}
		for _, m := range s.Survivors() {
			add(fmt.Sprintf("mutant: %s: %s", m.Path, m.What), 0, []string{fmt.Sprintf("line %d: no test notices it", m.Line)})
		}
		for _, c := range s.Sweep {
			if c.Bad != "" {
				add(fmt.Sprintf("sweep: %s call %d %s", c.Action, c.Call, c.Kind), 0, []string{c.Bad})
			}
		}
		out.Suites = append(out.Suites, ts)
	}
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	enc := xml.NewEncoder(w)
	enc.Indent("", "  ")
	return enc.Encode(out)
}

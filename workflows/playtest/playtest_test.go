package playtest_test

import (
	"bytes"
	"context"
	"encoding/xml"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/quell-soar/quell/workflows/playtest"
)

const book = `quell: 1
playbook: p
title: T
owner: o
inputs:
  hostname: { type: hostname, ask: "Which host?" }
on:
  manual: { roles: [analyst] }
limits: { edr.isolate_host: 1 }
triage:
  - id: host
    uses: edr.find_host
    with: { hostname: "${{ inputs.hostname }}" }
contain:
  - id: isolate
    uses: edr.isolate_host
    if: steps.host.state == "normal"
    with: { host: "${{ steps.host.device }}" }
    hold: { for: 4h, then: ask }
`

const head = `defaults:
  inputs: { hostname: ws-1 }
  answers:
    edr.find_host: { value: { device: WS-1, hostname: ws-1, state: normal, os: Linux } }
tests:
  - name: one
`

// suite plays tests of book and gives what is printed.
func suite(t *testing.T, tests string, o playtest.Options) (*playtest.Suite, string) {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{"p.yaml": book, "p.test.yaml": tests} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s, err := playtest.Run(context.Background(), filepath.Join(dir, "p.test.yaml"), o)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := s.Text(&b); err != nil {
		t.Fatal(err)
	}
	return s, b.String()
}

// TestDiffers holds that each expectation can fail, and says what came instead.
func TestDiffers(t *testing.T) {
	for _, c := range []struct{ more, want string }{
		{"expect: { closing: failed }", "closing: expected failed, got completed"},
		{"expect: { reason: nothing }", "reason: expected nothing"},
		{"expect: { effects: [] }", "effects: expected none, got [{ edr.isolate_host: WS-1 }]"},
		{"expect: { effects: [{ edr.isolate_host: WS-2 }] }", "got [{ edr.isolate_host: WS-1 }]"},
		{"expect: { in_force: [] }", "in_force: expected none"},
		{"expect: { never: [edr.isolate_host] }", "never: expected edr.isolate_host, got 1 calls"},
		{"expect: { calls: { edr.find_host: 2 } }", "calls of edr.find_host: expected 2, got 1"},
		{"expect: { asked: [{ step: isolate }] }", "asked: expected 1 requests, got 0"},
		{"expect: { outcomes: { isolate: skipped } }", "outcome of contain.isolate: expected skipped, got done"},
		{"expect: { holds: [isolate 1h ask] }", "holds: expected [isolate 1h ask], got [isolate 4h ask]"},
		{"expect: { reports: [pir] }", "reports: expected [pir], got none"},
		{"expect: { takes: { at_least: 1h } }", "takes at least"},
		{"answers: { edr.isolate_host: { after: 3h } }\n    expect: { takes: { at_most: 2h } }", "takes at most"},
		{"answers: { edr.find_host: { after: 3h, value: { device: W, hostname: w, state: normal, os: L } } }\n    expect: { takes: { at_most: 2h } }", "takes at most"},
		{"people: [{ step: isolate, says: approve }]\n    expect: { closing: completed }", "step contain.isolate never asked what the test answers"},
		{"answers: { edr.isolate_host: { lost: true } }\n    expect: { closing: completed }", "nobody ever answers"},
	} {
		s, out := suite(t, head+"    "+c.more+"\n", playtest.Options{})
		if s.OK() || !strings.Contains(out, c.want) {
			t.Errorf("%s: want %q in\n%s", c.more, c.want, out)
		}
	}
}

// TestMistakes holds that mistakes in a test file are told at their place.
func TestMistakes(t *testing.T) {
	for _, c := range []struct{ more, want string }{
		{"expect: { closng: failed }", "7:15: error: expect has no key closng"},
		{"expect: { closing: done }", "7:24: error: done cannot stand here"},
		{"answers: { edr.find_hosts: {} }", "7:16: error: the playbook does not use edr.find_hosts"},
		{"answers: { edr.find_host: { value: { state: 7 } } }", "7:49: error:"},
		{"people: [{ step: isolat, says: approve }]", "7:22: error: the playbook has no step isolat"},
		{"inputs: { hostnam: x }", "7:15: error: there is no field hostnam"},
		{"inputs: { hostname: 'a b' }", "7:25: error:"},
		{"answers: { edr.find_host: { state: normal } }", "7:33: error: state is what edr.find_host gives: it belongs under value"},
		{"people: { isolate: { says: approve } }", "- { step: isolate, says: approve }"},
		{"people: [isolate]", "write { step: ID, says: approve }, or answer"},
		{"expect: { asked: [isolate] }", "write { step: isolate }"},
		{"mode: *a", "alias"},
		{"mode: act", "the test expects nothing"},
	} {
		s, out := suite(t, head+"    "+c.more+"\n", playtest.Options{})
		if s.OK() || len(s.Tests) > 0 || !strings.Contains(out, c.want) {
			t.Errorf("%s: want %q in\n%s", c.more, c.want, out)
		}
	}
}

// TestProofs holds that a thin test leaves ways and mutants, and that better tests
// leave none.
func TestProofs(t *testing.T) {
	all := playtest.Options{Cover: true, Mutate: true, Sweep: true}
	thin, out := suite(t, head+"    expect: { closing: completed }\n", all)
	for _, want := range []string{"never: line 15", "if false", "survives: line 15, contain.isolate: hold removed", "survives: line 15, contain.isolate: deleted"} {
		if thin.OK() || !strings.Contains(out, want) {
			t.Errorf("want %q in\n%s", want, out)
		}
	}
	good, out := suite(t, "accepted:\n  - { mutant: \"edr.isolate_host: limit raised from 1 to 2\", because: one step }\n"+head+`    expect: { effects: [{ edr.isolate_host: WS-1 }], holds: [isolate 4h ask] }
  - name: two
    answers: { edr.find_host: { value: { device: WS-1, hostname: ws-1, state: isolated, os: Linux } } }
    expect: { effects: [] }
  - name: three
    answers: { edr.find_host: { error: ambiguous } }
    expect: { closing: failed }
  - name: four
    answers: { edr.isolate_host: { error: permission } }
    people: [{ step: isolate, says: skip }]
    expect: { outcomes: { isolate: skipped } }
`, all)
	if !good.OK() || len(good.Mutants) < 8 || len(good.Sweep) < 12 {
		t.Errorf("%d mutants, %d swept\n%s", len(good.Mutants), len(good.Sweep), out)
	}
	var b bytes.Buffer
	if err := playtest.JUnit(&b, []*playtest.Suite{thin, good}); err != nil {
		t.Fatal(err)
	}
	var x struct {
		Suites []struct {
			Tests    int `xml:"tests,attr"`
			Failures int `xml:"failures,attr"`
			Cases    []struct {
				Failure *struct{} `xml:"failure"`
			} `xml:"testcase"`
		} `xml:"testsuite"`
	}
	if err := xml.Unmarshal(b.Bytes(), &x); err != nil || len(x.Suites) != 2 || x.Suites[0].Failures == 0 || x.Suites[1].Failures != 0 || len(x.Suites[1].Cases) != x.Suites[1].Tests {
		t.Error(fmt.Sprint(err), b.String())
	}
}

package config

import (
	"strings"
	"testing"
)

var falcon = NewConnector{
	Connector: "crowdstrike",
	Settings:  map[string]string{"base_url": "https://api.eu-1.crowdstrike.com", "client_id": "0123abcd"},
	Secrets:   map[string]string{"client_secret": "file:secrets/falcon.client_secret"},
}

const falconBlock = `  falcon:
    connector: crowdstrike
    mode: observe
    settings:
      base_url: "https://api.eu-1.crowdstrike.com"
      client_id: "0123abcd"
    secrets:
      client_secret: "file:secrets/falcon.client_secret"
`

// Every byte that was there stays, and the entry stands where one would look.
func TestAddConnector(t *testing.T) {
	for name, c := range map[string]struct{ before, after, want string }{
		"nothing":          {before: "", want: "connectors:\n" + falconBlock},
		"comments only":    {before: "# mine\n", want: "connectors:\n" + falconBlock},
		"no such key":      {before: "data_dir: x # where\n", want: "connectors:\n" + falconBlock},
		"no newline":       {before: "data_dir: x\n", want: "connectors:\n" + falconBlock},
		"an entry before":  {before: "connectors:\n  # the tickets\n  jira:\n    connector: jira # cloud\n", want: falconBlock},
		"a key follows":    {before: "connectors:\n  jira:\n    connector: jira\n", want: falconBlock, after: "\n# who may\naccess: {local_roles: [analyst]}\n"},
		"comment within":   {before: "connectors:\n  jira:\n    connector: jira\n  # more to come\n", want: falconBlock, after: "log: {level: info}\n"},
		"flow inside":      {before: "connectors:\n  jira: {connector: jira}\n", want: falconBlock},
		"text over lines":  {before: "connectors:\n  jira:\n    connector: jira\n    settings:\n      note: |\n        # no comment\n        two\n", want: falconBlock, after: "tenant: t\n"},
		"windows' endings": {before: "tenant: t\r\n", want: strings.ReplaceAll("connectors:\n"+falconBlock, "\n", "\r\n")},
	} {
		t.Run(name, func(t *testing.T) {
			in := c.before + c.after
			if name == "no newline" {
				in = strings.TrimSuffix(in, "\n")
			}
			got, err := AddConnector([]byte(in), "falcon", falcon)
			if err != nil || string(got) != c.before+c.want+c.after {
				t.Errorf("%v\n%s", err, got)
			}
		})
	}
}

func TestAddConnectorToAnEmptyMap(t *testing.T) {
	got, err := AddConnector([]byte("connectors: {} # none yet\ntenant: t\n"), "falcon", falcon)
	if err != nil || string(got) != "connectors: # none yet\n"+falconBlock+"tenant: t\n" {
		t.Errorf("%v\n%s", err, got)
	}
}

func TestAddSource(t *testing.T) {
	got, err := AddSource([]byte("sources:\n    siem: {kind: generic, secrets: [\"file:k\"]}\n"), "edr", NewSource{Kind: SourceCrowdStrike, Secret: "file:secrets/edr.key"})
	if want := "sources:\n    siem: {kind: generic, secrets: [\"file:k\"]}\n    edr:\n      kind: crowdstrike\n      secrets: [\"file:secrets/edr.key\"]\n"; err != nil || string(got) != want {
		t.Errorf("%v\n%s", err, got)
	}
}

// What cannot be edited is told with what to write by hand.
func TestAddRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"connectors:\n  falcon: {connector: crowdstrike}\n": "has falcon already",
		"connectors: {jira: {connector: jira}}\n":           "write it by hand:\nconnectors:\n  falcon:",
		"{tenant: t}\n": "write it by hand",
		"tenant: [\n":   "cannot be read as it is",
		"tennant: t\n":  "cannot be read as it is",
	} {
		if got, err := AddConnector([]byte(text), "falcon", falcon); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v\n%s", text, err, got)
		}
	}
}

// FuzzAdd holds that an addition changes nothing else, whatever stands in the
// text and in the values: all lines that were there are still there, in order.
func FuzzAdd(f *testing.F) {
	f.Add("connectors:\n  jira: {connector: jira}\n", "https://x", "a")
	f.Add("# c\ntenant: t\n\nconnectors:\n  jira:\n    connector: jira\n    settings: {a: |2\n  }\n", "no\nyes: {}", "'\"#")
	f.Add("sources: {}\nconnectors: {}\n", "\x00\xff", "- x")
	f.Fuzz(func(t *testing.T, text, value, other string) {
		got, err := AddConnector([]byte(text), "falcon", NewConnector{Connector: "crowdstrike", Settings: map[string]string{"a": value, "b": other}})
		if err != nil {
			return
		}
		c, err := parse("x", got)
		if err != nil {
			t.Fatalf("%v\n%s", err, got)
		}
		valid := func(s string) string { return string([]rune(s)) } // what is no UTF-8 becomes U+FFFD, byte by byte
		if s := c.Connectors["falcon"].Settings; s["a"] != valid(value) || s["b"] != valid(other) {
			t.Errorf("%q and %q were read back as %q", value, other, s)
		}
		rest := string(got)
		for _, line := range strings.SplitAfter(text, "\n") {
			at := strings.Index(rest, strings.Replace(strings.TrimRight(line, "\r\n"), " {}", "", 1))
			if at < 0 {
				t.Fatalf("the line %q of\n%s\nis gone from\n%s", line, text, got)
			}
			rest = rest[at:]
		}
	})
}

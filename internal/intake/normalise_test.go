package intake

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/quell-soar/quell/connectors/spec/kind"
	"github.com/quell-soar/quell/internal/alert"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// corpus reads a real payload that lies beside the repository. Where it is not
// there, the test says so and is skipped.
func corpus(t testing.TB, name string) []byte {
	t.Helper()
	body, err := os.ReadFile(filepath.Join("..", "..", "..", "shared", "corpus", "alerts", name))
	if err != nil {
		t.Skipf("SKIPPED, the corpus of real alerts is not here: %v", err)
	}
	return body
}

func TestCrowdStrikeFlat(t *testing.T) {
	body := corpus(t, "crowdstrike-detection__low-severity-finding.json")
	a, err := Normalise("crowdstrike", CrowdStrike, "d1", noon, body)
	if err != nil {
		t.Fatal(err)
	}
	var m map[string]any
	if err := json.Unmarshal(body, &m); err != nil {
		t.Fatal(err)
	}
	if a.ID != m["CompositeId"] || a.Severity != "low" || a.Title != m["Name"] {
		t.Errorf("id %q, severity %q, title %q", a.ID, a.Severity, a.Title)
	}
	if want := time.Date(2021, 9, 18, 20, 38, 52, 0, time.UTC); !a.Occurred.Equal(want) {
		t.Errorf("occurred %v, want %v", a.Occurred, want)
	}
	if len(a.Hosts) != 1 || a.Hosts[0].Name != m["Hostname"] || a.Hosts[0].IP != m["LocalIP"] {
		t.Errorf("hosts %+v", a.Hosts)
	}
	// This version writes the directory and the name apart.
	if want := m["FilePath"].(string) + m["FileName"].(string); len(a.Files) != 1 || a.Files[0].Path != want {
		t.Errorf("files %+v, want path %q", a.Files, want)
	}
	if len(a.IPs) != 0 {
		t.Errorf("our own address became an indicator: %v", a.IPs)
	}
	if !slices.Equal(a.Raw, body) {
		t.Error("the raw body is not the body")
	}
}

func TestCrowdStrikeEventStream(t *testing.T) {
	a, err := Normalise("crowdstrike", CrowdStrike, "d1", noon, corpus(t, "crowdstrike-eventstream-detection-summary__high-alert.json"))
	if err != nil {
		t.Fatal(err)
	}
	if a.ID != "DETECTION ID" || a.Severity != "high" || len(a.Hosts) != 0 {
		t.Errorf("id %q, severity %q, hosts %v", a.ID, a.Severity, a.Hosts)
	}
	if want := time.Date(2024, 12, 3, 19, 54, 30, 0, time.UTC); !a.Occurred.Equal(want) {
		t.Errorf("occurred %v, want %v", a.Occurred, want)
	}
	// This version writes the whole path.
	if len(a.Files) != 1 || strings.Count(a.Files[0].Path, "msedge.exe") != 1 {
		t.Errorf("files %+v", a.Files)
	}
}

// No foreign payload may panic or be taken for more than it is.
func TestForeignPayloads(t *testing.T) {
	files, _ := filepath.Glob(filepath.Join("..", "..", "..", "shared", "corpus", "alerts", "*.json"))
	if len(files) == 0 {
		t.Skip("SKIPPED, the corpus of real alerts is not here")
	}
	for _, f := range files {
		for _, format := range []Format{Generic, CrowdStrike} {
			a, err := Normalise("s", format, "d1", noon, corpus(t, filepath.Base(f)))
			if err != nil && !errors.Is(err, ErrShape) {
				t.Errorf("%s as %s: %v", filepath.Base(f), format, err)
			}
			if err == nil && kind.Check(alert.Type(), a.Value()) != nil {
				t.Errorf("%s as %s: not a canonical alert", filepath.Base(f), format)
			}
		}
	}
}

func TestCrowdStrikeSeverity(t *testing.T) {
	for body, want := range map[string]string{
		`{"SeverityName":"Critical","Severity":1}`: "critical",
		`{"SeverityName":"Informational"}`:         "info",
		`{"SeverityName":7,"Severity":4}`:          "high",
		`{"Severity":0}`:                           "info",
		`{"Severity":1}`:                           "info",
		`{"Severity":5}`:                           "critical",
		`{"Severity":70}`:                          "high",
		`{"Severity":100}`:                         "critical",
		`{"Severity":19}`:                          "info",
		`{"Severity":101}`:                         "info",
		`{"Severity":"70"}`:                        "info",
		`{"Severity":1e400}`:                       "info",
		`{}`:                                       "info",
	} {
		a, err := Normalise("s", CrowdStrike, "d", noon, []byte(body))
		if err != nil || a.Severity != want {
			t.Errorf("%s: %q, %v; want %q", body, a.Severity, err, want)
		}
	}
}

func TestGeneric(t *testing.T) {
	body := `{"id":"a-1","kind":"user_report","title":"T","severity":"HIGH","occurred":"2026-02-28T10:00:00+01:00",
	"hosts":[{"name":"ws-12","ip":"10.0.0.4","device_id":"d"},{"name":"bad host"},7,{"ip":"10.0.0.5"}],
	"users":[{"name":"eve","domain":"CORP"}],
	"files":[{"path":"C:\\a b\\x.exe","sha256":"` + strings.Repeat("ab", 32) + `","md5":"zz"},{"path":"/x"},{"path":"/y","sha256":"` + strings.Repeat("0", 64) + `"}],
	"ips":["192.0.2.1","999.1.1.1",3],"urls":["https://x.example/a?b=1","javascript"],
	"emails":[{"message_id":"<a@b>","reporter":"r@x.example","subject":"Hi\r\nBcc: all"},{"message_id":"<a@b>"}],"more":1}`
	a, err := Normalise("siem", Generic, "d", noon, []byte(body))
	if err != nil {
		t.Fatal(err)
	}
	want := alert.Alert{
		ID: "a-1", Source: "siem", Kind: "user_report", Title: "T", Severity: "high",
		Occurred: time.Date(2026, 2, 28, 9, 0, 0, 0, time.UTC), Received: noon,
		Hosts: []alert.Host{{Name: "ws-12", IP: "10.0.0.4", DeviceID: "d"}},
		Users: []alert.User{{Name: "eve", Domain: "CORP"}},
		Files: []alert.File{{Path: `C:\a b\x.exe`, SHA256: strings.Repeat("ab", 32)}},
		IPs:   []string{"192.0.2.1"}, URLs: []string{"https://x.example/a?b=1"},
		Emails:  []alert.Email{{MessageID: "<a@b>", Reporter: "r@x.example", Subject: "Hi\r\nBcc: all"}},
		Dropped: a.Dropped, Raw: []byte(body),
	}
	if d := cmp.Diff(want, a); d != "" {
		t.Error(d)
	}
	for _, part := range []string{"hosts[1].name", "hosts[2]", "hosts[3]", "files[0].md5", "files[1]", "files[2]", "ips[1]", "ips[2]", "urls[1]", "emails[1]"} {
		if !slices.ContainsFunc(a.Dropped, func(s string) bool { return strings.HasPrefix(s, part) }) {
			t.Errorf("nothing says why %s was dropped: %q", part, a.Dropped)
		}
	}
}

func TestNotAnAlert(t *testing.T) {
	for _, body := range []string{
		``, `null`, `[]`, `7`, `"x"`, `{`, `{} {}`, "{\"a\":\"\xff\"}", `{"title":"\ud800"}`, `{"title":"\udc00x"}`,
		`{"title":"\ud800\u0041"}`, `{"title":"\ud800\`, strings.Repeat("[", 20000), `{"a":` + strings.Repeat(`{"a":`, 20000),
	} {
		if _, err := Normalise("s", Generic, "d", noon, []byte(body)); !errors.Is(err, ErrShape) {
			t.Errorf("%.40q: %v, want ErrShape", body, err)
		}
	}
	if _, err := Normalise("s", Generic, "d", noon, []byte(`{"title":"\ud83d\ude00 \\ud800"}`)); err != nil {
		t.Errorf("a whole pair and an escaped backslash are fine: %v", err)
	}
}

// hostile are values that an attacker writes into a field.
func hostile() []string {
	return []string{
		"${{ inputs.hostname }}", "{{7*7}}", "${7*7}", "'; DROP TABLE runs; --", "../../../../etc/passwd", "a\r\nX-Evil: 1",
		"$(reboot)", "`id`", "\x1b[31mred", "=cmd|' /C calc'!A0", "<script>alert(1)</script>", "%2e%2e%2f", "\u202egpj.exe",
		"steps.host.device", "null", "true", "0", "-rf", "a b", "😀", "{\"handle\":\"device\"}",
	}
}

// A hostile text is carried byte for byte or dropped; there is nothing between.
func TestHostileTexts(t *testing.T) {
	for _, v := range hostile() {
		body, err := json.Marshal(map[string]any{
			"id": v, "kind": v, "title": v, "severity": v, "occurred": v, "ips": []any{v}, "urls": []any{v},
			"hosts": []any{map[string]any{"name": v, "ip": v, "device_id": v}}, "users": []any{map[string]any{"name": v, "domain": v}},
			"files": []any{map[string]any{"path": v, "name": v, "sha256": strings.Repeat("ab", 32), "md5": v}},
		})
		if err != nil {
			t.Fatal(err)
		}
		a, err := Normalise("s", Generic, "d", noon, body)
		if err != nil {
			t.Fatalf("%q: %v", v, err)
		}
		if a.Title != v || a.Kind != v || a.ID != v {
			t.Errorf("%q: id %q, kind %q, title %q", v, a.ID, a.Kind, a.Title)
		}
		for _, got := range texts(a.Value()) {
			if got != v && !slices.Contains([]string{"s", "info", strings.Repeat("ab", 32)}, got) {
				t.Errorf("%q became %q", v, got)
			}
		}
	}
}

// texts lists every text within a canonical value.
func texts(v any) []string {
	var out []string
	switch x := v.(type) {
	case string:
		out = append(out, x)
	case []any:
		for _, e := range x {
			out = append(out, texts(e)...)
		}
	case map[string]any:
		for _, e := range x {
			out = append(out, texts(e)...)
		}
	}
	return out
}

func TestHostileSizes(t *testing.T) {
	big := strings.Repeat("A", 900<<10)
	a, err := Normalise("s", Generic, "d", noon, []byte(`{"id":"`+big+`","title":"`+big+`","severity":"`+big+`","kind":"`+big+`","hosts":[{"name":"`+big[:1000]+`"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	if a.ID != "d" || a.Title != "" || a.Severity != "info" || len(a.Hosts) != 0 {
		t.Errorf("kept: id %.10q title %.10q hosts %d", a.ID, a.Title, len(a.Hosts))
	}
	if n := len(strings.Join(a.Dropped, "")); n > 4096 {
		t.Errorf("the notes on what was dropped have %d bytes", n)
	}
	many := `{"hosts":[` + strings.TrimSuffix(strings.Repeat(`{"name":"bad host"},`, 5000), ",") + `]}`
	if a, err = Normalise("s", Generic, "d", noon, []byte(many)); err != nil || len(a.Dropped) > maxDropped+1 {
		t.Errorf("%d notes, %v", len(a.Dropped), err)
	}
}

// Each field in turn has each wrong JSON type.
func TestWrongTypes(t *testing.T) {
	wrong := []string{`null`, `true`, `7`, `-1e999`, `"x"`, `[]`, `[null]`, `[[]]`, `{}`, `{"name":{}}`, `[{"name":[]}]`, `[{"path":1,"sha256":[]}]`}
	names := map[Format][]string{
		Generic: {"id", "kind", "title", "severity", "occurred", "hosts", "users", "files", "ips", "urls", "emails"},
		CrowdStrike: {
			"event", "metadata", "CompositeId", "Name", "Severity", "SeverityName", "UTCTimestamp", "Hostname", "LocalIP", "AgentIdString",
			"UserName", "LogonDomain", "FileName", "FilePath", "SHA256String", "MD5String", "NetworkAccesses",
		},
	}
	for f, list := range names {
		for _, name := range list {
			for _, w := range wrong {
				if _, err := Normalise("s", f, "d", noon, []byte(`{"`+name+`":`+w+`}`)); err != nil {
					t.Errorf("%s %s=%s: %v", f, name, w, err)
				}
			}
		}
	}
}

// FuzzNormalise holds two laws: an alert is canonical, and every text in it
// stood in the body, whole.
func FuzzNormalise(f *testing.F) {
	f.Add([]byte(`{"id":"1","hosts":[{"name":"a","ip":"::1"}],"files":[{"path":"/x","sha256":"x"}],"occurred":1e12}`), true)
	f.Add([]byte(`{"metadata":{"eventCreationTime":1},"event":{"Severity":70,"FilePath":"\\a","FileName":"b"}}`), false)
	for _, v := range hostile() {
		raw, _ := json.Marshal(map[string]any{"title": v, "users": []any{map[string]any{"name": v}}})
		f.Add(raw, true)
	}
	f.Fuzz(func(t *testing.T, body []byte, generic bool) {
		format := CrowdStrike
		if generic {
			format = Generic
		}
		a, err := Normalise("src", format, "delivery", noon, body)
		if err != nil {
			if !errors.Is(err, ErrShape) {
				t.Fatal(err)
			}
			return
		}
		if err := kind.Check(alert.Type(), a.Value()); err != nil {
			t.Fatal(err)
		}
		var m map[string]any
		_ = json.Unmarshal(body, &m)
		given := append(texts(m), "", "src", "delivery", "detection")
		for _, got := range texts(a.Value()) {
			isPath := len(a.Files) > 0 && !generic && got == a.Files[0].Path
			if !isPath && kind.Of(kind.Severity).Rank(got) < 0 && !slices.Contains(given, got) {
				t.Fatalf("%q did not stand in the body", got)
			}
		}
	})
}

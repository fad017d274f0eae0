package lab_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/quell-soar/quell/connectors/asset"
	"github.com/quell-soar/quell/connectors/fake/lab"
	"github.com/quell-soar/quell/connectors/panos"
	"github.com/quell-soar/quell/connectors/panos/fakepanos"
	"github.com/quell-soar/quell/connectors/sdk"
	"github.com/quell-soar/quell/connectors/spec"
	"github.com/quell-soar/quell/connectors/spec/kind"
	"github.com/quell-soar/quell/connectors/splunk"
	"github.com/quell-soar/quell/connectors/virustotal"
)

// The firewall and what is asked about things, filled by the control API.
func TestSources(t *testing.T) {
	l, err := lab.Start(lab.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	for path, body := range map[string]string{
		"/virustotal": `{"collection":"urls","id":"https://evil.example/","stats":{"malicious":50,"harmless":10}}`,
		"/splunk":     `{"name":"Quell sign-ins","search":"user=$args.user$","by":{"user":"user"},"rows":[{"user":"ann","address":"198.51.100.7","risky":"true","at":"1772366400"}]}`,
		"/assets":     `{"entries":[{"kind":"host","name":"web-01","criticality":"critical"},{"kind":"user","name":"ann","vip":true}]}`,
	} {
		if status, answer := do(t, "POST", l.URLs.Control+path, body, ""); status != 200 {
			t.Fatalf("%s: %d %s", path, status, answer)
		}
		if status, _ := do(t, "POST", l.URLs.Control+path, `{"nonsense":1}`, ""); status != 400 {
			t.Errorf("%s took nonsense", path)
		}
	}
	fw := open(t, panos.New(), map[string]string{"base_url": l.URLs.Panos, "user": fakepanos.Admin}, map[string]string{"password": lab.PanosPassword})
	vt := open(t, virustotal.New(), map[string]string{"base_url": l.URLs.VirusTotal}, map[string]string{"api_key": lab.VirusTotalKey})
	logs := open(t, splunk.New(), map[string]string{"base_url": l.URLs.Splunk, "sign_ins": lab.SplunkSignIns, "url_clicks": lab.SplunkClicks}, map[string]string{"token": lab.SplunkToken})
	cmdb := open(t, asset.New(), map[string]string{"base_url": l.URLs.Asset}, map[string]string{"token": lab.AssetToken})
	ann := kind.Handle{Name: "user", Instance: "entra", ID: "u-1", Label: "ann"}
	for _, tt := range []struct {
		session sdk.Session
		action  string
		in      map[string]any
		want    string
	}{
		{fw, "firewall.block_ip", map[string]any{"address": "198.51.100.7"}, "blocked:true"},
		{fw, "firewall.block_url", map[string]any{"url": "https://evil.example/"}, "blocked:true"},
		{vt, "intel.lookup_url", map[string]any{"value": "https://evil.example/"}, "verdict:malicious"},
		{logs, "search.sign_ins", map[string]any{"user": ann, "since": time.Unix(0, 0)}, "address:198.51.100.7"},
		{logs, "search.url_clicks", map[string]any{"urls": []any{"https://evil.example/"}, "since": time.Unix(0, 0)}, "rows:[]"},
		{cmdb, "asset.find_host", map[string]any{"hostname": "web-01"}, "criticality:critical"},
		{cmdb, "asset.find_user", map[string]any{"user": ann}, "vip:true"},
	} {
		for _, f := range tt.session.Check(t.Context()) {
			if !f.OK {
				t.Errorf("check: %+v", f)
			}
		}
		r, err := tt.session.Call(t.Context(), spec.Request{Action: tt.action, Mode: spec.Act, Key: tt.action, Inputs: tt.in, Deadline: time.Now().Add(5 * time.Second)})
		if err != nil || !strings.Contains(text(r.Output), tt.want) {
			t.Errorf("%s: %v, %v; want %s", tt.action, r.Output, err, tt.want)
		}
	}
	if _, world := do(t, "GET", l.URLs.Control+"/world?vendor=panos", "", ""); !strings.Contains(world, "198.51.100.7") || !strings.Contains(world, "evil.example/") {
		t.Errorf("world: %s", world)
	}
}

func text(v any) string { return strings.ReplaceAll(fmt.Sprintf("%+v", v), "\n", " ") }

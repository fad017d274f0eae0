package lab

import (
	"net/http"

	"github.com/quell-soar/quell/connectors/asset/fakeasset"
	"github.com/quell-soar/quell/connectors/fake"
	"github.com/quell-soar/quell/connectors/panos/fakepanos"
	"github.com/quell-soar/quell/connectors/splunk/fakesplunk"
	"github.com/quell-soar/quell/connectors/virustotal/fakevt"
)

// What the fakes accept as credentials; see FalconClientID. The firewall's
// administrator is fakepanos.Admin.
const (
	PanosPassword = "panos-lab-secret"
	VirusTotalKey = "virustotal-lab-secret"
	SplunkToken   = "splunk-lab-secret"
	AssetToken    = "asset-lab-secret"
)

// The saved searches that the lab's Splunk has from the beginning, without rows.
const (
	SplunkSignIns = "Quell sign-ins"
	SplunkClicks  = "Quell clicks"
)

// Sources are the firewall, and the fakes that are asked about things.
type Sources struct {
	Panos      *fakepanos.Panos
	VirusTotal *fakevt.VirusTotal
	Splunk     *fakesplunk.Splunk
	Assets     *fakeasset.Inventory
}

func newSources(w *fake.World) (Sources, error) {
	s := Sources{
		Panos: fakepanos.New(w, PanosPassword), VirusTotal: fakevt.New(w, VirusTotalKey),
		Splunk: fakesplunk.New(w, SplunkToken), Assets: fakeasset.New(w, AssetToken),
	}
	for _, q := range []fakesplunk.Saved{
		{Name: SplunkSignIns, Search: `index=auth | where lower(user)=lower(urldecode("$args.user$"))`, By: map[string]string{"user": "user"}},
		{Name: SplunkClicks, Search: `index=proxy | eval wanted=split("$args.urls$", ",") | mvexpand wanted | where url=urldecode(wanted)`, By: map[string]string{"urls": "url"}},
	} {
		if err := s.Splunk.Save(q); err != nil {
			return s, err
		}
	}
	return s, nil
}

// mount adds the fakes' APIs and their part of the control API.
func (s Sources) mount(mux *http.ServeMux) {
	for path, h := range map[string]http.Handler{
		"/panos": s.Panos.Handler(), "/virustotal": s.VirusTotal.Handler(), "/splunk": s.Splunk.Handler(), "/asset": s.Assets.Handler(),
	} {
		mux.Handle(path+"/", http.StripPrefix(path, h))
	}
	s.VirusTotal.Control(mux)
	s.Splunk.Control(mux)
	s.Assets.Control(mux)
}

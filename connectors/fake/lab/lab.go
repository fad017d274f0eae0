package lab

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/quell-soar/quell/connectors/crowdstrike/fakefalcon"
	"github.com/quell-soar/quell/connectors/entra/fakegraph"
	"github.com/quell-soar/quell/connectors/fake"
	"github.com/quell-soar/quell/connectors/jira/fakejira"
)

// What the fakes accept as credentials. They guard nothing: the lab listens on
// the loopback interface only.
const (
	FalconClientID     = "quell-lab"
	FalconClientSecret = "falcon-lab-secret"
	JiraEmail          = "quell@lab.example"
	JiraToken          = "jira-lab-token"
	JiraProject        = "SEC"
	EntraTenant        = "11111111-2222-3333-4444-555555555555"
	EntraClientID      = "66666666-7777-8888-9999-aaaaaaaaaaaa"
	EntraClientSecret  = "graph-lab-secret"
)

// Options of a lab.
type Options struct {
	// Listen is a loopback address; empty is 127.0.0.1:0.
	Listen string
	// Data is where the journal of effects lies; empty keeps it in memory.
	Data string
	// Script are the faults to begin with.
	Script string
	// Seed decides chances.
	Seed uint64
}

// URLs are where things are. It is what quell-lab prints when it is ready.
type URLs struct {
	CrowdStrike string `json:"crowdstrike"`
	Jira        string `json:"jira"`
	// Entra is Graph, the token endpoint and Exchange in one.
	Entra string `json:"entra"`
	Okta  string `json:"okta"`
	Slack string `json:"slack"`

	Panos      string `json:"panos"`
	VirusTotal string `json:"virustotal"`
	Splunk     string `json:"splunk"`
	Asset      string `json:"asset"`
	// Mail is the mail relay, as host:port.
	Mail    string `json:"mail"`
	Control string `json:"control"`
}

// Lab is a running lab.
type Lab struct {
	World  *fake.World
	Falcon *fakefalcon.Falcon
	Jira   *fakejira.Jira
	Entra  *fakegraph.Graph
	People
	Sources
	URLs URLs

	server *http.Server
	over   chan error
}

// Start starts a lab.
func Start(o Options) (*Lab, error) {
	if o.Listen == "" {
		o.Listen = "127.0.0.1:0"
	}
	host, _, err := net.SplitHostPort(o.Listen)
	if err != nil {
		return nil, fmt.Errorf("listen address %q: %w; write it like 127.0.0.1:0", o.Listen, err)
	}
	if !loopback(host) {
		return nil, fmt.Errorf("listen address %q is not on the loopback interface; the lab's control API asks for no credential", o.Listen)
	}
	journal, err := openJournal(o.Data)
	if err != nil {
		return nil, err
	}
	w := fake.NewWorld(fake.Real{}, journal, o.Seed)
	l := &Lab{World: w, over: make(chan error, 1)}
	l.Falcon = fakefalcon.New(w, FalconClientID, FalconClientSecret)
	l.Jira = fakejira.New(w, JiraEmail, JiraToken, JiraProject)
	l.Entra = fakegraph.New(w, EntraTenant, EntraClientID, EntraClientSecret)
	l.Sources, err = newSources(w)
	if err == nil {
		err = w.SetScript(o.Script)
	}
	if err != nil {
		return nil, errors.Join(err, journal.Close())
	}
	var mail string
	if l.People, mail, err = newPeople(w, o.Listen); err != nil {
		return nil, errors.Join(err, journal.Close())
	}
	var lc net.ListenConfig
	listener, err := lc.Listen(context.Background(), "tcp", o.Listen)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("the lab cannot listen: %w", err), l.Mail.Close(), journal.Close())
	}
	base := "http://" + listener.Addr().String()
	l.URLs = URLs{
		CrowdStrike: base + "/falcon", Jira: base + "/jira", Entra: base + "/entra", Okta: base + "/okta", Slack: base + "/slack", Mail: mail,
		Panos: base + "/panos", VirusTotal: base + "/virustotal", Splunk: base + "/splunk", Asset: base + "/asset",
		Control: base + "/_lab",
	}
	l.server = &http.Server{Handler: l.handler(), ReadHeaderTimeout: 10 * time.Second}
	go func() { l.over <- l.server.Serve(listener) }()
	return l, nil
}

func openJournal(data string) (*fake.Journal, error) {
	if data == "" {
		return fake.NewJournal(), nil
	}
	if err := os.MkdirAll(data, 0o700); err != nil {
		return nil, fmt.Errorf("data directory of the lab: %w", err)
	}
	return fake.OpenJournal(filepath.Join(data, "effects.jsonl"))
}

func (l *Lab) handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/falcon/", http.StripPrefix("/falcon", l.Falcon.Handler()))
	mux.Handle("/jira/", http.StripPrefix("/jira", l.Jira.Handler(l.URLs.Jira)))
	mux.Handle("/entra/", http.StripPrefix("/entra", l.Entra.Handler(l.URLs.Entra)))
	l.World.Control(mux)
	l.Entra.Control(mux)
	l.Falcon.Control(mux)
	l.serve(mux, l.URLs)
	l.mount(mux)
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		// A page in a browser on this machine must not reach the lab by a name of
		// its own that leads here.
		host, _, err := net.SplitHostPort(r.Host)
		if err != nil {
			host = r.Host
		}
		if !loopback(host) {
			http.Error(rw, "the lab answers to loopback names only", http.StatusForbidden)
			return
		}
		mux.ServeHTTP(rw, r)
	})
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// Over yields the error with which serving ended by itself.
func (l *Lab) Over() <-chan error { return l.over }

// Close ends the lab: what waits is cut off, and the journal is closed.
func (l *Lab) Close() error {
	l.World.Close()
	return errors.Join(l.server.Close(), l.Mail.Close(), l.World.Journal().Close())
}

package lab

import (
	"fmt"
	"net"
	"net/http"

	"github.com/quell-soar/quell/connectors/fake"
	"github.com/quell-soar/quell/connectors/okta/fakeokta"
	"github.com/quell-soar/quell/connectors/slack/fakeslack"
	"github.com/quell-soar/quell/connectors/smtp/fakesmtp"
)

// What the fakes around people accept as credentials; they guard nothing.
const (
	OktaToken    = "okta-lab-token"
	SlackToken   = "xoxb-lab-token"
	MailUser     = "quell"
	MailPassword = "smtp-lab-secret"
)

// People are the fakes that know people or reach them.
type People struct {
	Okta  *fakeokta.Okta
	Slack *fakeslack.Slack
	// Mail takes every message; on the loopback interface it needs no TLS.
	Mail *fakesmtp.Relay
}

// newPeople puts the fakes into the world and starts the mail relay beside the
// lab's own listener.
func newPeople(w *fake.World, listen string) (p People, mail string, err error) {
	p.Okta = fakeokta.New(w, fakeokta.Credentials{APIToken: OktaToken})
	p.Slack = fakeslack.New(w, SlackToken)
	if p.Mail, err = fakesmtp.New(w, MailUser, MailPassword); err != nil {
		return p, "", fmt.Errorf("the lab's mail relay: %w", err)
	}
	host, _, err := net.SplitHostPort(listen)
	if err != nil {
		return p, "", err
	}
	mail, err = p.Mail.Start(net.JoinHostPort(host, "0"), false)
	return p, mail, err
}

// serve adds the fakes to the lab's paths and to its control API.
func (p People) serve(mux *http.ServeMux, u URLs) {
	mux.Handle("/okta/", http.StripPrefix("/okta", p.Okta.Handler(u.Okta)))
	mux.Handle("/slack/", http.StripPrefix("/slack", p.Slack.Handler()))
	p.Okta.Control(mux)
	p.Slack.Control(mux)
}

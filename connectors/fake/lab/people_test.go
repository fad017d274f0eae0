package lab_test

import (
	"strings"
	"testing"
	"time"

	"github.com/quell-soar/quell/connectors/fake/lab"
	"github.com/quell-soar/quell/connectors/okta"
	"github.com/quell-soar/quell/connectors/sdk"
	"github.com/quell-soar/quell/connectors/slack"
	"github.com/quell-soar/quell/connectors/smtp"
	"github.com/quell-soar/quell/connectors/spec"
)

// A password goes from Okta through the relay to the manager, and both media
// carry a message.
func TestPeopleOfTheLab(t *testing.T) {
	l, err := lab.Start(lab.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	for path, body := range map[string]string{
		"/okta":  `{"users":[{"login":"mia@lab.example"},{"login":"ann@lab.example","manager":"mia@lab.example","sessions":1}]}`,
		"/slack": `{"channels":[{"name":"soc","id":"C0LAB00001"}],"users":[{"email":"ann@lab.example"}]}`,
	} {
		if status, said := do(t, "POST", l.URLs.Control+path, body, ""); status != 200 {
			t.Fatalf("%s: %d %s", path, status, said)
		}
	}
	accounts := open(t, okta.New(), map[string]string{
		"base_url": l.URLs.Okta, "relay": l.URLs.Mail, "relay_tls": "none", "relay_user": lab.MailUser, "relay_from": "soc@lab.example",
	}, map[string]string{"api_token": lab.OktaToken, "relay_password": lab.MailPassword})
	chat := open(t, slack.New(), map[string]string{"base_url": l.URLs.Slack, "channels": `{"soc":"C0LAB00001"}`}, map[string]string{"bot_token": lab.SlackToken})
	mail := open(t, smtp.New(), map[string]string{
		"relay": l.URLs.Mail, "tls": "none", "user": lab.MailUser, "from": "soc@lab.example",
	}, map[string]string{"password": lab.MailPassword})
	for _, s := range []sdk.Session{accounts, chat, mail} {
		for _, f := range s.Check(t.Context()) {
			if !f.OK {
				t.Errorf("check: %+v", f)
			}
		}
	}
	call := func(s sdk.Session, action string, in map[string]any) map[string]any {
		t.Helper()
		r, err := s.Call(t.Context(), spec.Request{Action: action, Mode: spec.Act, Key: action, Inputs: in, Deadline: time.Now().Add(5 * time.Second)})
		if err != nil || r.Outcome != spec.Done {
			t.Fatalf("%s: %s, %v", action, r.Outcome, err)
		}
		return r.Output
	}
	ann := call(accounts, "iam.find_user", map[string]any{"name": "ann"})["user"]
	call(accounts, "iam.reset_password", map[string]any{"user": ann, "deliver": "manager"})
	call(accounts, "iam.revoke_sessions", map[string]any{"user": ann})
	call(accounts, "iam.disable_user", map[string]any{"user": call(accounts, "iam.find_user", map[string]any{"name": "mia"})["user"]})
	call(chat, "notify.send_message", map[string]any{"channel": "soc", "text": "done"})
	call(mail, "notify.send_message", map[string]any{"to": "ann@lab.example", "template": "reported-thanks"})
	if got := l.Mail.Mails("mia@lab.example"); len(got) != 1 || !strings.Contains(got[0].Body(), l.Okta.Password("ann@lab.example")) {
		t.Errorf("the manager got %+v", got)
	}
	if n := len(l.Slack.Messages("soc")) + len(l.Mail.Mails("ann@lab.example")); n != 2 {
		t.Errorf("%d messages, want 2", n)
	}
}

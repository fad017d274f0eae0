package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/quell-soar/quell/connectors/fake/lab"
	"github.com/quell-soar/quell/server/api"
)

// isolateHost is the example that stands in the README.
const isolateHost = "isolate-host"

// kinds are the alerts of the storm, with the playbooks that each starts.
var kinds = []struct {
	source, alert string
	starts        []string
}{
	{"crowdstrike", `{"kind":"detection","severity":"critical","hosts":[{"name":"%[2]s"}],"files":[{"path":"C:\\Temp\\evil.exe","name":"evil.exe","sha256":"%[5]s"}]}`, []string{"contain-infected-host", isolateHost}},
	{"okta", `{"kind":"risk","severity":"high","users":[{"name":"%[4]s"}]}`, []string{"compromised-account"}},
	{"okta", `{"kind":"brute_force","severity":"medium","users":[{"name":"%[4]s"}],"ips":["198.51.100.66"]}`, []string{"brute-force-success"}},
	{"secret-scanner", `{"kind":"leaked_secret","severity":"high","users":[{"name":"%[4]s"}],"urls":["https://git.example/%[1]s"]}`, []string{"leaked-cloud-key"}},
	{"crowdstrike", `{"kind":"ransomware","severity":"high","hosts":[{"name":"%[2]s"},{"name":"%[3]s"}],"users":[{"name":"%[4]s"}],"files":[{"path":"C:\\Share\\a.xlsx","name":"a.xlsx","sha256":"%[5]s"}]}`, []string{"ransomware-on-file-server"}},
	{"phish-button", `{"kind":"user_report","severity":"medium","urls":["https://evil.example/login"],"emails":[{"message_id":"<%[1]s@evil.example>","sender":"eve@evil.example","reporter":"%[4]s","subject":"Invoice"}]}`, []string{"reported-phishing"}},
}

// would are the actions that a run of each playbook would have taken for such an
// alert, once people answered what it asks.
var would = map[string][]string{
	isolateHost:                 {"edr.isolate_host"},
	"contain-infected-host":     {"edr.isolate_host", "edr.quarantine_file", "edr.scan_host", "ticket.add_comment", "ticket.create_ticket"},
	"compromised-account":       {"firewall.block_ip", "iam.disable_user", "iam.reset_mfa", "iam.reset_password", "iam.revoke_consent", "iam.revoke_sessions", "mail.disable_rule", "ticket.create_ticket"},
	"brute-force-success":       {"alert.close", "firewall.block_ip", "iam.disable_user", "iam.reset_password", "iam.revoke_sessions", "ticket.add_comment", "ticket.create_ticket"},
	"leaked-cloud-key":          {"firewall.block_ip", "iam.disable_user", "iam.revoke_sessions", "notify.send_message", "ticket.create_ticket"},
	"ransomware-on-file-server": {"alert.close", "edr.isolate_host", "edr.quarantine_file", "edr.scan_host", "iam.disable_user", "iam.revoke_sessions", "ticket.add_comment", "ticket.create_ticket"},
	"reported-phishing":         {"alert.close", "firewall.block_url", "mail.block_sender", "mail.quarantine_message", "ticket.attach_file", "ticket.create_ticket"},
}

func person(i int) string { return fmt.Sprintf("user-%05d@lab.example", i) }

// populate puts n people with mail, sign-ins and consents, and 2n hosts, into the lab.
func (l *labProcess) populate(n int) {
	l.t.Helper()
	post := func(path string, v any) {
		l.t.Helper()
		raw, err := json.Marshal(v)
		if err != nil {
			l.t.Fatal(err)
		}
		l.control(http.MethodPost, path, raw, nil)
	}
	type m = map[string]any
	l.hostsOf(2*n + 4)
	people, messages, assets, signIns := []m{{"name": "boss@lab.example", "roles": []string{"Global Administrator"}}, {"name": "soc@lab.example"}}, []m{}, []m{}, []m{}
	for i := range n {
		people = append(people, m{
			"name": person(i), "manager": "boss@lab.example", "methods": []string{"phone"},
			"consents": []m{{"app": "Mail Sync Pro", "scopes": "Mail.Read", "granted": time.Now().Add(-30 * time.Minute)}},
			"rules":    []m{{"name": "..", "forward": []string{"drop@evil.example"}, "delete": true}},
		})
		messages = append(messages, m{"message_id": fmt.Sprintf("<a-%d@evil.example>", i), "from": "eve@evil.example", "subject": "Invoice", "to": []string{person(i)}})
		assets = append(assets, m{"kind": "user", "name": person(i), "criticality": "high", "owner": "sales"})
		signIns = append(signIns, m{"user": person(i), "address": evilIP, "risky": "true", "at": hourAgo(), "succeeded": "true"})
	}
	post("/entra/users", m{"users": people})
	post("/entra/messages", m{"messages": messages})
	post("/assets", m{"entries": assets})
	post("/splunk", m{"name": lab.SplunkSignIns, "search": "x", "by": m{"user": "user"}, "rows": signIns})
	post("/splunk", m{"name": lab.SplunkClicks, "search": "x", "by": m{"urls": "url"}, "rows": []m{}})
}

// sendKind posts the i-th alert of the storm.
func (h *house) sendKind(i int) error {
	k := kinds[i%len(kinds)]
	id := fmt.Sprintf("a-%d", i)
	var one map[string]any
	if err := json.Unmarshal(fmt.Appendf(nil, k.alert, id, hostname(2*i+1), hostname(2*i+2), person(i), strings.Repeat("ab", 32)), &one); err != nil {
		return err
	}
	one["id"], one["title"], one["occurred"] = id, "Storm", hourAgo()
	raw, err := json.Marshal(one)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	got, err := h.client().SendAlert(ctx, k.source, id, raw, []byte(sourceKey))
	if err != nil {
		return err
	}
	var started []string
	for _, r := range got.Runs {
		if r.Verdict == "started" {
			started = append(started, r.Playbook)
		}
	}
	if slices.Sort(started); !slices.Equal(started, k.starts) {
		return fmt.Errorf("it started %v; of its kind are %v", started, k.starts)
	}
	return nil
}

// sendKinds posts the alerts from i to j, 16 at once.
func (h *house) sendKinds(i, j int) {
	h.t.Helper()
	var wg sync.WaitGroup
	slots := make(chan struct{}, 16)
	for i := i; i < j; i++ {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			if err := h.sendKind(i); err != nil {
				h.t.Errorf("alert %d: %v", i, err)
			}
		})
	}
	wg.Wait()
}

// world is everything that the fakes hold.
func (l *labProcess) world() string {
	l.t.Helper()
	var raw json.RawMessage
	l.control(http.MethodGet, "/world", nil, &raw)
	var b bytes.Buffer
	if err := json.Indent(&b, raw, "", " "); err != nil {
		l.t.Fatal(err)
	}
	return b.String()
}

// answerAll says yes to all that people are asked, as somebody who did not launch.
func (h *house) answerAll(lena *api.Client) error {
	asked, err := h.requests()
	if err != nil {
		return err
	}
	for _, a := range asked {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		switch a.Kind {
		case api.RequestApproval:
			_, err = lena.Vote(ctx, a.ID, api.Vote{Decision: api.Approve, Seal: a.Seal})
		case api.RequestQuestion:
			in, yes := api.Answer{Reason: "done"}, true
			if len(a.Fields) == 0 {
				in.Done = &yes
			} else {
				in.Fields = map[string]json.RawMessage{}
			}
			for _, f := range a.Fields {
				in.Fields[f.Name] = answerTo(a.Step, f)
			}
			_, err = lena.Answer(ctx, a.ID, in)
		default:
			err = fmt.Errorf("nobody expects to be asked %s in %s: %s", a.Kind, a.Run, a.Question)
		}
		cancel()
		if err != nil {
			return err
		}
	}
	return nil
}

// observed waits until the report lists what n alerts would have led to, and
// returns it. Of them, the runs of own acted on what Quell itself keeps.
func (h *house) observed(lena *api.Client, n, own int, within time.Duration) api.Observations {
	h.t.Helper()
	var rep api.Observations
	looks := 0
	eventually(h.t, within, fmt.Sprintf("the report lists what %d alerts would have led to", n), func() (bool, error) {
		if err := h.answerAll(lena); err != nil {
			h.t.Logf("asked again at the next look: %v", err)
		}
		var err error
		if rep, err = h.client().Observed(h.t.Context(), "1h", ""); err != nil {
			return false, err
		}
		seen := map[string]map[string]bool{} // playbook and action to runs
		for _, o := range rep.Observations {
			at := o.Playbook + " " + o.Action
			if seen[at] == nil {
				seen[at] = map[string]bool{}
			}
			seen[at][o.Run] = true
		}
		var missing []string
		for i, k := range kinds {
			runs := (n + len(kinds) - 1 - i) / len(kinds)
			for _, p := range k.starts {
				for _, a := range would[p] {
					runs := runs
					if a == "alert.close" {
						runs -= own / len(kinds)
					}
					if got := len(seen[p+" "+a]); got < runs {
						missing = append(missing, fmt.Sprintf("%s: %s in %d of %d runs", p, a, got, runs))
					}
				}
			}
		}
		if looks++; looks%20 == 0 || len(missing) == 0 {
			if said, err := h.failures(); err != nil || said != "" {
				h.t.Fatalf("runs failed: %s %v", said, err)
			}
		}
		if len(missing) > 0 {
			return false, fmt.Errorf("not yet listed: %s", strings.Join(missing[:min(len(missing), 6)], "; "))
		}
		return true, nil
	})
	return rep
}

// failures shows the runs that failed, but for those whose playbook ends so because
// nothing was done.
func (h *house) failures() (string, error) {
	list, err := h.runs()
	if err != nil {
		return "", err
	}
	said := ""
	for _, r := range list {
		if r.Status != api.RunEnded || r.Closing == "completed" || r.Playbook == "leaked-cloud-key" {
			continue
		}
		said += fmt.Sprintf("%s ended %s: %s\n", r.ID, r.Closing, r.Reason)
		if d, err := h.client().Run(h.t.Context(), r.ID); err == nil {
			raw, _ := json.Marshal(d.Tree)
			said += fmt.Sprintf("%.6000s\n", raw)
		}
	}
	return said, nil
}

// observingHouse is examplesHouse with the seventh example, and without a bound on
// how fast alerts may come.
func observingHouse(t *testing.T, l *labProcess) *house {
	h := examplesHouse(t, l)
	raw, err := os.ReadFile("../../examples/" + isolateHost + ".yaml")
	if err != nil {
		t.Fatal(err)
	}
	h.write("playbooks/"+isolateHost+".yaml", string(raw))
	h.config = strings.ReplaceAll(h.config, `secrets: ["file:source.key"]}`, `secrets: ["file:source.key"], rate: 2000, burst: 5000}`)
	return h
}

// TestObserve posts alerts through all examples on connectors of every kind, with
// observe mode at each of the places where it can stand: the fakes see no effect
// and their world is what it was, while the report tells what would have happened.
// Promoted, one playbook keeps its digest and acts, and the others still observe.
func TestObserve(t *testing.T) {
	alongside(t)
	n, few := many(len(kinds), 510), many(0, 2*len(kinds))
	l := startLab(t)
	l.populate(n + 3*few + 1)
	h := observingHouse(t, l)
	digests, sent, own := map[string]string{}, 0, 0
	modes := func(mode string) map[string]string {
		out := map[string]string{}
		for p := range would {
			out[p] = mode
		}
		return out
	}
	before, secret := l.world(), ""
	for _, where := range []struct {
		name                        string
		playbook, trigger, instance string
		n                           int
	}{
		{"a new configuration", "observe", "observe", "observe", n},
		{"instances alone observe", "act", "act", "observe", few},
		{"playbooks alone observe", "observe", "act", "act", few},
		{"triggers alone observe", "act", "observe", "act", few},
	} {
		if where.n == 0 {
			continue
		}
		h.modesEach(modes(where.playbook), where.trigger, where.instance)
		h.start()
		if secret == "" { // the token stays; the address changes with each start
			secret = h.secret("lena", "analyst,ir-lead,ciso,service-desk")
		}
		lena, err := api.Dial(api.Options{Server: "http://" + h.listen, Token: secret})
		if err != nil {
			t.Fatal(err)
		}
		h.sendKinds(sent, sent+where.n)
		sent += where.n
		if where.instance == "observe" && where.playbook == "act" {
			own += where.n // no vendor's instance; its mode is the run's
		}
		rep := h.observed(lena, sent, own, time.Duration(many(2, 20))*time.Minute)
		for _, o := range rep.Observations {
			if o.People == "did" || o.People == "quell" || o.Run == "" {
				t.Errorf("%s: nobody did anything, and the report says %+v", where.name, o)
			}
		}
		if got := l.effects(""); len(got) != 0 {
			t.Fatalf("%s: the fakes saw %+v", where.name, got)
		}
		if diff := cmp.Diff(before, l.world()); diff != "" {
			t.Errorf("%s: the fakes' world changed:\n%s", where.name, diff)
		}
		if !slices.ContainsFunc(rep.Asked, func(a api.ObservedAsk) bool {
			return a.Playbook == "ransomware-on-file-server" && a.Times >= n/len(kinds)
		}) {
			t.Errorf("%s: one approval was spared in each run, and the report counts %+v", where.name, rep.Asked)
		}
		h.sameDigests(digests)
		t.Logf("%s: %d alerts in all, %d effects in the report, 0 at the fakes", where.name, sent, len(rep.Observations))
		h.stop()
	}
	promoted := modes("observe")
	promoted[isolateHost] = "act"
	h.modesEach(promoted, "act", "act")
	h.start()
	h.sameDigests(digests)
	if err := h.sendKind(sent); err != nil {
		t.Fatal(err)
	}
	eventually(t, time.Minute, "the promoted playbook acts", func() (bool, error) { return len(l.effects("operation=contain")) == 1, nil })
	eventually(t, time.Minute, "the other one observes", func() (bool, error) {
		rep, err := h.client().Observed(t.Context(), "1h", "contain-infected-host")
		return slices.ContainsFunc(rep.Observations, func(o api.Observation) bool { return slices.Contains(o.Targets, hostname(2*sent+1)) }), err
	})
	if got := l.effects(""); len(got) != 1 || !strings.EqualFold(got[0].Object, hostname(2*sent+1)) {
		t.Errorf("one playbook was promoted, and the fakes saw %+v", got)
	}
	h.auditOK()
}

// sameDigests compares the playbooks' digests with those known, and learns others.
func (h *house) sameDigests(known map[string]string) {
	h.t.Helper()
	list, err := h.client().Playbooks(h.t.Context())
	if err != nil {
		h.t.Fatal(err)
	}
	if len(list.Playbooks) != len(would) {
		h.t.Errorf("%d playbooks are served; the test knows %d", len(list.Playbooks), len(would))
	}
	for _, p := range list.Playbooks {
		if old, ok := known[p.Name]; ok && old != p.Digest {
			h.t.Errorf("the digest of %s changed with its mode", p.Name)
		}
		known[p.Name] = p.Digest
	}
}

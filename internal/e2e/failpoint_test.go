package e2e

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/quell-soar/quell/connectors/fake/lab"
	"github.com/quell-soar/quell/connectors/sdk/recall"
	"github.com/quell-soar/quell/server/api"
)

// tornEffect is one effect of the torn playbook.
type tornEffect struct {
	step, class, readBack string
	// op is what the lab calls it, key what its key has in it.
	op, key string
}

// The effects of the torn playbook: every pair of class and read-back that the
// shipped actions have, and an undo.
var tornEffects = []tornEffect{
	{"triage.case", "once", "lagging", "jira create", "triage.case|"},
	{"contain.isolate", "idempotent", "strong", "crowdstrike contain", "contain.isolate||do"},
	{"contain.sessions", "idempotent", "lagging", "entra revoke-sessions", "contain.sessions|"},
	{"contain.isolate", "undo: idempotent", "strong", "crowdstrike lift", "|undo|"},
	{"review.comment", "once", "strong", "jira comment", "review.comment|"},
}

// torn is one crash: the place, what the process works on there, and the fault
// that the lab has for it.
type torn struct {
	name, at string
	parts    []string
	fault    string
	// kind of the playbook: plain, asks, long.
	kind   string
	effect *tornEffect
	asked  bool
}

// tornCases are the six places of each effect, and what has no effect.
func tornCases() []torn {
	var out []torn
	for _, p := range []struct{ name, at, fault string }{
		{"before admission", "effect.asked", ""},
		{"intent committed", "effect.admitted", ""},
		{"call left, vendor not done", "effect.left", "slow 3s"},
		{"vendor committed", "effect.answered", ""},
		{"outcome stored", "effect.stored", ""},
		{"activity completed", "effect.completed", ""},
		{"no crash, applied after our deadline", "", "late 7s"},
	} {
		for _, e := range tornEffects {
			if p.at == "effect.completed" && e.key == "|undo|" {
				continue // its undo step reads the stack: covered by outcome stored
			}
			c := torn{name: p.name, at: p.at, parts: []string{e.key}, kind: "plain", effect: &e}
			if p.fault != "" {
				c.fault = e.op + ": " + p.fault + "\n"
			}
			// A ticket cannot be looked up with certainty right after it was perhaps made.
			c.asked = e.class == "once" && e.readBack == "lagging" && p.at == "effect.admitted"
			out = append(out, c)
		}
	}
	for _, p := range []struct{ name, at, kind string }{
		{"hold is being started", "hold.starting", "plain"},
		{"hold was started", "hold.started", "plain"},
		{"vote is being told", "vote.telling", "asks"},
		{"vote was told", "vote.told", "asks"},
		{"run is about to continue as new", "run.goes_on", "long"},
		{"run was continued as new", "run.taken_up", "long"},
		{"checkpoint is being signed", "ledger.signing", "plain"},
		{"checkpoint was signed", "ledger.signed", "plain"},
	} {
		out = append(out, torn{name: p.name, at: p.at, kind: p.kind})
	}
	return out
}

// tornPlaybook is a playbook with all effects of the table.
func tornPlaybook(id, kind string) string {
	approve, loop := "", ""
	if kind == "asks" {
		approve = "\n    approve: { ask: Continue, from: [ { who: [ir-lead], within: 1h } ] }"
	}
	if kind == "long" {
		loop = `
  - id: each
    foreach: h in inputs.hashes
    at_once: 16
    on_item_error: continue
    uses: intel.lookup_hash
    with: { value: "${{ h }}" }`
	}
	return fmt.Sprintf(`quell: 1
playbook: %s
title: Effects of each kind
inputs:
  hostname: { type: hostname }
  account: { type: email }
  hashes: { type: list<hash>, max: 5000, default: [] }
on:
  manual: { roles: [analyst] }
limits:
  edr.isolate_host: 1
  iam.revoke_sessions: 1
triage:
  - id: host
    uses: edr.find_host
    with: { hostname: "${{ inputs.hostname }}" }
  - id: user
    uses: iam.find_user
    with: { mail: "${{ inputs.account }}" }
  - id: case
    uses: ticket.create_ticket
    with: { key: "${{ run.incident }}", title: "Torn ${{ inputs.hostname }}" }%s
contain:
  - id: isolate
    uses: edr.isolate_host
    with: { host: "${{ steps.host.device }}" }%s
    hold: { for: 24h, then: ask }
  - id: sessions
    uses: iam.revoke_sessions
    with: { user: "${{ steps.user.user }}" }
    accept: { irreversible: they sign in again }
recover:
  - undo: isolate
review:
  - if: has(steps.case)
    id: comment
    uses: ticket.add_comment
    with: { ticket: "${{ steps.case.ticket }}", body: "Isolated and released." }
`, id, loop, approve)
}

// tornHouse is an installation that serves the torn playbooks with a program that
// has failpoints.
func tornHouse(t *testing.T, l *labProcess, cases []torn) *house {
	t.Helper()
	h := newHouse(t, l, fmt.Sprintf("  entra:\n    connector: entra\n    binary: %s\n    mode: act\n    settings: {tenant_id: %s, client_id: %s, mail_from: soc@lab.example, base_url: %[4]s, login_url: %[4]s, exchange_url: %[4]s, allow_http: \"true\"}\n    secrets: {client_secret: \"file:entra.secret\"}\n",
		bin(t, "quell-connector"), lab.EntraTenant, lab.EntraClientID, l.urls["entra"]))
	h.write("entra.secret", lab.EntraClientSecret+"\n")
	if err := os.Mkdir(filepath.Join(h.dir, "playbooks"), 0o700); err != nil {
		t.Fatal(err)
	}
	modes := ""
	for i, c := range cases {
		id := tornName(i)
		h.write("playbooks/"+id+".yaml", tornPlaybook(id, c.kind))
		modes += id + ": act, "
	}
	h.config = strings.Replace(h.config, "playbooks: [contain-infected-host.yaml]", "playbooks: [playbooks]", 1)
	h.config = strings.Replace(h.config, "playbooks: {contain-infected-host: act}", "playbooks: {"+strings.TrimSuffix(modes, ", ")+"}", 1)
	h.write("quell.yaml", h.config)
	h.program = filepath.Join(t.TempDir(), "quell")
	cmd := exec.CommandContext(t.Context(), "go", "build", "-tags", "failpoint", "-o", h.program, "github.com/quell-soar/quell/cmd/quell")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build with failpoints: %v\n%s", err, out)
	}
	return h
}

func tornName(i int) string { return fmt.Sprintf("torn-%02d", i+1) }

// TestFailpoints ends the process at each place of each effect, and where runs
// continue, holds start, votes are told and checkpoints signed. After each crash
// the next process goes on; the lab's world, the store and the runs agree.
func TestFailpoints(t *testing.T) {
	if os.Getenv("QUELL_SOAK") == "" {
		t.Skip("ends real processes at 42 places: QUELL_SOAK=1 go test ./internal/e2e -run TestFailpoints -v; its twin in process is activities.TestCrashTable")
	}
	cases := tornCases()
	l := startLab(t)
	l.hostsOf(len(cases))
	var users []map[string]any
	for i := range cases {
		users = append(users, map[string]any{"name": tornUser(i)})
	}
	raw, err := json.Marshal(map[string]any{"users": users})
	if err != nil {
		t.Fatal(err)
	}
	l.control("POST", "/entra/users", raw, nil)
	h := tornHouse(t, l, cases)
	p := &tornPlan{t: t, l: l, h: h, cases: cases, runs: map[string]int{}, asked: map[int]string{}, kill: killPlan{decided: map[string]bool{}}}
	for i := range cases {
		p.play(i)
	}
	h.env = nil
	h.start()
	l.script("")
	p.drain(len(cases))
	p.judge()
	h.auditOK()
}

func tornUser(i int) string { return fmt.Sprintf("user%02d@lab.example", i+1) }

// tornPlan plays the crashes and remembers what people were asked.
type tornPlan struct {
	t       *testing.T
	l       *labProcess
	h       *house
	lead    string // the token of who approves
	cases   []torn
	runs    map[string]int // by run id
	asked   map[int]string
	crashes int
	kill    killPlan
}

// play starts a process that ends at the case's place, and a run that brings it
// there.
func (p *tornPlan) play(i int) {
	p.t.Helper()
	c := p.cases[i]
	if c.fault != "" { // it must meet this run, not one that is still going on
		p.h.env = nil
		p.h.start()
		p.drain(i)
		p.h.kill()
	}
	p.l.script(c.fault)
	switch {
	case c.at == "":
		p.h.env = nil
	case strings.HasPrefix(c.at, "ledger."):
		p.h.env = []string{"QUELL_FAILPOINT=" + c.at}
	default:
		p.h.env = []string{"QUELL_FAILPOINT=" + strings.Join(append([]string{c.at, tornName(i) + "/"}, c.parts...), "@")}
	}
	if p.h.begin() == nil {
		p.start(i)
	}
	if c.at == "" {
		p.drain(i + 1)
		p.h.kill()
		return
	}
	p.die(i)
	if p.h.env = nil; !p.has(i) {
		p.h.start()
		p.start(i)
		p.h.kill()
	}
}

// has reports whether the run of a case was started.
func (p *tornPlan) has(i int) bool {
	for _, n := range p.runs {
		if n == i {
			return true
		}
	}
	return false
}

// start starts the run of a case. The process may end while it answers; then the
// run is started again by the same key.
func (p *tornPlan) start(i int) {
	in := map[string]json.RawMessage{"hostname": []byte(`"` + hostname(i+1) + `"`), "account": []byte(`"` + tornUser(i) + `"`)}
	if p.cases[i].kind == "long" {
		list := make([]string, 4500)
		for n := range list {
			list[n] = fmt.Sprintf("%032x", n+1)
		}
		in["hashes"], _ = json.Marshal(list)
	}
	got, err := p.h.client().Start(p.t.Context(), api.StartRun{Playbook: tornName(i), Inputs: in}, "key-"+tornName(i))
	if err == nil {
		p.runs[got.Run] = i
	}
}

// die waits until the process has ended itself, with people at work meanwhile.
func (p *tornPlan) die(i int) {
	p.t.Helper()
	eventually(p.t, 3*time.Minute, fmt.Sprintf("%s: the process ends at %s", tornName(i), p.cases[i].at), func() (bool, error) {
		select {
		case <-p.h.exited:
			p.crashes++
			return true, nil
		default:
		}
		p.vote()
		return false, nil
	})
}

// vote approves what waits, as somebody else than who started the runs. The
// process may be gone.
func (p *tornPlan) vote() {
	ctx := p.t.Context()
	if p.lead == "" {
		made, err := p.h.client().CreateToken(ctx, api.NewToken{Name: "lena", User: "lena", Roles: []string{"analyst", "ir-lead"}, Scopes: []string{"read", "respond", "approve"}, Expires: "1d"})
		if err != nil {
			return
		}
		p.lead = made.Secret
	}
	lena, err := api.Dial(api.Options{Server: "http://" + p.h.listen, Token: p.lead})
	if err != nil {
		return
	}
	list, err := p.h.requests()
	if err != nil {
		return
	}
	for _, a := range list {
		if a.Kind == api.RequestApproval {
			_, _ = lena.Vote(ctx, a.ID, api.Vote{Decision: api.Approve, Seal: a.Seal, Reason: "e2e"})
		}
	}
}

// drain lets the first n runs end, answering as a person would.
func (p *tornPlan) drain(n int) {
	p.t.Helper()
	eventually(p.t, 4*time.Minute, fmt.Sprintf("%d runs end", n), func() (bool, error) {
		p.vote()
		list, err := p.h.requests()
		if err != nil {
			return false, err
		}
		for _, a := range list {
			if a.Kind != api.RequestFailure {
				continue
			}
			if i, known := p.runs[a.Run]; known && p.asked[i] == "" {
				p.asked[i] = a.Step + " " + strings.Join(a.Choices, "/")
			}
			p.kill.decide(p.t, p.h, p.l, a)
		}
		all, err := p.h.runs()
		ended := 0
		for _, r := range all {
			if r.Status == api.RunEnded {
				ended++
			}
		}
		return ended >= n, err
	})
}

// judge compares the lab's world with the plans, prints the table and says where
// it differs.
func (p *tornPlan) judge() {
	p.t.Helper()
	marks := p.marks()
	var page strings.Builder
	w := tabwriter.NewWriter(&page, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(w, "place\teffect\tclass\tread-back\tended\toutcome\ttickets comments isolated released revoked")
	ids := slices.SortedFunc(maps.Keys(p.runs), func(a, b string) int { return p.runs[a] - p.runs[b] })
	for _, id := range ids {
		i := p.runs[id]
		d, err := p.h.client().Run(p.t.Context(), id)
		if err != nil {
			p.t.Fatal(err)
		}
		c := p.cases[i]
		n := marks[i]
		asked := p.asked[i]
		if d.Closing != "completed" || n[0] != 1 || n[1] != 1 || n[2] != 1 || n[3] != 1 || n[4] < 1 || n[4] > 2 {
			p.t.Errorf("%s (%s): %s %s, world %v", tornName(i), c.name, d.Closing, d.Reason, n)
		}
		if c.asked != (asked != "") {
			p.t.Errorf("%s (%s): asked %q, want asked: %v", tornName(i), c.name, asked, c.asked)
		}
		e := tornEffect{step: "-", class: "-", readBack: "-"}
		if c.effect != nil {
			e = *c.effect
		}
		outcome := "done once"
		if asked != "" {
			outcome = "unknown, asked: " + asked
		}
		_, _ = fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%v\n", c.name, e.step, e.class, e.readBack, d.Closing, outcome, n)
	}
	_ = w.Flush()
	lines := strings.Split(strings.TrimSpace(page.String()), "\n")
	p.t.Logf("%d cases, %d crashes; repeat: QUELL_SOAK=1 go test ./internal/e2e -run TestFailpoints -v\n%s", len(p.cases), p.crashes, strings.Join(lines, "\n"))
	if len(p.runs) != len(p.cases) {
		p.t.Errorf("%d runs for %d cases", len(p.runs), len(p.cases))
	}
	if p.kill.falseUnknowns > 0 {
		p.t.Errorf("%d effects were called unknown although they were there to be seen", p.kill.falseUnknowns)
	}
}

// markOf reports whether a ticket's key is that of a run's incident.
func markOf(d api.RunDetail, key string) bool {
	return d.Incident != "" && strings.Contains(key, recall.Mark(d.Incident))
}

// marks counts, per case, tickets, comments, isolations, releases and endings of
// sessions in the lab's journal.
func (p *tornPlan) marks() map[int]*[5]int {
	out := map[int]*[5]int{}
	byHost, byUser := map[string]int{}, map[string]int{}
	for i := range p.cases {
		out[i] = &[5]int{}
		byHost[strings.ToLower(hostname(i+1))], byUser[tornUser(i)] = i, i
	}
	tickets := map[string]int{}
	for _, e := range p.l.effects("") {
		i, isHost := byHost[strings.ToLower(e.Object)]
		u, isUser := byUser[strings.ToLower(e.Object)]
		switch {
		case e.Vendor == "jira" && e.Operation == "create":
			for id, n := range p.runs {
				if d, err := p.h.client().Run(p.t.Context(), id); err == nil && markOf(d, e.Key) {
					out[n][0]++
					tickets[e.Object] = n
				}
			}
		case e.Vendor == "jira" && e.Operation == "comment":
			if n, ok := tickets[e.Object]; ok {
				out[n][1]++
			}
		case isHost && e.Operation == "contain" && e.Before != e.After:
			out[i][2]++
		case isHost && e.Operation == "lift" && e.Before != e.After:
			out[i][3]++
		case isUser && e.Operation == "revoke-sessions":
			out[u][4]++
		}
	}
	return out
}

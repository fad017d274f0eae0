package e2e

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/quell-soar/quell/connectors/sdk/recall"
	"github.com/quell-soar/quell/server/api"
)

var seedFlag = flag.Uint64("seed", 0, "seed of the kill test; 0 takes one from the clock")

// killPlan says how hard the kill test goes.
type killPlan struct {
	runs, kills   int
	pluginKills   int
	pluginFreezes int
	apart         time.Duration // between kills, at least
	blind         bool          // read-back off: the control
	minOpen       int
	wantBetween   int
	moves         time.Duration
	// six plays the playbook with six effects a run; limit bounds the whole.
	six   bool
	limit time.Duration
	// byHost tells the run of a host.
	byHost         map[string]string
	seed           uint64
	dice           *rand.Rand
	last           time.Time // the last kill
	decided        map[string]bool
	killed, frozen int // signals that connectors got
	between, moved int
	slowest        time.Duration
	trueUnknowns   int
	falseUnknowns  int
}

// TestKill kills the server and its connectors in the middle of effects and
// compares the lab's world with what the plans asked for. The full figures are
// those of `make soak`.
func TestKill(t *testing.T) {
	alongside(t)
	p := killPlan{runs: 8, kills: 3, pluginKills: 3, pluginFreezes: 1, apart: 5 * time.Second, minOpen: 3, wantBetween: 1, moves: 15 * time.Second}
	if os.Getenv("QUELL_SOAK") != "" {
		p = killPlan{runs: 100, kills: 30, pluginKills: 50, pluginFreezes: 10, apart: 5 * time.Second, minOpen: 20, wantBetween: 10, moves: 15 * time.Second}
	}
	p.run(t)
	if p.falseUnknowns > 0 {
		t.Errorf("%d effects were called unknown although they could be read back", p.falseUnknowns)
	}
}

// TestKillControl is TestKill with read-back switched off: the same checks must
// fail, or they would prove nothing.
func TestKillControl(t *testing.T) {
	alongside(t)
	if testing.Short() {
		t.Skip("the control of TestKill; left out with -short")
	}
	p := killPlan{runs: 6, kills: 2, apart: 5 * time.Second, minOpen: 2, moves: time.Minute, blind: true}
	bad := p.run(t)
	if bad == 0 && p.falseUnknowns == 0 {
		t.Error("without read-back the world was right all the same: the test sees nothing")
	}
	t.Logf("without read-back: %d faults in the world, %d effects unknown although they were there", bad, p.falseUnknowns)
}

// run plays the plan and returns how many faults it found in the world; without
// blind, each is an error of the test.
func (p *killPlan) run(t *testing.T) (faults int) {
	p.seed = *seedFlag
	if p.seed == 0 {
		p.seed = uint64(time.Now().UnixNano())
	}
	p.decided = map[string]bool{}
	p.dice = rand.New(rand.NewPCG(p.seed, 1))
	t.Logf("seed %d; repeat: go test ./internal/e2e -run %s -seed %d", p.seed, t.Name(), p.seed)
	l := startLab(t)
	l.hostsOf(p.runs)
	h := newHouse(t, l, "")
	if p.six {
		h.sixEffects()
	}
	p.byHost = map[string]string{}
	began := time.Now()
	if p.blind {
		h.env = []string{"QUELL_TEST_NO_READ_BACK=1"}
	}
	h.start()
	// The first kills meet ticket creation, the later ones what follows approvals.
	l.script(fmt.Sprintf("jira create: %dx hold 4s\n", 2+p.runs/10))
	for i := 1; i <= p.runs; i++ {
		if got, err := h.alert(fmt.Sprintf("det-%d", i), hostname(i)); err != nil || len(got.Runs) != 1 {
			t.Fatalf("alert %d: %+v, %v", i, got, err)
		} else {
			p.byHost[strings.ToLower(hostname(i))] = got.Runs[0].Run
		}
	}
	for k := range p.kills {
		if p.limit > 0 && time.Since(began) > p.limit {
			t.Fatalf("%d of %d kills in %s: this machine is too slow for the figures", k, p.kills, p.limit)
		}
		p.cycle(t, l, h, k)
	}
	l.script("")
	p.drain(t, l, h)
	faults = p.world(t, l)
	pids := children(h.cmd.Process.Pid)
	h.auditOK()
	h.stop()
	for _, pid := range pids {
		if alive(pid) {
			t.Errorf("process %d outlived the server", pid)
		}
	}
	t.Logf("%d runs, %d kills of the server (%d between the vendor's commit and our stored outcome), slowest move after a kill %s over %d effects, %d true and %d false unknowns",
		p.runs, p.kills, p.between, p.slowest.Round(time.Millisecond), p.moved, p.trueUnknowns, p.falseUnknowns)
	t.Logf("connectors got %d SIGKILLs and %d SIGSTOPs", p.killed, p.frozen)
	if p.killed != p.pluginKills || p.frozen != p.pluginFreezes {
		t.Errorf("wanted %d SIGKILLs and %d SIGSTOPs of connectors", p.pluginKills, p.pluginFreezes)
	}
	if p.between < p.wantBetween {
		t.Errorf("only %d kills fell between commit and stored outcome, wanted %d", p.between, p.wantBetween)
	}
	return faults
}

// cycle lets some runs go on into a held effect, kills, and sees them move.
func (p *killPlan) cycle(t *testing.T, l *labProcess, h *house, k int) {
	eventually(t, p.apart+time.Second, "the kills are apart", func() (bool, error) { return time.Since(p.last) >= p.apart, nil })
	if k > 0 {
		op := []string{"crowdstrike contain", "crowdstrike lift", "jira comment", "crowdstrike create-scan"}[k%4]
		if l.script(op + ": 2x hold 4s\ncrowdstrike contain: hold 4s\n"); p.six {
			l.script("jira create: 2x hold 4s\njira comment: 2x hold 4s\ncrowdstrike contain: 2x hold 4s\ncrowdstrike lift: 2x hold 4s\ncrowdstrike create-scan: 2x hold 4s\n")
		}
		p.approveSome(t, h, k)
	}
	p.disturb(t, h, k)
	patience := 10 * time.Second
	if p.six {
		patience = 40 * time.Second
	}
	for deadline := time.Now().Add(patience); len(p.unanswered(l)) == 0 && time.Now().Before(deadline); {
		time.Sleep(20 * time.Millisecond) // the moment of a kill is chance
	}
	open := p.openRuns(t, h)
	if open < p.minOpen {
		t.Errorf("kill %d: only %d runs are open", k+1, open)
	}
	waiting := p.openEffects(t, h, p.unanswered(l))
	between := len(p.unanswered(l)) > 0
	h.kill()
	p.last = time.Now()
	if between {
		p.between++
	}
	h.start()
	p.seeMoves(t, h, waiting, p.last)
}

// unanswered lists effects that the vendors have done and not yet answered.
func unanswered(l *labProcess) []labEffect {
	return slices.DeleteFunc(l.effects(""), func(e labEffect) bool { return e.Answered })
}

// unanswered lists what is in flight now: one whose caller was killed is never
// answered, so only what came after the last kill counts.
func (p *killPlan) unanswered(l *labProcess) []labEffect {
	return slices.DeleteFunc(unanswered(l), func(e labEffect) bool { return !e.At.After(p.last) })
}

func (p *killPlan) openRuns(t *testing.T, h *house) int {
	t.Helper()
	list, err := h.runs()
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, r := range list {
		if r.Status != api.RunEnded {
			n++
		}
	}
	return n
}

// flight is an effect that had no outcome when the server was killed.
type flight struct{ run, key string }

// openEffects finds the runs' effects that have no outcome yet, among those that
// are in flight at the vendor.
func (p *killPlan) openEffects(t *testing.T, h *house, seen []labEffect) []flight {
	t.Helper()
	var out []flight
	for _, e := range seen {
		id, known := p.byHost[strings.ToLower(e.Object)]
		if !known || len(out) >= 5 {
			continue
		}
		d, err := h.client().Run(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range d.Effects {
			if e.Outcome == "" {
				out = append(out, flight{id, e.Key})
			}
		}
	}
	return out
}

// seeMoves measures how long after the kill each effect has an outcome.
func (p *killPlan) seeMoves(t *testing.T, h *house, list []flight, killed time.Time) {
	t.Helper()
	for _, f := range list {
		eventually(t, p.moves+10*time.Second, "effect "+f.key+" moves", func() (bool, error) {
			d, err := h.client().Run(t.Context(), f.run)
			if err != nil {
				return false, err
			}
			for _, e := range d.Effects {
				if e.Key == f.key {
					return e.Outcome != "", nil
				}
			}
			return false, nil
		})
		took := time.Since(killed)
		p.moved++
		p.slowest = max(p.slowest, took)
		if took > p.moves && !p.blind {
			t.Errorf("effect %s moved only %s after the kill", f.key, took)
		}
	}
}

// approveSome lets as many runs go on as spreads them over the kills.
func (p *killPlan) approveSome(t *testing.T, h *house, k int) {
	t.Helper()
	list, err := h.requests()
	if err != nil {
		t.Fatal(err)
	}
	// At the last kill minOpen runs are to be open still.
	n := max(1, (p.runs-p.minOpen-2)/max(1, p.kills-1))
	for _, a := range list {
		if a.Kind == api.RequestFailure {
			p.decide(t, h, nil, a)
		}
		if a.Kind != api.RequestApproval || n == 0 {
			continue
		}
		if err := h.approve(a); err == nil {
			n--
		}
	}
}

// disturb kills and freezes connector processes at moments of chance.
func (p *killPlan) disturb(t *testing.T, h *house, k int) {
	t.Helper()
	share := func(total int) int { return (total*(k+1))/p.kills - (total*k)/p.kills }
	for i := range share(p.pluginKills) + share(p.pluginFreezes) {
		time.Sleep(time.Duration(p.dice.IntN(700)) * time.Millisecond) // the moment of a kill is chance
		sig, sent := syscall.SIGKILL, &p.killed
		if i < share(p.pluginFreezes) {
			sig, sent = syscall.SIGSTOP, &p.frozen
		}
		eventually(t, 10*time.Second, "a connector process to signal", func() (bool, error) {
			pids := children(h.cmd.Process.Pid)
			if len(pids) == 0 {
				return false, nil
			}
			err := syscall.Kill(pids[p.dice.IntN(len(pids))], sig)
			return err == nil, err
		})
		*sent++
	}
}

// drain lets all runs end, answering as a person would: a failed effect is tried
// again, an unknown one is looked up at the vendor.
func (p *killPlan) drain(t *testing.T, l *labProcess, h *house) {
	t.Helper()
	eventually(t, 5*time.Minute+time.Duration(p.runs)*time.Second, "all runs end", func() (bool, error) {
		list, err := h.requests()
		if err != nil {
			return false, err
		}
		for _, a := range list {
			if a.Kind == api.RequestApproval {
				_ = h.approve(a)
			} else {
				p.decide(t, h, l, a)
			}
		}
		return p.openRuns(t, h) == 0, nil
	})
	all, err := h.runs()
	if err != nil {
		t.Fatal(err)
	}
	if len(all) != p.runs {
		t.Errorf("%d runs for %d alerts", len(all), p.runs)
	}
	for _, r := range all {
		if r.Closing != "completed" && !p.blind {
			t.Errorf("%s closed as %s", r.ID, r.Closing)
		}
	}
}

// decide answers a request about a failed or unknown effect.
func (p *killPlan) decide(t *testing.T, h *house, l *labProcess, a api.Approval) {
	t.Helper()
	if p.decided[a.ID] {
		return // the run has not looked yet
	}
	choice := "retry"
	if strings.Contains(strings.Join(a.Choices, " "), "not_done") {
		if l == nil {
			return // looked up at the end
		}
		d, err := h.client().Run(t.Context(), a.Run)
		if err != nil {
			t.Fatal(err)
		}
		choice = "not_done"
		p.trueUnknowns++
		if there(l, d, a.Step) {
			choice = "done"
			p.trueUnknowns--
			p.falseUnknowns++
		}
	}
	p.decided[a.ID] = true
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if _, err := h.client().Resolve(ctx, a.ID, api.Resolve{Choice: choice, Reason: "e2e"}); err != nil {
		t.Fatalf("resolve %s as %s: %v", a.ID, choice, err)
	}
}

// there looks for an effect of a run's step in the lab's journal, by the mark
// that its connector left.
func there(l *labProcess, d api.RunDetail, step string) bool {
	for _, e := range d.Effects {
		if e.Step != step || e.Outcome != "unknown" {
			continue
		}
		for _, j := range l.effects("") {
			if strings.Contains(j.Key, recall.Mark(e.Key)) || (j.Operation == "create" && strings.Contains(j.Key, recall.Mark(d.Incident))) {
				return true
			}
		}
	}
	return false
}

// world compares the lab with the plans: every host isolated and released once,
// one ticket and one comment a run.
func (p *killPlan) world(t *testing.T, l *labProcess) int {
	t.Helper()
	changed, keys := map[string]int{}, map[string]int{}
	issues, comments, scans, faults := 0, 0, 0, 0
	for _, e := range l.effects("") {
		switch {
		case e.Vendor == "jira" && e.Operation == "create":
			issues++
			keys[e.Key]++
		case e.Vendor == "jira" && e.Operation == "comment":
			comments++
		case e.Operation == "create-scan":
			scans++
		case (e.Operation == "contain" || e.Operation == "lift") && e.Before != e.After:
			changed[e.Operation+" "+strings.ToLower(e.Object)]++
		}
	}
	fault := func(format string, args ...any) {
		faults++
		if p.blind {
			t.Logf("fault: "+format, args...)
		} else {
			t.Errorf(format, args...)
		}
	}
	for i := 1; i <= p.runs; i++ {
		name := hostname(i)
		if c, r := changed["contain "+name], changed["lift "+name]; c != 1 || r != 1 {
			fault("%s: isolated %d times, released %d times", name, c, r)
		}
	}
	per := 1 // comments a run
	if p.six {
		per = 2
	}
	if issues != p.runs || comments != per*p.runs || scans != p.runs {
		fault("%d issues, %d comments and %d scans for %d runs", issues, comments, scans, p.runs)
	}
	for k, n := range keys {
		if n != 1 {
			fault("%d issues with the key %s", n, k)
		}
	}
	return faults
}

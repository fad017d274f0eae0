package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/quell-soar/quell/connectors/crowdstrike"
	"github.com/quell-soar/quell/connectors/jira"
	"github.com/quell-soar/quell/connectors/labdata"
	"github.com/quell-soar/quell/connectors/spec"
	"github.com/quell-soar/quell/server/api"
)

// longer skips what `make test` has no time for: `make integration` plays it short,
// `make soak` whole.
func longer(t *testing.T) {
	t.Helper()
	if os.Getenv("QUELL_INTEGRATION") != "1" && os.Getenv("QUELL_SOAK") != "1" {
		t.Skip("make integration plays it, make soak plays it whole")
	}
}

// alongside lets a test run beside others of its kind: it has servers of its own
// and mostly waits for them. In a soak each has the machine to itself.
func alongside(t *testing.T) {
	if os.Getenv("QUELL_SOAK") != "1" {
		t.Parallel()
	}
}

// many is a count that is small in a test and full in a soak.
func many(short, soak int) int {
	if os.Getenv("QUELL_SOAK") == "1" {
		return soak
	}
	return short
}

// guardedHouse is a house with every playbook that compiles against what the lab
// serves, with sources that reach them all, and what more says.
func guardedHouse(t *testing.T, l *labProcess, more string) (*house, []string) {
	t.Helper()
	h := newHouse(t, l, "")
	var names []string
	for _, dir := range []string{"../../examples", "testdata/guards"} {
		files, err := filepath.Glob(filepath.Join(dir, "*.yaml"))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			if strings.HasSuffix(f, ".test.yaml") {
				continue
			}
			raw, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			if err := exec.Command(bin(t, "quell"), "check", f).Run(); err != nil || !labServes(string(raw)) {
				t.Logf("%s is left out: it does not compile, or the lab does not serve it", filepath.Base(f))
				continue
			}
			h.write(filepath.Base(f), string(raw))
			names = append(names, strings.TrimSuffix(filepath.Base(f), ".yaml"))
		}
	}
	h.config = regexp.MustCompile(`(?m)^playbooks:.*$`).ReplaceAllString(h.config, "playbooks: ["+strings.Join(names, ".yaml, ")+".yaml]")
	h.config = regexp.MustCompile(`(?m)^  crowdstrike: \{.*$`).ReplaceAllString(h.config, `  crowdstrike: {kind: crowdstrike, secrets: ["file:source.key"], rate: 2000, burst: 5000}
  list: {kind: generic, secrets: ["file:source.key"], rate: 2000, burst: 5000}
  moments: {kind: generic, secrets: ["file:source.key"], rate: 2000, burst: 5000}`)
	h.config += more
	h.write("quell.yaml", h.config)
	return h, names
}

var usesLine = regexp.MustCompile(`(?m)uses: ([a-z]+\.[a-z_]+)`)

// labServes reports whether connectors of the lab serve all actions of a playbook.
func labServes(text string) bool {
	for _, m := range usesLine.FindAllStringSubmatch(text, -1) {
		if !slices.ContainsFunc([]spec.Manifest{crowdstrike.New().Manifest(), jira.New().Manifest(), labdata.New().Manifest()}, func(s spec.Manifest) bool {
			_, ok := s.Action(m[1])
			return ok
		}) {
			return false
		}
	}
	return true
}

// modes sets all modes: of the playbooks, of the triggers, of the instances.
func (h *house) modes(playbooks []string, playbook, trigger, instance string) {
	h.t.Helper()
	list := map[string]string{}
	for _, p := range playbooks {
		list[p] = playbook
	}
	h.modesEach(list, trigger, instance)
}

// modesEach is modes with a mode for each playbook.
func (h *house) modesEach(playbooks map[string]string, trigger, instance string) {
	h.t.Helper()
	var list []string
	for _, p := range slices.Sorted(maps.Keys(playbooks)) {
		list = append(list, p+": "+playbooks[p])
	}
	text := regexp.MustCompile(`(?m)^modes:\n(  .*\n)+`).ReplaceAllString(h.config,
		fmt.Sprintf("modes:\n  playbooks: {%s}\n  triggers: {alert: %[2]s, manual: %[2]s}\n", strings.Join(list, ", "), trigger))
	h.config = regexp.MustCompile(`(?m)^    mode: .*$`).ReplaceAllString(text, "    mode: "+instance)
	h.write("quell.yaml", h.config)
}

// send posts a generic alert that names hosts.
func (h *house) send(source, id string, hosts ...string) error {
	list := make([]map[string]any, len(hosts))
	for i, n := range hosts {
		list[i] = map[string]any{"name": n}
	}
	raw, err := json.Marshal(map[string]any{"id": id, "title": "e2e", "severity": "critical", "hosts": list, "occurred": time.Now().UTC().Format(time.RFC3339)})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	_, err = h.client().SendAlert(ctx, source, id, raw, []byte(sourceKey))
	return err
}

// storm posts n alerts at once: each third a detection with a file, a list of five
// hosts, and one host for moments.
func (h *house) storm(tag string, from, n int) {
	h.t.Helper()
	var wg sync.WaitGroup
	slots := make(chan struct{}, 16)
	for i := from; i < from+n; i++ {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			var err error
			switch i % 3 {
			case 0:
				_, err = h.alert(fmt.Sprintf("%s-%d", tag, i), hostname(i), `C:\Temp\evil.exe`)
			case 1:
				err = h.send("list", fmt.Sprintf("%s-%d", tag, i), hostname(i), hostname(i+1), hostname(i+2), hostname(i+3), hostname(i+4))
			default:
				err = h.send("moments", fmt.Sprintf("%s-%d", tag, i), hostname(i))
			}
			if err != nil {
				h.t.Errorf("alert %d: %v", i, err)
			}
		})
	}
	wg.Wait()
}

// settledDown waits until no run works: each has ended or waits for people.
func (h *house) settledDown(within time.Duration) {
	h.t.Helper()
	quiet, last := 0, ""
	eventually(h.t, within, "the runs come to rest", func() (bool, error) {
		runs, err := h.runs()
		if err != nil {
			return false, err
		}
		asked, err := h.requests()
		if err != nil {
			return false, err
		}
		waits := map[string]bool{}
		for _, a := range asked {
			waits[a.Run] = true
		}
		state, working := "", 0
		for _, r := range runs {
			state += string(r.Status)
			if r.Status != api.RunEnded && !waits[r.ID] {
				working++
			}
		}
		state += fmt.Sprint(len(asked))
		if working > 0 || state != last {
			quiet, last = 0, state
			return false, fmt.Errorf("%d runs work", working)
		}
		quiet++
		return quiet > 3, nil
	})
}

// TestGuardsHold posts alerts about many hosts, a protected one and this machine
// among them, alone and in lists, in mode act: neither is acted on, and no more
// hosts than the budget allows.
func TestGuardsHold(t *testing.T) {
	alongside(t)
	const most = 5
	n := many(24, 200)
	self, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	l := startLab(t)
	l.hostsOf(n + 20)
	l.control("POST", "/hosts", fmt.Appendf(nil, `{"hosts": [{"hostname": "dc01"}, {"hostname": %q}]}`, self), nil)
	h, names := guardedHouse(t, l, `guards:
  protected: {hosts: [dc01]}
  budgets:
    isolations: {actions: [edr.isolate_host], targets: 5, per: 1h}
`)
	h.config = strings.Replace(h.config, "settings: {criticality: high}", "settings: {criticality: low}", 1)
	h.modes(names, "act", "act", "act")
	h.start()
	for i, victim := range []string{"dc01", "DC01.corp.example", self} {
		if _, err := h.alert(fmt.Sprintf("g-%d", i), victim); err != nil {
			t.Fatal(err)
		}
		if err := h.send("moments", fmt.Sprintf("gm-%d", i), victim); err != nil {
			t.Fatal(err)
		}
		if err := h.send("list", fmt.Sprintf("gl-%d", i), victim, hostname(n+10+i)); err != nil {
			t.Fatal(err)
		}
	}
	h.storm("g", 1, n)
	h.settledDown(time.Duration(many(3, 15)) * time.Minute)
	contained := map[string]bool{}
	for _, e := range l.effects("operation=contain") {
		contained[strings.ToLower(e.Object)] = true
	}
	for _, never := range []string{"dc01", strings.ToLower(self)} {
		if contained[never] {
			t.Errorf("%s was isolated", never)
		}
	}
	g, err := h.client().Guards(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(contained) > most || len(contained) == 0 || g.Budgets[0].Spent != most {
		t.Errorf("%d hosts isolated with a budget of %d; %d spent", len(contained), most, g.Budgets[0].Spent)
	}
	asked, err := h.requests()
	if err != nil {
		t.Fatal(err)
	}
	words := map[string]int{}
	for _, a := range asked {
		for _, w := range []string{"budget", "is protected", "Quell's own"} {
			if strings.Contains(a.Question, w) {
				words[w]++
			}
		}
	}
	if words["budget"] == 0 || words["is protected"] == 0 || words["Quell's own"] == 0 {
		t.Errorf("what was refused waits for people: %v of %d requests", words, len(asked))
	}
	t.Logf("%d alerts: %d hosts isolated, %d requests wait: %v", n+9, len(contained), len(asked), words)
}

// TestLastAdminStays posts alerts that name every account of a directory, one by
// one and in lists, in mode act: of the administrators one is never acted on, and
// everybody else is locked.
func TestLastAdminStays(t *testing.T) {
	alongside(t)
	l := startLab(t)
	l.control("POST", "/entra/users", []byte(`{"users": [
		{"name": "root@corp.example", "roles": ["global-admin"]}, {"name": "ann@corp.example", "roles": ["global-admin"]},
		{"name": "eve@corp.example", "roles": ["global-admin"]}, {"name": "bob@corp.example"}, {"name": "joe@corp.example"}]}`), nil)
	h := newHouse(t, l, fmt.Sprintf(`  entra:
    connector: entra
    binary: %s
    mode: act
    settings: {tenant_id: 11111111-2222-3333-4444-555555555555, client_id: 66666666-7777-8888-9999-aaaaaaaaaaaa, base_url: %[2]s, login_url: %[2]s, exchange_url: %[2]s, allow_http: "true"}
    secrets: {client_secret: "file:entra.secret"}
`, bin(t, "quell-connector"), l.urls["entra"]))
	h.write("entra.secret", "graph-lab-secret\n")
	raw, err := os.ReadFile("testdata/guards/lock-all-named.yaml")
	if err != nil {
		t.Fatal(err)
	}
	h.write("lock-all-named.yaml", string(raw))
	h.config = strings.Replace(h.config, "playbooks: [contain-infected-host.yaml]", "playbooks: [lock-all-named.yaml]", 1)
	h.config = strings.Replace(h.config, "sources:\n", "sources:\n  accounts: {kind: generic, secrets: [\"file:source.key\"], rate: 2000, burst: 5000}\n", 1)
	h.modes([]string{"lock-all-named"}, "act", "act", "act")
	h.start()
	all := []string{"root", "ann", "eve", "bob", "joe"}
	var wg sync.WaitGroup
	for i := range many(4, 20) {
		for j, names := range [][]string{all, {all[i%5]}, {"ann", "root"}, {"eve", "bob", "root"}} {
			wg.Go(func() {
				if err := h.accuse(fmt.Sprintf("a-%d-%d", i, j), append([]string{}, names...)...); err != nil {
					t.Error(err)
				}
			})
		}
	}
	wg.Wait()
	h.settledDown(3 * time.Minute)
	locked := map[string]int{}
	for _, e := range l.effects("vendor=entra&operation=update-user") {
		locked[e.Object]++
	}
	cut := map[string]int{}
	for _, e := range l.effects("vendor=entra&operation=revoke-sessions") {
		cut[e.Object]++
	}
	admins := locked["root@corp.example"] + locked["ann@corp.example"] + locked["eve@corp.example"]
	if admins != 2 || locked["bob@corp.example"] != 1 || locked["joe@corp.example"] != 1 {
		t.Errorf("locked: %v; of three administrators two may be", locked)
	}
	t.Logf("locked %v, sessions ended %v", locked, cut)
}

// accuse posts a generic alert that names accounts.
func (h *house) accuse(id string, names ...string) error {
	list := make([]map[string]any, len(names))
	for i, n := range names {
		list[i] = map[string]any{"name": n + "@corp.example"}
	}
	raw, err := json.Marshal(map[string]any{"id": id, "title": "e2e " + id, "severity": "critical", "users": list, "occurred": time.Now().UTC().Format(time.RFC3339)})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	_, err = h.client().SendAlert(ctx, "accounts", id, raw, []byte(sourceKey))
	return err
}

// TestKillSwitch turns the switch while alerts pour in: no intent stands after it
// in the record, no call comes late, a hold whose time is over stays held, and a
// person releases.
func TestKillSwitch(t *testing.T) {
	n := many(30, 300)
	l := startLab(t)
	l.hostsOf(n + 10)
	h, names := guardedHouse(t, l, "")
	h.config = strings.Replace(h.config, "settings: {criticality: high}", "settings: {criticality: low}", 1)
	h.modes(names, "act", "act", "act")
	h.start()
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := 1; i <= n; i++ {
			if err := h.send("moments", fmt.Sprintf("k-%d", i), hostname(i)); err != nil {
				t.Errorf("alert %d: %v", i, err)
			}
		}
	})
	eventually(t, time.Minute, "some hosts are isolated", func() (bool, error) { return len(l.effects("operation=contain")) >= 3, nil })
	if _, err := h.client().Kill(t.Context(), "drill"); err != nil {
		t.Fatal(err)
	}
	wg.Wait()
	h.settledDown(time.Duration(many(2, 15)) * time.Minute)
	killed, intents, after := h.record()
	late, worst := 0, time.Duration(0)
	contained := map[string]bool{}
	for _, e := range l.effects("operation=contain") {
		contained[e.Object] = true
		intent, ok := intents[e.Object]
		if !ok {
			t.Errorf("%s was isolated without an intent in the record", e.Object)
			continue
		}
		took := e.At.Sub(intent)
		if worst = max(worst, took); took > 500*time.Millisecond {
			late++
		}
	}
	t.Logf("switch at %s; %d intents, %d of them after it; %d hosts isolated; from intent to the vendor at most %s, %d above 500ms",
		killed.Format(time.TimeOnly), len(intents), after, len(contained), worst, late)
	if after > 0 || late > 0 || len(contained) == n {
		t.Errorf("%d intents after the switch, %d calls later than 500ms after their intent, %d of %d hosts isolated", after, late, len(contained), n)
	}
	lifts := len(l.effects("operation=lift"))
	eventually(t, time.Minute, "a hold's end is put off", func() (bool, error) { return h.entriesOf("undo.put_off") > 0, nil })
	if got := len(l.effects("operation=lift")); got != lifts {
		t.Errorf("%d hosts were released by themselves while the switch was on", got-lifts)
	}
	h.releaseOne(l, contained)
}

// record reads the ledger: when the switch was turned, each host's first intent,
// and how many intents stand after the switch.
func (h *house) record() (killed time.Time, intents map[string]time.Time, after int) {
	h.t.Helper()
	intents = map[string]time.Time{}
	for _, e := range h.entries() {
		switch e.Kind {
		case "guard.killed":
			killed = e.At
		case "effect.intent":
			var p struct {
				Direction string `json:"direction"`
				Targets   []struct {
					Label string `json:"label"`
				} `json:"targets"`
			}
			if err := json.Unmarshal(e.Payload, &p); err != nil {
				h.t.Fatal(err)
			}
			if p.Direction != "do" {
				continue
			}
			if !killed.IsZero() {
				after++
			}
			for _, t := range p.Targets {
				if _, ok := intents[t.Label]; !ok {
					intents[t.Label] = e.At
				}
			}
		}
	}
	return killed, intents, after
}

// entries reads the whole ledger.
func (h *house) entries() []api.Entry {
	h.t.Helper()
	var out []api.Entry
	for after := uint64(0); ; {
		page, err := h.client().Entries(h.t.Context(), api.EntryFilter{After: after, Limit: 200})
		if err != nil {
			h.t.Fatal(err)
		}
		out = append(out, page.Entries...)
		if page.Next == 0 {
			return out
		}
		after = page.Next
	}
}

func (h *house) entriesOf(kind string) int {
	n := 0
	for _, e := range h.entries() {
		if e.Kind == kind {
			n++
		}
	}
	return n
}

// releaseOne has a person undo the run of one isolated host while the switch is
// on.
func (h *house) releaseOne(l *labProcess, contained map[string]bool) {
	h.t.Helper()
	for _, e := range h.entries() {
		if e.Kind != "effect.outcome" || !strings.Contains(string(e.Payload), `"outcome":"done"`) || e.Run == "" {
			continue
		}
		before := len(l.effects("operation=lift"))
		if _, err := h.client().Undo(h.t.Context(), e.Run, api.UndoRun{Reason: "it was a drill"}); err != nil {
			h.t.Fatal(err)
		}
		eventually(h.t, time.Minute, "a person's release goes out while the switch is on", func() (bool, error) {
			return len(l.effects("operation=lift")) == before+1, nil
		})
		return
	}
	h.t.Fatalf("no run isolated a host, and %d are isolated", len(contained))
}

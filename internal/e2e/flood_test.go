package e2e

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/quell-soar/quell/server/api"
)

// floodPlaybook opens a ticket at once: its time is that of the first effect.
const floodPlaybook = `quell: 1
playbook: flood
title: A ticket for each alert
inputs:
  hostname: { type: hostname }
on:
  alert:
    - from: [noisy, quiet]
      when: size(alert.hosts) == 1
      inputs: { hostname: "${{ alert.hosts[0].name }}" }
      once_per: inputs.hostname
triage:
  - id: case
    uses: ticket.create_ticket
    with: { key: "${{ inputs.hostname }}", title: "Malware on ${{ inputs.hostname }}" }
review:
  - note: done
    text: opened
`

// floodRate is what the noisy source may send for long, in alerts a second.
const floodRate = 4

// TestFlood lets one source send ten times its rate. What is too much is refused
// at once; an alert of another source starts its first effect as quickly as ever;
// each alert that was acknowledged has its run and its ticket.
func TestFlood(t *testing.T) {
	length := time.Duration(many(8, 60)) * time.Second
	l := startLab(t)
	h := newHouse(t, l, "")
	h.write("flood.yaml", floodPlaybook)
	h.config = strings.ReplaceAll(h.config, "contain-infected-host", "flood")
	h.config = strings.Replace(h.config, "sources:\n", fmt.Sprintf("sources:\n  noisy: {kind: generic, secrets: [\"file:source.key\"], rate: %d, burst: %[1]d}\n  quiet: {kind: generic, secrets: [\"file:source.key\"]}\n", floodRate), 1)
	h.write("quell.yaml", h.config)
	h.start()
	f := &flood{h: h, sent: map[string]time.Time{}}
	end := time.Now().Add(length)
	var wg sync.WaitGroup
	for n := range 4 { // ten times the rate, from four connections
		wg.Go(func() {
			tick := time.NewTicker(4 * time.Second / (10 * floodRate))
			defer tick.Stop()
			for i := 0; time.Now().Before(end); i++ {
				<-tick.C
				f.send("noisy", fmt.Sprintf("noisy-%d-%05d", n, i))
			}
		})
	}
	wg.Go(func() {
		tick := time.NewTicker(500 * time.Millisecond)
		defer tick.Stop()
		for i := 0; time.Now().Before(end); i++ {
			<-tick.C
			f.send("quiet", fmt.Sprintf("quiet-%05d", i))
		}
	})
	wg.Wait()
	f.judge(t, l)
}

// flood is what was sent and what came back.
type flood struct {
	h       *house
	mu      sync.Mutex
	sent    map[string]time.Time // of what was acknowledged
	refused []time.Duration
	other   atomic.Int64
}

// send posts one alert and notes how it was taken.
func (f *flood) send(source, host string) {
	body := fmt.Sprintf(`{"id":%q,"kind":"malware","title":"Malware","severity":"high","occurred":%q,"hosts":[{"name":%q}]}`, host, time.Now().UTC().Format(time.RFC3339), host)
	began := time.Now()
	_, err := f.h.client().SendAlert(f.h.t.Context(), source, host, []byte(body), []byte(sourceKey))
	took := time.Since(began)
	f.mu.Lock()
	defer f.mu.Unlock()
	var p *api.Error
	switch {
	case err == nil:
		f.sent[host] = began
	case errors.As(err, &p) && p.Code == api.CodeRateLimited:
		f.refused = append(f.refused, took)
	default:
		f.other.Add(1)
		f.h.t.Logf("%s: %v", host, err)
	}
}

// judge waits until everything that was acknowledged has its ticket.
func (f *flood) judge(t *testing.T, l *labProcess) {
	t.Helper()
	eventually(t, 3*time.Minute, "each acknowledged alert has its ticket", func() (bool, error) {
		var list []api.Run
		list, err := f.h.runs()
		ended := 0
		for _, r := range list {
			if r.Status == api.RunEnded {
				ended++
			}
		}
		return ended >= len(f.sent), err
	})
	tickets := 0
	for _, e := range l.effects("vendor=jira") {
		if e.Operation == "create" {
			tickets++
		}
	}
	quiet := f.firstEffects(t)
	slowest := time.Duration(0)
	for _, d := range quiet {
		slowest = max(slowest, d)
	}
	t.Logf("%d alerts acknowledged, %d refused (slowest %s, median %s), %d tickets; the quiet source's %d alerts: first effect after %s (median), %s (slowest); repeat: QUELL_SOAK=1 go test ./internal/e2e -run TestFlood -v",
		len(f.sent), len(f.refused), longest(f.refused).Round(time.Millisecond), middleOf(f.refused).Round(time.Millisecond), tickets, len(quiet), middleOf(quiet).Round(time.Millisecond), slowest.Round(time.Millisecond))
	if tickets != len(f.sent) || f.other.Load() > 0 {
		t.Errorf("%d tickets for %d acknowledged alerts, %d other answers", tickets, len(f.sent), f.other.Load())
	}
	if len(f.refused) == 0 || len(quiet) == 0 {
		t.Error("nothing was refused, or nothing came from the quiet source: the test sees nothing")
	}
	if slowest > 2*time.Second {
		t.Errorf("the quiet source waited %s", slowest)
	}
	if d := middleOf(f.refused); d > 50*time.Millisecond {
		t.Errorf("a refusal took %s", d)
	}
}

// firstEffects is how long after its sending each quiet alert had its first
// effect admitted.
func (f *flood) firstEffects(t *testing.T) []time.Duration {
	t.Helper()
	list, err := f.h.runs()
	if err != nil {
		t.Fatal(err)
	}
	var out []time.Duration
	for _, r := range list {
		d, err := f.h.client().Run(t.Context(), r.ID)
		if err != nil {
			t.Fatal(err)
		}
		for host, sent := range f.sent {
			if strings.HasPrefix(host, "quiet") && strings.Contains(string(d.Inputs), host) && len(d.Effects) > 0 {
				out = append(out, d.Effects[0].Intended.Sub(sent))
			}
		}
	}
	return out
}

func longest(list []time.Duration) (out time.Duration) {
	for _, d := range list {
		out = max(out, d)
	}
	return out
}

func middleOf(list []time.Duration) time.Duration {
	if len(list) == 0 {
		return 0
	}
	return middle(list)
}

package e2e

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"go.temporal.io/api/serviceerror"

	"github.com/quell-soar/quell/connectors/fake/lab"
	"github.com/quell-soar/quell/connectors/host"
	"github.com/quell-soar/quell/internal/engine"
	"github.com/quell-soar/quell/internal/runs"
	"github.com/quell-soar/quell/playbooks/compile"
	"github.com/quell-soar/quell/playbooks/diag"
	"github.com/quell-soar/quell/playbooks/plan"
	"github.com/quell-soar/quell/playbooks/source"
)

// ticketPlaybook uses one connector only, with two effects and no wait.
const ticketPlaybook = `quell: 1
playbook: tickets
title: A ticket and a comment
inputs:
  hostname: { type: hostname }
on:
  manual: { roles: [analyst] }
triage:
  - id: case
    uses: ticket.create_ticket
    with: { key: "${{ run.incident }}", title: "About ${{ inputs.hostname }}" }
review:
  - if: has(steps.case)
    uses: ticket.add_comment
    with: { ticket: "${{ steps.case.ticket }}", body: seen }
`

func (s *stage) plan(name, text string) (*plan.Plan, []byte) {
	s.t.Helper()
	p, list := compile.Compile(source.NewFile(name+".yaml", []byte(text)), compile.Options{Actions: served{s.host.Catalogue()}})
	if p == nil {
		s.t.Fatal(diag.List(list))
	}
	raw, err := p.Encode()
	if err != nil {
		s.t.Fatal(err)
	}
	return p, raw
}

// hung is the measurement of a house one of whose connectors does not answer.
type hung struct {
	*stage
	ill, well       *plan.Plan
	illRaw, wellRaw []byte
	serial, hosts   int
	stuck           []string
}

// TestHung hangs every call of one connector, effects first and then reads, with
// all its slots taken and more runs waiting for it than it has slots. Runs that
// use another connector keep their throughput: rounds without and with the hung
// connector are measured in turns.
func TestHung(t *testing.T) {
	if os.Getenv("QUELL_SOAK") == "" {
		keeps(t, 24, 0.5)
		return
	}
	t.Run("as many as there are slots", func(t *testing.T) { keeps(t, 8, 0.95) })
	t.Run("six times as many", func(t *testing.T) { keeps(t, 48, 0.95) })
}

// newHung is a house in which so many runs may work, beside hosts named hung-00001 and
// on, and with the playbook that does without the connector that will hang.
func newHung(t *testing.T, hosts, active int) *hung {
	t.Helper()
	l, err := lab.Start(lab.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	if _, err := l.Falcon.SeedMany(hosts, "hung-"); err != nil {
		t.Fatal(err)
	}
	h := &hung{stage: stageAt(t, l, labHost(t, l), engine.Options{}, active)}
	h.well, h.wellRaw = h.plan("tickets", ticketPlaybook)
	return h
}

// keeps measures what others keep of their throughput while stuck runs hang in an
// effect and as many in a read.
func keeps(t *testing.T, stuck int, want float64) {
	rounds, each := many(1, 6), many(40, 900)
	h := newHung(t, 2*stuck*rounds, activeRuns)
	h.ill, h.illRaw = h.compile("ill", isolates(), nil)
	h.throughput(20) // warm
	var ratios []float64
	for r := range rounds {
		before := h.throughput(each)
		h.hang(stuck)
		during := h.throughput(each)
		if got := h.falcon(); got.Circuit == host.CircuitClosed {
			t.Errorf("the vendor answers nothing, and the circuit is %+v", got)
		}
		if os.Getenv("QUELL_SOAK") == "" { // the rest is a minute of waiting
			// Other tests come and go beside this one: a single look may fall on them.
			for looks := 1; during < want*before && looks < 4; looks++ {
				during = max(during, h.throughput(each))
			}
			t.Logf("%.1f runs/s before, %.1f while hung", before, during)
			ratios = append(ratios, during/before)
			break
		}
		h.heal()
		after := h.throughput(each)
		ratios = append(ratios, during/((before+after)/2))
		t.Logf("round %d: %.1f runs/s before, %.1f while hung, %.1f after: %.2f", r+1, before, during, after, ratios[r])
	}
	got := middle(ratios)
	t.Logf("with %d runs that use 16 hung slots, others keep %.2f of their throughput (median of %d); repeat: QUELL_SOAK=1 go test ./internal/e2e -run TestHung -v", 2*stuck, got, rounds)
	if got < want {
		t.Errorf("wanted at least %.2f", want)
	}
	if os.Getenv("QUELL_SOAK") != "" {
		h.judge()
	}
}

// TestHungCrowd: more runs use a connector that hangs than may work at once, and
// were there first. Runs that do without it start and end meanwhile, and the others
// are not lost.
func TestHungCrowd(t *testing.T) {
	alongside(t)
	active, stuck, others, slow := many(40, activeRuns), many(80, 1000), many(10, 50), many(6, 25)
	h := newHung(t, stuck, active)
	h.ill, h.illRaw = h.compile("ill", isolates(), nil)
	h.throughput(5) // warm
	h.fault(fmt.Sprintf("crowdstrike *: always slow %ds\n", slow))
	h.strand(stuck)
	eventually(t, 30*time.Second, "all slots are taken", func() (bool, error) { return h.falcon().SlotsInUse >= 16, nil })
	began := time.Now()
	rate := h.throughput(others)
	waiting, err := h.set.Recorder.Runs.Backlog(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("beside %d runs for a connector that hangs, %d of them not started, and %d that may work at once: %d others ended in %s, %.1f runs/s; repeat: QUELL_SOAK=1 go test ./internal/e2e -run TestHungCrowd -v",
		stuck, waiting, active, others, time.Since(began).Round(time.Millisecond), rate)
	if waiting == 0 {
		t.Error("all of them were started: this shows nothing")
	}
	if most := 20 * time.Second; time.Since(began) > most {
		t.Errorf("wanted the others to end within %s", most)
	}
	h.heal()
	h.judge()
}

func (h *hung) falcon() host.InstanceStatus {
	for _, st := range h.host.Status() {
		if st.Name == "falcon" {
			return st
		}
	}
	return host.InstanceStatus{}
}

// throughput is how many runs a second end that use the other connector.
func (h *hung) throughput(n int) float64 {
	h.t.Helper()
	began := time.Now()
	var wg sync.WaitGroup
	slots := make(chan struct{}, 8)
	for range n {
		h.serial++
		name := fmt.Sprintf("well-%05d", h.serial)
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			id := h.launch(h.well, h.wellRaw, name)
			var missing *serviceerror.NotFound
			for {
				err := h.temp.GetWorkflow(h.t.Context(), id, "").Get(h.t.Context(), nil)
				if !errors.As(err, &missing) {
					if err != nil {
						h.t.Error(err)
					}
					return
				}
				time.Sleep(5 * time.Millisecond) // the dispatcher is about to start it
			}
		})
	}
	wg.Wait()
	return float64(n) / time.Since(began).Seconds()
}

// hang lets the vendor answer nothing any more: n runs hang in an effect, or wait
// for a slot to begin theirs, and n hang in a read.
func (h *hung) hang(n int) {
	h.t.Helper()
	h.fault("crowdstrike contain: always slow 25s\n")
	h.strand(n)
	eventually(h.t, 30*time.Second, "all slots are taken", func() (bool, error) {
		st := h.falcon()
		return st.SlotsInUse >= min(16, n) || st.Circuit != host.CircuitClosed, nil
	})
	h.fault("crowdstrike *: always slow 25s\n")
	h.strand(n)
	eventually(h.t, 30*time.Second, "the circuit opens", func() (bool, error) { return h.falcon().Circuit != host.CircuitClosed, nil })
}

func (h *hung) strand(n int) {
	for range n {
		h.hosts++
		h.stuck = append(h.stuck, h.launch(h.ill, h.illRaw, fmt.Sprintf("hung-%05d", h.hosts)))
	}
}

// heal lets the vendor answer again, and waits for the runs that hung.
func (h *hung) heal() {
	h.t.Helper()
	h.fault("")
	eventually(h.t, 3*time.Minute, "the runs that hung end", func() (bool, error) {
		for _, id := range h.stuck {
			rec, err := h.set.Recorder.Runs.Get(h.t.Context(), id)
			if err != nil || rec.Status != runs.Ended {
				return false, err
			}
		}
		return true, nil
	})
}

func (h *hung) fault(script string) {
	h.t.Helper()
	if err := h.lab.World.SetScript(script); err != nil {
		h.t.Fatal(err)
	}
}

// judge holds what became of the runs that hung against the world: nothing is
// unknown, and each host was isolated once or not at all.
func (h *hung) judge() {
	h.t.Helper()
	ended := map[string]int{}
	for _, id := range h.stuck {
		rec, err := h.set.Recorder.Runs.Get(h.t.Context(), id)
		if err != nil {
			h.t.Fatal(err)
		}
		ended[rec.Closing]++
		stack, err := h.set.Recorder.Effects.Stack(h.t.Context(), "default", id, nil)
		if err != nil {
			h.t.Fatal(err)
		}
		for _, e := range stack {
			if e.Outcome == "unknown" {
				h.t.Errorf("%s is unknown: %s", e.Key, e.Detail)
			}
		}
	}
	h.t.Logf("the runs that hung ended: %v", ended)
}

package telemetry

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// State is how things stand at one moment.
type State struct {
	// WaitingRuns were claimed and not started; OldestWait is for how long the
	// oldest of them waits. RunningRuns were started and have not ended;
	// WorkingRuns of them do something now.
	// RunsBound is how many may work at once now, and Answers how long the engine lately
	// took for an answer, which the bound follows.
	WaitingRuns, RunningRuns, WorkingRuns, RunsBound int
	Answers                                          time.Duration
	OldestWait                                       time.Duration
	// HeldEffects hold something; UnknownEffects are those of which nobody knows
	// whether they happened; OpenEffects may be under way.
	HeldEffects, UnknownEffects, OpenEffects int
	// Requests are the open ones, by kind; OldestRequest is the age of the oldest.
	Requests      map[string]int
	OldestRequest time.Duration
	// KillSwitch is on; DiskLow: nothing new is taken for want of space; ClockOdd: the
	// machine's clock jumped, and holds wait.
	KillSwitch, DiskLow, ClockOdd bool
	// Entries are in the ledger, Stored of them in the store, Unsigned under no
	// checkpoint yet; the oldest of these is Lag old.
	Entries, Stored, Unsigned int64
	Lag                       time.Duration
	// Export is how far the ledger's export is; nil where there is none.
	Export *LedgerExport
	// Bytes of the store, of the engine's own database and of the evidence, and
	// what is free where they lie; -1 where it is not known.
	StoreBytes, EngineBytes, EvidenceBytes, FreeBytes int64
	Connectors                                        []Connector
}

// LedgerExport is how many entries are not exported yet, and how old the oldest of them is.
type LedgerExport struct {
	Missing int64
	Lag     time.Duration
}

// Connector is how one instance stands.
type Connector struct {
	Name, Type, Version, State string
	Restarts                   int
	Slots, SlotsInUse          int
	// Paused is how long the vendor's rate limit holds calls back still.
	Paused time.Duration
	// WaitingRuns wait for it and do nothing else.
	WaitingRuns int
}

// fresh is for how long a state serves: several scrapers ask the store once.
const fresh = time.Second

// readTime bounds reading a state, so that a scrape ends.
const readTime = 5 * time.Second

// states is a prometheus.Collector over a function that reads the state.
type states struct {
	read func(context.Context) (State, error)

	mu   sync.Mutex
	at   time.Time
	last State
	err  error
}

// Watch registers the metrics of how things stand; read is called when somebody
// scrapes, at most once a second. Where it fails, quell_state_up is 0 and the
// other metrics of the state are left out: a zero would say that all is well.
func (m *Metrics) Watch(read func(context.Context) (State, error)) error {
	return m.registry.Register(&states{read: read})
}

func gauge(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(name, help, labels, nil)
}

var (
	stateUp        = gauge("quell_state_up", "Whether the state could be read for this scrape.")
	runsNow        = gauge("quell_runs", "Runs that have not ended: waiting to be started, running, and those of the running that work now.", "status")
	runsBound      = gauge("quell_runs_bound", "How many runs may work at once now: limits.active_runs, and fewer while the engine is slow.")
	answersNow     = gauge("quell_engine_answer_seconds", "How long the engine lately took for an answer; while it is above 0.25, or above 1 for a cluster, quell_runs_bound falls.")
	oldestWait     = gauge("quell_dispatch_oldest_seconds", "For how long the oldest run waits to be started.")
	heldNow        = gauge("quell_effects_held", "Effects that hold something.")
	unknownNow     = gauge("quell_effects_unknown", "Effects of which nobody knows whether they happened.")
	openNow        = gauge("quell_effects_open", "Effects whose call may be under way.")
	requestsNow    = gauge("quell_requests_open", "Open requests to people; of kind hold: holds whose time is over.", "kind")
	oldestRequest  = gauge("quell_requests_oldest_seconds", "Age of the oldest open request.")
	killNow        = gauge("quell_kill_switch", "1 while the kill switch is on.")
	diskLow        = gauge("quell_disk_low", "1 while no alert is taken and no run started for want of space.")
	clockOdd       = gauge("quell_clock_odd", "1 while holds wait because the machine's clock jumped.")
	entriesNow     = gauge("quell_ledger_entries", "Entries of the ledger.")
	unsignedNow    = gauge("quell_ledger_unsigned_entries", "Entries that no checkpoint covers yet.")
	lagNow         = gauge("quell_ledger_checkpoint_lag_seconds", "Age of the oldest entry that no checkpoint covers.")
	storedNow      = gauge("quell_ledger_stored_entries", "Entries of the ledger that have not left the store.")
	missingNow     = gauge("quell_ledger_unexported_entries", "Entries that the export does not have yet; only with an export.")
	exportLag      = gauge("quell_ledger_export_lag_seconds", "Age of the oldest entry that the export does not have; only with an export.")
	bytesNow       = gauge("quell_data_bytes", "Size of the data, by part.", "part")
	freeNow        = gauge("quell_disk_free_bytes", "Free space where the data lie.")
	connectorInfo  = gauge("quell_connector_info", "Always 1; the labels say what serves an instance.", "connector", "type", "version")
	connectorState = gauge("quell_connector_state", "1 for the state that an instance is in.", "connector", "state")
	connectorStart = gauge("quell_connector_restarts_total", "Starts of an instance's process after the first.", "connector")
	slotsNow       = gauge("quell_connector_slots", "Calls that an instance takes at once.", "connector")
	slotsUsed      = gauge("quell_connector_slots_in_use", "Calls that run on an instance now.", "connector")
	pausedNow      = gauge("quell_connector_paused_seconds", "For how long the vendor's rate limit holds calls back still.", "connector")
	heldRuns       = gauge("quell_connector_waiting_runs", "Runs that wait for an instance to take their calls and do nothing else.", "connector")
)

// Describe implements prometheus.Collector.
func (s *states) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		stateUp, runsNow, runsBound, answersNow, oldestWait, heldNow, unknownNow, openNow, requestsNow, oldestRequest, killNow, diskLow, clockOdd, entriesNow, unsignedNow, lagNow,
		storedNow, missingNow, exportLag,
		bytesNow, freeNow, connectorInfo, connectorState, connectorStart, slotsNow, slotsUsed, pausedNow, heldRuns,
	} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (s *states) Collect(ch chan<- prometheus.Metric) {
	st, err := s.now()
	set := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	if err != nil {
		set(stateUp, 0)
		return
	}
	set(stateUp, 1)
	set(runsNow, float64(st.WaitingRuns), "waiting")
	set(runsNow, float64(st.RunningRuns), "running")
	set(runsNow, float64(st.WorkingRuns), "working")
	set(runsBound, float64(st.RunsBound))
	set(answersNow, st.Answers.Seconds())
	set(oldestWait, st.OldestWait.Seconds())
	set(heldNow, float64(st.HeldEffects))
	set(unknownNow, float64(st.UnknownEffects))
	set(openNow, float64(st.OpenEffects))
	for _, k := range Kinds {
		set(requestsNow, float64(st.Requests[k]), k)
	}
	set(oldestRequest, st.OldestRequest.Seconds())
	set(killNow, number(st.KillSwitch))
	set(diskLow, number(st.DiskLow))
	set(clockOdd, number(st.ClockOdd))
	set(entriesNow, float64(st.Entries))
	set(unsignedNow, float64(st.Unsigned))
	set(lagNow, st.Lag.Seconds())
	set(storedNow, float64(st.Stored))
	if st.Export != nil {
		set(missingNow, float64(st.Export.Missing))
		set(exportLag, st.Export.Lag.Seconds())
	}
	for part, n := range map[string]int64{"store": st.StoreBytes, "engine": st.EngineBytes, "evidence": st.EvidenceBytes} {
		if n >= 0 {
			set(bytesNow, float64(n), part)
		}
	}
	if st.FreeBytes >= 0 {
		set(freeNow, float64(st.FreeBytes))
	}
	for _, c := range st.Connectors {
		c.collect(ch, set)
	}
}

func (c Connector) collect(ch chan<- prometheus.Metric, set func(*prometheus.Desc, float64, ...string)) {
	set(connectorInfo, 1, c.Name, c.Type, c.Version)
	for _, s := range ConnectorStates {
		set(connectorState, number(c.State == s), c.Name, s)
	}
	ch <- prometheus.MustNewConstMetric(connectorStart, prometheus.CounterValue, float64(c.Restarts), c.Name)
	set(slotsNow, float64(c.Slots), c.Name)
	set(slotsUsed, float64(c.SlotsInUse), c.Name)
	set(pausedNow, c.Paused.Seconds(), c.Name)
	set(heldRuns, float64(c.WaitingRuns), c.Name)
}

// now reads the state, or gives the one that was read a moment ago.
func (s *states) now() (State, error) {
	if s.read == nil {
		return State{}, errNoState
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if time.Since(s.at) < fresh {
		return s.last, s.err
	}
	ctx, cancel := context.WithTimeout(context.Background(), readTime)
	defer cancel()
	s.last, s.err = s.read(ctx)
	s.at = time.Now()
	return s.last, s.err
}

// errNoState says that nobody reads how things stand.
var errNoState = errors.New("telemetry: there is no state")

func number(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

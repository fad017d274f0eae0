package e2e

import (
	"context"
	"database/sql"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/quell-soar/quell/server/api"
)

var soakFlag = flag.Duration("soak", 0, "how long TestSoak lasts; 0 is 20 s, and an hour with QUELL_SOAK=1")

// sample is one look at the server.
type sample struct {
	at                       time.Duration
	ended, rss, files, goros int
	// store and engine are megabytes on disk, journals included.
	store, engine float64
}

// TestSoak lets runs come at half the rate that a server was seen to sustain just
// before, with retention short, and samples what it needs. Memory, descriptors and
// goroutines must not grow, nor the store once retention has caught up: by the slope of a
// line through the second half of the samples. What left the store stands in the export,
// and both verify as one.
func TestSoak(t *testing.T) {
	lasts := *soakFlag
	if lasts == 0 {
		longer(t)
		lasts = 20 * time.Second
		if os.Getenv("QUELL_SOAK") == "1" {
			lasts = time.Hour
		}
	}
	t.Logf("repeat: go test ./internal/e2e -run TestSoak -soak %s -timeout 2h", lasts)
	// Longer than a run's hold, of 8 s: what ends after its run was shed stays for a day.
	keep := max(10*time.Second, lasts/12)
	full := 0.0
	if lasts >= 5*time.Minute {
		full = sustains(t)
	}
	h, send := soaked(t, keep)
	if full == 0 {
		full = h.capacity(send)
	}
	rate := full / 2
	t.Logf("it sustains %.1f runs/s; the soak sends %.1f", full, rate)
	const looks = 40
	var list []sample
	var middle tables
	ctx, cancel := context.WithTimeout(t.Context(), lasts)
	defer cancel()
	next, look := time.NewTicker(time.Duration(float64(time.Second)/rate)), time.NewTicker(lasts/looks)
	defer next.Stop()
	defer look.Stop()
	for began := time.Now(); ; {
		select {
		case <-ctx.Done():
			table(t, list)
			end := h.tables()
			h.drained()
			h.released()
			trends(t, list, lasts)
			kept(t, middle, end, lasts)
			h.wholeOK()
			return
		case <-next.C:
			if err := send(); err != nil {
				t.Error(err)
			}
		case <-look.C:
			if list = append(list, h.sample(time.Since(began))); len(list) == looks/2 {
				middle = h.tables()
			}
		}
	}
}

// soaked is a house whose runs isolate a host, hold it for 8 s and release it, that keeps
// what is over for keep and histories for at least a minute; send gives it an alert.
func soaked(t *testing.T, keep time.Duration) (h *house, send func() error) {
	t.Helper()
	return soakedFor(t, keep, 8*time.Second)
}

// soakedFor is soaked whose hosts are held for some time.
func soakedFor(t *testing.T, keep, held time.Duration) (h *house, send func() error) {
	t.Helper()
	const hosts = 2001
	l := startLab(t)
	l.hostsOf(hosts)
	h = newHouse(t, l, fmt.Sprintf("retention: {export: %s, keep: %s, record: %s, histories: %s, readings: %s}\n", filepath.Join(t.TempDir(), "export"), keep, keep, max(time.Minute, keep), keep))
	h.playbook("brief-hold", strings.NewReplacer(
		"on:\n", "on:\n  alert:\n    - from: [crowdstrike]\n      when: size(alert.hosts) == 1\n      inputs:\n        hostname: ${{ alert.hosts[0].name }}\n      once_per: alert.id\n",
		"for: 8s", fmt.Sprintf("for: %ds", int(held.Seconds())),
	).Replace(ownRelease))
	h.config = strings.Replace(h.config, "[contain-infected-host.yaml, ", "[", 1)
	h.write("quell.yaml", h.config)
	h.start()
	sent := 0
	return h, func() error {
		sent++
		got, err := h.alert(fmt.Sprintf("soak-%d", sent), hostname(1+sent%hosts))
		if err == nil && len(got.Runs) != 1 {
			err = fmt.Errorf("it started %d runs", len(got.Runs))
		}
		if err != nil {
			return fmt.Errorf("alert %d: %w", sent, err)
		}
		return nil
	}
}

// capacity is how many runs a second come to their end when 120 are sent at once. What
// they leave behind, their releases and the deletion of their histories, is not in it.
func (h *house) capacity(send func() error) float64 {
	h.t.Helper()
	const n = 120
	began := time.Now()
	for range n {
		if err := send(); err != nil {
			h.t.Fatal(err)
		}
	}
	h.drained()
	return n / time.Since(began).Seconds()
}

// sustains is how many runs a second come to their end where 60 are always open, once
// holds end and histories are deleted as fast as runs come: in the third minute of a
// house that keeps histories for one.
func sustains(t *testing.T) float64 {
	t.Helper()
	h, send := soaked(t, 10*time.Second)
	defer h.stop()
	const open = 60
	began, sent, from := time.Now(), 0, 0
	tick := time.NewTicker(250 * time.Millisecond)
	defer tick.Stop()
	for range tick.C {
		ended := h.endedRuns()
		switch past := time.Since(began); {
		case past >= 3*time.Minute:
			return float64(ended-from) / 60
		case past < 2*time.Minute:
			from = ended
		}
		for ; sent-ended < open; sent++ {
			if err := send(); err != nil {
				t.Fatal(err)
			}
		}
	}
	return 0
}

// endedRuns counts the runs that came to their end.
func (h *house) endedRuns() int {
	h.t.Helper()
	m, err := h.client().Metrics(h.t.Context())
	if err != nil {
		h.t.Fatal(err)
	}
	return runsEnded(m)
}

func runsEnded(m map[string]float64) (n int) {
	for name, v := range m {
		if strings.HasPrefix(name, "quell_runs_ended_total{") {
			n += int(v)
		}
	}
	return n
}

// drained waits until no run is open.
func (h *house) drained() {
	h.t.Helper()
	eventually(h.t, 5*time.Minute, "all runs end", h.idle)
}

// idle reports whether no run is open. It asks for one row at a time, as what it costs
// the server counts in what is measured, and for the waiting ones first: a run that
// starts in between is seen by the second question.
func (h *house) idle() (bool, error) {
	for _, open := range []api.RunStatus{api.RunWaiting, api.RunRunning} {
		page, err := h.client().Runs(h.t.Context(), api.RunFilter{Status: open, Limit: 1})
		if err != nil || len(page.Runs) > 0 {
			return false, err
		}
	}
	return true, nil
}

// released waits until nothing is held any more: no release may be left behind.
func (h *house) released() {
	h.t.Helper()
	eventually(h.t, 2*time.Minute, "all holds end", func() (bool, error) { return h.heldNow() == 0, nil })
}

// heldNow counts the effects that hold something.
func (h *house) heldNow() int {
	h.t.Helper()
	m, err := h.client().Metrics(h.t.Context())
	if err != nil {
		h.t.Fatal(err)
	}
	n, ok := m["quell_effects_held"]
	if !ok {
		h.t.Fatal("the metrics do not tell of quell_effects_held")
	}
	return int(n)
}

func (h *house) sample(at time.Duration) sample {
	h.t.Helper()
	s := sample{at: at, rss: h.status("VmRSS")}
	if fds, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", h.cmd.Process.Pid)); err == nil {
		s.files = len(fds)
	}
	m, err := h.client().Metrics(h.t.Context())
	if err != nil {
		h.t.Fatal(err)
	}
	s.goros = int(m["go_goroutines"])
	s.ended = runsEnded(m)
	data := filepath.Join(h.dir, "data")
	s.store, s.engine = megabytes(filepath.Join(data, "quell.db")), megabytes(filepath.Join(data, "engine", "temporal.db"))
	return s
}

// ofRecord are the tables of the record, which retention.record empties.
var ofRecord = map[string]bool{"ledger_rows": true, "ledger_hashes": true, "ledger_checkpoints": true, "runs": true, "claims": true}

// tables is how many bytes the tables of the store take with their indexes: those of
// the record and the others. A look reads the whole file, so there are two.
type tables struct{ record, rest float64 }

// readStore opens the store's file beside the server that uses it, to read.
func (h *house) readStore() *sql.DB {
	h.t.Helper()
	db, err := sql.Open("sqlite", "file:"+filepath.Join(h.dir, "data", "quell.db")+"?mode=ro")
	if err != nil {
		h.t.Fatal(err)
	}
	return db
}

func (h *house) tables() (all tables) {
	h.t.Helper()
	db := h.readStore()
	defer func() { _ = db.Close() }()
	rows, err := db.QueryContext(h.t.Context(), `SELECT s.tbl_name, SUM(d.pgsize) FROM dbstat('main', 1) d JOIN sqlite_schema s ON s.name = d.name GROUP BY s.tbl_name`)
	if err != nil {
		h.t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var name string
		var bytes float64
		if err := rows.Scan(&name, &bytes); err != nil {
			h.t.Fatal(err)
		}
		if ofRecord[name] {
			all.record += bytes
		} else {
			all.rest += bytes
		}
	}
	if err := rows.Err(); err != nil {
		h.t.Fatal(err)
	}
	return all
}

// kept holds what became of the store's tables over the second half against its bound.
func kept(t *testing.T, from, to tables, lasts time.Duration) {
	t.Helper()
	for _, c := range []struct {
		name     string
		from, to float64
	}{{"the record", from.record, to.record}, {"the rest of the store", from.rest, to.rest}} {
		grows := (c.to - c.from) / ((c.to + c.from) / 2)
		t.Logf("%s takes %.1f MB at half of the time and %.1f MB at its end: %+.1f %%", c.name, c.from/1e6, c.to/1e6, 100*grows)
		if lasts >= 5*time.Minute && grows > 0.35 {
			t.Errorf("%s grows by %.1f %%, wanted at most 35 %%", c.name, 100*grows)
		}
	}
}

// wholeOK proves the stopped server's store and its export, and that they meet; rows
// must have left.
func (h *house) wholeOK() {
	h.t.Helper()
	eventually(h.t, time.Minute, "rows leave the store", func() (bool, error) {
		entries, err := h.client().Entries(h.t.Context(), api.EntryFilter{Limit: 1})
		return err == nil && entries.Gone > 0, err
	})
	h.auditOK()
	h.stop()
	if out := h.quell("audit", "verify", "--store"); !strings.Contains(out, "which was verified with it") {
		h.t.Error(out)
	} else {
		h.t.Log(out)
	}
}

// megabytes is the size of a database with its journals.
func megabytes(file string) float64 {
	total := 0.0
	for _, end := range []string{"", "-wal"} {
		st, err := os.Stat(file + end)
		if err == nil {
			total += float64(st.Size()) / 1e6
		} else if !errors.Is(err, fs.ErrNotExist) {
			return -1
		}
	}
	return total
}

func table(t *testing.T, list []sample) {
	var b strings.Builder
	fmt.Fprintf(&b, "%8s %8s %6s %6s %6s %9s %9s\n", "at", "ended", "RSS", "files", "gorout", "store MB", "engine MB")
	for _, s := range list {
		fmt.Fprintf(&b, "%8s %8d %6d %6d %6d %9.1f %9.1f\n", s.at.Round(time.Second), s.ended, s.rss, s.files, s.goros, s.store, s.engine)
	}
	t.Log("\n" + b.String())
}

// trends holds the second half of the samples against their bounds. A soak of less
// than five minutes is no measure of growth, and only of the way.
func trends(t *testing.T, list []sample, lasts time.Duration) {
	t.Helper()
	half := list[len(list)/2:]
	for _, c := range []struct {
		name string
		of   func(sample) float64
		// bound is how much of its mean it may grow by in the second half.
		bound float64
	}{
		{"RSS", func(s sample) float64 { return float64(s.rss) }, 0.10},
		{"descriptors", func(s sample) float64 { return float64(s.files) }, 0.05},
		{"goroutines", func(s sample) float64 { return float64(s.goros) }, 0.05},
		{"store", func(s sample) float64 { return s.store }, 0.35},
		{"engine", func(s sample) float64 { return s.engine }, 0.35},
	} {
		grows := growth(half, c.of)
		t.Logf("%s grows by %+.1f %% of its mean in the second half", c.name, 100*grows)
		if lasts >= 5*time.Minute && grows > c.bound {
			t.Errorf("%s grows by %.1f %%, wanted at most %.0f %%", c.name, 100*grows, 100*c.bound)
		}
	}
}

// growth is the slope of the line of least squares, over the whole span, as a part
// of the mean.
func growth(list []sample, of func(sample) float64) float64 {
	var n, sx, sy, sxx, sxy float64
	for _, s := range list {
		x, y := s.at.Seconds(), of(s)
		n, sx, sy, sxx, sxy = n+1, sx+x, sy+y, sxx+x*x, sxy+x*y
	}
	if n < 2 || sy == 0 {
		return 0
	}
	slope := (n*sxy - sx*sy) / (n*sxx - sx*sx)
	span := list[len(list)-1].at.Seconds() - list[0].at.Seconds()
	return slope * span / (sy / n)
}

// TestGrowth: a line that stands has no growth, one that doubles has two thirds of
// its mean, and noise is none.
func TestGrowth(t *testing.T) {
	for name, c := range map[string]struct {
		rss  []int
		want float64
	}{
		"stands": {[]int{5, 5, 5, 5}, 0}, "doubles": {[]int{300, 400, 500, 600}, 300.0 / 450}, "falls": {[]int{600, 500, 400, 300}, -300.0 / 450},
		"goes up and down": {[]int{5, 6, 6, 5}, 0}, "one": {[]int{5}, 0},
	} {
		var list []sample
		for i, v := range c.rss {
			list = append(list, sample{at: time.Duration(i) * time.Second, rss: v})
		}
		if got := growth(list, func(s sample) float64 { return float64(s.rss) }); got < c.want-1e-9 || got > c.want+1e-9 {
			t.Errorf("%s: %f, want %f", name, got, c.want)
		}
	}
}

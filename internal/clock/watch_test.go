package clock

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/quell-soar/quell/internal/ledger"
	"github.com/quell-soar/quell/internal/store"
	"github.com/quell-soar/quell/internal/store/storetest"
)

// day is what every case begins at.
var day = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// machine is a machine whose clocks a test moves.
type machine struct {
	*testing.T
	db  *store.DB
	led *ledger.Ledger
	log bytes.Buffer
	Reading
	// see, where set, lets the watch look, as it does every second.
	see func()
}

func each(t *testing.T, f func(m *machine)) {
	storetest.Each(t, []store.Schema{ledger.Schema(), Schema()}, func(t *testing.T, db *store.DB) {
		key, err := ledger.LoadKey(filepath.Join(t.TempDir(), "ledger.key"))
		if err != nil {
			t.Fatal(err)
		}
		m := &machine{T: t, db: db, Reading: Reading{day, 5 * time.Hour}}
		m.led = ledger.New(db, key, time.Now)
		f(m)
	})
}

// passes lets both clocks go on; set moves the wall clock alone.
func (m *machine) passes(d time.Duration) { m.Wall, m.Up = m.Wall.Add(d), m.Up+d }

func (m *machine) set(d time.Duration) {
	m.Wall = m.Wall.Add(d)
	if m.see != nil {
		m.see()
	}
}

func (m *machine) open(host string) *Watch {
	m.Helper()
	w, err := Open(m.Context(), Options{DB: m.db, Ledger: m.led, Tenant: "t", Host: host, Read: func() Reading { return m.Reading }, Log: zerolog.New(&m.log)})
	if err != nil {
		m.Fatal(err)
	}
	return w
}

func (m *machine) jumps() int {
	m.Helper()
	list, err := m.led.Read(m.Context(), ledger.Filter{})
	if err != nil {
		m.Fatal(err)
	}
	n := 0
	for _, e := range list {
		if e.Kind == "clock.jumped" {
			n++
		}
	}
	return n
}

// TestEarly puts holds of one day about jumps.
func TestEarly(t *testing.T) {
	const hold = 24 * time.Hour
	for name, c := range map[string]struct {
		play func(m *machine)
		// began is when the hold began, after day; wait is what is still left of it
		// after play, as the watch must see it.
		began, wait time.Duration
		odd         string
	}{
		"time passes":           {func(m *machine) { m.passes(hold) }, 0, 0, ""},
		"it is not over":        {func(m *machine) { m.passes(hold - time.Hour) }, 0, time.Hour, ""},
		"the clock jumps ahead": {func(m *machine) { m.passes(time.Hour); m.set(23 * time.Hour) }, 0, 23 * time.Hour, "ahead by 23h"},
		"and half of it passes": {func(m *machine) { m.passes(time.Hour); m.set(23 * time.Hour); m.passes(10 * time.Hour) }, 0, 13 * time.Hour, "ahead by 23h"},
		"and all of it passes":  {func(m *machine) { m.passes(time.Hour); m.set(23 * time.Hour); m.passes(23 * time.Hour) }, 0, 0, ""},
		"and it is set back": {func(m *machine) {
			m.passes(time.Hour)
			m.set(23 * time.Hour)
			m.passes(time.Minute)
			m.set(-23 * time.Hour)
			m.passes(23*time.Hour - time.Minute)
		}, 0, 0, ""},
		"it began after the jump":     {func(m *machine) { m.set(23 * time.Hour); m.passes(hold) }, 23 * time.Hour, 0, ""},
		"a time service slews":        {func(m *machine) { slew(m, hold, 400) }, 0, 0, ""},
		"small steps, many of them":   {func(m *machine) { slew(m, hold/2, 1_000_000) }, 0, hold / 2, "ahead by 12h"},
		"it is set back first":        {func(m *machine) { m.set(-time.Hour); m.passes(hold) }, 0, time.Hour, ""},
		"a suspend, both clocks know": {func(m *machine) { m.passes(hold + time.Hour) }, 0, 0, ""},
	} {
		t.Run(name, func(t *testing.T) {
			m := &machine{T: t, Reading: Reading{day, 5 * time.Hour}}
			w := &Watch{o: Options{Read: func() Reading { return m.Reading }, Log: zerolog.Nop()}, anchor: m.Reading}
			m.see = func() { w.mu.Lock(); w.look(); w.mu.Unlock() }
			c.play(m)
			from := day.Add(c.began)
			if why := w.Early(from, from.Add(hold)); (why != "") != (c.wait > 0) {
				t.Fatalf("early: %q, %s are left", why, c.wait)
			}
			if odd := w.Odd(); (odd != "") != (c.odd != "") || !strings.Contains(odd, c.odd) {
				t.Errorf("odd: %q", odd)
			}
			if c.wait == 0 {
				return
			}
			m.passes(c.wait - time.Minute)
			if w.Early(from, from.Add(hold)) == "" {
				t.Errorf("due a minute before %s", c.wait)
			}
			if m.passes(2 * time.Minute); w.Early(from, from.Add(hold)) != "" {
				t.Errorf("not due a minute after %s", c.wait)
			}
		})
	}
}

// slew lets time pass in seconds, each longer by some millionths on the wall clock.
func slew(m *machine, d time.Duration, ppm int) {
	for range d / time.Second {
		m.passes(time.Second)
		m.set(time.Duration(ppm) * time.Microsecond)
	}
}

// TestOnRecord: a jump stands in the ledger once, whichever process of the machine
// saw it, and a later process knows of it and of what happened between the two.
func TestOnRecord(t *testing.T) {
	each(t, func(m *machine) {
		a, b := m.open("boot-1"), m.open("boot-1")
		m.passes(time.Minute)
		m.set(time.Hour)
		for _, w := range []*Watch{a, b} {
			if w.Early(day, day.Add(time.Hour)) == "" {
				m.Error("an hour that did not pass")
			}
			if err := w.keep(m.Context()); err != nil {
				m.Fatal(err)
			}
		}
		if n := m.jumps(); n != 1 {
			m.Fatalf("%d entries of one jump", n)
		}
		if !strings.Contains(m.log.String(), "the clock jumped") {
			m.Error("the log says nothing")
		}
		// No process runs while the clock is set again.
		m.passes(2 * time.Minute)
		m.set(2 * time.Hour)
		c := m.open("boot-1")
		if n := m.jumps(); n != 2 {
			m.Errorf("%d entries of two jumps", n)
		}
		if odd := c.Odd(); !strings.Contains(odd, "3h0m0s") {
			m.Errorf("after the restart: %q", odd)
		}
		// Another boot counts from elsewhere.
		m.Up = time.Minute
		if odd := m.open("boot-2").Odd(); odd != "" || m.jumps() != 2 {
			m.Errorf("after a boot: %q, %d entries", odd, m.jumps())
		}
	})
}

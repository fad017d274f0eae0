package subject_test

import (
	"testing"
	"time"

	"github.com/quell-soar/quell/internal/guard/subject"
)

// FuzzParseWeek: what is read is a time within the week, holds for its length and
// not beyond.
func FuzzParseWeek(f *testing.F) {
	for _, s := range []string{"Fri 18:00 - Mon 06:00", "sunday 00:00-Saturday 23:59", "Fri 18:00", "", "Mon 25:00 - Tue 00:00", " - "} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		w, err := subject.ParseWeek(text, time.UTC)
		if err != nil {
			return
		}
		const week = 7 * 24 * 60
		if w.From < 0 || w.From >= week || w.To < 0 || w.To >= week || w.From == w.To {
			t.Fatalf("%q is %+v", text, w)
		}
		sunday := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
		begin := sunday.Add(time.Duration(w.From) * time.Minute)
		length := time.Duration((w.To-w.From+week)%week) * time.Minute
		if left, in := w.Holds(begin); !in || left != length {
			t.Fatalf("%q at its begin: %v for %s, want %s", text, in, left, length)
		}
		for _, at := range []time.Time{begin.Add(-time.Second), begin.Add(length)} {
			if _, in := w.Holds(at); in {
				t.Fatalf("%q holds at %s", text, at)
			}
		}
	})
}

package ledger

import (
	"testing"
	"time"
)

// TestCensus tells how far the ledger is and since when rows wait for a signature.
func TestCensus(t *testing.T) {
	each(t, func(t *testing.T, l *Ledger) {
		look := func(entries, unsigned int64) Standing {
			t.Helper()
			s, err := l.Census(t.Context())
			if err != nil || s.Entries != entries || s.Unsigned != unsigned || s.Since.IsZero() != (unsigned == 0) {
				t.Errorf("%+v, %v; want %d entries, %d of them unsigned", s, err, entries, unsigned)
			}
			return s
		}
		look(0, 0)
		fill(t, l, 3)
		if s := look(3, 3); time.Since(s.Since) < 0 {
			t.Errorf("since %s", s.Since)
		}
		sign(t, l)
		look(3, 0)
		fill(t, l, 2)
		look(5, 2)
		if at, err := l.MadeAfter(t.Context(), 5); err != nil || !at.IsZero() {
			t.Errorf("after the last: %s, %v", at, err)
		}
		fill(t, l, 5)
		sign(t, l)
		prune(t, l, pruning7(t, l, 100), 7)
		if s := look(11, 1); s.Stored != 4 {
			t.Errorf("%d are stored", s.Stored)
		}
	})
}

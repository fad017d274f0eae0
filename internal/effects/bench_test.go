package effects_test

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/quell-soar/quell/connectors/spec"
	"github.com/quell-soar/quell/internal/effects"
	"github.com/quell-soar/quell/internal/guard"
	"github.com/quell-soar/quell/internal/store"
	"github.com/quell-soar/quell/internal/store/storetest"
)

// BenchmarkPair measures Admit with Settle on SQLite, each on disk when it
// returns.
func BenchmarkPair(b *testing.B) {
	for _, callers := range []int{1, 32} {
		b.Run(fmt.Sprintf("callers=%d", callers), func(b *testing.B) {
			h := newHouse(b, storetest.Open(b, store.Options{Dir: b.TempDir()}, schemas()...), guard.Rules{})
			took := make([]time.Duration, b.N)
			var next atomic.Int64
			var wg sync.WaitGroup
			b.ResetTimer()
			for range callers {
				wg.Go(func() {
					for {
						i := int(next.Add(1)) - 1
						if i >= b.N {
							return
						}
						at := time.Now()
						if err := pair(h, i); err != nil {
							b.Error(err)
							return
						}
						took[i] = time.Since(at)
					}
				})
			}
			wg.Wait()
			b.StopTimer()
			slices.Sort(took)
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "pairs/s")
			b.ReportMetric(float64(took[len(took)/2].Microseconds()), "p50-µs")
			b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-µs")
		})
	}
}

func pair(h *house, i int) error {
	in := do(fmt.Sprint("run", i/4), i%4+1, isolate(), fmt.Sprint("host", i))
	in.Limit = 100
	v, err := h.fx.Admit(h.ctx, in)
	if err != nil {
		return err
	}
	if v.Go == nil {
		return fmt.Errorf("%s: %s", in.Key, show(v))
	}
	_, err = h.fx.Settle(h.ctx, v.Go.Key, v.Go.Fence, effects.Result{Outcome: spec.Done, Prior: []byte(`{"isolated":false}`)})
	return err
}

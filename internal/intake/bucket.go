package intake

import (
	"sync"
	"time"
)

// bucket lets rate deliveries a second pass, and burst at once.
type bucket struct {
	mu    sync.Mutex
	rate  float64
	burst float64
	have  float64
	at    time.Time
}

func newBucket(rate float64, burst int) *bucket {
	return &bucket{rate: rate, burst: float64(burst), have: float64(burst)}
}

// take lets one pass, or says how long to wait.
func (b *bucket) take(now time.Time) (wait time.Duration, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.at.IsZero() && now.After(b.at) {
		b.have = min(b.burst, b.have+now.Sub(b.at).Seconds()*b.rate)
	}
	if b.at.IsZero() || now.After(b.at) {
		b.at = now
	}
	if b.have >= 1 {
		b.have--
		return 0, true
	}
	return time.Duration((1 - b.have) / b.rate * float64(time.Second)), false
}

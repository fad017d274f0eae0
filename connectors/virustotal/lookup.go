package virustotal

import (
	"context"
	"encoding/base64"
	"net/netip"
	"strings"
	"time"

	"github.com/quell-soar/quell/connectors/spec"
	"github.com/quell-soar/quell/connectors/vocabulary"
)

// sighting is an answer that may be used again.
type sighting struct {
	stats stats
	until time.Time
}

// unknownFor is the longest that "unknown" is believed: somebody may hand the
// thing in at any moment.
const unknownFor = time.Minute

// place is where VirusTotal keeps a thing; empty where it can have none.
func place(r spec.Request) (collection, id string) {
	value, _ := r.Inputs["value"].(string)
	switch r.Action {
	case "intel.lookup_hash":
		const sha256 = 64
		if len(value) > sha256 {
			return "", "" // it keeps no SHA-512
		}
		return "files", strings.ToLower(value)
	case "intel.lookup_ip":
		a, err := netip.ParseAddr(value)
		if a = a.Unmap(); err != nil || !a.IsGlobalUnicast() || a.IsPrivate() {
			return "", "" // a private address is another machine in each network
		}
		return "ip_addresses", a.String()
	case "intel.lookup_domain":
		return "domains", strings.ToLower(strings.TrimSuffix(value, "."))
	}
	return "urls", base64.RawURLEncoding.EncodeToString([]byte(value))
}

func (s *session) lookup(ctx context.Context, r spec.Request) (spec.Reply, error) {
	collection, id := place(r)
	if collection == "" {
		return spec.Reply{Outcome: spec.Done, Output: s.judge(stats{})}, nil
	}
	key := collection + "/" + id
	if old, ok := s.seen.Get(key); ok && time.Now().Before(old.until) {
		return spec.Reply{Outcome: spec.Done, Output: s.judge(old.stats)}, nil
	}
	t, err := s.object(ctx, collection, id)
	if err != nil && spec.KindOf(err) != spec.NotFound {
		return spec.Reply{}, err
	}
	now := sighting{stats: t.Attributes.Stats, until: time.Now().Add(s.cache)}
	if now.stats.engines() == 0 {
		now.until = time.Now().Add(min(s.cache, unknownFor))
	}
	s.seen.Forget(key)
	s.seen.First(key, now)
	return spec.Reply{Outcome: spec.Done, Output: s.judge(now.stats)}, nil
}

// judge makes a verdict of what the engines say. The score is 0 for clean and
// unknown; it grows with the engines' share, from 25 for suspicious and from 75
// for malicious.
func (s *session) judge(c stats) map[string]any {
	verdict, score := vocabulary.Unknown, int64(0)
	share := func(n int64) int64 { return 25 * n / c.engines() }
	switch {
	case c.engines() == 0:
	case c.Malicious >= s.from:
		verdict, score = vocabulary.Malicious, 75+share(c.Malicious)
	case c.Malicious+c.Suspicious > 0:
		verdict, score = vocabulary.Suspicious, 25+share(c.Malicious+c.Suspicious)
	default:
		verdict = vocabulary.Clean
	}
	return map[string]any{"verdict": verdict, "score": score, "source": "virustotal"}
}

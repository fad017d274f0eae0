package server

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/quell-soar/quell/internal/answers"
	"github.com/quell-soar/quell/server/api"
)

const (
	// callsASecond is what one caller may send for long, callsAtOnce at once. A
	// console with ten tabs stays far below.
	callsASecond = 50
	callsAtOnce  = 200
	// callersKept bounds the callers that are told apart.
	callersKept = 4096
)

// limits bound how much one caller sends, so that a loop in somebody's script
// does not keep the people from deciding. The unix socket is not bounded.
type limits struct {
	now func() time.Time

	mu    sync.Mutex
	calls map[string]*rate.Limiter
}

func newLimits(now func() time.Time) *limits {
	return &limits{now: now, calls: map[string]*rate.Limiter{}}
}

// take lets a call pass or says when to come back.
func (l *limits) take(c *call, rt route) error {
	who := c.actor.Name
	if c.actor.Token != "" {
		who = c.actor.Token
	}
	if who == "" {
		who = addressOf(c)
	}
	if strings.HasPrefix(who, "local") || rt.stream {
		return nil
	}
	l.mu.Lock()
	one, known := l.calls[who]
	if !known {
		if len(l.calls) >= callersKept {
			clear(l.calls)
		}
		one = rate.NewLimiter(callsASecond, callsAtOnce)
		l.calls[who] = one
	}
	l.mu.Unlock()
	now := l.now()
	r := one.ReserveN(now, 1)
	wait := r.DelayFrom(now)
	if wait == 0 {
		return nil
	}
	r.CancelAt(now)
	p := api.Problem(api.CodeRateLimited, "too many requests of one caller")
	p.RetryAfter = max(wait, time.Second)
	return p
}

// held is an answer that is looked at before it is sent.
type held struct {
	http.ResponseWriter
	status int
	body   bytes.Buffer
}

func (h *held) WriteHeader(code int) {
	if h.status == 0 {
		h.status = code
	}
}

func (h *held) Write(p []byte) (int, error) {
	h.WriteHeader(http.StatusOK)
	return h.body.Write(p)
}

func (h *held) send() {
	if h.status == 0 {
		h.status = http.StatusOK
	}
	h.ResponseWriter.WriteHeader(h.status)
	_, _ = h.ResponseWriter.Write(h.body.Bytes())
}

// tagged gives an answer its ETag, and only the tag to who has it already (RFC
// 9110 section 8.8.3).
func tagged(c *call, handle func(http.ResponseWriter, *http.Request)) {
	h := &held{ResponseWriter: c.w}
	c.w = h
	defer func() { c.w = h.ResponseWriter }() // after a panic somebody else answers
	handle(h, c.Request)
	if h.status == http.StatusOK || h.status == 0 {
		sum := sha256.Sum256(h.body.Bytes())
		tag := `"` + hex.EncodeToString(sum[:16]) + `"`
		h.Header().Set("ETag", tag)
		for have := range strings.SplitSeq(c.Header.Get("If-None-Match"), ",") {
			if have = strings.TrimPrefix(strings.TrimSpace(have), "W/"); have == tag || have == "*" {
				h.Header().Del("Content-Length")
				h.Header().Del("Content-Type")
				h.ResponseWriter.WriteHeader(http.StatusNotModified)
				return
			}
		}
	}
	h.send()
}

// once works on a request that changes something, one time for each idempotency
// key of a caller.
func (s *Server) once(c *call, rt route, handle func(http.ResponseWriter, *http.Request)) {
	key := c.Header.Get(api.HeaderIdempotency)
	if key == "" || rt.unkept || c.actor.Name == "" {
		handle(c.w, c.Request)
		return
	}
	if len(key) > 200 {
		s.deny(c, rt, invalid("an idempotency key has at most 200 characters"))
		return
	}
	ctx := c.Context()
	found, err := s.answers.Take(ctx, c.actor.Name, key, answers.Request(c.Method, c.URL.RequestURI(), c.body))
	if err != nil {
		s.deny(c, rt, keyProblem(err))
		return
	}
	if found != nil {
		c.w.Header().Set("Idempotent-Replayed", "true")
		c.bytes(found.Status, found.Media, found.Body)
		return
	}
	h := &held{ResponseWriter: c.w}
	c.w = h
	// After a panic somebody else answers, and the key stays taken: what was done
	// until then stands in the record.
	defer func() { c.w = h.ResponseWriter }()
	handle(h, c.Request)
	if h.status < http.StatusBadRequest {
		err = s.answers.Keep(ctx, c.actor.Name, key, answers.Answer{Status: max(h.status, http.StatusOK), Media: h.Header().Get("Content-Type"), Body: h.body.Bytes()})
	} else {
		err = s.answers.Drop(ctx, c.actor.Name, key)
	}
	if err != nil {
		s.log.Warn().Err(err).Str("request", c.id).Msg("the answer to a request with an idempotency key was not kept")
	}
	h.send()
}

func (s *Server) deny(c *call, rt route, err error) {
	p := s.refused(c, rt, err)
	c.write(p.Status, api.ProblemType, p)
}

func keyProblem(err error) error {
	switch {
	case errors.Is(err, answers.ErrOther), errors.Is(err, answers.ErrLeft):
		return api.Problem(api.CodeConflict, err.Error())
	case errors.Is(err, answers.ErrBusy):
		p := api.Problem(api.CodeNotReady, err.Error())
		p.RetryAfter = time.Second
		return p
	}
	return err
}

package reference

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"time"

	"github.com/quell-soar/quell/connectors/sdk"
	"github.com/quell-soar/quell/connectors/spec"
	"github.com/quell-soar/quell/connectors/spec/kind"
)

// Bugs are faults of the connector that the suite must find.
type Bugs struct {
	// ReadWrites: the find rings the bell.
	ReadWrites bool
	// TrustsSuccess: a 2xx with an error within is taken for done.
	TrustsSuccess bool
	// RepeatsEffect: the state is not read before acting.
	RepeatsEffect bool
	// LostIsTransient: a lost answer is called transient.
	LostIsTransient bool
	// LeaksSecret: an error quotes the request's headers.
	LeaksSecret bool
	// PicksFirst: of several matches the first is taken.
	PicksFirst bool
	// NoPrior: the inverse releases what it did not isolate.
	NoPrior bool
	// ForgetsRetryAfter: a rate limit is passed on without its time.
	ForgetsRetryAfter bool
	// NoRefresh: an expired token is final.
	NoRefresh bool
	// IgnoresDeadline: requests run without the call's context.
	IgnoresDeadline bool
	// ForgesHandles: handles name another instance.
	ForgesHandles bool
	// GuessesPresent: the read-back always says present.
	GuessesPresent bool
}

// Connector is the reference connector.
type Connector struct{ Bugs Bugs }

var _ sdk.Connector = Connector{}

// Lookup is the reference connector's vocabulary.
func Lookup(action string) (spec.Action, bool) { return Connector{}.Manifest().Action(action) }

// Manifest tells of the four actions.
func (c Connector) Manifest() spec.Manifest {
	device := kind.Field{Name: "host", Type: kind.HandleOf("device")}
	turn := func(name, title, inverse string) spec.Action {
		return spec.Action{
			Name: name, Title: title, Inputs: []kind.Field{device}, Class: spec.Idempotent, ReadBack: spec.Strong,
			Reversal: spec.Exact, Inverse: inverse, Targets: "host", Deadline: 10 * time.Second,
		}
	}
	return spec.Manifest{
		Name: "reference", Version: "1.0.0", Title: "Reference", Doc: "Isolates hosts of an imaginary vendor.",
		Settings: []spec.Setting{
			{Name: "secret", Type: kind.Of(kind.Secret), Secret: true, Doc: "the credential"},
			{Name: "url", Type: kind.Of(kind.URL), Doc: "where the vendor is"},
		},
		Actions: []spec.Action{
			{
				Name: "lab.find_host", Title: "Find a host", Class: spec.Read, Deadline: 10 * time.Second,
				Inputs:  []kind.Field{{Name: "hostname", Type: kind.Of(kind.Hostname)}},
				Outputs: []kind.Field{{Name: "device", Type: kind.HandleOf("device")}},
			},
			turn("lab.isolate_host", "Isolate a host", "lab.release_host"),
			turn("lab.release_host", "Release a host", "lab.isolate_host"),
			{
				Name: "lab.ring_bell", Title: "Ring the bell", Class: spec.Once, ReadBack: spec.NoReadBack,
				Reversal: spec.Unneeded, Deadline: 10 * time.Second,
			},
		},
	}
}

// Open keeps the configuration; it asks nobody.
func (c Connector) Open(_ context.Context, conf sdk.Config) (sdk.Session, error) {
	base, _ := conf.Settings["url"].(string)
	return &session{conf: conf, bugs: c.Bugs, base: base, http: &http.Client{Transport: &http.Transport{}}}, nil
}

type session struct {
	conf sdk.Config
	bugs Bugs
	base string
	http *http.Client

	mu    sync.Mutex
	token string
}

// Close hangs up.
func (s *session) Close() error {
	s.http.CloseIdleConnections()
	return nil
}

// Check asks for a token.
func (s *session) Check(ctx context.Context) []sdk.Finding {
	if err := s.login(ctx); err != nil {
		return []sdk.Finding{{Name: "credentials", Advice: err.Error()}}
	}
	return []sdk.Finding{{Name: "credentials", OK: true}}
}

// Call runs an action.
func (s *session) Call(ctx context.Context, r spec.Request) (spec.Reply, error) {
	if s.bugs.IgnoresDeadline {
		ctx = context.WithoutCancel(ctx)
	}
	switch r.Action {
	case "lab.find_host":
		return s.find(ctx, r.Inputs["hostname"].(string))
	case "lab.ring_bell":
		if r.Mode == spec.Back {
			return spec.Reply{Outcome: spec.Unsure}, nil
		}
		_, err := s.change(ctx, "/bell", nil)
		return spec.Reply{Outcome: spec.Done}, err
	}
	return s.turn(ctx, r, r.Action == "lab.isolate_host")
}

func (s *session) find(ctx context.Context, name string) (spec.Reply, error) {
	if s.bugs.ReadWrites {
		_, _ = s.change(ctx, "/bell", nil)
	}
	got, err := s.ask(ctx, http.MethodGet, "/hosts", url.Values{"name": {name}})
	if err != nil {
		return spec.Reply{}, err
	}
	switch {
	case len(got.Hosts) == 0:
		return spec.Reply{}, spec.Errorf(spec.NotFound, "no host is called %s", name)
	case len(got.Hosts) > 1 && !s.bugs.PicksFirst:
		return spec.Reply{}, spec.Errorf(spec.Ambiguous, "%d hosts are called %s", len(got.Hosts), name)
	}
	h := kind.Handle{Name: "device", Instance: s.conf.Instance, ID: got.Hosts[0].ID, Label: got.Hosts[0].Name}
	if s.bugs.ForgesHandles {
		h.Instance = "another"
	}
	return spec.Reply{Outcome: spec.Done, Output: map[string]any{"device": h}}, nil
}

// turn reads, decides, acts and verifies.
func (s *session) turn(ctx context.Context, r spec.Request, isolate bool) (spec.Reply, error) {
	id := r.Inputs["host"].(kind.Handle).ID
	is, err := s.isolated(ctx, id)
	if err != nil {
		return spec.Reply{}, err
	}
	if r.Mode == spec.Back {
		if is == isolate || s.bugs.GuessesPresent {
			return spec.Reply{Outcome: spec.Present}, nil
		}
		return spec.Reply{Outcome: spec.Absent}, nil
	}
	was, given := r.Prior["isolated"].(bool)
	if given && was != isolate && !s.bugs.NoPrior {
		// As an inverse: it was so before us and stays so.
		return spec.Reply{Outcome: spec.Already, Prior: map[string]any{"isolated": is}}, nil
	}
	if is == isolate && !s.bugs.RepeatsEffect {
		return spec.Reply{Outcome: spec.Already, Prior: map[string]any{"isolated": is}}, nil
	}
	if s.bugs.RepeatsEffect {
		_, _ = s.change(ctx, "/bell", nil)
	}
	if _, err := s.change(ctx, "/hosts", url.Values{"id": {id}, "isolated": {strconv.FormatBool(isolate)}}); err != nil {
		return spec.Reply{}, err
	}
	if now, err := s.isolated(ctx, id); err != nil || now != isolate {
		if !s.bugs.TrustsSuccess {
			return spec.Reply{}, spec.Errorf(spec.Uncertain, "the vendor accepted it and does not show it")
		}
	}
	return spec.Reply{Outcome: spec.Done, Prior: map[string]any{"isolated": is}}, nil
}

func (s *session) isolated(ctx context.Context, id string) (bool, error) {
	got, err := s.ask(ctx, http.MethodGet, "/hosts", url.Values{"id": {id}})
	if err != nil {
		return false, err
	}
	if len(got.Hosts) != 1 {
		return false, spec.Errorf(spec.NotFound, "there is no host %s any more", id)
	}
	return got.Hosts[0].Isolated, nil
}

type answer struct {
	Hosts []host
	Error string
	Token int
}

// change sends what alters the world: a lost answer leaves it in doubt.
func (s *session) change(ctx context.Context, path string, q url.Values) (answer, error) {
	got, err := s.ask(ctx, http.MethodPost, path, q)
	var e *spec.Error
	if errors.As(err, &e) && e.Kind == spec.Transient && !s.bugs.LostIsTransient {
		return got, spec.Errorf(spec.Uncertain, "%s", e.Message)
	}
	if err == nil && got.Error != "" && !s.bugs.TrustsSuccess {
		return got, spec.Errorf(spec.Conflict, "the vendor refused: %s", got.Error)
	}
	return got, err
}

// ask sends one request, with a fresh token where the present one is refused.
func (s *session) ask(ctx context.Context, method, path string, q url.Values) (answer, error) {
	for try := 0; ; try++ {
		s.mu.Lock()
		token := s.token
		s.mu.Unlock()
		got, err := s.send(ctx, method, path+"?"+q.Encode(), token)
		if spec.KindOf(err) != spec.Auth || err == nil || try > 0 || (s.bugs.NoRefresh && token != "") {
			return got, err
		}
		if err := s.login(ctx); err != nil {
			return answer{}, err
		}
	}
}

func (s *session) login(ctx context.Context) error {
	got, err := s.send(ctx, http.MethodPost, "/token", s.conf.Secrets["secret"].Reveal())
	if err != nil {
		return err
	}
	s.mu.Lock()
	s.token = fmt.Sprintf("token %d", got.Token)
	s.mu.Unlock()
	return nil
}

func (s *session) send(ctx context.Context, method, path, authorization string) (answer, error) {
	var got answer
	req, err := http.NewRequestWithContext(ctx, method, s.base+path, http.NoBody)
	if err != nil {
		return got, spec.Errorf(spec.Internal, "%v", err)
	}
	req.Header.Set("Authorization", authorization)
	resp, err := s.http.Do(req)
	if err != nil {
		return got, spec.Errorf(spec.Transient, "no answer from the vendor: %v", err)
	}
	defer func() { _ = resp.Body.Close() }()
	switch resp.StatusCode {
	case http.StatusTooManyRequests:
		e := spec.Errorf(spec.RateLimited, "the vendor asks to wait")
		if after, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil && !s.bugs.ForgetsRetryAfter {
			e.RetryAfter = time.Duration(after) * time.Second
		}
		return got, e
	case http.StatusUnauthorized:
		e := spec.Errorf(spec.Auth, "the vendor refuses the credential; renew it")
		if s.bugs.LeaksSecret {
			e.Message = fmt.Sprintf("refused: %v", req.Header)
		}
		return got, e
	}
	if err := json.NewDecoder(resp.Body).Decode(&got); err != nil && resp.ContentLength != 0 {
		return got, spec.Errorf(spec.Transient, "the vendor's answer broke off: %v", err)
	}
	return got, nil
}

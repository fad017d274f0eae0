package sdk

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"google.golang.org/grpc"

	"github.com/quell-soar/quell/connectors/proto"
	"github.com/quell-soar/quell/connectors/sdk/secret"
	"github.com/quell-soar/quell/connectors/spec"
	"github.com/quell-soar/quell/connectors/spec/kind"
)

// Adapter serves one connector over the wire's messages. Serve puts it behind
// gRPC; the conformance suite calls it directly. It keeps the promises that no
// author should have to remember: inputs and outputs are checked, a panic
// becomes an Internal error, a call's context ends at its deadline, and no
// secret leaves in a text.
type Adapter struct {
	proto.UnimplementedConnectorServer

	connector Connector
	// crash is told of panics with their stack, secrets taken out.
	crash func(text string)

	mu       sync.RWMutex
	manifest *spec.Manifest
	session  Session
	redact   *secret.Redactor
}

var _ proto.ConnectorServer = (*Adapter)(nil)

// NewAdapter wraps a connector. crash is called with the redacted text of a
// panic; nil drops it.
func NewAdapter(c Connector, crash func(text string)) *Adapter {
	if crash == nil {
		crash = func(string) {}
	}
	return &Adapter{connector: c, crash: crash}
}

// Describe answers with the manifest. It may be called at any time.
func (a *Adapter) Describe(context.Context, *proto.DescribeRequest) (reply *proto.DescribeReply, err error) {
	defer a.recovered("Manifest", func(e *spec.Error) { err = e })
	m := a.describe()
	raw, err := json.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("manifest of %s: %w", m.Name, err)
	}
	return &proto.DescribeReply{Manifest: raw, ApiVersions: []string{proto.APIVersion}, Streams: true}, nil
}

// describe asks the connector for its manifest once: the types that check the
// calls must not change under them.
func (a *Adapter) describe() spec.Manifest {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.manifest == nil {
		m := a.connector.Manifest()
		a.manifest = &m
	}
	return *a.manifest
}

// Configure opens the session. A second call is refused: one process serves one
// instance for its whole life.
func (a *Adapter) Configure(ctx context.Context, r *proto.ConfigureRequest) (reply *proto.ConfigureReply, err error) {
	fail := func(e *spec.Error) { reply, err = &proto.ConfigureReply{Error: a.wireError(e)}, nil }
	defer a.recovered("Open", fail)
	m := a.describe()
	secrets := make(map[string]secret.Value, len(r.GetSecrets()))
	values := make([]secret.Value, 0, len(r.GetSecrets()))
	for name, raw := range r.GetSecrets() {
		secrets[name] = secret.New(string(raw))
		values = append(values, secrets[name])
	}
	a.mu.Lock()
	if a.session != nil {
		a.mu.Unlock()
		fail(spec.Errorf(spec.Conflict, "connector %s is configured already; start another process for another instance", m.Name))
		return reply, nil
	}
	a.redact = secret.NewRedactor(values...)
	a.mu.Unlock()
	if err := CheckSecrets(m, secrets); err != nil {
		fail(spec.Errorf(spec.Invalid, "%v", err))
		return reply, nil
	}
	settings, err := decodeRecord(SettingsType(m), r.GetSettings())
	if err != nil {
		fail(spec.Errorf(spec.Invalid, "settings of connector %s: %v", m.Name, err))
		return reply, nil
	}
	s, err := a.connector.Open(ctx, Config{Instance: r.GetInstance(), Settings: settings, Secrets: secrets})
	if err != nil {
		fail(asError(err, spec.Invalid))
		return reply, nil
	}
	if s == nil {
		fail(spec.Errorf(spec.Internal, "connector %s: Open returned neither a session nor an error", m.Name))
		return reply, nil
	}
	a.mu.Lock()
	a.session = s
	a.mu.Unlock()
	return &proto.ConfigureReply{}, nil
}

// Check runs the session's own check.
func (a *Adapter) Check(ctx context.Context, r *proto.CheckRequest) (reply *proto.CheckReply, err error) {
	fail := func(e *spec.Error) { reply, err = &proto.CheckReply{Error: a.wireError(e)}, nil }
	defer a.recovered("Check", fail)
	s, e := a.open()
	if e != nil {
		fail(e)
		return reply, nil
	}
	ctx, cancel := until(ctx, r.GetDeadlineUnixNanos())
	defer cancel()
	reply = &proto.CheckReply{}
	for _, f := range s.Check(ctx) {
		reply.Findings = append(reply.Findings, &proto.Finding{Name: a.text(f.Name), Ok: f.OK, Advice: a.text(f.Advice)})
	}
	return reply, nil
}

// Call runs one action. Whatever goes wrong is data in the reply.
func (a *Adapter) Call(ctx context.Context, r *proto.CallRequest) (*proto.CallReply, error) {
	h := &held{contents: map[string][]byte{}}
	reply := a.answer(ctx, r, newKeeper(h, proto.MaxArtifacts))
	if reply.GetError() == nil && len(h.contents) > 0 {
		maps.Copy(h.contents, reply.Artifacts)
		reply.Artifacts = h.contents
	}
	return reply, nil
}

// CallStreaming is Call for a host that takes contents in pieces. It fails only
// where the host hung up.
func (a *Adapter) CallStreaming(r *proto.CallRequest, to grpc.ServerStreamingServer[proto.CallPart]) error {
	reply := a.answer(to.Context(), r, newKeeper(sent{to.Send}, proto.MaxStreamed))
	return to.Send(&proto.CallPart{Part: &proto.CallPart_Reply{Reply: reply}})
}

func (a *Adapter) answer(ctx context.Context, r *proto.CallRequest, k *keeper) (reply *proto.CallReply) {
	defer k.close() // a goroutine that the session left behind keeps nothing any more
	fail := func(e *spec.Error) { reply = &proto.CallReply{Error: a.wireError(e)} }
	defer a.recovered(r.GetAction(), fail)
	s, e := a.open()
	if e != nil {
		fail(e)
		return reply
	}
	action, req, e := a.request(r)
	if e != nil {
		fail(e)
		return reply
	}
	ctx, cancel := until(ctx, r.GetDeadlineUnixNanos())
	defer cancel()
	got, callErr := s.Call(k.within(ctx), req)
	if callErr != nil {
		fail(callError(ctx, action, req.Mode, callErr))
		return reply
	}
	out, e := a.reply(action, req.Mode, got, k.close())
	if e != nil {
		fail(e)
		return reply
	}
	return out
}

// Close ends the session. The process calls it last.
func (a *Adapter) Close() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.session == nil {
		return nil
	}
	return a.session.Close()
}

func (a *Adapter) open() (Session, *spec.Error) {
	a.mu.RLock()
	defer a.mu.RUnlock()
	if a.session == nil {
		return nil, spec.Errorf(spec.Unavailable, "the connector is not configured yet; Configure comes first")
	}
	return a.session, nil
}

// request checks what came against the action and turns it into canonical
// values.
func (a *Adapter) request(r *proto.CallRequest) (spec.Action, spec.Request, *spec.Error) {
	m := a.describe()
	action, ok := m.Action(r.GetAction())
	if !ok {
		return action, spec.Request{}, spec.Errorf(spec.Invalid, "connector %s has no action %q", m.Name, r.GetAction())
	}
	mode := spec.Mode(r.GetMode())
	if mode != spec.Act && (mode != spec.Back || !action.Effect()) {
		return action, spec.Request{}, spec.Errorf(spec.Invalid, "%s cannot be called with mode %q", action.Name, mode)
	}
	if mode == spec.Act && action.Effect() && r.GetKey() == "" {
		return action, spec.Request{}, spec.Errorf(spec.Invalid, "%s is an effect and needs a key", action.Name)
	}
	inputs, err := decodeRecord(action.InputType(), r.GetInputs())
	if err != nil {
		return action, spec.Request{}, spec.Errorf(spec.Invalid, "inputs of %s: %v", action.Name, err)
	}
	prior, err := proto.DecodePlain(r.GetPrior())
	if err != nil {
		return action, spec.Request{}, spec.Errorf(spec.Invalid, "%s: %v", action.Name, err)
	}
	if err := proto.CheckArtifacts(kind.Artifacts(action.InputType(), inputs), r.GetArtifacts()); err != nil && mode == spec.Act {
		return action, spec.Request{}, spec.Errorf(spec.Invalid, "inputs of %s: %v", action.Name, err)
	}
	deadline := time.Unix(0, r.GetDeadlineUnixNanos())
	if r.GetDeadlineUnixNanos() <= 0 {
		deadline = time.Now().Add(action.Deadline)
	}
	if !time.Now().Before(deadline) {
		return action, spec.Request{}, spec.Errorf(spec.Transient, "%s was not started: its deadline was over", action.Name)
	}
	return action, spec.Request{
		Action: action.Name, Mode: mode, Key: r.GetKey(), Inputs: inputs, Prior: prior, Artifacts: r.GetArtifacts(), Deadline: deadline,
	}, nil
}

// reply checks and redacts what the session answered. kept are the references of
// contents that it gave out before.
func (a *Adapter) reply(action spec.Action, mode spec.Mode, r spec.Reply, kept map[string]bool) (*proto.CallReply, *spec.Error) {
	broken := func(err error) (*proto.CallReply, *spec.Error) {
		k := spec.Internal
		if action.Effect() && mode == spec.Act {
			// The session says that it acted and cannot say what came of it.
			k = spec.Uncertain
		}
		return nil, spec.Errorf(k, "a fault of the connector: %v", err)
	}
	if r.Outcome == "" && !action.Effect() {
		r.Outcome = spec.Done
	}
	a.mu.RLock()
	redact := a.redact
	a.mu.RUnlock()
	out, _ := redactValue(redact, r.Output).(map[string]any)
	r.Output = out
	if err := CheckReply(action, mode, r); err != nil {
		return broken(err)
	}
	if out == nil {
		out = map[string]any{}
	}
	raw, err := kind.Canonical(out)
	if err != nil {
		return broken(err)
	}
	if len(raw) > proto.MaxOutput {
		return broken(fmt.Errorf("output of %s: %d bytes, more than %d; page or cut it", action.Name, len(raw), proto.MaxOutput))
	}
	refs := slices.DeleteFunc(kind.Artifacts(action.OutputType(), out), func(ref string) bool { return kept[ref] })
	if err := proto.CheckArtifacts(refs, r.Artifacts); err != nil && mode == spec.Act {
		return broken(err)
	}
	priorOut, _ := redactValue(redact, r.Prior).(map[string]any)
	prior, err := proto.EncodePlain(priorOut)
	if err != nil {
		return broken(err)
	}
	failed := make(map[string]string, len(r.Failed))
	for target, why := range r.Failed {
		failed[a.text(target)] = a.text(why)
	}
	return &proto.CallReply{
		Outcome: string(r.Outcome), Output: raw, Prior: prior, Failed: failed, VendorRequestId: a.text(r.VendorRequestID),
		Artifacts: r.Artifacts,
	}, nil
}

// recovered turns a panic into an Internal error. The panic's own text goes to
// the log only: it may quote anything.
func (a *Adapter) recovered(where string, fail func(*spec.Error)) {
	p := recover()
	if p == nil {
		return
	}
	a.crash(a.text(fmt.Sprintf("panic in %s: %v\n%s", where, p, debug.Stack())))
	fail(spec.Errorf(spec.Internal, "the connector panicked in %s (%T); its log has the stack", where, p))
}

func (a *Adapter) wireError(e *spec.Error) *proto.Error {
	clean := *e
	clean.Message = a.text(e.Message)
	clean.VendorCode = a.text(e.VendorCode)
	clean.VendorRequestID = a.text(e.VendorRequestID)
	return proto.FromError(&clean)
}

// callError gives an error that is none of ours a kind.
func callError(ctx context.Context, a spec.Action, mode spec.Mode, err error) *spec.Error {
	var e *spec.Error
	if errors.As(err, &e) {
		return e
	}
	if ctx.Err() == nil {
		return asError(err, spec.Internal)
	}
	if a.Effect() && mode == spec.Act {
		return spec.Errorf(spec.Uncertain, "%s ended at its deadline without an answer: %v", a.Name, err)
	}
	return spec.Errorf(spec.Transient, "%s ended at its deadline: %v", a.Name, err)
}

func asError(err error, k spec.ErrorKind) *spec.Error {
	var e *spec.Error
	if errors.As(err, &e) {
		return e
	}
	return spec.Errorf(k, "%v", err)
}

func decodeRecord(t kind.Type, raw []byte) (map[string]any, error) {
	if len(raw) == 0 {
		raw = []byte("{}")
	}
	v, err := kind.Decode(t, raw)
	if err != nil {
		return nil, err
	}
	m, ok := v.(map[string]any)
	if !ok {
		return nil, fmt.Errorf("found %T, not a record", v)
	}
	return m, nil
}

func until(ctx context.Context, nanos int64) (context.Context, context.CancelFunc) {
	if nanos <= 0 {
		return context.WithCancel(ctx)
	}
	return context.WithDeadline(ctx, time.Unix(0, nanos))
}

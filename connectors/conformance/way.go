package conformance

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/quell-soar/quell/connectors/host"
	"github.com/quell-soar/quell/connectors/proto"
	"github.com/quell-soar/quell/connectors/sdk"
	"github.com/quell-soar/quell/connectors/spec"
	"github.com/quell-soar/quell/connectors/spec/kind"
)

// Instance is the name under which the connector runs in the suite. A handle
// written by hand, such as one to something that is not there, bears it.
const Instance = "conformance"

// way is how the suite reaches a connector: directly or over the wire.
type way interface {
	call(ctx context.Context, r spec.Request) (spec.Reply, error)
	check(ctx context.Context) []sdk.Finding
	// heard is all text that came out besides answers, such as logs, and what
	// the connector said before the sdk took secrets out of it.
	heard() string
}

// opener makes a way to a fresh session against a fake.
type opener func(t testing.TB, target Target, f Fake) (way, error)

// text collects what is said, from many goroutines.
type text struct {
	mu sync.Mutex
	b  bytes.Buffer
}

// Write takes a piece of log.
func (x *text) Write(p []byte) (int, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.b.Write(p)
}

func (x *text) heard() string {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.b.String()
}

// direct calls the sdk's adapter without a process between.
type direct struct {
	*text
	adapter  *sdk.Adapter
	manifest spec.Manifest
	evidence map[string][]byte
}

func openDirect(t testing.TB, target Target, f Fake) (way, error) {
	d := &direct{text: &text{}, manifest: target.Connector.Manifest(), evidence: map[string][]byte{}}
	for _, content := range target.Evidence {
		d.evidence[kind.ArtifactOf(content)] = content
	}
	d.adapter = sdk.NewAdapter(spyConnector{target.Connector, d.text}, func(s string) { fmt.Fprintln(d.text, s) })
	settings, err := sdk.ParseSettings(d.manifest, f.Settings)
	if err != nil {
		return nil, err
	}
	raw, err := kind.Canonical(settings)
	if err != nil {
		return nil, fmt.Errorf("settings: %w", err)
	}
	secrets := make(map[string][]byte, len(f.Secrets))
	for name, v := range f.Secrets {
		secrets[name] = []byte(v.Reveal())
	}
	r, err := d.adapter.Configure(t.Context(), &proto.ConfigureRequest{Instance: Instance, Settings: raw, Secrets: secrets})
	if err != nil {
		return nil, err
	}
	if e := r.GetError(); e != nil {
		return nil, e.Spec()
	}
	t.Cleanup(func() {
		if err := d.adapter.Close(); err != nil {
			t.Errorf("closing the session: %v", err)
		}
	})
	return d, nil
}

func (d *direct) call(ctx context.Context, r spec.Request) (spec.Reply, error) {
	in, err := kind.Canonical(r.Inputs)
	if err != nil {
		return spec.Reply{}, spec.Errorf(spec.Invalid, "sample inputs: %v", err)
	}
	prior, err := proto.EncodePlain(r.Prior)
	if err != nil {
		return spec.Reply{}, spec.Errorf(spec.Invalid, "%v", err)
	}
	a, _ := d.manifest.Action(r.Action)
	contents := map[string][]byte{}
	for _, ref := range kind.Artifacts(a.InputType(), r.Inputs) {
		contents[ref] = d.evidence[ref]
	}
	got, err := d.adapter.Call(ctx, &proto.CallRequest{
		Action: r.Action, Mode: string(r.Mode), Key: r.Key, Inputs: in, Prior: prior, DeadlineUnixNanos: r.Deadline.UnixNano(),
		Artifacts: contents,
	})
	if err != nil {
		return spec.Reply{}, err
	}
	if e := got.GetError(); e != nil {
		return spec.Reply{}, e.Spec()
	}
	maps.Copy(d.evidence, got.GetArtifacts())
	out, err := kind.Decode(sdk.OutputType(a, spec.Outcome(got.GetOutcome())), got.GetOutput())
	if err != nil {
		return spec.Reply{}, spec.Errorf(spec.Internal, "%v", err)
	}
	p, err := proto.DecodePlain(got.GetPrior())
	if err != nil {
		return spec.Reply{}, spec.Errorf(spec.Internal, "%v", err)
	}
	fields, _ := out.(map[string]any)
	return spec.Reply{
		Outcome: spec.Outcome(got.GetOutcome()), Output: fields, Prior: p, Failed: got.GetFailed(), VendorRequestID: got.GetVendorRequestId(),
	}, nil
}

func (d *direct) check(ctx context.Context) []sdk.Finding {
	r, err := d.adapter.Check(ctx, &proto.CheckRequest{DeadlineUnixNanos: time.Now().Add(10 * time.Second).UnixNano()})
	if err != nil {
		return []sdk.Finding{{Name: "check", Advice: err.Error()}}
	}
	out := make([]sdk.Finding, 0, len(r.GetFindings()))
	for _, f := range r.GetFindings() {
		out = append(out, sdk.Finding{Name: f.GetName(), OK: f.GetOk(), Advice: f.GetAdvice()})
	}
	return out
}

// wired calls a built binary through the host.
type wired struct {
	*text
	host *host.Host
}

func openWired(t testing.TB, target Target, f Fake) (way, error) {
	w := &wired{text: &text{}}
	evidence := host.EvidenceDir(t.TempDir())
	for _, content := range target.Evidence {
		if _, err := evidence.Put(t.Context(), content); err != nil {
			return nil, err
		}
	}
	h, err := host.New(host.Options{
		Log: zerolog.New(w.text), Evidence: evidence,
		Instances: []host.Instance{{
			Name: Instance, Connector: target.Connector.Manifest().Name, Binary: target.Binary,
			Settings: f.Settings, Secrets: fetch(f), Reads: f.Reads,
		}},
	})
	if err != nil {
		return nil, err
	}
	w.host = h
	t.Cleanup(func() {
		if err := h.Close(context.WithoutCancel(t.Context())); err != nil {
			t.Errorf("closing the host: %v", err)
		}
	})
	if err := h.Start(t.Context()); err != nil {
		return nil, fmt.Errorf("%w\nlog:\n%s", err, w.heard())
	}
	return w, nil
}

func (w *wired) call(ctx context.Context, r spec.Request) (spec.Reply, error) {
	return w.host.Call(ctx, Instance, r, host.Permit{Key: r.Key, Expires: time.Now().Add(5 * time.Second)})
}

func (w *wired) check(ctx context.Context) []sdk.Finding { return w.host.Check(ctx, Instance) }

// spyConnector writes down what the connector says before the sdk cleans it.
type spyConnector struct {
	sdk.Connector
	said *text
}

// Open opens a spied session.
func (c spyConnector) Open(ctx context.Context, conf sdk.Config) (sdk.Session, error) {
	s, err := c.Connector.Open(ctx, conf)
	if err != nil {
		fmt.Fprintln(c.said, err)
		return nil, err
	}
	return spySession{s, c.said}, nil
}

type spySession struct {
	sdk.Session
	said *text
}

// Call writes the answer down.
func (s spySession) Call(ctx context.Context, r spec.Request) (spec.Reply, error) {
	reply, err := s.Session.Call(ctx, r)
	if err != nil {
		fmt.Fprintf(s.said, "%s: %#v %v\n", r.Action, err, err)
		return reply, err
	}
	fmt.Fprintf(s.said, "%s: %+v\n", r.Action, reply)
	return reply, nil
}

// Check writes the findings down.
func (s spySession) Check(ctx context.Context) []sdk.Finding {
	out := s.Session.Check(ctx)
	if raw, err := json.Marshal(out); err == nil {
		fmt.Fprintf(s.said, "%s\n", raw)
	}
	return out
}

package host

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"slices"

	"google.golang.org/grpc/status"

	"github.com/quell-soar/quell/connectors/host/launch"
	"github.com/quell-soar/quell/connectors/proto"
	"github.com/quell-soar/quell/connectors/sdk"
	"github.com/quell-soar/quell/connectors/sdk/secret"
	"github.com/quell-soar/quell/connectors/spec"
	"github.com/quell-soar/quell/connectors/spec/kind"
)

const (
	maxManifest = 1 << 20
	maxActions  = 500
	// maxDepth is how deep a type of a manifest may nest.
	maxDepth = 8
)

func (i *instance) start(ctx context.Context, l *launch.Launcher) (*launch.Process, error) {
	args := append([]string{i.conf.Connector}, i.conf.Args...)
	return l.Start(ctx, launch.Program{Path: i.conf.Binary, SHA256: i.conf.SHA256, Args: args})
}

// bring starts a process, learns its manifest and opens its session. On an
// error nothing is left behind.
func (i *instance) bring(ctx context.Context, l *launch.Launcher) (*launch.Process, *secret.Redactor, error) {
	p, err := i.start(ctx, l)
	if err != nil {
		return nil, nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, i.opts.OpenTimeout)
	defer cancel()
	redact, err := i.configure(ctx, p)
	if err != nil {
		p.Stop()
		return nil, nil, err
	}
	return p, redact, nil
}

func (i *instance) configure(ctx context.Context, p *launch.Process) (*secret.Redactor, error) {
	m, err := i.describe(ctx, p)
	if err != nil {
		return nil, err
	}
	settings, err := sdk.ParseSettings(m, i.conf.Settings)
	if err != nil {
		return nil, err
	}
	raw, err := kind.Encode(sdk.SettingsType(m), settings)
	if err != nil {
		return nil, fmt.Errorf("settings: %w", err)
	}
	secrets := map[string]secret.Value{}
	if i.conf.Secrets != nil {
		if secrets, err = i.conf.Secrets(ctx); err != nil {
			return nil, fmt.Errorf("fetching its secrets: %w", err)
		}
	}
	if err := sdk.CheckSecrets(m, secrets); err != nil {
		return nil, err
	}
	wire := make(map[string][]byte, len(secrets))
	values := make([]secret.Value, 0, len(secrets))
	i.given = make(map[string][sha256.Size]byte, len(secrets))
	for name, v := range secrets {
		i.given[name] = sha256.Sum256([]byte(v.Reveal()))
		wire[name] = []byte(v.Reveal())
		values = append(values, v)
	}
	redact := secret.NewRedactor(values...)
	p.Redact(redact)
	reply, err := p.Connector().Configure(ctx, &proto.ConfigureRequest{Instance: i.conf.Name, Settings: raw, Secrets: wire})
	if err != nil {
		return nil, fmt.Errorf("configuring it: %s", redact.Text(transport(err)))
	}
	if e := reply.GetError(); e != nil {
		return nil, fmt.Errorf("it refused its configuration: %w", cleanError(e.Spec(), redact))
	}
	return redact, nil
}

// describe asks for the manifest and keeps it.
func (i *instance) describe(ctx context.Context, p *launch.Process) (spec.Manifest, error) {
	reply, err := p.Connector().Describe(ctx, &proto.DescribeRequest{})
	if err != nil {
		return spec.Manifest{}, fmt.Errorf("asking for its manifest: %s", transport(err))
	}
	if !slices.Contains(reply.GetApiVersions(), proto.APIVersion) {
		return spec.Manifest{}, fmt.Errorf("it speaks no version of the contract that we do (%s); install a matching release", proto.APIVersion)
	}
	m, err := readManifest(reply.GetManifest(), i.conf.Connector)
	if err != nil {
		return spec.Manifest{}, err
	}
	i.mu.Lock()
	i.manifest, i.streams, i.sum = &m, reply.GetStreams(), p.SHA256()
	i.mu.Unlock()
	return m, nil
}

// readManifest reads a hostile manifest. What it accepts cannot make the code
// fail that later works by its types.
func readManifest(raw []byte, want string) (spec.Manifest, error) {
	var m spec.Manifest
	if len(raw) > maxManifest {
		return m, fmt.Errorf("its manifest has %d bytes, more than %d", len(raw), maxManifest)
	}
	if err := json.Unmarshal(raw, &m); err != nil {
		return m, fmt.Errorf("its manifest is no JSON of a manifest: %s", launch.CleanText(err.Error(), 256))
	}
	if m.Name != want {
		return m, fmt.Errorf("it is the connector %q, not %q", launch.CleanText(m.Name, 64), want)
	}
	if len(m.Actions) > maxActions {
		return m, fmt.Errorf("its manifest has %d actions, more than %d", len(m.Actions), maxActions)
	}
	// Validate works by the types, so they come first.
	for _, s := range m.Settings {
		if err := checkType(s.Type, 0); err != nil {
			return m, fmt.Errorf("its setting %q: %w", launch.CleanText(s.Name, 64), err)
		}
	}
	for _, a := range m.Actions {
		for _, fields := range [][]kind.Field{a.Inputs, a.Outputs} {
			if err := checkType(kind.RecordOf(fields...), 0); err != nil {
				return m, fmt.Errorf("its action %q: %w", launch.CleanText(a.Name, 64), err)
			}
		}
	}
	if err := m.Validate(); err != nil {
		return m, fmt.Errorf("its manifest breaks the contract: %s", launch.CleanText(err.Error(), 256))
	}
	return m, nil
}

func checkType(t kind.Type, depth int) error {
	if depth > maxDepth {
		return fmt.Errorf("a type nests deeper than %d", maxDepth)
	}
	switch t.Kind {
	case kind.List, kind.Map:
		if t.Elem == nil {
			return fmt.Errorf("a %s without the type of its elements", t.Kind)
		}
		return checkType(*t.Elem, depth+1)
	case kind.Record:
		seen := map[string]bool{}
		for _, f := range t.Fields {
			if f.Name == "" || seen[f.Name] {
				return fmt.Errorf("a field without a name, or twice: %q", launch.CleanText(f.Name, 64))
			}
			seen[f.Name] = true
			if err := checkType(f.Type, depth+1); err != nil {
				return fmt.Errorf("field %q: %w", launch.CleanText(f.Name, 64), err)
			}
		}
		return nil
	case kind.Handled:
		if t.Name == "" {
			return fmt.Errorf("a handle without a name")
		}
		return nil
	}
	if !slices.Contains(kind.Scalars(), t.Kind) {
		return fmt.Errorf("the kind %q is not known", launch.CleanText(string(t.Kind), 64))
	}
	return nil
}

// transport says in short what a gRPC error says; the connector may have
// written it.
func transport(err error) string {
	st := status.Convert(err)
	return launch.CleanText(fmt.Sprintf("%s: %s", st.Code(), st.Message()), 512)
}

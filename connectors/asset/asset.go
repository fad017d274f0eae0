package asset

import (
	"context"
	"encoding/json"
	"slices"
	"strings"

	"github.com/quell-soar/quell/connectors/sdk"
	"github.com/quell-soar/quell/connectors/sdk/rest"
	"github.com/quell-soar/quell/connectors/spec"
	"github.com/quell-soar/quell/connectors/spec/kind"
	"github.com/quell-soar/quell/connectors/vocabulary"
)

// Connector is an asset inventory.
type Connector struct{}

var _ sdk.Connector = Connector{}

// New returns the connector.
func New() Connector { return Connector{} }

// unrated is the criticality of what the inventory has and does not rate.
const unrated = "high"

// Manifest describes the connector.
func (Connector) Manifest() spec.Manifest {
	m := spec.Manifest{
		Name: "asset", Version: "1.0.0", Title: "Asset inventory",
		Doc: "Says what a host or a person is worth and who answers for it, from a CSV file or an HTTP service. What is there and not rated counts as high.",
		Settings: []spec.Setting{
			{Name: "file", Type: kind.Of(kind.Path), Optional: true, Doc: "the CSV file; name it in the instance's reads too"},
			{Name: "base_url", Type: kind.Of(kind.URL), Optional: true, Doc: "the service, in place of a file"},
			{Name: "token", Type: kind.Of(kind.Secret), Secret: true, Optional: true, Doc: "the service's bearer token"},
			{Name: "allow_http", Type: kind.Of(kind.Boolean), Default: "false", Doc: "permits a base URL without TLS beyond the loopback interface; for labs only"},
		},
	}
	for _, name := range []string{"asset.find_host", "asset.find_user"} {
		if a, ok := vocabulary.Lookup(name); ok {
			a.Permissions = []string{"read access to the file or service"}
			m.Actions = append(m.Actions, a)
		}
	}
	return m
}

// Open checks the settings and reads the file; it calls nobody.
func (Connector) Open(_ context.Context, c sdk.Config) (sdk.Session, error) {
	text := func(name string) string { s, _ := c.Settings[name].(string); return s }
	insecure, _ := c.Settings["allow_http"].(bool)
	if (text("file") == "") == (text("base_url") == "") {
		return nil, spec.Errorf(spec.Invalid, "give one of the settings file and base_url")
	}
	if path := text("file"); path != "" {
		f, err := openFile(path)
		if err != nil {
			return nil, spec.Errorf(spec.Invalid, "%v", err)
		}
		return &session{source: f}, nil
	}
	var credential rest.Credential
	if token := c.Secrets["token"]; !token.Empty() {
		credential = rest.NewKey("Authorization", "Bearer ", token)
	}
	client, err := rest.New(rest.Options{
		BaseURL: text("base_url"), AllowHTTP: insecure, Credential: credential,
		Limits: []rest.LimitHeader{{Name: "Retry-After", Form: rest.Delay}}, Fault: fault,
	})
	if err != nil {
		return nil, err
	}
	return &session{source: &service{client: client}}, nil
}

func fault(body []byte) (message, code string) {
	var e struct {
		Error string `json:"error"`
	}
	if json.Unmarshal(body, &e) != nil {
		return "", ""
	}
	return e.Error, ""
}

// item is one entry of an inventory.
type item struct {
	Name        string   `json:"name"`
	Aliases     []string `json:"aliases"`
	Criticality string   `json:"criticality"`
	Owner       string   `json:"owner"`
	Tags        []string `json:"tags"`
	VIP         bool     `json:"vip"`
}

// named reports whether the entry has that name or alias.
func (i item) named(name string) bool {
	return fold(i.Name) == fold(name) || slices.ContainsFunc(i.Aliases, func(a string) bool { return fold(a) == fold(name) })
}

// fold is a name as names are compared.
func fold(name string) string {
	return strings.ToLower(strings.TrimSuffix(strings.TrimSpace(name), "."))
}

func (i item) output() map[string]any {
	out := map[string]any{"criticality": fold(i.Criticality), "vip": i.VIP, "tags": []any{}}
	if kind.Of(kind.Criticality).Rank(fold(i.Criticality)) < 0 {
		out["criticality"] = unrated
	}
	if i.Owner != "" {
		out["owner"] = i.Owner
	}
	for _, t := range i.Tags {
		if t = strings.TrimSpace(t); t != "" {
			out["tags"] = append(out["tags"].([]any), t)
		}
	}
	return out
}

// source is where entries come from. find returns all that have the name; sort
// is hosts or users.
type source interface {
	find(ctx context.Context, sort, name string) ([]item, error)
	check(ctx context.Context) sdk.Finding
	close()
}

// The sorts of entry.
const (
	hosts = "hosts"
	users = "users"
)

type session struct{ source source }

var _ sdk.Session = (*session)(nil)

// Call runs one action.
func (s *session) Call(ctx context.Context, r spec.Request) (spec.Reply, error) {
	ctx, cancel := context.WithDeadline(ctx, r.Deadline)
	defer cancel()
	sort, name := hosts, ""
	switch r.Action {
	case "asset.find_host":
		name, _ = r.Inputs["hostname"].(string)
	case "asset.find_user":
		h, _ := r.Inputs["user"].(kind.Handle)
		sort, name = users, h.Label
	default:
		return spec.Reply{}, spec.Errorf(spec.Invalid, "asset has no action %q", r.Action)
	}
	if fold(name) == "" {
		return spec.Reply{}, spec.Errorf(spec.Invalid, "%s: there is no name to look for", r.Action)
	}
	found, err := s.source.find(ctx, sort, name)
	if err != nil {
		return spec.Reply{}, err
	}
	switch len(found) {
	case 0:
		return spec.Reply{}, spec.Errorf(spec.NotFound, "the inventory has no entry %q among its %s; add it, or count it as critical", name, sort)
	case 1:
		return spec.Reply{Outcome: spec.Done, Output: found[0].output()}, nil
	}
	return spec.Reply{}, spec.Errorf(spec.Ambiguous, "the inventory has %d entries %q among its %s; leave one", len(found), name, sort)
}

// Check says whether the inventory can be read.
func (s *session) Check(ctx context.Context) []sdk.Finding {
	return []sdk.Finding{s.source.check(ctx)}
}

// Close gives the connections back.
func (s *session) Close() error {
	s.source.close()
	return nil
}

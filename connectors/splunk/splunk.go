package splunk

import (
	"context"
	"encoding/json"
	"maps"
	"regexp"
	"slices"

	"github.com/quell-soar/quell/connectors/sdk"
	"github.com/quell-soar/quell/connectors/sdk/rest"
	"github.com/quell-soar/quell/connectors/spec"
	"github.com/quell-soar/quell/connectors/spec/kind"
	"github.com/quell-soar/quell/connectors/vocabulary"
)

// Connector is Splunk.
type Connector struct{}

var _ sdk.Connector = Connector{}

// New returns the connector.
func New() Connector { return Connector{} }

var permissions = []string{"capability search", "read access to the saved searches", "read access to the indexes that they read"}

// cells are the kinds that a declared input or column may have.
func cells() kind.Type {
	return kind.ChoiceOf(string(kind.String), string(kind.Int), string(kind.Double), string(kind.Boolean), string(kind.Timestamp),
		string(kind.IP), string(kind.CIDR), string(kind.Hostname), string(kind.Domain), string(kind.URL), string(kind.Email),
		string(kind.Username), string(kind.Hash), string(kind.Path), string(kind.MessageID))
}

// Manifest describes the connector.
func (Connector) Manifest() spec.Manifest {
	m := spec.Manifest{
		Name: "splunk", Version: "1.0.0", Title: "Splunk",
		Doc: "Runs saved searches that the settings name, with typed values and columns. A playbook cannot bring a query of its own.",
		Settings: []spec.Setting{
			{Name: "base_url", Type: kind.Of(kind.URL), Doc: "the management port, such as https://splunk.example.com:8089"},
			{Name: "token", Type: kind.Of(kind.Secret), Secret: true, Doc: "an authentication token of a user who may do nothing else"},
			{Name: "owner", Type: kind.Of(kind.String), Default: "nobody", Doc: "whose saved searches they are"},
			{Name: "app", Type: kind.Of(kind.String), Default: "search", Doc: "the app that they are in"},
			{Name: "sign_ins", Type: kind.Of(kind.String), Optional: true, Doc: "the saved search behind search.sign_ins"},
			{Name: "url_clicks", Type: kind.Of(kind.String), Optional: true, Doc: "the saved search behind search.url_clicks"},
			{
				Name: "searches", Default: "{}", Doc: `more searches for search.run_saved: {"dns": {"search": "Quell DNS", "inputs": {"domain": "domain"}, "columns": {"host": "hostname", "at": "timestamp"}}}`,
				Type: kind.MapOf(kind.RecordOf(
					kind.Field{Name: "search", Type: kind.Of(kind.String)},
					kind.Field{Name: "inputs", Type: kind.MapOf(cells()), Optional: true},
					kind.Field{Name: "columns", Type: kind.MapOf(cells())},
				)),
			},
			{Name: "max_rows", Type: kind.Of(kind.Int), Default: "1000", Doc: "the most rows that are taken of one search, from 1 to 10000"},
			{Name: "allow_http", Type: kind.Of(kind.Boolean), Default: "false", Doc: "permits a base URL without TLS beyond the loopback interface; for labs only"},
		},
	}
	for _, name := range []string{"search.run_saved", "search.sign_ins", "search.url_clicks"} {
		if a, ok := vocabulary.Lookup(name); ok {
			a.Permissions = permissions
			m.Actions = append(m.Actions, a)
		}
	}
	return m
}

// saved is a saved search with what it takes and gives.
type saved struct {
	name    string
	inputs  map[string]kind.Type
	columns []kind.Field
	// all says that optional columns must be there too, though their cells may be
	// empty.
	all bool
}

var argumentForm = regexp.MustCompile(`^[a-z][a-z0-9_]{0,63}$`)

// Open checks the settings; it calls nobody.
func (Connector) Open(_ context.Context, c sdk.Config) (sdk.Session, error) {
	text := func(name string) string { s, _ := c.Settings[name].(string); return s }
	insecure, _ := c.Settings["allow_http"].(bool)
	s := &session{owner: text("owner"), app: text("app"), bound: map[string]saved{}, declared: map[string]saved{}}
	s.most, _ = c.Settings["max_rows"].(int64)
	if s.most < 1 || s.most > 10000 {
		return nil, spec.Errorf(spec.Invalid, "setting max_rows: from 1 to 10000")
	}
	for action, name := range map[string]string{"search.sign_ins": text("sign_ins"), "search.url_clicks": text("url_clicks")} {
		if a, ok := vocabulary.Lookup(action); ok && name != "" {
			rows, _ := a.OutputType().Field("rows")
			s.bound[action] = saved{name: name, columns: rows.Type.Elem.Fields}
		}
	}
	declared, _ := c.Settings["searches"].(map[string]any)
	for name, v := range declared {
		d, err := declare(v)
		if err != nil {
			return nil, spec.Errorf(spec.Invalid, "setting searches: %s: %v", name, err)
		}
		s.declared[name] = d
	}
	client, err := rest.New(rest.Options{
		BaseURL: text("base_url"), AllowHTTP: insecure, Credential: rest.NewKey("Authorization", "Bearer ", c.Secrets["token"]),
		Limits: []rest.LimitHeader{{Name: "Retry-After", Form: rest.Delay}}, Fault: fault,
	})
	if err != nil {
		return nil, err
	}
	s.client = client
	return s, nil
}

// declare reads one entry of the setting searches.
func declare(v any) (saved, error) {
	m, _ := v.(map[string]any)
	d := saved{inputs: map[string]kind.Type{}, all: true}
	d.name, _ = m["search"].(string)
	inputs, _ := m["inputs"].(map[string]any)
	columns, _ := m["columns"].(map[string]any)
	if d.name == "" || len(columns) == 0 {
		return d, spec.Errorf(spec.Invalid, "it needs the name of a saved search and at least one column")
	}
	for name, k := range inputs {
		if !argumentForm.MatchString(name) || name == "since" {
			return d, spec.Errorf(spec.Invalid, "%q cannot be the name of an input; use small letters, digits and underscores", name)
		}
		k, _ := k.(string)
		d.inputs[name] = kind.Of(kind.Kind(k))
	}
	for _, name := range slices.Sorted(maps.Keys(columns)) {
		k, _ := columns[name].(string)
		d.columns = append(d.columns, kind.Field{Name: name, Type: kind.Of(kind.Kind(k)), Optional: true})
	}
	return d, nil
}

// message is what Splunk says about a request; one may stand within a 200.
type message struct {
	Type string `json:"type"`
	Text string `json:"text"`
}

func fault(body []byte) (text, code string) {
	var e struct {
		Messages []message `json:"messages"`
	}
	if json.Unmarshal(body, &e) != nil || len(e.Messages) == 0 {
		return "", ""
	}
	return e.Messages[0].Text, e.Messages[0].Type
}

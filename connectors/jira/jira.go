package jira

import (
	"context"
	"encoding/json"
	"maps"
	"regexp"
	"slices"
	"time"

	"github.com/quell-soar/quell/connectors/sdk"
	"github.com/quell-soar/quell/connectors/sdk/recall"
	"github.com/quell-soar/quell/connectors/sdk/rest"
	"github.com/quell-soar/quell/connectors/spec"
	"github.com/quell-soar/quell/connectors/spec/kind"
	"github.com/quell-soar/quell/connectors/vocabulary"
)

// Connector is Jira Cloud.
type Connector struct{}

var _ sdk.Connector = Connector{}

// New returns the connector.
func New() Connector { return Connector{} }

// served are the actions with what Jira decides of each. The settle time of a
// create covers the usual lag of the search index.
var served = []struct {
	name             string
	deadline, settle time.Duration
	permissions      []string
}{
	{"ticket.add_comment", 6 * time.Second, 2 * time.Second, []string{"Browse projects", "Add comments"}},
	{"ticket.attach_file", time.Minute, 5 * time.Second, []string{"Browse projects", "Create attachments"}},
	{"ticket.create_ticket", 6 * time.Second, 5 * time.Second, []string{"Browse projects", "Create issues"}},
	{"ticket.set_status", 6 * time.Second, 2 * time.Second, []string{"Browse projects", "Transition issues"}},
}

// Manifest describes the connector.
func (Connector) Manifest() spec.Manifest {
	m := spec.Manifest{
		Name: "jira", Version: "1.0.0", Title: "Jira Cloud",
		Doc: "Opens tickets once for a key, comments on them, attaches evidence and moves them through their workflow, in one project of a Jira Cloud site.",
		Settings: []spec.Setting{
			{Name: "base_url", Type: kind.Of(kind.URL), Doc: "the site, such as https://example.atlassian.net"},
			{Name: "email", Type: kind.Of(kind.String), Doc: "the account's e-mail address"},
			{Name: "api_token", Type: kind.Of(kind.Secret), Secret: true, Doc: "an API token of that account"},
			{Name: "project", Type: kind.Of(kind.String), Doc: "the key of the project that gets the tickets, such as SEC"},
			{Name: "issue_type", Type: kind.Of(kind.String), Default: "Task", Doc: "the type of the tickets"},
			{
				Name: "priorities", Type: kind.MapOf(kind.Of(kind.String)), Doc: "the priority for each severity; {} sends none",
				Default: `{"info":"Lowest","low":"Low","medium":"Medium","high":"High","critical":"Highest"}`,
			},
			{Name: "allow_http", Type: kind.Of(kind.Boolean), Default: "false", Doc: "permits a base URL without TLS beyond the loopback interface; for labs only"},
		},
	}
	for _, s := range served {
		a, ok := vocabulary.Lookup(s.name)
		if !ok {
			continue // the conformance suite fails where an action has no sample
		}
		a.Deadline, a.Settle, a.Permissions = s.deadline, s.settle, s.permissions
		m.Actions = append(m.Actions, a)
	}
	return m
}

var projectForm = regexp.MustCompile(`^[A-Z][A-Z0-9_]{0,30}$`)

// Open checks the settings; it calls nobody.
func (Connector) Open(_ context.Context, c sdk.Config) (sdk.Session, error) {
	text := func(name string) string { s, _ := c.Settings[name].(string); return s }
	insecure, _ := c.Settings["allow_http"].(bool)
	s := &session{
		instance: c.Instance, project: text("project"), issueType: text("issue_type"), priorities: map[string]string{},
		made: recall.NewBook[ref](4096), prior: recall.NewBook[map[string]any](4096),
	}
	if !projectForm.MatchString(s.project) {
		return nil, spec.Errorf(spec.Invalid, "setting project: %q is no key of a Jira project, such as SEC", s.project)
	}
	priorities, _ := c.Settings["priorities"].(map[string]any)
	for _, severity := range slices.Sorted(maps.Keys(priorities)) {
		if kind.Of(kind.Severity).Rank(severity) < 0 {
			return nil, spec.Errorf(spec.Invalid, "setting priorities: %q is no severity; write info, low, medium, high or critical", severity)
		}
		s.priorities[severity], _ = priorities[severity].(string)
	}
	client, err := rest.New(rest.Options{
		BaseURL: text("base_url"), AllowHTTP: insecure,
		Credential: rest.NewBasic(text("email"), c.Secrets["api_token"]),
		Limits:     []rest.LimitHeader{{Name: "Retry-After", Form: rest.Delay}, {Name: "X-Ratelimit-Reset", Form: rest.ISO}},
		RequestIDs: []string{"Atl-Traceid", "X-Arequestid"},
		Fault:      fault,
	})
	if err != nil {
		return nil, err
	}
	s.client = client
	for i := range s.turns {
		s.turns[i] = make(chan struct{}, 1)
	}
	return s, nil
}

// fault reads Jira's error body: messages, or what is wrong with each field.
func fault(body []byte) (message, code string) {
	var e struct {
		ErrorMessages []string          `json:"errorMessages"`
		Errors        map[string]string `json:"errors"`
	}
	if json.Unmarshal(body, &e) != nil {
		return "", ""
	}
	if len(e.ErrorMessages) > 0 {
		return e.ErrorMessages[0], ""
	}
	for _, field := range slices.Sorted(maps.Keys(e.Errors)) {
		return field + ": " + e.Errors[field], ""
	}
	return "", ""
}

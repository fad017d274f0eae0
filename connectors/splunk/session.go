package splunk

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/quell-soar/quell/connectors/sdk"
	"github.com/quell-soar/quell/connectors/sdk/rest"
	"github.com/quell-soar/quell/connectors/spec"
	"github.com/quell-soar/quell/connectors/spec/kind"
)

// session is one Splunk deployment.
type session struct {
	client     *rest.Client
	owner, app string
	most       int64
	// bound are the searches behind actions with fixed columns, by action.
	bound map[string]saved
	// declared are those of the setting searches.
	declared map[string]saved
}

var _ sdk.Session = (*session)(nil)

// Call runs one action.
func (s *session) Call(ctx context.Context, r spec.Request) (spec.Reply, error) {
	ctx, cancel := context.WithDeadline(ctx, r.Deadline)
	defer cancel()
	args := url.Values{}
	if since, ok := r.Inputs["since"].(time.Time); ok {
		args.Set("since", encode(since))
	}
	switch r.Action {
	case "search.sign_ins":
		h, ok := r.Inputs["user"].(kind.Handle)
		if !ok || h.Label == "" {
			return spec.Reply{}, spec.Errorf(spec.Invalid, "%s: the account has no name to look for", r.Action)
		}
		args.Set("user", encode(h.Label))
		args.Set("user_id", encode(h.ID))
	case "search.url_clicks":
		urls, _ := r.Inputs["urls"].([]any)
		if len(urls) == 0 {
			return found{}.reply(), nil
		}
		args.Set("urls", encode(urls))
	case "search.run_saved":
		return s.runSaved(ctx, r, args)
	default:
		return spec.Reply{}, spec.Errorf(spec.Invalid, "splunk has no action %q", r.Action)
	}
	q, ok := s.bound[r.Action]
	if !ok {
		return spec.Reply{}, spec.Errorf(spec.Invalid, "no saved search is bound to %s; name one in the setting %s", r.Action, strings.TrimPrefix(r.Action, "search."))
	}
	return s.run(ctx, q, args)
}

// runSaved runs a search of the setting searches with checked values.
func (s *session) runSaved(ctx context.Context, r spec.Request, args url.Values) (spec.Reply, error) {
	name, _ := r.Inputs["name"].(string)
	q, ok := s.declared[name]
	if !ok {
		return spec.Reply{}, spec.Errorf(spec.NotFound, "no search %q is declared; declare it in the setting searches", name)
	}
	values, _ := r.Inputs["values"].(map[string]any)
	for name := range values {
		if _, ok := q.inputs[name]; !ok {
			return spec.Reply{}, spec.Errorf(spec.Invalid, "the search has no input %q", name)
		}
	}
	for name, t := range q.inputs {
		text, ok := values[name].(string)
		if !ok {
			return spec.Reply{}, spec.Errorf(spec.Invalid, "the search needs the input %s (%s)", name, t)
		}
		v, err := kind.Parse(t, text)
		if err != nil {
			return spec.Reply{}, spec.Errorf(spec.Invalid, "input %s: %v", name, err)
		}
		args.Set(name, encode(v))
	}
	out, err := s.run(ctx, q, args)
	if err != nil {
		return out, err
	}
	rows, _ := out.Output["rows"].([]any)
	for _, row := range rows {
		if row, ok := row.(map[string]any); ok {
			for column, v := range row {
				row[column] = plain(v)
			}
		}
	}
	return out, nil
}

// Close gives the connections back.
func (s *session) Close() error {
	s.client.Close()
	return nil
}

// Check tries the token, and whether each bound search is there and takes the
// values that it is given.
func (s *session) Check(ctx context.Context) []sdk.Finding {
	var info struct {
		Entry []struct {
			Content struct {
				Version string `json:"version"`
			} `json:"content"`
		} `json:"entry"`
	}
	rep, err := s.client.DoJSON(ctx, rest.Request{Path: []string{"services", "server", "info"}, Query: asJSON()}, &info)
	if err != nil || len(info.Entry) == 0 {
		f := sdk.Finding{Name: "credentials", Advice: "the answer of " + s.client.Base().Host + " is none of Splunk's management port"}
		if err != nil {
			f.Advice = err.Error()
		}
		return []sdk.Finding{f}
	}
	out := []sdk.Finding{{Name: "credentials", OK: rep != nil, Advice: "Splunk " + info.Entry[0].Content.Version}}
	if q, ok := s.bound["search.sign_ins"]; ok {
		out = append(out, s.checkSaved(ctx, q, "args.user"))
	}
	if q, ok := s.bound["search.url_clicks"]; ok {
		out = append(out, s.checkSaved(ctx, q, "$args.urls$"))
	}
	for _, q := range s.declared {
		var tokens []string
		for name := range q.inputs {
			tokens = append(tokens, "$args."+name+"$")
		}
		slices.Sort(tokens)
		out = append(out, s.checkSaved(ctx, q, tokens...))
	}
	slices.SortFunc(out[1:], func(a, b sdk.Finding) int { return strings.Compare(a.Name, b.Name) })
	return out
}

func (s *session) checkSaved(ctx context.Context, q saved, tokens ...string) sdk.Finding {
	f := sdk.Finding{Name: "saved search " + q.name}
	var out struct {
		Entry []struct {
			Content struct {
				Search   string `json:"search"`
				Disabled bool   `json:"disabled"`
			} `json:"content"`
		} `json:"entry"`
	}
	_, err := s.client.DoJSON(ctx, rest.Request{Path: s.savedPath(q), Query: asJSON()}, &out)
	switch {
	case spec.KindOf(err) == spec.NotFound && err != nil:
		f.Advice = fmt.Sprintf("it is not in the app %s of %s, or the token's user may not read it", s.app, s.owner)
	case err != nil:
		f.Advice = err.Error()
	case len(out.Entry) == 0 || out.Entry[0].Content.Disabled:
		f.Advice = "it is disabled; enable it"
	default:
		f.OK, f.Advice = true, "it is there"
		for _, token := range tokens {
			if !strings.Contains(out.Entry[0].Content.Search, token) {
				f.OK, f.Advice = false, "its text does not have "+token+", so it would find what was not asked for"
			}
		}
	}
	return f
}

func (s *session) savedPath(q saved, more ...string) []string {
	return append([]string{"servicesNS", s.owner, s.app, "saved", "searches", q.name}, more...)
}

func asJSON() url.Values { return url.Values{"output_mode": {"json"}} }

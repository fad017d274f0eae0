package asset

import (
	"context"
	"net/url"

	"github.com/quell-soar/quell/connectors/sdk"
	"github.com/quell-soar/quell/connectors/sdk/rest"
	"github.com/quell-soar/quell/connectors/spec"
)

// maxPages is how many pages are read for one name. A service that has more of
// them does not filter by name.
const maxPages = 50

// service is an inventory behind HTTP.
type service struct{ client *rest.Client }

var _ source = (*service)(nil)

// answer is a page of entries.
type answer struct {
	Items *[]item `json:"items"`
	Next  string  `json:"next"`
	Error string  `json:"error"`
}

// find reads all pages: the entry that makes a name ambiguous may be on the
// last.
func (s *service) find(ctx context.Context, sort, name string) ([]item, error) {
	var found []item
	cursor := ""
	for range maxPages {
		page, err := s.page(ctx, sort, name, cursor)
		if spec.KindOf(err) == spec.NotFound && err != nil {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		for _, i := range *page.Items {
			if i.named(name) {
				found = append(found, i)
			}
		}
		if page.Next == "" {
			return found, nil
		}
		cursor = page.Next
	}
	return nil, spec.Errorf(spec.Invalid, "the inventory answers more than %d pages for one name; it must filter by name", maxPages)
}

// page reads one page. A 2xx without entries, or with an error, is no success.
func (s *service) page(ctx context.Context, sort, name, cursor string) (answer, error) {
	query := url.Values{"name": {name}}
	if cursor != "" {
		query.Set("cursor", cursor)
	}
	var out answer
	if _, err := s.client.DoJSON(ctx, rest.Request{Path: []string{sort}, Query: query}, &out); err != nil {
		return out, err
	}
	if out.Items == nil || out.Error != "" {
		return out, spec.Errorf(spec.Transient, "the inventory's answer is a success without entries; see its own log")
	}
	return out, nil
}

// check asks for a host that there is not.
func (s *service) check(ctx context.Context) sdk.Finding {
	if _, err := s.page(ctx, hosts, "quell-check", ""); err != nil && spec.KindOf(err) != spec.NotFound {
		return sdk.Finding{Name: "inventory", Advice: err.Error()}
	}
	return sdk.Finding{Name: "inventory", OK: true, Advice: s.client.Base().Host + " answers"}
}

func (s *service) close() { s.client.Close() }

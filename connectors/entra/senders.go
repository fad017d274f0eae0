package entra

import (
	"context"
	"net/http"
	"strings"

	"github.com/quell-soar/quell/connectors/sdk/rest"
	"github.com/quell-soar/quell/connectors/spec"
)

// The states of a sender in the tenant's allow and block list.
const (
	blocked = "blocked"
	free    = "free"
	allowed = "allowed"
)

// entry is one line of that list.
type entry struct {
	Value  string `json:"Value"`
	Action string `json:"Action"`
	// Error stands in an answer 200 to a command that failed for this line.
	Error string `json:"Error"`
}

// command runs a cmdlet of Exchange Online, as Microsoft's PowerShell module
// does: by its name and parameters, answered with its output.
func (s *session) command(ctx context.Context, name string, reads bool, parameters map[string]any) ([]entry, string, error) {
	var out struct {
		Value []entry `json:"value"`
	}
	rep, err := s.exchange.DoJSON(ctx, rest.Request{
		Method: http.MethodPost, Path: []string{"adminapi", "beta", s.tenant, "InvokeCommand"}, Read: reads,
		JSON:   map[string]any{"CmdletInput": map[string]any{"CmdletName": name, "Parameters": parameters}},
		Header: map[string]string{"X-CmdletName": name, "X-ResponseFormat": "json"},
	}, &out)
	if err != nil {
		return nil, "", err
	}
	for _, e := range out.Value {
		if e.Error != "" {
			return nil, rep.RequestID, &spec.Error{
				Kind: spec.Conflict, VendorCode: "HTTP 200, Error", VendorRequestID: rep.RequestID,
				Message: "Exchange answered " + name + " with an error: " + plain(e.Error),
			}
		}
	}
	return out.Value, rep.RequestID, nil
}

// listed reads how a sender stands in the list.
func (s *session) listed(ctx context.Context, address string) (string, error) {
	found, _, err := s.command(ctx, "Get-TenantAllowBlockListItems", true, map[string]any{"ListType": "Sender", "Entry": address})
	if err != nil {
		return "", err
	}
	for _, e := range found {
		switch {
		case !strings.EqualFold(e.Value, address):
		case e.Action == "Block":
			return blocked, nil
		case e.Action == "Allow":
			return allowed, nil
		}
	}
	return free, nil
}

// sender blocks a sender in all mailboxes, or lets it in again.
func (s *session) sender(want string) func(context.Context, spec.Request) (spec.Reply, error) {
	return func(ctx context.Context, r spec.Request) (spec.Reply, error) {
		address, _ := r.Inputs["address"].(string)
		c := change{
			want:   want,
			output: func(state string) map[string]any { return map[string]any{"blocked": state == blocked} },
			write: func(ctx context.Context) (string, error) {
				_, id, err := s.command(ctx, "Remove-TenantAllowBlockListItems", false, map[string]any{"ListType": "Sender", "Entries": []string{address}})
				return id, err
			},
		}
		c.read = func(ctx context.Context) (string, error) {
			state, err := s.listed(ctx, address)
			if state != allowed || err != nil {
				return state, err
			}
			if want == free {
				return free, nil
			}
			return "", spec.Errorf(spec.Conflict, "the tenant's list expressly allows %s; take it off there first", address)
		}
		if want == blocked {
			c.write = func(ctx context.Context) (string, error) {
				_, id, err := s.command(ctx, "New-TenantAllowBlockListItems", false, map[string]any{
					"ListType": "Sender", "Entries": []string{address}, "Block": true, "NoExpiration": true, "Notes": "Quell",
				})
				return id, err
			}
		}
		return s.drive(ctx, r, c)
	}
}

package entra

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/quell-soar/quell/connectors/sdk/rest"
	"github.com/quell-soar/quell/connectors/spec"
	"github.com/quell-soar/quell/connectors/spec/kind"
)

// inboxRule is what is read of a rule.
type inboxRule struct {
	ID      string `json:"id"`
	Name    string `json:"displayName"`
	Enabled bool   `json:"isEnabled"`
	Actions struct {
		Forward    []recipient `json:"forwardTo"`
		Attach     []recipient `json:"forwardAsAttachmentTo"`
		Redirect   []recipient `json:"redirectTo"`
		Delete     bool        `json:"delete"`
		DeleteHard bool        `json:"permanentDelete"`
	} `json:"actions"`
}

func rulesOf(mailbox string, more ...string) []string {
	return v1(append([]string{"users", mailbox, "mailFolders", "inbox", "messageRules"}, more...)...)
}

// listRules reads the rules of an account's inbox. Graph does not tell when one
// was changed.
func (s *session) listRules(ctx context.Context, r spec.Request) (spec.Reply, error) {
	h, err := userOf(r)
	if err != nil {
		return spec.Reply{}, err
	}
	found, err := list[inboxRule](ctx, s, rest.Request{Path: rulesOf(h.ID)}, 0)
	if err != nil {
		return spec.Reply{}, err
	}
	now := time.Now().UTC()
	out := make([]any, 0, len(found))
	for _, f := range found {
		rule, err := s.ruleHandle(h.ID, f, now)
		if err != nil {
			return spec.Reply{}, err
		}
		out = append(out, rule)
	}
	return spec.Reply{Outcome: spec.Done, Output: map[string]any{"rules": out}}, nil
}

func (s *session) ruleHandle(mailbox string, f inboxRule, now time.Time) (kind.Handle, error) {
	forwards := []any{}
	var names []string
	for _, to := range slices.Concat(f.Actions.Forward, f.Actions.Attach, f.Actions.Redirect) {
		forwards = append(forwards, plain(to.Address.Address))
		names = append(names, to.Address.Address)
	}
	deletes := f.Actions.Delete || f.Actions.DeleteHard
	label := "rule " + f.Name
	if len(names) > 0 {
		label += ", forwards to " + strings.Join(names, " ")
	}
	if deletes {
		label += ", deletes"
	}
	return kind.Handle{Name: "mail_rule", Instance: s.instance, ID: mailbox + "/" + f.ID, Label: plain(label)}.WithFacts(map[string]any{
		"name": plain(f.Name), "enabled": f.Enabled, "changed": now, "dated": false, "forwards_to": forwards, "deletes": deletes,
	})
}

// rule puts a rule into force or out of it.
func (s *session) rule(want string) func(context.Context, spec.Request) (spec.Reply, error) {
	return func(ctx context.Context, r spec.Request) (spec.Reply, error) {
		h, _ := r.Inputs["rule"].(kind.Handle)
		mailbox, id, ok := strings.Cut(h.ID, "/")
		if !ok || !guidForm.MatchString(mailbox) || id == "" {
			return spec.Reply{}, spec.Errorf(spec.Invalid, "%s: the rule is none of Exchange; list it with mail.list_rules", r.Action)
		}
		return s.drive(ctx, r, change{
			want: want,
			read: func(ctx context.Context) (string, error) {
				f, err := get[inboxRule](ctx, s, rest.Request{Path: rulesOf(mailbox, id)})
				return able(f.Enabled), err
			},
			write: func(ctx context.Context) (string, error) {
				return s.write(ctx, http.MethodPatch, rulesOf(mailbox, id), map[string]any{"isEnabled": want == enabled})
			},
			output: func(state string) map[string]any { return map[string]any{"enabled": state == enabled} },
		})
	}
}

package server

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/quell-soar/quell/connectors/spec"
	"github.com/quell-soar/quell/connectors/vocabulary"
	"github.com/quell-soar/quell/internal/auth"
	"github.com/quell-soar/quell/internal/guard"
	"github.com/quell-soar/quell/internal/ledger"
	"github.com/quell-soar/quell/internal/registry"
	"github.com/quell-soar/quell/internal/store"
	"github.com/quell-soar/quell/playbooks/compile"
	"github.com/quell-soar/quell/playbooks/source"
	"github.com/quell-soar/quell/server/api"
)

// shelved is a real registry, with the modes of a house without configuration.
type shelved struct{ *registry.Registry }

type words struct{}

func (words) Action(name string) (spec.Action, bool) { return vocabulary.Lookup(name) }
func (words) Names() []string                        { return nil }

func press(_ context.Context, t registry.Text, others compile.Playbooks) (registry.Made, error) {
	p, list := compile.Compile(source.NewFile(t.File, t.Body), compile.Options{Actions: words{}, Playbooks: others})
	if p == nil {
		return registry.Made{}, errors.New(list.Error())
	}
	return registry.Made{Plan: p}, nil
}

func (s shelved) Mode(playbook string) guard.Mode {
	e, err := s.Get(context.Background(), playbook)
	if err != nil || e.Mode == "" {
		return guard.Observe
	}
	return e.Mode
}

func (s shelved) Publish(ctx context.Context, actor, request string, texts []registry.Text) ([]registry.Taken, error) {
	return s.Take(ctx, registry.Offer{Origin: "api", Actor: actor, Request: request, Texts: texts}, press)
}

// registryOf makes a registry in which playbooks are published as they are.
func registryOf(t testing.TB, db *store.DB, l *ledger.Ledger, tenant string, list books) shelved {
	t.Helper()
	if err := db.Migrate(t.Context(), registry.Schema()); err != nil {
		t.Fatal(err)
	}
	s := shelved{registry.New(db, l, tenant, time.Now)}
	o := registry.Offer{Origin: "dir", Actor: "system:folder", Standing: true}
	for _, b := range list {
		o.Texts = append(o.Texts, registry.Text{File: b.Plan.Playbook + ".yaml", Body: []byte("playbook: " + b.Plan.Playbook + "\n")})
	}
	o.Texts = append(o.Texts, registry.Text{File: "old.yaml"})
	_, err := s.Take(t.Context(), o, func(_ context.Context, text registry.Text, _ compile.Playbooks) (registry.Made, error) {
		for _, b := range list {
			if text.File == b.Plan.Playbook+".yaml" {
				return registry.Made{Plan: b.Plan}, nil
			}
		}
		return registry.Made{}, errors.New("old.yaml:4:5: no connector instance serves iam.find_user")
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

const noted = `quell: 1
playbook: noted
title: T
owner: o
inputs:
  who: { type: string, ask: "Who?" }
on:
  manual: { roles: [analyst] }
triage:
  - note: seen
    text: ${{ inputs.who }}
`

// Who publishes is on record, a text that does not hold publishes nothing, and the
// mode is raised by admins alone.
func TestRegistry(t *testing.T) {
	h := open(t)
	author := h.client(h.token("ann", []string{"author"}, auth.Read, auth.Publish))
	lead := h.client(h.token("lena", nil, auth.Read, auth.Respond))
	admin := h.client(h.token("root", nil, auth.Admin))
	ctx := t.Context()
	publish := func(text string) (api.PublishedPlaybooks, error) {
		return author.PublishPlaybooks(ctx, api.PublishPlaybooks{Playbooks: []api.PublishText{{File: "noted.yaml", Text: text}}})
	}
	one, err := publish(noted)
	if err != nil || one.Published[0].Version != 1 || one.Published[0].Status != registry.Published {
		t.Fatal(one, err)
	}
	var p *api.Error
	if _, err := publish(strings.Replace(noted, "note:", "nte:", 1)); !errors.As(err, &p) || p.Code != api.CodeInvalid || !strings.Contains(p.Detail, "nte") {
		t.Error(err)
	}
	if again, err := publish(noted); err != nil || again.Published[0].Status != registry.Unchanged {
		t.Error(again, err)
	}
	two, err := publish("# by ann\n" + noted)
	if err != nil || two.Published[0].Version != 2 || !two.Published[0].SameMeaning {
		t.Error(two, err)
	}
	three, err := publish(strings.Replace(noted, "note: seen", "note: met", 1))
	if err != nil || three.Published[0].SameMeaning {
		t.Error(three, err)
	}
	d, err := author.PlaybookDiff(ctx, "noted", "", "")
	if err != nil || d.SameMeaning || d.From.Version != 2 || d.To.Version != 3 || d.Changes == "" {
		t.Errorf("%+v %v", d, err)
	}
	if d, err = author.PlaybookDiff(ctx, "noted", one.Published[0].Digest[:12], two.Published[0].Digest); err != nil || !d.SameMeaning {
		t.Errorf("%+v %v", d, err)
	}
	if v, err := author.PlaybookVersion(ctx, "noted", one.Published[0].Digest); err != nil || v.Text != noted || v.By != "user:ann" {
		t.Errorf("%+v %v", v, err)
	}
	if _, err := lead.PublishPlaybooks(ctx, api.PublishPlaybooks{Playbooks: []api.PublishText{{File: "f", Text: noted}}}); !errors.As(err, &p) || p.Status != http.StatusForbidden {
		t.Error(err)
	}
	if _, err := lead.PromotePlaybook(ctx, "noted", api.PromotePlaybook{Mode: "act", Reason: "r"}); !errors.As(err, &p) || p.Status != http.StatusForbidden {
		t.Error("a responder raised the mode:", err)
	}
	if _, err := admin.PromotePlaybook(ctx, "noted", api.PromotePlaybook{Mode: "act", Reason: "r", Digest: one.Published[0].Digest}); !errors.As(err, &p) || p.Code != api.CodeConflict {
		t.Error("promoted what nobody looked at:", err)
	}
	if got, err := admin.PromotePlaybook(ctx, "noted", api.PromotePlaybook{Mode: "act", Reason: "it is good"}); err != nil || got.Own != "act" {
		t.Error(got, err)
	}
	if got, err := lead.PromotePlaybook(ctx, "noted", api.PromotePlaybook{Mode: "ask", Reason: "it is loud"}); err != nil || got.Own != "ask" || got.Digest != three.Published[0].Digest {
		t.Error(got, err)
	}
	if got, err := lead.RetirePlaybook(ctx, "noted", api.RetirePlaybook{Reason: "replaced"}); err != nil || got.Retired == nil || got.Retired.By != "user:lena" {
		t.Error(got, err)
	}
	all, err := lead.Playbooks(ctx)
	if err != nil || !slices.ContainsFunc(all.Playbooks, func(p api.Playbook) bool { return p.Name == "noted" && p.Retired != nil }) {
		t.Error(all, err)
	}
	for kind, n := range map[string]int{"playbook.published": 3 + len(shelf(t)), "playbook.promoted": 2, "playbook.retired": 1} {
		if is := h.kinds(kind); is != n {
			t.Errorf("%s: %d on record, want %d", kind, is, n)
		}
	}
}

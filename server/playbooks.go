package server

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/quell-soar/quell/internal/auth"
	"github.com/quell-soar/quell/internal/guard"
	"github.com/quell-soar/quell/internal/intake"
	"github.com/quell-soar/quell/internal/registry"
	"github.com/quell-soar/quell/playbooks/plan"
	"github.com/quell-soar/quell/playbooks/plan/diff"
	"github.com/quell-soar/quell/server/api"
)

// playbookAPI answers for the registry of playbooks.
type playbookAPI struct {
	books    Books
	registry Registry
}

// registryProblem maps the registry's errors to what the caller is told.
func registryProblem(err error) *api.Error {
	switch {
	case errors.Is(err, registry.ErrUnknown):
		return api.Problem(api.CodeNotFound, err.Error())
	case errors.Is(err, registry.ErrMoved):
		return api.Problem(api.CodeConflict, err.Error())
	}
	return nil
}

func (a *playbookAPI) list(c *call, _ *struct{}) (*reply[api.Playbooks], error) {
	all, loose, err := a.registry.List(c.Context())
	if err != nil {
		return nil, err
	}
	out := api.Playbooks{Playbooks: []api.Playbook{}}
	for _, e := range all {
		_, active := a.books.Playbook(e.Current.Playbook)
		if active || e.Retired != nil {
			out.Playbooks = append(out.Playbooks, a.playbook(e))
			continue
		}
		no := api.RefusedPlaybook{File: e.Current.Text.File, Playbook: e.Current.Playbook, Why: "it cannot be started"}
		if len(e.Problems) > 0 {
			no.Why = e.Problems[0].Text
		}
		out.Refused = append(out.Refused, no)
	}
	for _, p := range loose {
		if p.File != "" {
			out.Refused = append(out.Refused, api.RefusedPlaybook{File: p.File, Why: p.Text})
			continue
		}
		out.Problems = append(out.Problems, problemText(p))
	}
	return ok(out)
}

func problemText(p registry.Problem) string {
	where := p.Origin
	if p.File != "" {
		where += " " + p.File
	}
	return where + ": " + p.Text
}

// playbook tells one playbook; what may be started is known of the active ones
// only.
func (a *playbookAPI) playbook(e registry.Entry) api.Playbook {
	v := e.Current
	p := api.Playbook{
		Name: v.Playbook, Digest: v.Digest, Version: v.N, Own: string(a.registry.Mode(v.Playbook)),
		Published: &api.PlaybookMark{By: e.Since.By, At: e.Since.At, Origin: v.Origin},
	}
	if e.Retired != nil {
		p.Retired = &api.PlaybookMark{By: e.Retired.By, At: e.Retired.At, Reason: e.Retired.Why}
	}
	for _, x := range e.Problems {
		p.Problems = append(p.Problems, problemText(x))
	}
	if b, active := a.books.Playbook(v.Playbook); active {
		tell(&p, b)
	}
	return p
}

// tell adds what the plan of an active playbook says.
func tell(p *api.Playbook, b intake.Loaded) {
	p.Title, p.Owner, p.Tags, p.Mode = b.Plan.Title, b.Plan.Owner, b.Plan.Tags, b.Mode
	for _, t := range b.Plan.Triggers.Alerts {
		p.From = append(p.From, t.From...)
	}
	slices.Sort(p.From)
	p.From = slices.Compact(p.From)
	if m := b.Plan.Triggers.Manual; m != nil {
		p.Manual, p.Roles = true, m.Roles
	}
	for _, in := range b.Plan.Inputs {
		p.Inputs = append(p.Inputs, api.PlaybookInput{Name: in.Name, Type: in.Type, Ask: in.Ask, Required: in.Default == nil})
	}
}

func (a *playbookAPI) entry(ctx context.Context, playbook string) (registry.Entry, error) {
	all, _, err := a.registry.List(ctx)
	if err != nil {
		return registry.Entry{}, err
	}
	for _, e := range all {
		if e.Current.Playbook == playbook {
			return e, nil
		}
	}
	return registry.Entry{}, fmt.Errorf("%w: %s", registry.ErrUnknown, playbook)
}

func (a *playbookAPI) show(c *call, in *OfPlaybook) (*reply[api.PlaybookDetail], error) {
	e, err := a.entry(c.Context(), in.Playbook)
	if err != nil {
		return nil, err
	}
	list, err := a.registry.Versions(c.Context(), in.Playbook)
	if err != nil {
		return nil, err
	}
	out := api.PlaybookDetail{Playbook: a.playbook(e), Versions: []api.PlaybookVersion{}}
	for _, v := range list {
		out.Versions = append(out.Versions, versionOf(v, e))
	}
	return ok(out)
}

func versionOf(v registry.Version, e registry.Entry) api.PlaybookVersion {
	return api.PlaybookVersion{
		Playbook: v.Playbook, Version: v.N, Digest: v.Digest, Meaning: v.Meaning, File: v.Text.File, Origin: v.Origin,
		Note: v.Note, By: v.By, At: v.At, Tests: v.Tested, Current: v.Digest == e.Current.Digest,
	}
}

func (a *playbookAPI) version(c *call, in *versionIn) (*reply[api.PlaybookVersion], error) {
	e, err := a.entry(c.Context(), in.Playbook)
	if err != nil {
		return nil, err
	}
	digest := in.Digest
	if digest == "current" {
		digest = e.Current.Digest
	}
	v, err := a.registry.Version(c.Context(), in.Playbook, digest)
	if err != nil {
		return nil, err
	}
	out := versionOf(v, e)
	out.Text = string(v.Text.Body)
	return ok(out)
}

func (a *playbookAPI) diff(c *call, in *diffIn) (*reply[api.PlaybookDiff], error) {
	ctx := c.Context()
	e, err := a.entry(ctx, in.Playbook)
	if err != nil {
		return nil, err
	}
	to, from := in.To, in.From
	if to == "" {
		to = e.Current.Digest
	}
	after, err := a.registry.Version(ctx, in.Playbook, to)
	if err != nil {
		return nil, err
	}
	if from == "" {
		list, err := a.registry.Versions(ctx, in.Playbook)
		if err != nil {
			return nil, err
		}
		i := slices.IndexFunc(list, func(v registry.Version) bool { return v.N < after.N })
		if i < 0 {
			return nil, api.Problem(api.CodeNotFound, "there is no version before it")
		}
		from = list[i].Digest
	}
	before, err := a.registry.Version(ctx, in.Playbook, from)
	if err != nil {
		return nil, err
	}
	changes, err := changesOf(before, after)
	if err != nil {
		return nil, err
	}
	out := api.PlaybookDiff{From: versionOf(before, e), To: versionOf(after, e), SameMeaning: before.Meaning == after.Meaning, Changes: changes}
	out.From.Text, out.To.Text = string(before.Text.Body), string(after.Text.Body)
	return ok(out)
}

func changesOf(before, after registry.Version) (string, error) {
	a, err := plan.Decode(before.Plan)
	if err != nil {
		return "", err
	}
	b, err := plan.Decode(after.Plan)
	if err != nil {
		return "", err
	}
	d, err := diff.Of(a, b)
	if err != nil {
		return "", err
	}
	var text strings.Builder
	err = d.Text(&text)
	return text.String(), err
}

func (a *playbookAPI) publish(c *call, in *publishIn) (*reply[api.PublishedPlaybooks], error) {
	var texts []registry.Text
	for _, p := range in.Body.Playbooks {
		texts = append(texts, registry.Text{File: p.File, Body: []byte(p.Text), Tests: []byte(p.Tests)})
	}
	taken, err := a.registry.Publish(c.Context(), c.actor.Name, c.id, texts)
	if err != nil {
		return nil, err
	}
	var bad []string
	out := api.PublishedPlaybooks{}
	for _, t := range taken {
		if t.Status == registry.Refused {
			bad = append(bad, t.Problem)
		}
		out.Published = append(out.Published, api.PublishedPlaybook{
			File: t.File, Playbook: t.Playbook, Digest: t.Digest, Version: t.N, Status: t.Status,
			Before: t.Before, SameMeaning: t.SameMeaning, Tests: t.Tested,
		})
	}
	if len(bad) > 0 {
		return nil, invalid("nothing was published:\n%s", strings.Join(bad, "\n"))
	}
	return ok(out)
}

// promote sets the mode. Whoever may respond may lower it; only an admin raises
// it, as with the kill switch.
func (a *playbookAPI) promote(c *call, in *promoteIn) (*reply[api.Playbook], error) {
	if err := needReason(in.Body.Reason); err != nil {
		return nil, err
	}
	mode := guard.Mode(in.Body.Mode)
	if _, err := a.entry(c.Context(), in.Playbook); err != nil {
		return nil, err
	}
	if now := a.registry.Mode(in.Playbook); guard.Lowest(now, mode) != mode && !c.actor.Can(auth.Admin) {
		return nil, &auth.RefusedError{Actor: c.actor.Name, Need: auth.Admin}
	}
	d := registry.Decision{Playbook: in.Playbook, Digest: in.Body.Digest, Actor: c.actor.Name, Why: in.Body.Reason, Request: c.id}
	e, err := a.registry.Promote(c.Context(), d, mode)
	if err != nil {
		return nil, err
	}
	return ok(a.playbook(e))
}

func (a *playbookAPI) retire(c *call, in *retireIn) (*reply[api.Playbook], error) {
	if err := needReason(in.Body.Reason); err != nil {
		return nil, err
	}
	d := registry.Decision{Playbook: in.Playbook, Digest: in.Body.Digest, Actor: c.actor.Name, Why: in.Body.Reason, Request: c.id}
	e, err := a.registry.Retire(c.Context(), d)
	if err != nil {
		return nil, err
	}
	return ok(a.playbook(e))
}

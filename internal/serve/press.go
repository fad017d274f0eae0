package serve

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/quell-soar/quell/connectors/host"
	"github.com/quell-soar/quell/internal/auth"
	"github.com/quell-soar/quell/internal/registry"
	"github.com/quell-soar/quell/playbooks/compile"
	"github.com/quell-soar/quell/playbooks/diag"
	"github.com/quell-soar/quell/playbooks/plan"
	"github.com/quell-soar/quell/playbooks/source"
	"github.com/quell-soar/quell/workflows/playtest"
)

// pressFor makes what compiles, tests and binds a text. Where strict, somebody
// must be able to approve and answer what the playbook asks; else that is only
// logged: a folder is read before anybody has a token.
func (b *book) pressFor(strict bool) registry.Press {
	return func(ctx context.Context, t registry.Text, others compile.Playbooks) (registry.Made, error) {
		file := source.NewFile(t.File, t.Body)
		c := catalogue{b.host.Catalogue()}
		in, err := b.installation(ctx, c)
		if err != nil {
			return registry.Made{}, err
		}
		p, list := compile.Compile(file, compile.Options{Actions: c, Playbooks: others, Installed: in})
		if p == nil && !strict && !slices.ContainsFunc(list, func(d diag.Diagnostic) bool { return d.Severity == diag.Error && d.Code != nobodyCan }) {
			b.log.Warn().Str("file", t.File).Str("why", list.Error()).Msg("nobody can decide what a playbook will ask")
			p, list = compile.Compile(file, compile.Options{Actions: c, Playbooks: others})
		}
		if p == nil {
			return registry.Made{}, rendered(list)
		}
		n, err := tested(ctx, file, t, others)
		if err != nil {
			return registry.Made{}, err
		}
		raw, err := p.Encode()
		if err != nil {
			return registry.Made{}, err
		}
		_, err = b.bind(p, raw, plan.DigestOf(raw), b.edition())
		return registry.Made{Plan: p, Tested: n}, err
	}
}

const nobodyCan = "nobody-can"

func rendered(list diag.List) error {
	var text bytes.Buffer
	if err := diag.Render(&text, list); err != nil {
		return err
	}
	return errors.New(strings.TrimSpace(text.String()))
}

// tested plays the tests of a text and tells how many passed.
func tested(ctx context.Context, file *source.File, t registry.Text, others compile.Playbooks) (int, error) {
	if len(bytes.TrimSpace(t.Tests)) == 0 {
		return 0, nil
	}
	name := strings.TrimSuffix(strings.TrimSuffix(t.File, ".yaml"), ".yml") + registry.TestSuffix
	s, err := playtest.Try(ctx, file, source.NewFile(name, t.Tests), others, playtest.Options{})
	if err != nil {
		return 0, err
	}
	if s.List.HasErrors() {
		return 0, rendered(s.List)
	}
	var bad []string
	for _, one := range s.Tests {
		if len(one.Differs) > 0 {
			bad = append(bad, fmt.Sprintf("%s:%d: test %q fails: %s", name, one.Line, one.Name, strings.Join(one.Differs, "; ")))
		}
	}
	if len(bad) > 0 {
		return 0, errors.New(strings.Join(bad, "\n"))
	}
	return len(s.Tests), nil
}

// installation is what the compiler may ask about this place.
func (b *book) installation(ctx context.Context, c catalogue) (*compile.Installation, error) {
	in := &compile.Installation{Bound: func(action string) bool {
		served := c.Serving(action)
		if instance, bound := b.cfg.Bound(action); bound {
			return slices.ContainsFunc(served, func(s host.Served) bool { return s.Instance == instance })
		}
		return len(served) == 1 || len(served) > 1 && takesHandle(served[0].Action)
	}}
	in.OnCall = slices.Concat(slices.Collect(maps.Keys(b.cfg.OnCall)), slices.Collect(maps.Keys(b.cfg.Rotations)))
	in.Roles = slices.Clone(b.cfg.Access.LocalRoles)
	for _, p := range b.cfg.Access.People {
		in.Roles = append(in.Roles, p.Roles...)
	}
	for _, roles := range b.cfg.Access.OIDC.Roles {
		in.Roles = append(in.Roles, roles...)
	}
	more, err := b.roles(ctx)
	in.Roles = append(in.Roles, more...)
	slices.Sort(in.Roles)
	in.Roles = slices.Compact(in.Roles)
	slices.Sort(in.OnCall)
	in.OnCall = slices.Compact(in.OnCall)
	return in, err
}

// basis names what texts are compiled and bound against, so that they are
// compiled anew when it changes.
func (b *book) basis() (string, error) {
	c := catalogue{b.host.Catalogue()}
	actions := map[string][]string{}
	for _, name := range c.Actions() {
		for _, s := range c.Serving(name) {
			actions[name] = append(actions[name], s.Instance+" "+s.Action.SchemaDigest())
		}
	}
	raw, err := json.Marshal([]any{b.version, actions, b.cfg.Bindings, b.cfg.Settings, b.cfg.Calendars})
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:]), nil
}

// rolesGiven lists the roles that live tokens have.
func rolesGiven(tokens *auth.Tokens) func(context.Context) ([]string, error) {
	return func(ctx context.Context) ([]string, error) {
		list, err := tokens.List(ctx)
		var out []string
		for _, t := range list {
			if t.Revoked.IsZero() {
				out = append(out, t.Roles...)
			}
		}
		return out, err
	}
}

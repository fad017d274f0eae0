package serve

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/quell-soar/quell/connectors/vocabulary"
	"github.com/quell-soar/quell/internal/auth"
	"github.com/quell-soar/quell/internal/intake"
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
		o := compile.Options{Actions: b.house.Actions(), Playbooks: others, Installed: b.house.Connected()}
		if strict {
			var err error
			if o.Installed, err = b.everybody(ctx); err != nil {
				return registry.Made{}, err
			}
		}
		p, list := compile.Compile(file, o)
		if p == nil {
			return registry.Made{}, b.wrong(file, others, list)
		}
		b.asked(file, o)
		raw, err := p.Encode()
		if err != nil {
			return registry.Made{}, err
		}
		digest := plan.DigestOf(raw)
		if _, err := b.bind(p, raw, digest, b.edition()); err != nil {
			return registry.Made{}, err
		}
		// What passed once passes again.
		if v, err := b.reg.Version(ctx, p.Playbook, digest); err == nil && bytes.Equal(v.Text.Tests, t.Tests) {
			return registry.Made{Plan: p, Tested: v.Tested}, nil
		}
		n, err := tested(ctx, file, t, others)
		return registry.Made{Plan: p, Tested: n}, err
	}
}

// compiled compiles and binds a text that is not published.
func (b *book) compiled(file *source.File, others compile.Playbooks) (intake.Loaded, error) {
	p, list := compile.Compile(file, compile.Options{Actions: b.house.Actions(), Playbooks: others, Installed: b.house.Connected()})
	if p == nil {
		return intake.Loaded{}, b.wrong(file, others, list)
	}
	raw, err := p.Encode()
	if err != nil {
		return intake.Loaded{}, err
	}
	return b.bind(p, raw, plan.DigestOf(raw), b.edition())
}

// everybody is the installation with those who can be asked: the people of the
// configuration, and who has a token.
func (b *book) everybody(ctx context.Context) (*compile.Installation, error) {
	in := b.house.Installation()
	more, err := b.roles(ctx)
	in.Roles = slices.Concat(in.Roles, more)
	return in, err
}

// unserved are the mistakes of a playbook that is good, and not here.
type unserved struct{ list diag.List }

func (u *unserved) Error() string {
	for _, d := range u.list {
		if d.Severity == diag.Error {
			return d.Error()
		}
	}
	return u.list.Error()
}

// wrong tells a mistake of a playbook from one that only this installation makes
// of it: an action that nobody serves, or in another form than the vocabulary's.
func (b *book) wrong(file *source.File, others compile.Playbooks, list diag.List) error {
	elsewhere, _ := compile.Compile(file, compile.Options{Actions: compile.NewFixed(vocabulary.All()...), Playbooks: others})
	if elsewhere != nil || slices.ContainsFunc(list, func(d diag.Diagnostic) bool { return d.Code == "unknown-action" }) {
		return &unserved{list}
	}
	return rendered(list)
}

// asked warns of approvals and questions that nobody configured could answer. It
// refuses nothing for them: in observe mode nobody is asked, and people come.
func (b *book) asked(file *source.File, o compile.Options) {
	o.Installed = b.house.Installation()
	o.Installed.AnyRole = true // tokens carry roles
	_, list := compile.Compile(file, o)
	for _, d := range list {
		if d.Severity == diag.Error {
			b.log.Warn().Str("playbook", file.Name).Msg(d.Error())
		}
	}
}

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

// basis names what texts are compiled and bound against, so that they are
// compiled anew when it changes.
func (b *book) basis() (string, error) {
	c := b.catalogue
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

package serve

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/quell-soar/quell/connectors/sdk/reach"
	"github.com/quell-soar/quell/internal/config"
	"github.com/quell-soar/quell/internal/egress"
	"github.com/quell-soar/quell/internal/guard"
	"github.com/quell-soar/quell/internal/registry"
	"github.com/quell-soar/quell/server/api"
)

// Sources of playbooks act under these names in the ledger.
const (
	folderActor = "system:folder"
	gitActor    = "system:git"
)

// lookEvery is how often a folder is looked at, and the registry, which another
// process may have changed.
const lookEvery = 2 * time.Second

// openBook takes what the configured folder and repository have, and makes the
// book. A text with a mistake, of which no version was ever published, keeps Quell
// from starting: a response that is not there is worse found at three in the
// morning. One that only the connectors of today cannot serve is refused, and the
// others are loaded; and what was published before stays, and its fault is told.
func openBook(ctx context.Context, b *book) error {
	taken, err := b.folder(ctx, true)
	if err != nil {
		return err
	}
	known, _, err := b.reg.List(ctx)
	if err != nil {
		return err
	}
	for _, t := range taken {
		has := slices.ContainsFunc(known, func(e registry.Entry) bool { return e.Current.Playbook == t.Playbook })
		var no *unserved
		if t.Status == registry.Refused && !has && !errors.As(t.Err, &no) {
			return errors.New(t.Problem)
		}
	}
	if err := b.pull(ctx, true); err != nil {
		b.fault(repositoryAway, err)
		b.log.Error().Err(err).Msg(repositoryAway)
	}
	if err := b.reload(ctx); err != nil {
		return err
	}
	return b.refresh(ctx)
}

// refresh compiles anew what no source brings any more and what was compiled
// against other actions, such as those of a connector before its upgrade.
func (b *book) refresh(ctx context.Context) error {
	stale := b.edition().stale
	if len(stale) == 0 {
		return nil
	}
	for _, v := range stale {
		whole, err := b.reg.Version(ctx, v.Playbook, v.Digest)
		if err != nil {
			return err
		}
		taken, err := b.reg.Take(ctx, registry.Offer{Origin: v.Origin, Note: "compiled anew", Actor: "system:upgrade", Texts: []registry.Text{whole.Text}}, b.pressFor(false))
		b.tell(v.Origin, taken)
		if err != nil {
			return err
		}
	}
	return b.reload(ctx)
}

// origin names the folder in versions and offers.
func (b *book) origin() string { return "dir" }

// folder takes what the configured files and directories have now.
func (b *book) folder(ctx context.Context, again bool) ([]registry.Taken, error) {
	texts, err := registry.ReadFolder(b.cfg.Playbooks)
	if err != nil {
		return nil, err
	}
	return b.take(ctx, registry.Offer{Origin: b.origin(), Actor: folderActor, Standing: true, Again: again, Texts: texts})
}

// take publishes a standing offer and logs what came of it.
func (b *book) take(ctx context.Context, o registry.Offer) ([]registry.Taken, error) {
	b.taking.Lock()
	defer b.taking.Unlock()
	var err error
	if o.Basis, err = b.basis(); err != nil {
		return nil, err
	}
	taken, err := b.reg.Take(ctx, o, b.pressFor(false))
	b.tell(o.Origin, taken)
	return taken, err
}

// tell logs what became of texts.
func (b *book) tell(origin string, taken []registry.Taken) {
	for _, t := range taken {
		ev := b.log.Info()
		switch t.Status {
		case registry.Refused:
			ev = b.log.Error()
		case registry.Unchanged:
			ev = b.log.Debug()
		}
		ev.Str("origin", origin).Str("file", t.File).Str("playbook", t.Playbook).Int("version", t.N).Str("digest", t.Digest).
			Str("status", t.Status).Str("why", t.Problem).Msg("a playbook was offered")
	}
}

// The faults of sources as a whole.
const (
	folderAway     = "the playbooks' folder cannot be read; what was published before stays"
	repositoryAway = "the playbooks' repository cannot be read; what was published before stays"
)

// fault keeps the last fault of a source, for the list; nil says that there is
// none any more.
func (b *book) fault(what string, err error) {
	if err == nil {
		b.faults.Delete(what)
		return
	}
	b.faults.Store(what, err.Error())
}

// follow keeps the book up to date until ctx ends.
func (b *book) follow(ctx context.Context) {
	var pull <-chan time.Time
	if every := time.Duration(b.cfg.Git.Every); b.cfg.Git.URL != "" && every > 0 {
		t := time.NewTicker(every)
		defer t.Stop()
		pull = t.C
	}
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	told := map[string]string{}
	tell := func(what string, err error) { // once per kind of fault
		b.fault(what, err)
		switch {
		case err == nil:
			delete(told, what)
		case ctx.Err() == nil && told[what] != err.Error():
			told[what] = err.Error()
			b.log.Error().Err(err).Msg(what)
		}
	}
	for {
		select {
		case <-ctx.Done():
			return
		case <-look.C:
			_, err := b.folder(ctx, false)
			tell(folderAway, err)
		case <-pull:
			tell(repositoryAway, b.pull(ctx, false))
		}
		tell("the registry cannot be read", b.catchUp(ctx))
	}
}

// catchUp reloads where the registry changed, by whomever.
func (b *book) catchUp(ctx context.Context) error {
	n, err := b.reg.Revision(ctx)
	if err != nil || n == b.edition().revision {
		return err
	}
	b.taking.Lock()
	defer b.taking.Unlock()
	return b.reload(ctx)
}

// pull takes what the configured repository has now.
func (b *book) pull(ctx context.Context, again bool) error {
	if b.cfg.Git.URL == "" {
		return nil
	}
	src, err := gitOf(ctx, b.cfg)
	if err != nil {
		return err
	}
	got, err := src.Pull(ctx, b.pulled)
	if err != nil {
		return err
	}
	b.pulled = got
	note := got.Commit
	if got.Signer != "" {
		note += " signed by " + got.Signer
	}
	_, err = b.take(ctx, registry.Offer{Origin: "git:" + b.cfg.Git.URL, Note: note, Actor: gitActor, Standing: true, Again: again, Texts: got.Texts})
	return err
}

// desk is where the API publishes, promotes and retires.
type desk struct{ *book }

// Publish implements server.Registry.
func (d desk) Publish(ctx context.Context, actor, request string, texts []registry.Text) ([]registry.Taken, error) {
	d.taking.Lock()
	defer d.taking.Unlock()
	taken, err := d.reg.Take(ctx, registry.Offer{Origin: "api", Actor: actor, Request: request, Texts: texts}, d.pressFor(true))
	if err != nil {
		return nil, err
	}
	return taken, d.reload(ctx)
}

// Promote implements server.Registry.
func (d desk) Promote(ctx context.Context, dec registry.Decision, mode guard.Mode) (registry.Entry, error) {
	if bound, named := d.cfg.Modes.Playbooks[dec.Playbook]; named && guard.Lowest(mode, guard.Mode(bound)) != mode {
		return registry.Entry{}, api.Problem(api.CodeDenied, fmt.Sprintf("the configuration keeps %s in %s (modes.playbooks); raise or remove that first", dec.Playbook, bound))
	}
	d.taking.Lock()
	defer d.taking.Unlock()
	e, err := d.reg.Promote(ctx, dec, mode)
	if err != nil {
		return e, err
	}
	return e, d.reload(ctx)
}

// Retire implements server.Registry.
func (d desk) Retire(ctx context.Context, dec registry.Decision) (registry.Entry, error) {
	d.taking.Lock()
	defer d.taking.Unlock()
	e, err := d.reg.Retire(ctx, dec)
	if err != nil {
		return e, err
	}
	return e, d.reload(ctx)
}

// List implements server.Registry.
func (d desk) List(ctx context.Context) ([]registry.Entry, []registry.Problem, error) {
	all, loose, err := d.reg.List(ctx)
	e := d.edition()
	for i := range all {
		if why := e.broken[all[i].Current.Playbook]; why != "" {
			all[i].Problems = append(all[i].Problems, registry.Problem{Origin: "binding", Playbook: all[i].Current.Playbook, Text: "it cannot be started: " + why})
		}
	}
	d.faults.Range(func(what, why any) bool {
		loose = append(loose, registry.Problem{Origin: what.(string), Text: why.(string)}) //nolint:forcetypeassert // fault alone writes them
		return true
	})
	return all, loose, err
}

// Mode implements server.Registry.
func (d desk) Mode(playbook string) guard.Mode { return d.playbookMode(d.edition(), playbook) }

// Versions implements server.Registry.
func (d desk) Versions(ctx context.Context, playbook string) ([]registry.Version, error) {
	return d.reg.Versions(ctx, playbook)
}

// Version implements server.Registry.
func (d desk) Version(ctx context.Context, playbook, digest string) (registry.Version, error) {
	return d.reg.Version(ctx, playbook, digest)
}

// gitOf makes the repository's reader from the configuration. It dials the
// repository and nothing else.
func gitOf(ctx context.Context, cfg *config.Config) (*registry.Git, error) {
	g := cfg.Git
	out := &registry.Git{URL: g.URL, Branch: g.Branch, Folder: strings.Trim(g.Folder, "/"), User: g.User, CAFile: g.CA, KnownHosts: g.KnownHosts, Signers: g.Signers}
	var err error
	if !g.Password.IsZero() {
		if out.Password, err = g.Password.Resolve(ctx); err != nil {
			return nil, fmt.Errorf("git.password: %w", err)
		}
	}
	if !g.Key.IsZero() {
		if out.Key, err = g.Key.Resolve(ctx); err != nil {
			return nil, fmt.Errorf("git.key: %w", err)
		}
	}
	address, err := out.Address()
	if err != nil {
		return nil, err
	}
	host, _, err := reach.Split(address)
	if err != nil {
		return nil, fmt.Errorf("git.url: %w", err)
	}
	d, err := egress.New(egress.Options{}, egress.Destination{Name: "git", Address: address, Reach: reach.Named(host)})
	out.Dial = func(ctx context.Context, _, to string) (net.Conn, error) {
		if to != address {
			return nil, fmt.Errorf("git: %s is not the repository's address", to)
		}
		return d.Dial(ctx, "git")
	}
	return out, err
}

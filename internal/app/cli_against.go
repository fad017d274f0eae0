package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"time"

	"github.com/quell-soar/quell/connectors/spec"
	"github.com/quell-soar/quell/connectors/vocabulary"
	"github.com/quell-soar/quell/internal/config"
	"github.com/quell-soar/quell/internal/installed"
	"github.com/quell-soar/quell/playbooks/compile"
)

// generic is the vocabulary as the compiler asks for it.
type generic struct{}

// Action returns the generic action of a name.
func (generic) Action(name string) (spec.Action, bool) { return vocabulary.Lookup(name) }

// Names lists the generic actions.
func (generic) Names() []string {
	all := vocabulary.All()
	names := make([]string, len(all))
	for i, a := range all {
		names[i] = a.Name
	}
	return names
}

// against is what playbooks are checked against.
type against struct {
	actions   compile.Catalogue
	installed *compile.Installation
	// what names it for people.
	what string
}

// vocabularyOnly knows no installation; why says how it came to that.
func vocabularyOnly(why string) against {
	what := "the generic vocabulary, no installation"
	if why != "" {
		what += ": " + why
	}
	return against{actions: generic{}, what: what}
}

func houseCheck(h *installed.House, what string) against {
	n := 0
	for _, i := range h.Instances {
		if i.Name != installed.OwnInstance {
			n++
		}
	}
	return against{actions: h.Actions(), installed: h.Installation(), what: what + " (" + count(n, "connector") + ")"}
}

// askTime is how long a check waits for a server.
const askTime = 5 * time.Second

// against finds what to check against: the server, then the configuration, then
// the vocabulary. What was named by a flag must be there, so that a check in a
// pipeline never passes against less than it was told.
func (c *cli) against(ctx context.Context, offline bool) (against, error) {
	if offline {
		return vocabularyOnly(""), nil
	}
	if c.server != "" {
		return c.serverCheck(ctx, c.server)
	}
	if s := c.getenv("QUELL_SERVER"); s != "" && c.config == "" {
		at, err := c.serverCheck(ctx, s)
		if err != nil {
			return vocabularyOnly(err.Error()), nil
		}
		return at, nil
	}
	path, named := c.configPath()
	conf, err := config.Load(path)
	switch {
	case err == nil:
		return c.configCheck(ctx, conf)
	case named:
		return against{}, configError(err, "; quell check --offline asks no installation")
	case !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, fs.ErrPermission):
		return vocabularyOnly(path + " has mistakes"), nil
	}
	if listens(defaultSocket) {
		if at, err := c.serverCheck(ctx, defaultSocket); err == nil {
			return at, nil
		}
	}
	return vocabularyOnly(""), nil
}

// listens reports whether a socket is there at all.
func listens(path string) bool {
	st, err := os.Stat(path)
	return err == nil && st.Mode()&fs.ModeSocket != 0
}

// configCheck asks the server of a configuration where it runs, else the
// connectors that the configuration names.
func (c *cli) configCheck(ctx context.Context, conf *config.Config) (against, error) {
	if listens(conf.Socket) {
		if at, err := c.serverCheck(ctx, conf.Socket); err == nil {
			return at, nil
		}
	}
	h := &installed.House{Bindings: conf.Bindings, People: installed.PeopleOf(conf)}
	h.People.AnyRole = true // tokens carry roles
	told := map[string][]spec.Manifest{}
	for _, name := range slices.Sorted(maps.Keys(conf.Connectors)) {
		k := conf.Connectors[name]
		if k.SHA256 != "" {
			st, err := os.Stat(k.Binary)
			if err != nil {
				return against{}, failed(ExitFailed, "connector instance %s: %v", name, err)
			}
			if _, bad := programProblem(k, st); bad != "" {
				return against{}, failed(ExitFailed, "connector instance %s: %s", name, bad)
			}
		}
		list, asked := told[k.Binary]
		if !asked {
			var err error
			if list, err = manifests(ctx, k.Binary); err != nil {
				return against{}, fmt.Errorf("connector instance %s: %w", name, err)
			}
			told[k.Binary] = list
		}
		m, err := manifestOf(list, k.Connector)
		if err != nil {
			return against{}, fmt.Errorf("connector instance %s: %w", name, err)
		}
		h.Instances = append(h.Instances, installed.Of(name, m))
	}
	h.Instances = append(h.Instances, installed.Of(installed.OwnInstance, installed.Own(c.Version)))
	return houseCheck(h, "the connectors of "+conf.File()), nil
}

// serverCheck asks a server what is installed there.
func (c *cli) serverCheck(ctx context.Context, where string) (against, error) {
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	cl, err := c.clientOf(ctx, where)
	if err != nil {
		return against{}, err
	}
	got, err := cl.Installed(ctx)
	if err != nil {
		return against{}, err
	}
	h := &installed.House{Bindings: got.Bindings, People: installed.People{Roles: got.Roles, OnCall: got.OnCall}}
	for _, i := range got.Instances {
		h.Instances = append(h.Instances, installed.Instance{Name: i.Instance, Connector: i.Connector, Version: i.Version, Actions: i.Actions})
	}
	return houseCheck(h, "the server at "+where), nil
}

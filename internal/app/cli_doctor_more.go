package app

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/quell-soar/quell/internal/config"
	"github.com/quell-soar/quell/server/api"
)

// own examines the configuration's file and the disk under the data.
func (d *doctor) own(c *config.Config) {
	if st, err := os.Stat(c.File()); err == nil && st.Mode().Perm()&0o022 != 0 {
		d.bad("configuration", "%s has mode %#o: others may write it; chmod 600 it", c.File(), st.Mode().Perm())
	}
	d.disk(c.DataDir)
}

// How much room the data need: below the first nothing is written any more before
// long, below the second it is time to look.
const (
	leastRoom = 200 << 20
	smallRoom = 2 << 30
)

// disk examines the room where the data lie, or will.
func (d *doctor) disk(dir string) {
	for {
		var st unix.Statfs_t
		err := unix.Statfs(dir, &st)
		if errors.Is(err, unix.ENOENT) && dir != filepath.Dir(dir) {
			dir = filepath.Dir(dir)
			continue
		}
		if err != nil {
			d.warn("disk", "%s: %v", dir, err)
			return
		}
		free := st.Bavail * uint64(st.Bsize) //nolint:gosec,unconvert // the types differ between systems, and a block has a positive size
		text := fmt.Sprintf("%.1f GiB free at %s", float64(free)/(1<<30), dir)
		switch {
		case free < leastRoom:
			d.bad("disk", "%s: too little; when the record cannot be written, no effect happens", text)
		case free < smallRoom:
			d.warn("disk", "%s", text)
		default:
			d.ok("disk", "%s", text)
		}
		return
	}
}

// modes tells what may act: where a trigger, a playbook and a connector all leave
// observe mode.
func (d *doctor) modes(c *config.Config) {
	above := func(m config.Mode) bool { return m == config.Ask || m == config.Act }
	var playbooks, connectors, triggers []string
	for _, name := range slices.Sorted(maps.Keys(c.Modes.Playbooks)) {
		if m := c.Modes.Playbooks[name]; above(m) {
			playbooks = append(playbooks, name+" "+string(m))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.Connectors)) {
		if m := c.Connectors[name].Mode; above(m) {
			connectors = append(connectors, name+" "+string(m))
		}
	}
	for name, m := range map[string]config.Mode{"alert": c.Modes.Triggers.Alert, "manual": c.Modes.Triggers.Manual} {
		if above(m) {
			triggers = append(triggers, name+" "+string(m))
		}
	}
	slices.Sort(triggers)
	if len(playbooks) == 0 || len(connectors) == 0 || len(triggers) == 0 {
		d.ok("modes", "everything observes: nothing is changed anywhere")
		return
	}
	d.ok("modes", "playbooks %s; started by %s; through %s; all else observes",
		strings.Join(playbooks, ", "), strings.Join(triggers, ", "), strings.Join(connectors, ", "))
}

// checked has an instance try its product, and tells what is not good.
func (d *doctor) checked(ctx context.Context, cl *api.Client, instance string) {
	got, err := cl.CheckConnector(ctx, instance)
	if err != nil {
		d.warn("connector "+instance, "it could not be checked: %v", err)
		return
	}
	for _, x := range got.Checks {
		if !x.OK {
			d.bad("connector "+instance, "%s: %s", x.Name, x.Advice)
		}
	}
}

// alerts tells when each source last sent one.
func (d *doctor) alerts(ctx context.Context, cl *api.Client) {
	path, _ := d.c.configPath()
	conf, err := config.Load(path)
	if err != nil {
		return // told already
	}
	for _, name := range slices.Sorted(maps.Keys(conf.Sources)) {
		part := "source " + name
		got, err := cl.Alerts(ctx, api.AlertFilter{Source: name, Limit: 1})
		switch {
		case err != nil:
			d.warn(part, "%v", err)
		case len(got.Alerts) == 0:
			d.warn(part, "no alert has come yet; quell alert send tries the way with one of your own")
		default:
			d.ok(part, "the last alert came %s", d.c.ago(got.Alerts[0].Received))
		}
	}
}

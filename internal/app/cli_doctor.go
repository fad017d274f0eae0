package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/quell-soar/quell/internal/config"
	"github.com/quell-soar/quell/server/api"
)

// The verdicts of an examination.
const (
	wellOK   = "ok"
	wellWarn = "warning"
	wellBad  = "bad"
)

// finding is one line of doctor.
type finding struct {
	Part    string `json:"part"`
	Verdict string `json:"verdict"`
	// Detail says what was found and, where it is not ok, what to do.
	Detail string `json:"detail"`
}

// doctor collects findings.
type doctor struct {
	c    *cli
	list []finding
}

func (d *doctor) ok(part, format string, args ...any)   { d.add(part, wellOK, format, args...) }
func (d *doctor) warn(part, format string, args ...any) { d.add(part, wellWarn, format, args...) }
func (d *doctor) bad(part, format string, args ...any)  { d.add(part, wellBad, format, args...) }

func (d *doctor) add(part, verdict, format string, args ...any) {
	d.list = append(d.list, finding{Part: part, Verdict: verdict, Detail: fmt.Sprintf(format, args...)})
}

func (c *cli) doctorCommand() *cobra.Command {
	return &cobra.Command{
		Use: "doctor", Short: "Examine the installation and say what to do", Args: exactly(),
		Long: "Examine configuration, files, secrets, playbooks, connector programs and clock of this\n" +
			"machine, and ask the server whether it is ready, whether the products take its\n" +
			"credentials, which alerts came, and what waits for a person. Changes nothing. Run it\n" +
			"as the user that runs the server. Exits with 1 where something is bad.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			d := &doctor{c: c}
			d.machine(cmd.Context())
			d.server(cmd.Context())
			if err := cmd.Context().Err(); err != nil {
				return err
			}
			if err := c.show(map[string]any{"findings": d.list}, d.print); err != nil {
				return err
			}
			for _, f := range d.list {
				if f.Verdict == wellBad {
					return quiet(ExitFailed)
				}
			}
			return nil
		},
	}
}

func (d *doctor) print() error {
	t := newTable(d.c.out, "PART", "VERDICT", "DETAIL")
	for _, f := range d.list {
		t.row(f.Part, f.Verdict, f.Detail)
	}
	return t.flush()
}

// machine examines what lies here.
func (d *doctor) machine(ctx context.Context) {
	path, named := d.c.configPath()
	conf, err := config.Load(path)
	var problems *config.Error
	switch {
	case errors.As(err, &problems):
		for _, p := range problems.Problems {
			d.bad("configuration", "%s", p)
		}
	case errors.Is(err, fs.ErrNotExist) && !named:
		d.warn("configuration", "there is none at %s; name one with --config", path)
	case err != nil:
		d.bad("configuration", "%v", err)
	default:
		d.ok("configuration", "%s", conf.File())
		d.own(conf)
		d.files(conf)
		d.modes(conf)
		d.secrets(ctx, conf)
		d.playbooks(conf)
		d.binaries(conf)
	}
	d.clock()
}

// server asks the server about itself.
func (d *doctor) server(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	cl, err := d.c.client(ctx)
	if err != nil {
		d.bad("server", "%v", err)
		return
	}
	h, err := cl.Health(ctx)
	if err != nil {
		d.bad("server", "%v", err)
		return
	}
	if h.Version != d.c.Version {
		d.warn("server", "it is of version %s, this program of %s", h.Version, d.c.Version)
	} else {
		d.ok("server", "it answers, version %s", h.Version)
	}
	ready, err := cl.Ready(ctx)
	if err != nil {
		d.bad("ready", "%v", err)
		return
	}
	for _, p := range ready.Parts {
		switch { // named apart from what was examined here: both have playbooks
		case !p.OK:
			d.bad("server's "+p.Name, "%s", p.Why)
		case p.Why != "":
			d.warn("server's "+p.Name, "%s", p.Why)
		default:
			d.ok("server's "+p.Name, "ready")
		}
	}
	d.connectors(ctx, cl)
	d.published(ctx, cl)
	d.alerts(ctx, cl)
	d.figures(ctx, cl)
	d.alarms(ctx, cl)
}

func (d *doctor) connectors(ctx context.Context, cl *api.Client) {
	got, err := cl.Connectors(ctx)
	if err != nil {
		d.bad("connectors", "%v", err)
		return
	}
	for _, k := range got.Connectors {
		part := "connector " + k.Instance
		switch k.State {
		case "ready":
			d.ok(part, "%s %s, mode %s", k.Type, k.Version, k.Mode)
			d.checked(ctx, cl, k.Instance)
		case "starting":
			d.warn(part, "it is starting")
		default:
			d.bad(part, "%s: %s", k.State, k.Detail)
		}
	}
}

// lateStart is how long a run may wait to be started before that is an alarm.
const lateStart = time.Minute

// alarms tells what waits for a person, or for what does not come.
func (d *doctor) alarms(ctx context.Context, cl *api.Client) {
	if k, err := cl.KillSwitch(ctx); err != nil {
		d.bad("kill switch", "%v", err)
	} else if k.On {
		d.warn("kill switch", "it is on, no new effect leaves: %s", k.Reason)
	}
	asked, unclear := 0, 0
	for a, err := range cl.AllApprovals(ctx, api.ApprovalFilter{Limit: 200}) {
		if err != nil {
			d.bad("requests", "%v", err)
			return
		}
		asked++
		if a.Kind == api.RequestFailure {
			unclear++
		}
	}
	switch {
	case unclear > 0:
		d.warn("requests", "%s of steps that failed or are unknown wait for a person; quell approval list", count(unclear, "request"))
	default:
		d.ok("requests", "%s open", count(asked, "request"))
	}
	waiting, err := cl.Runs(ctx, api.RunFilter{Status: api.RunWaiting, Limit: 200})
	if err != nil {
		d.bad("runs", "%v", err)
		return
	}
	late := 0
	for _, r := range waiting.Runs {
		if d.c.now().Sub(r.Created) > lateStart {
			late++
		}
	}
	if late > 0 {
		d.bad("runs", "%s wait to be started for more than %s; see the engine and the connectors above and the server's log", count(late, "run"), lateStart)
		return
	}
	d.ok("runs", "none waits too long to be started")
}

// mode examines the permissions of a file or directory.
func (d *doctor) mode(part, path string, most fs.FileMode) bool {
	st, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		d.warn(part, "%s is not there; the server makes it at its first start", path)
		return false
	case err != nil:
		d.bad(part, "%v", err)
		return false
	case st.Mode().Perm()&^most != 0:
		d.bad(part, "%s has mode %#o; chmod %o it", path, st.Mode().Perm(), most)
		return false
	}
	d.ok(part, "%s", path)
	return true
}

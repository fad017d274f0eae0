package cli

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/quell-soar/quell/server/api"
)

// maxSkew is how far the clocks may differ. Alerts signed five minutes off are
// refused; half of that leaves room.
const maxSkew = 150 * time.Second

// looked is one thing that doctor looked at.
type looked struct {
	Name   string `json:"name"`
	OK     bool   `json:"ok"`
	Detail string `json:"detail"`
	// Next says what to do, where it is not OK.
	Next string `json:"next,omitempty"`
}

func (c *cli) doctorCommand() *cobra.Command {
	return &cobra.Command{
		Use: "doctor", Short: "Look for what keeps Quell from its work, and say what to do", Args: exactly(),
		Long: "Look at the server, its parts, its connectors and the clocks. Exits with 1 where\n" +
			"something is wrong, with 4 where no server answers.",
		RunE: func(cmd *cobra.Command, _ []string) error { return c.doctor(cmd.Context()) },
	}
}

func (c *cli) doctor(ctx context.Context) error {
	cl, err := c.client(ctx)
	if err != nil {
		return err
	}
	list, code := c.examine(ctx, cl)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	good := true
	for _, l := range list {
		good = good && l.OK
	}
	err = c.show(map[string]any{"ok": good, "checks": list}, func() error {
		for _, l := range list {
			word := "ok  "
			if !l.OK {
				word = "BAD "
			}
			c.say("%s %-24s %s", word, clean(l.Name), clean(l.Detail))
			if l.Next != "" {
				c.say("     next: %s", clean(l.Next))
			}
		}
		return nil
	})
	if err != nil || good {
		return err
	}
	return quiet(code)
}

// examine looks at everything it can reach, and gives the exit code for what is
// wrong.
func (c *cli) examine(ctx context.Context, cl *api.Client) ([]looked, int) {
	health, err := cl.Health(ctx)
	if err != nil {
		return []looked{{Name: "server", Detail: err.Error(), Next: "start it with quell serve --config FILE, or name another with --server or --socket"}}, exitCode(err)
	}
	list := []looked{{Name: "server", OK: true, Detail: strings.TrimSpace("answers " + health.Version)}, c.clocks(ctx)}
	who, err := cl.Whoami(ctx)
	if err != nil {
		next := "name the file of a token with --token-file or QUELL_TOKEN_FILE, or use the unix socket"
		return append(list, looked{Name: "you", Detail: err.Error(), Next: next}), exitCode(err)
	}
	list = append(list, looked{Name: "you", OK: true, Detail: who.Actor + ", scopes " + strings.Join(who.Scopes, " ")})
	list = append(list, parts(ctx, cl)...)
	return append(list, instances(ctx, cl)...), ExitFailed
}

func parts(ctx context.Context, cl *api.Client) []looked {
	ready, err := cl.Ready(ctx)
	if err != nil {
		return []looked{{Name: "parts", Detail: err.Error(), Next: "use a token with the scope read"}}
	}
	var out []looked
	for _, p := range ready.Parts {
		l := looked{Name: "part " + p.Name, OK: p.OK, Detail: p.Why}
		if p.OK && l.Detail == "" {
			l.Detail = "ready"
		}
		if !p.OK {
			l.Next = "look into the log of quell serve around now"
		}
		out = append(out, l)
	}
	if !ready.Ready && len(out) == 0 {
		out = append(out, looked{Name: "parts", Detail: "the server says that it is not ready", Next: "look into the log of quell serve"})
	}
	return out
}

func instances(ctx context.Context, cl *api.Client) []looked {
	got, err := cl.Connectors(ctx)
	if err != nil {
		return []looked{{Name: "connectors", Detail: err.Error(), Next: "use a token with the scope read"}}
	}
	if len(got.Connectors) == 0 {
		return []looked{{Name: "connectors", OK: true, Detail: "none is configured: no playbook can act"}}
	}
	var out []looked
	for _, k := range got.Connectors {
		l := looked{Name: "connector " + k.Instance, OK: k.State == "ready" || k.State == "off", Detail: strings.TrimSpace(k.State + " " + k.Detail)}
		if !l.OK {
			l.Next = "quell connector check " + k.Instance + " tries its credential and network"
		}
		out = append(out, l)
	}
	return out
}

// clocks compares the server's clock with ours. The API's client hides headers,
// so this asks the one open route itself.
func (c *cli) clocks(ctx context.Context) looked {
	l := looked{Name: "clocks"}
	there, err := c.serverTime(ctx)
	if err != nil {
		l.Detail, l.Next = err.Error(), "try again; the server answered a moment ago"
		return l
	}
	skew := c.now().Sub(there)
	l.OK = skew.Abs() <= maxSkew
	l.Detail = fmt.Sprintf("%s apart", skew.Abs().Round(time.Second))
	if !l.OK {
		l.Next = "set both clocks by NTP: signatures of alerts and deadlines depend on them"
	}
	return l
}

func (c *cli) serverTime(ctx context.Context) (time.Time, error) {
	o, err := c.where()
	if err != nil {
		return time.Time{}, err
	}
	t := &http.Transport{DisableKeepAlives: true}
	base := strings.TrimSuffix(o.Server, "/")
	if o.Socket != "" {
		base = "http://localhost"
		t.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", o.Socket)
		}
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"/v1/health", nil)
	if err != nil {
		return time.Time{}, fmt.Errorf("ask for the time: %w", err)
	}
	res, err := t.RoundTrip(req)
	if err != nil {
		return time.Time{}, fmt.Errorf("ask for the time: %w", err)
	}
	if err := res.Body.Close(); err != nil {
		return time.Time{}, fmt.Errorf("ask for the time: %w", err)
	}
	at, err := http.ParseTime(res.Header.Get("Date"))
	if err != nil {
		return time.Time{}, errors.New("the answer does not say what time it is; a proxy may have removed it")
	}
	return at, nil
}

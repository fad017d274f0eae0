package serve

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/quell-soar/quell/connectors/host"
	"github.com/quell-soar/quell/internal/approval"
	"github.com/quell-soar/quell/internal/config"
	"github.com/quell-soar/quell/internal/dispatch"
	"github.com/quell-soar/quell/server/api"
)

// deliveries shows the dispatcher the votes that wait.
type deliveries struct{ *approval.Approvals }

func (d deliveries) Undelivered(ctx context.Context) ([]dispatch.Delivery, error) {
	list, err := d.Approvals.Undelivered(ctx)
	out := make([]dispatch.Delivery, len(list))
	for i, p := range list {
		out[i] = dispatch.Delivery{Vote: p.Vote, Request: p.Request}
	}
	return out, err
}

// connectorList shows the instances as the API tells them.
type connectorList struct {
	host *host.Host
	cfg  *config.Config
}

func (c connectorList) List(context.Context) ([]api.Connector, error) {
	cat := c.host.Catalogue()
	var out []api.Connector
	for _, st := range c.host.Status() {
		a := api.Connector{Instance: st.Name, Type: st.Connector, Version: st.Version, State: string(st.State), Detail: st.LastError, Mode: string(c.cfg.Connectors[st.Name].Mode)}
		for _, name := range cat.Actions() {
			if slices.ContainsFunc(cat.Serving(name), func(s host.Served) bool { return s.Instance == st.Name }) {
				a.Actions = append(a.Actions, name)
			}
		}
		out = append(out, a)
	}
	return out, nil
}

func (c connectorList) Check(ctx context.Context, instance string) (api.Connector, error) {
	list, err := c.List(ctx)
	if err != nil {
		return api.Connector{}, err
	}
	for _, a := range list {
		if a.Instance != instance {
			continue
		}
		ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
		defer cancel()
		for _, f := range c.host.Check(ctx, instance) {
			if !f.OK {
				a.State, a.Detail = "broken", f.Name+": "+f.Advice
				return a, nil
			}
		}
		return a, nil
	}
	return api.Connector{}, api.Problem(api.CodeNotFound, "there is no connector instance "+instance)
}

func (c connectorList) Ready(context.Context) error {
	for _, st := range c.host.Status() {
		if st.State != host.Ready {
			return fmt.Errorf("connector %s is %s: %s", st.Name, st.State, st.LastError)
		}
	}
	return nil
}

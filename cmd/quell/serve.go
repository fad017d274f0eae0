package main

import (
	"context"

	"github.com/quell-soar/quell/internal/app"
	"github.com/quell-soar/quell/internal/config"
	"github.com/quell-soar/quell/internal/serve"
	"github.com/quell-soar/quell/playbooks/diag"
	"github.com/quell-soar/quell/server/api"
	"github.com/quell-soar/quell/workflows/playtest"
)

// program is the command line with the server that this build has.
func program() app.Program {
	return app.Program{Version: version, Serve: func(ctx context.Context, c *config.Config, o app.ServeOptions) error {
		return serve.Run(ctx, c, serve.Options{Version: o.Version, Stdout: o.Stdout, Stderr: o.Stderr})
	}, Test: func(ctx context.Context, o app.TestOptions) (bool, error) {
		return playtest.Command(ctx, o.Paths, playtest.Options{Cover: o.Cover, Mutate: o.Mutate, Sweep: o.Sweep}, playtest.Output{JUnit: o.JUnit, JSON: o.JSON, Text: o.Stdout})
	}, Plan: func(ctx context.Context, o app.OfflinePlan) (*api.Plan, diag.List, error) {
		return playtest.Offline(o).Preview(ctx)
	}}
}

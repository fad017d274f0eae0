package app

import (
	"context"
	"io"

	"github.com/spf13/cobra"

	"github.com/quell-soar/quell/internal/config"
)

// ServeFunc runs the server until ctx is done; then it ends in order and returns
// nil.
type ServeFunc func(ctx context.Context, c *config.Config, o ServeOptions) error

// ServeOptions are what the command line adds to a configuration.
type ServeOptions struct {
	Version string
	// Stdout takes the one line that says the server is ready; logs go to Stderr.
	Stdout, Stderr io.Writer
}

func (c *cli) serveCommand() *cobra.Command {
	var dir, listen, temporal string
	cmd := &cobra.Command{
		Use: "serve", Short: "Run the server", Args: exactly(),
		Long: "Run the server: API, engine, connectors and alert intake in one process.\n" +
			"It runs until it gets SIGINT or SIGTERM. With --data-dir it needs no configuration:\n" +
			"everything is in observe mode and no connector is there.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			conf, err := c.serveConfig(dir, listen, temporal)
			if err != nil {
				return err
			}
			if c.Serve == nil {
				return failed(ExitFailed, "this build has no server; use the released quell program")
			}
			return c.Serve(cmd.Context(), conf, ServeOptions{Version: c.Version, Stdout: c.out, Stderr: c.err})
		},
	}
	cmd.Flags().StringVar(&dir, "data-dir", "", "serve without a configuration, with the data in this directory")
	cmd.Flags().StringVar(&listen, "listen", "", "loopback address of the API in place of the configured one, or off")
	cmd.Flags().StringVar(&temporal, "temporal-address", "", "host:port of an external Temporal in place of the configured engine")
	return cmd
}

func (c *cli) serveConfig(dir, listen, temporal string) (*config.Config, error) {
	var conf *config.Config
	var err error
	if dir != "" {
		if _, named := c.configPath(); named {
			return nil, usage("--data-dir is for serving without a configuration; name one of the two")
		}
		conf, err = config.Bare(dir)
	} else {
		conf, err = c.loadConfig()
	}
	if err != nil {
		return nil, err
	}
	if listen == "off" {
		conf.Listen = ""
	} else if listen != "" {
		conf.Listen = listen
	}
	if temporal != "" {
		conf.Temporal.Address = temporal
	}
	if err := conf.Validate(); err != nil {
		return nil, configError(err)
	}
	return conf, nil
}

func (c *cli) configCommand() *cobra.Command {
	check := &cobra.Command{
		Use: "check [FILE]", Short: "Check a configuration, offline", Args: cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) == 1 {
				c.config = args[0]
			}
			conf, err := c.loadConfig()
			if err != nil {
				return err
			}
			return c.show(map[string]any{"file": conf.File(), "ok": true}, func() error { return nil })
		},
	}
	return group("config", "Look at the configuration", check)
}

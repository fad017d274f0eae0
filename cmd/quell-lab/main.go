package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/quell-soar/quell/connectors/fake/lab"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run serves until ctx ends. It returns the exit code: 0 ended, 1 failed, 2 usage.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("quell-lab", flag.ContinueOnError)
	flags.SetOutput(stderr)
	var o lab.Options
	flags.StringVar(&o.Listen, "listen", "127.0.0.1:0", "loopback `address` to listen on")
	flags.StringVar(&o.Data, "data", "", "`directory` of the journal of effects; without it, the journal is in memory")
	script := flags.String("script", "", "`file` with the faults to begin with")
	flags.Uint64Var(&o.Seed, "seed", 1, "seed of the faults' chances")
	hosts := flags.Int("hosts", 0, "how many hosts host-00001 … to begin with")
	if err := flags.Parse(args); err != nil || flags.NArg() > 0 {
		return 2
	}
	if err := serve(ctx, o, *script, *hosts, stdout); err != nil {
		fmt.Fprintf(stderr, "quell-lab: %v\n", err)
		return 1
	}
	return 0
}

func serve(ctx context.Context, o lab.Options, script string, hosts int, stdout io.Writer) error {
	if script != "" {
		raw, err := os.ReadFile(script) //nolint:gosec // the operator's own file
		if err != nil {
			return fmt.Errorf("fault script: %w", err)
		}
		o.Script = string(raw)
	}
	l, err := lab.Start(o)
	if err != nil {
		return err
	}
	if _, err := l.Falcon.SeedMany(hosts, "host-"); err != nil {
		return err
	}
	if err := json.NewEncoder(stdout).Encode(l.URLs); err != nil {
		return err
	}
	select {
	case <-ctx.Done():
		return l.Close()
	case err := <-l.Over():
		return err
	}
}

package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/quell-soar/quell/connectors/crowdstrike/fakefalcon"
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
	world := flags.String("world", "", "`file` of JSON with the hosts and files to begin with: {\"hosts\": […], \"files\": […]}, as the control API takes them")
	hosts := flags.Int("hosts", 0, "how many hosts host-00001 … to begin with")
	if err := flags.Parse(args); err != nil || flags.NArg() > 0 {
		return 2
	}
	if err := serve(ctx, o, start{script: *script, world: *world, hosts: *hosts}, stdout); err != nil {
		_, _ = fmt.Fprintf(stderr, "quell-lab: %v\n", err)
		return 1
	}
	return 0
}

// start is what the lab begins with.
type start struct {
	script, world string
	hosts         int
}

func serve(ctx context.Context, o lab.Options, s start, stdout io.Writer) error {
	if s.script != "" {
		raw, err := os.ReadFile(s.script)
		if err != nil {
			return fmt.Errorf("fault script: %w", err)
		}
		o.Script = string(raw)
	}
	l, err := lab.Start(o) //nolint:contextcheck // it lives until it is closed, whatever its requests' contexts do
	if err != nil {
		return err
	}
	if err := s.seed(l); err != nil {
		return errors.Join(err, l.Close())
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

// seed fills the world.
func (s start) seed(l *lab.Lab) error {
	if _, err := l.Falcon.SeedMany(s.hosts, "host-"); err != nil || s.world == "" {
		return err
	}
	f, err := os.Open(s.world)
	if err != nil {
		return fmt.Errorf("world: %w", err)
	}
	defer func() { _ = f.Close() }()
	var in struct {
		Hosts []fakefalcon.Host `json:"hosts"`
		Files []fakefalcon.File `json:"files"`
	}
	dec := json.NewDecoder(f)
	dec.DisallowUnknownFields()
	if err := dec.Decode(&in); err != nil {
		return fmt.Errorf("world %s: %w", s.world, err)
	}
	if err := l.Falcon.SeedHosts(in.Hosts...); err != nil {
		return fmt.Errorf("world %s: %w", s.world, err)
	}
	for _, file := range in.Files {
		if err := l.Falcon.SeedFile(file); err != nil {
			return fmt.Errorf("world %s: %w", s.world, err)
		}
	}
	return nil
}

package engine

import (
	"context"
	"crypto/tls"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"
)

// TestEngine starts the embedded server in a path with a space and a percent
// sign, runs a workflow, stops, starts again on the same files and finds the
// run; and every socket refuses a client without our certificate.
func TestEngine(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a b%20c")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	echo := func(_ workflow.Context, s string) (string, error) { return s, nil }

	for round := range 2 {
		e, err := Start(ctx, Options{Dir: dir, Log: zerolog.New(zerolog.NewTestWriter(t)).Level(zerolog.WarnLevel)})
		if err != nil {
			t.Fatal(err)
		}
		refusesStrangers(t, e.Addresses())
		w := worker.New(e.Client(), "q", worker.Options{})
		w.RegisterWorkflowWithOptions(echo, workflow.RegisterOptions{Name: "echo"})
		if err := w.Start(); err != nil {
			t.Fatal(err)
		}
		if round == 0 {
			if _, err := e.Client().ExecuteWorkflow(ctx, client.StartWorkflowOptions{ID: "w", TaskQueue: "q"}, "echo", "kept"); err != nil {
				t.Fatal(err)
			}
		}
		var got string
		if err := e.Client().GetWorkflow(ctx, "w", "").Get(ctx, &got); err != nil || got != "kept" {
			t.Fatalf("round %d: %q, %v", round, got, err)
		}
		w.Stop()
		if err := e.Stop(); err != nil {
			t.Fatal(err)
		}
	}
}

func refusesStrangers(t *testing.T, addresses []string) {
	t.Helper()
	if len(addresses) != 4 {
		t.Fatalf("%d addresses", len(addresses))
	}
	for _, a := range addresses {
		conn, err := tls.DialWithDialer(&net.Dialer{Timeout: 5 * time.Second}, "tcp", a, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}}) // a stranger does not know our authority
		if err != nil {
			continue
		}
		// In TLS 1.3 the refusal arrives with the first read.
		_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
		if _, err := conn.Read(make([]byte, 1)); err == nil {
			t.Errorf("%s let a client without a certificate in", a)
		}
		_ = conn.Close()
	}
}

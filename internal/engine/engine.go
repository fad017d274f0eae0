package engine

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/rs/zerolog"
	"go.temporal.io/api/namespace/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/server/common/metrics"
	"go.temporal.io/server/temporal"
	"google.golang.org/protobuf/types/known/durationpb"
)

// Namespace is the Temporal namespace that holds Quell's workflows.
const Namespace = "quell"

// Options says where the engine lives.
type Options struct {
	// Dir is the data directory of the embedded server; it exists and is 0700.
	Dir string
	Log zerolog.Logger
	// External, where set, is used instead of an embedded server.
	External *External
	// Fast lets the embedded server lose its last commits at a power failure
	// (synchronous=NORMAL). Tests and benchmarks only.
	Fast bool
	// Retention is how long the embedded server keeps the history of a closed
	// workflow, at least a minute; 0 is 30 days. Nothing of ours depends on it: the
	// ledger and the store of effects tell what was.
	Retention time.Duration
	// Payloads seal what Temporal stores: the first seals, any opens. Without one
	// it stands in the clear, and is still read once there is one.
	Payloads []PayloadKey
	// Metrics takes what the SDK measures; nil takes nothing.
	Metrics *Metrics
	// Counters, where set, hears the embedded server's own.
	Counters metrics.Handler
}

// External names a Temporal cluster. TLS is required outside loopback.
type External struct {
	Address   string
	Namespace string
	// CertFile, KeyFile and CAFile are PEM files of our client certificate and
	// of the cluster's authority.
	CertFile, KeyFile, CAFile string
}

// Engine is a running Temporal with a client to it.
type Engine struct {
	client    client.Client
	server    temporal.Server
	namespace string
	addresses []string
	answers   *Answers
}

// cachedWorkflows is how many workflows the workers of this process keep in memory,
// each some 100 kB of goroutines and values. Those that work and their holds are
// fewer (limits.active_runs); one that waits for a person may be brought back from
// its history when the person answers, which takes some milliseconds.
const cachedWorkflows = 600

// Pollers say how a worker asks for tasks. A fixed number of them, which is the SDK's
// own way, would all ask for the next tasks of workflows in memory as long as there are
// any: under load a workflow that begins, such as the hold of an effect, waits for
// good. Those that scale keep one for each kind.
func Pollers() worker.PollerBehavior {
	return worker.NewPollerBehaviorAutoscaling(worker.PollerBehaviorAutoscalingOptions{
		InitialNumberOfPollers: 4, MinimumNumberOfPollers: 2, MaximumNumberOfPollers: 16,
	})
}

// Start brings the engine up and returns when its frontend answers. It is called
// once by `quell serve`. An error leaves nothing running.
func Start(ctx context.Context, o Options) (*Engine, error) {
	// It counts at the first worker of the process only, and the embedded server
	// starts some of its own: set later it leaves the SDK's 10,000.
	worker.SetStickyWorkflowCacheSize(cachedWorkflows)
	if o.External != nil {
		return startExternal(ctx, o)
	}
	return startEmbedded(ctx, o)
}

// Client speaks to the engine's namespace.
func (e *Engine) Client() client.Client { return e.client }

// Answers tell how long the engine takes.
func (e *Engine) Answers() *Answers { return e.answers }

// Slow is how long it may take for an answer before it should be given less to do. The
// way to a cluster counts too, and other users' load.
func (e *Engine) Slow() time.Duration {
	if e.server == nil {
		return time.Second
	}
	return 250 * time.Millisecond
}

// Addresses lists the sockets that the embedded server listens on; empty for an
// external engine.
func (e *Engine) Addresses() []string { return e.addresses }

// Ready reports why the engine cannot be used, or nil.
func (e *Engine) Ready(ctx context.Context) error {
	if _, err := e.client.CheckHealth(ctx, &client.CheckHealthRequest{}); err != nil {
		return fmt.Errorf("engine: Temporal does not answer: %w", err)
	}
	return nil
}

// Stop closes the client and ends the embedded server. It may be called once.
func (e *Engine) Stop() error {
	e.client.Close()
	if e.server == nil {
		return nil
	}
	if err := e.server.Stop(); err != nil {
		return fmt.Errorf("engine: stop: %w", err)
	}
	return nil
}

func startEmbedded(ctx context.Context, o Options) (*Engine, error) {
	certs, err := newMemoryTLS()
	if err != nil {
		return nil, err
	}
	ports, err := freePorts(ctx, 4)
	if err != nil {
		return nil, err
	}
	file := filepath.Join(o.Dir, "temporal.db")
	cfg := serverConfig(file, ports, o.Fast)
	if err := prepareDatabase(file, cfg); err != nil {
		return nil, err
	}
	srv, err := temporal.NewServer(serverOptions(cfg, certs, serverLogger{o.Log}, o.Counters, cmp.Or(o.Retention, retention))...)
	if err != nil {
		return nil, fmt.Errorf("engine: set up: %w", err)
	}
	if err := srv.Start(); err != nil {
		return nil, fmt.Errorf("engine: start: %w", err)
	}
	e := &Engine{server: srv, namespace: Namespace, answers: &Answers{}}
	for _, p := range ports {
		e.addresses = append(e.addresses, loopback(p))
	}
	e.client, err = dial(ctx, seal(client.Options{
		HostPort: loopback(ports[0]), Namespace: Namespace, Logger: sdkLogger{o.Log}, MetricsHandler: o.Metrics.Handler(),
		// Bytes cost nothing within one process, and packing them does.
		ConnectionOptions: client.ConnectionOptions{TLS: certs.client(), GrpcCompression: &client.GrpcCompressionNone{}, DialOptions: e.answers.dialOptions()},
	}, o.Payloads))
	if err == nil {
		err = e.retain(ctx, cmp.Or(o.Retention, retention))
	}
	if err != nil {
		return nil, errors.Join(err, srv.Stop())
	}
	return e, nil
}

// retain sets how long the namespace keeps closed workflows.
func (e *Engine) retain(ctx context.Context, d time.Duration) error {
	_, err := e.client.WorkflowService().UpdateNamespace(ctx, &workflowservice.UpdateNamespaceRequest{
		Namespace: Namespace, Config: &namespace.NamespaceConfig{WorkflowExecutionRetentionTtl: durationpb.New(d)},
	})
	if err != nil {
		return fmt.Errorf("engine: set how long histories are kept: %w", err)
	}
	return nil
}

// dial waits until the frontend serves the namespace: a fresh server answers
// for its health before it has read the namespaces.
func dial(ctx context.Context, o client.Options) (client.Client, error) {
	ctx, cancel := context.WithTimeout(ctx, 60*time.Second)
	defer cancel()
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	var last error
	for {
		c, err := dialOnce(ctx, o)
		if err == nil {
			return c, nil
		}
		last = err
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("engine: Temporal at %s does not answer: %w", o.HostPort, last)
		case <-ticker.C:
		}
	}
}

// dialOnce bounds one attempt: the SDK would spend all of ctx on the first.
func dialOnce(ctx context.Context, o client.Options) (client.Client, error) {
	ctx, cancel := context.WithTimeout(ctx, 500*time.Millisecond)
	defer cancel()
	c, err := client.DialContext(ctx, o)
	if err != nil {
		return nil, err
	}
	if _, err := c.WorkflowService().DescribeNamespace(ctx, &workflowservice.DescribeNamespaceRequest{Namespace: o.Namespace}); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

func startExternal(ctx context.Context, o Options) (*Engine, error) {
	x := o.External
	ns := x.Namespace
	if ns == "" {
		ns = Namespace
	}
	conf, err := x.tls()
	if err != nil {
		return nil, err
	}
	answers := &Answers{}
	c, err := dial(ctx, seal(client.Options{
		HostPort: x.Address, Namespace: ns, Logger: sdkLogger{o.Log}, MetricsHandler: o.Metrics.Handler(),
		ConnectionOptions: client.ConnectionOptions{TLS: conf, DialOptions: answers.dialOptions()},
	}, o.Payloads))
	if err != nil {
		return nil, err
	}
	return &Engine{client: c, namespace: ns, answers: answers}, nil
}

// tls reads the files of an external engine; without any, the connection is
// plain, which the configuration allows on loopback only.
func (x *External) tls() (*tls.Config, error) {
	if x.CAFile == "" && x.CertFile == "" {
		return nil, nil
	}
	conf := &tls.Config{MinVersion: tls.VersionTLS12}
	if x.CAFile != "" {
		pem, err := os.ReadFile(x.CAFile)
		if err != nil {
			return nil, fmt.Errorf("engine: read the authority of %s: %w", x.Address, err)
		}
		conf.RootCAs = x509.NewCertPool()
		if !conf.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("engine: %s has no certificate in PEM form", x.CAFile)
		}
	}
	if x.CertFile != "" {
		pair, err := tls.LoadX509KeyPair(x.CertFile, x.KeyFile)
		if err != nil {
			return nil, fmt.Errorf("engine: read the client certificate for %s: %w", x.Address, err)
		}
		conf.Certificates = []tls.Certificate{pair}
	}
	return conf, nil
}

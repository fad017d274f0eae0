package launch

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"
	plugin "github.com/hashicorp/go-plugin"
	"github.com/hashicorp/go-plugin/runner"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"github.com/quell-soar/quell/connectors/proto"
	"github.com/quell-soar/quell/connectors/sdk/secret"
)

// maxHeaders bounds the metadata of a reply in bytes.
const maxHeaders = 64 << 10

// Process is one running connector. Stop it in the end, also when it has died
// by itself: that gives back what the host holds for it.
type Process struct {
	client *plugin.Client
	child  *child
	conns  *conns
	grace  time.Duration
	sum    string
	redact *atomic.Pointer[secret.Redactor]
	outs   []*output
	stop   sync.Once

	connector proto.ConnectorClient
	health    grpc_health_v1.HealthClient
}

// Start checks the binary, starts it and shakes hands. It returns a process
// that answers, or an error and nothing left behind. When ctx ends first, the
// process is killed. An error that wraps ErrRefused stays until somebody acts.
func (l *Launcher) Start(ctx context.Context, p Program) (*Process, error) {
	img, err := openImage(p.Path, p.SHA256, l.images)
	if err != nil {
		return nil, err
	}
	defer img.close()
	ctx, cancel := context.WithTimeout(ctx, l.opts.StartTimeout)
	defer cancel()
	pr := &Process{
		grace: l.opts.StopGrace, sum: img.sum, conns: &conns{}, redact: &atomic.Pointer[secret.Redactor]{},
		child: &child{
			launcher: l, image: img, argv: append([]string{filepath.Base(p.Path)}, p.Args...), exited: make(chan struct{}),
		},
	}
	pr.client = plugin.NewClient(pr.config(l))
	// go-plugin's start ends by itself only at its own time-out; once the
	// process is dead it ends at once.
	stop := context.AfterFunc(ctx, pr.child.kill)
	defer stop()
	if err := pr.connect(ctx); err != nil {
		if ctx.Err() != nil {
			err = fmt.Errorf("%w: %w", ctx.Err(), err)
		}
		pr.Stop()
		return nil, err
	}
	return pr, nil
}

func (p *Process) config(l *Launcher) *plugin.ClientConfig {
	stdout, stderr, direct := p.output(l, "stdout"), p.output(l, "stderr"), p.output(l, "stderr")
	return &plugin.ClientConfig{
		HandshakeConfig:  proto.Handshake(),
		VersionedPlugins: map[int]plugin.PluginSet{proto.ProtocolVersion: {proto.PluginName: dispensed{}}},
		AllowedProtocols: []plugin.Protocol{plugin.ProtocolGRPC},
		AutoMTLS:         true,
		SkipHostEnv:      true,
		StartTimeout:     l.opts.StartTimeout + time.Second, // ours ends first, and the error says so
		UnixSocketConfig: &plugin.UnixSocketConfig{TempDir: l.sockets},
		Logger:           newQuiet(l.opts.Log),
		SyncStdout:       stdout,
		SyncStderr:       stderr,
		Stderr:           direct,
		GRPCDialOptions:  p.dialOptions(),
		RunnerFunc: func(_ hclog.Logger, cmd *exec.Cmd, dir string) (runner.Runner, error) {
			p.child.env, p.child.sockets = cmd.Env, dir
			return p.child, nil
		},
	}
}

func (p *Process) output(l *Launcher, stream string) *output {
	o := &output{log: l.opts.Log, stream: stream, redact: p.redact}
	p.outs = append(p.outs, o)
	return o
}

// dialOptions come after go-plugin's own and win: it would take messages of
// 2 GiB, and dial whatever address it was told, without a limit in time.
func (p *Process) dialOptions() []grpc.DialOption {
	return []grpc.DialOption{
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(proto.MaxMessage), grpc.MaxCallSendMsgSize(proto.MaxMessage)),
		grpc.WithMaxHeaderListSize(maxHeaders),
		grpc.WithStatsHandler(sentHandler{}),
		grpc.WithChainStreamInterceptor(p.conns.noBroker),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", p.child.addr)
		}),
	}
}

func (p *Process) connect(ctx context.Context) error {
	if _, err := p.client.Start(); err != nil {
		return p.failed(err)
	}
	c, err := p.client.Client()
	if err != nil {
		return p.failed(err)
	}
	raw, err := c.Dispense(proto.PluginName)
	if err != nil {
		return p.failed(err)
	}
	conn, ok := raw.(*grpc.ClientConn)
	if !ok {
		return fmt.Errorf("go-plugin dispensed %T, not a connection", raw)
	}
	p.connector, p.health = proto.NewConnectorClient(conn), grpc_health_v1.NewHealthClient(conn)
	// A handshake is only a line of text; make sure that somebody is there.
	if err := p.Ping(ctx); err != nil {
		return p.failed(err)
	}
	return verify(p.child.pid)
}

// failed says in few words why a start failed; the connector's own words in it
// are cleaned, since go-plugin quotes what it read.
func (p *Process) failed(err error) error {
	if errors.Is(err, ErrRefused) || errors.Is(err, errClosed) {
		return err
	}
	text := CleanText(err.Error(), 512)
	if strings.Contains(text, "Failed to read any lines") {
		text = "it ended or closed its output before the handshake; its log lines say why"
	}
	return fmt.Errorf("the connector did not start: %s", text)
}

// Connector is the service of the process. Its calls fail with a gRPC status;
// give each one a context that ends.
func (p *Process) Connector() proto.ConnectorClient { return p.connector }

// Ping asks the process whether it is well. A frozen one lets ctx end.
func (p *Process) Ping(ctx context.Context) error {
	_, err := p.health.Check(ctx, &grpc_health_v1.HealthCheckRequest{Service: plugin.GRPCServiceName})
	return err
}

// PID is the process id, which is also that of its group.
func (p *Process) PID() int { return p.child.pid }

// SHA256 is the checksum, in hex, of the bytes that run.
func (p *Process) SHA256() string { return p.sum }

// Done is closed when the process is gone, by whatever cause.
func (p *Process) Done() <-chan struct{} { return p.child.exited }

// Exit says how the process ended, or that it runs.
func (p *Process) Exit() string { return p.child.exit() }

// Redact makes the log of the process's output leave out secrets. Call it
// before the process gets them.
func (p *Process) Redact(r *secret.Redactor) { p.redact.Store(r) }

// Kill ends the process and its group at once. Stop is still needed.
func (p *Process) Kill() { p.child.kill() }

// Stop asks the process to end, kills it after the grace, and gives back all
// that the host held for it. It returns when the process is gone. It may be
// called more than once; later calls wait for nothing.
func (p *Process) Stop() {
	p.stop.Do(func() {
		// Client.Kill waits for ever on a frozen process.
		timer := time.AfterFunc(p.grace, p.child.kill)
		p.client.Kill()
		timer.Stop()
		p.child.kill()
		if p.child.ID() != "" {
			<-p.child.exited
		}
		p.conns.close()
		for _, o := range p.outs {
			o.flush()
		}
	})
}

// conns remembers the connections that go-plugin opens, because it loses one
// when the process dies in the middle of a start.
type conns struct {
	mu   sync.Mutex
	seen map[*grpc.ClientConn]struct{}
}

// noBroker cuts off go-plugin's broker, through which a connector could make
// the host hold any number of waiting streams.
func (c *conns) noBroker(ctx context.Context, d *grpc.StreamDesc, cc *grpc.ClientConn, method string, s grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	c.mu.Lock()
	if c.seen == nil {
		c.seen = map[*grpc.ClientConn]struct{}{}
	}
	c.seen[cc] = struct{}{}
	c.mu.Unlock()
	if strings.HasPrefix(method, "/plugin.GRPCBroker/") {
		return nil, status.Error(codes.Unimplemented, "the broker is not used")
	}
	return s(ctx, d, cc, method, opts...)
}

func (c *conns) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for cc := range c.seen {
		_ = cc.Close()
	}
}

// dispensed hands out the connection itself.
type dispensed struct{ plugin.NetRPCUnsupportedPlugin }

var _ plugin.GRPCPlugin = dispensed{}

// GRPCServer is the connector's side, which the host does not have.
func (dispensed) GRPCServer(*plugin.GRPCBroker, *grpc.Server) error {
	return errors.New("the host serves no connector")
}

// GRPCClient returns the connection.
func (dispensed) GRPCClient(_ context.Context, _ *plugin.GRPCBroker, cc *grpc.ClientConn) (any, error) {
	return cc, nil
}

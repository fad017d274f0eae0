package sdk

import (
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/hashicorp/go-hclog"
	plugin "github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"

	"github.com/quell-soar/quell/connectors/proto"
)

// Serve is the whole main of a connector binary. It serves the connector whose
// manifest has the name that stands as first argument (the only connector where
// none stands there) until the host hangs up, and then exits the process: 0
// when told to end, 2 where the arguments name no connector or Quell did not
// start the process. With ManifestsFlag it prints the manifests and ends.
//
// Call it first thing in main: before it serves, it gives up privileges, and a
// goroutine started earlier might keep them.
func Serve(connectors ...Connector) {
	os.Exit(serve(os.Args, os.Stderr, connectors))
}

func serve(args []string, stderr io.Writer, connectors []Connector) int {
	if len(args) == 2 && args[1] == ManifestsFlag {
		if err := printManifests(os.Stdout, connectors); err != nil {
			fmt.Fprintf(stderr, "%s: %v\n", program(args), err)
			return 1
		}
		return 0
	}
	c, err := pick(args, connectors)
	if err != nil {
		fmt.Fprintf(stderr, "%s: %v\n", program(args), err)
		return 2
	}
	hand := proto.Handshake()
	if os.Getenv(hand.MagicCookieKey) != hand.MagicCookieValue {
		fmt.Fprintf(stderr, "%s: this is a connector of Quell and is started by it; try `quell connector check`\n", program(args))
		return 2
	}
	if err := harden(); err != nil {
		fmt.Fprintf(stderr, "%s: cannot give up privileges: %v\n", program(args), err)
		return 2
	}
	a := NewAdapter(c, func(text string) { fmt.Fprintln(os.Stderr, text) })
	plugin.Serve(&plugin.ServeConfig{
		HandshakeConfig:  hand,
		VersionedPlugins: map[int]plugin.PluginSet{proto.ProtocolVersion: {proto.PluginName: &served{adapter: a}}},
		GRPCServer: func(opts []grpc.ServerOption) *grpc.Server {
			return grpc.NewServer(append(opts, grpc.MaxRecvMsgSize(proto.MaxMessage), grpc.MaxSendMsgSize(proto.MaxMessage), grpc.ChainUnaryInterceptor(timed), grpc.ChainStreamInterceptor(timedStream))...)
		},
		// go-plugin's own messages help nobody who runs Quell.
		Logger: hclog.NewNullLogger(),
	})
	if err := a.Close(); err != nil {
		fmt.Fprintln(os.Stderr, a.text(fmt.Sprintf("closing the session: %v", err)))
	}
	return 0
}

// pick finds the connector that the arguments name.
func pick(args []string, connectors []Connector) (Connector, error) {
	if len(args) < 2 && len(connectors) == 1 {
		return connectors[0], nil
	}
	names := make([]string, 0, len(connectors))
	for _, c := range connectors {
		name := c.Manifest().Name
		if len(args) > 1 && args[1] == name {
			return c, nil
		}
		names = append(names, name)
	}
	slices.Sort(names)
	known := strings.Join(names, ", ")
	if len(args) < 2 {
		return nil, fmt.Errorf("name a connector as first argument; this binary has %s", known)
	}
	return nil, fmt.Errorf("there is no connector %q; this binary has %s", args[1], known)
}

func program(args []string) string {
	if len(args) == 0 || args[0] == "" {
		return "connector"
	}
	return args[0]
}

// served ties the adapter to go-plugin.
type served struct {
	plugin.NetRPCUnsupportedPlugin
	adapter *Adapter
}

var _ plugin.GRPCPlugin = (*served)(nil)

// GRPCServer registers the service; go-plugin calls it once.
func (s *served) GRPCServer(_ *plugin.GRPCBroker, g *grpc.Server) error {
	proto.RegisterConnectorServer(g, s.adapter)
	return nil
}

// GRPCClient is the host's side, which a connector does not have.
func (s *served) GRPCClient(context.Context, *plugin.GRPCBroker, *grpc.ClientConn) (any, error) {
	return nil, fmt.Errorf("a connector process is no client of another")
}

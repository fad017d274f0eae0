package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"

	plugin "github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/mem"

	"github.com/quell-soar/quell/connectors/proto"
	"github.com/quell-soar/quell/connectors/spec/kind"
)

// misbehave does what its name says and reports whether that was all.
func misbehave(how string) bool {
	switch how {
	case "garbage":
		fmt.Println("hello, I am a chatty library\x1b[31m")
		time.Sleep(time.Hour)
	case "endless":
		block := bytes.Repeat([]byte("x"), 1<<20)
		for {
			if _, err := os.Stdout.Write(block); err != nil {
				return true
			}
		}
	case "silent":
		time.Sleep(time.Hour)
	case "linger":
		time.Sleep(3 * time.Second)
	case "exit":
		fmt.Fprintln(os.Stderr, "cannot start: no licence")
		return true
	case "address":
		fmt.Println("1|1|tcp|127.0.0.1:80|grpc|")
		time.Sleep(time.Hour)
	case "elsewhere":
		fmt.Println("1|1|unix|/run/docker.sock|grpc|")
		time.Sleep(time.Hour)
	case "half":
		// The handshake of a server that never accepts.
		fmt.Println("1|1|unix|" + os.Getenv("PLUGIN_UNIX_SOCKET_DIR") + "/none|grpc|")
		time.Sleep(time.Hour)
	case "grandchild":
		// Keeps the output's pipes open beyond the parent's death.
		cmd := exec.Command("/proc/self/exe", "mock", "linger")
		cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
		cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
		fmt.Fprintln(os.Stderr, "grandchild:", cmd.Start())
		return false
	case "raw":
		raw(&rogue{})
		return true
	default:
		return false
	}
	return true
}

// rogue answers as the text of the call says, without any of the sdk's checks.
type rogue struct {
	proto.UnimplementedConnectorServer
}

func (r *rogue) Describe(context.Context, *proto.DescribeRequest) (*proto.DescribeReply, error) {
	raw, err := json.Marshal(mock{}.Manifest())
	return &proto.DescribeReply{Manifest: raw, ApiVersions: []string{proto.APIVersion}, Streams: true}, err
}

func (r *rogue) Configure(context.Context, *proto.ConfigureRequest) (*proto.ConfigureReply, error) {
	return &proto.ConfigureReply{}, nil
}

func (r *rogue) Call(_ context.Context, c *proto.CallRequest) (*proto.CallReply, error) {
	var in struct{ Text string }
	if err := json.Unmarshal(c.GetInputs(), &in); err != nil {
		return nil, err
	}
	switch in.Text {
	case "huge":
		return &proto.CallReply{Outcome: "huge"}, nil
	case "hoard":
		return &proto.CallReply{Outcome: "done", Output: make([]byte, 1<<30)}, nil
	case "large": // above gRPC's own 4 MiB and below ours
		return &proto.CallReply{Outcome: "done", VendorRequestId: strings.Repeat("x", 6<<20), Output: []byte("{}")}, nil
	case "never":
		time.Sleep(time.Hour)
	case "notjson":
		return &proto.CallReply{Outcome: "done", Output: []byte("{{{")}, nil
	case "wrongtype":
		return &proto.CallReply{Outcome: "done", Output: []byte(`{"text":7}`)}, nil
	case "extra":
		return &proto.CallReply{Outcome: "done", Output: []byte(`{"more":"x"}`)}, nil
	case "outcome":
		return &proto.CallReply{Outcome: "absolutely", Output: []byte("{}")}, nil
	case "kind":
		return &proto.CallReply{Error: &proto.Error{Kind: "fine", Message: strings.Repeat("\x1b]0;owned\a", 1000), RetryAfterNanos: 1 << 62}}, nil
	case "forever":
		return &proto.CallReply{Error: &proto.Error{Kind: "rate_limited", RetryAfterNanos: 1 << 62}}, nil
	case "deep":
		return &proto.CallReply{Outcome: "done", Output: []byte(strings.Repeat("[", 1<<20))}, nil
	}
	return &proto.CallReply{Outcome: "done", Output: []byte("{}")}, nil
}

// CallStreaming answers as the text says.
func (r *rogue) CallStreaming(c *proto.CallRequest, to grpc.ServerStreamingServer[proto.CallPart]) error {
	var in struct{ Text string }
	if err := json.Unmarshal(c.GetInputs(), &in); err != nil {
		return err
	}
	piece := func(p []byte) { _ = to.Send(&proto.CallPart{Part: &proto.CallPart_Piece{Piece: p}}) }
	end := func(ref string) { _ = to.Send(&proto.CallPart{Part: &proto.CallPart_End{End: ref}}) }
	ref := kind.ArtifactOf([]byte("content"))
	switch in.Text {
	case "wrong":
		piece([]byte("other"))
		end(ref)
	case "piece":
		piece(make([]byte, proto.MaxPiece+1))
	case "endless":
		for p := make([]byte, proto.MaxPiece); to.Context().Err() == nil; {
			piece(p)
		}
	case "many":
		for i := range 100 {
			p := []byte(strconv.Itoa(i))
			piece(p)
			end(kind.ArtifactOf(p))
		}
	case "silent":
		piece([]byte("content"))
		end(ref)
		return nil
	case "unfinished":
		piece([]byte("content"))
	case "unnamed":
		piece([]byte("other"))
		end(kind.ArtifactOf([]byte("other")))
	case "nothing":
		_ = to.Send(&proto.CallPart{})
	case "twice":
		for range 2 {
			piece([]byte("content"))
			end(ref)
		}
	}
	return to.Send(&proto.CallPart{Part: &proto.CallPart_Reply{Reply: &proto.CallReply{Outcome: "done", Output: fmt.Appendf(nil, `{"content":%q}`, ref)}}})
}

type rawPlugin struct {
	plugin.NetRPCUnsupportedPlugin
	r *rogue
}

func (p *rawPlugin) GRPCServer(_ *plugin.GRPCBroker, s *grpc.Server) error {
	proto.RegisterConnectorServer(s, p.r)
	return nil
}

func (p *rawPlugin) GRPCClient(context.Context, *plugin.GRPCBroker, *grpc.ClientConn) (any, error) {
	return nil, nil
}

func raw(r *rogue) {
	plugin.Serve(&plugin.ServeConfig{
		HandshakeConfig:  proto.Handshake(),
		VersionedPlugins: map[int]plugin.PluginSet{proto.ProtocolVersion: {proto.PluginName: &rawPlugin{r: r}}},
		GRPCServer: func(opts []grpc.ServerOption) *grpc.Server {
			return grpc.NewServer(append(opts, grpc.MaxSendMsgSize(2<<30-1), grpc.ForceServerCodecV2(inflated{encoding.GetCodecV2("proto")}))...)
		},
	})
}

// inflated writes the reply "huge" as 1 GiB, without having it.
type inflated struct{ encoding.CodecV2 }

func (i inflated) Marshal(v any) (mem.BufferSlice, error) {
	if r, ok := v.(*proto.CallReply); !ok || r.GetOutcome() != "huge" {
		return i.CodecV2.Marshal(v)
	}
	block := mem.SliceBuffer(make([]byte, 1<<20))
	out := make(mem.BufferSlice, 1<<10)
	for n := range out {
		out[n] = block
	}
	return out, nil
}

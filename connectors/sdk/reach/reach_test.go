package reach_test

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quell-soar/quell/connectors/sdk/reach"
	"github.com/quell-soar/quell/connectors/sdk/reach/reachtest"
)

// TestForms holds the rule itself, on systems without network namespaces too:
// the network's place is taken by a function that counts.
func TestForms(t *testing.T) {
	t.Parallel()
	opened := 0
	d := reach.Dialer{
		Allow:   []reach.Class{reach.Public, reach.Private, reach.Loopback},
		Open:    func(context.Context, string, string) (net.Conn, error) { opened++; return nil, errors.New("opened") },
		Resolve: func(context.Context, string) ([]netip.Addr, error) { return nil, errors.New("nobody is asked") },
	}
	for _, f := range reachtest.Forms(t) {
		address, ok := f.HostPort()
		if !ok {
			continue
		}
		var refused *reach.RefusedError
		_, err := d.Dial(t.Context(), address)
		if no := errors.As(err, &refused); no != (f.Kind == reachtest.Never) {
			t.Errorf("%s %q: %v", f.Kind, f.Text, err)
		}
		want := map[string]reach.Class{reachtest.Loopback: reach.Loopback, reachtest.Private: reach.Private}[f.Kind]
		if got := reach.Named(f.Text); want != "" && !slices.Equal(got, []reach.Class{want}) {
			t.Errorf("%s %q may be %v", f.Kind, f.Text, got)
		}
	}
	if opened != 0 && opened != len(plain(t)) {
		t.Errorf("%d connections", opened)
	}
	for _, host := range []string{"api.example.com", "api.example.com.", "1.2.3.4", "2606:4700::1111", "xn--bcher-kva.example", "a_b.example", "8x8.example", "192.0.1.1", "2001:4860:4860::8888"} {
		if err := reach.CheckHost(host); err != nil {
			t.Errorf("%s: %v", host, err)
		}
	}
}

// plain are the forms that a destination may have which is allowed all classes.
func plain(t *testing.T) (out []string) {
	t.Helper()
	for _, f := range reachtest.Forms(t) {
		if _, ok := f.Addr(); ok && f.Kind != reachtest.Never {
			out = append(out, f.Text)
		}
	}
	return out
}

// TestRace: an address that leads nowhere holds up the next one for a moment
// only, one that refuses not at all, and who comes too late is sent away.
func TestRace(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var closed atomic.Int32
		d := reach.Dialer{
			Resolve: func(context.Context, string) ([]netip.Addr, error) {
				return []netip.Addr{netip.MustParseAddr("2606:4700::1"), netip.MustParseAddr("2606:4700::2"), netip.MustParseAddr("1.1.1.1"), netip.MustParseAddr("1.1.1.2")}, nil
			},
			Open: func(ctx context.Context, _, address string) (net.Conn, error) {
				switch address {
				case "[2606:4700::1]:443": // slow, and not to be stopped
					time.Sleep(3 * time.Second)
				case "1.1.1.1:443":
					return nil, errors.New("nobody there")
				case "[2606:4700::2]:443":
					time.Sleep(10 * time.Millisecond)
				default:
					<-ctx.Done()
					return nil, ctx.Err()
				}
				return &counted{closed: &closed, address: address}, nil
			},
		}
		begin := time.Now()
		c, err := d.Dial(t.Context(), "api.example.com:443")
		if err != nil {
			t.Fatal(err)
		}
		// The second family after a head start; its refusal brings nobody forward
		// while the first goes on; then the next of the first family.
		if took := time.Since(begin); c.(*counted).address != "[2606:4700::2]:443" || took > time.Second {
			t.Errorf("connected to %s after %s", c.(*counted).address, took)
		}
		time.Sleep(5 * time.Second)
		if closed.Load() != 1 {
			t.Errorf("%d late connections were closed, want 1", closed.Load())
		}
	})
}

type counted struct {
	net.Conn
	address string
	closed  *atomic.Int32
}

func (c *counted) Close() error { c.closed.Add(1); return nil }

// FuzzSplit: whatever is taken for a host is an address as netip reads it or a
// plain name, and none that nobody reaches.
func FuzzSplit(f *testing.F) {
	for _, s := range []string{"api.example.com:443", "169.254.169.254:80", "[::1]:1", "0x7f.1:80", "１.1.1.1:80", "a..b:80", ":80", "a:80\r\n"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		host, port, err := reach.Split(s)
		if err != nil {
			return
		}
		if a, err := netip.ParseAddr(host); err == nil {
			if _, err := reach.ClassOf(a); err != nil {
				t.Errorf("%q is taken: %v", s, err)
			}
			return
		}
		for _, c := range host {
			if c > 'z' || c < '-' {
				t.Errorf("%q is taken for a host", host)
			}
		}
		if port == 0 || host == "" {
			t.Errorf("%q is taken for host:port", s)
		}
	})
}

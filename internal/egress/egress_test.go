package egress_test

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/quell-soar/quell/connectors/sdk/reach"
	"github.com/quell-soar/quell/internal/egress"
)

// world is a name server and a network that count.
type world struct {
	answers [][]netip.Addr
	lookups int
	dialled []string
}

func (w *world) resolve(context.Context, string) ([]netip.Addr, error) {
	a := w.answers[min(w.lookups, len(w.answers)-1)]
	w.lookups++
	return a, nil
}

func (w *world) dial(_ context.Context, _, address string) (net.Conn, error) {
	w.dialled = append(w.dialled, address)
	c, other := net.Pipe()
	_ = other.Close()
	return c, nil
}

func addrs(texts ...string) []netip.Addr {
	out := make([]netip.Addr, len(texts))
	for i, s := range texts {
		out[i] = netip.MustParseAddr(s)
	}
	return out
}

// TestRefused tries addresses behind a name and as literals; none may be dialled.
func TestRefused(t *testing.T) {
	t.Parallel()
	always := []string{
		"169.254.169.254", "169.254.0.1", "169.254.170.2", "::ffff:169.254.169.254", "fe80::1", "fe80::a9fe:a9fe", "febf::1",
		"fd00:ec2::254", "fd20:ce::254", "100.100.100.200", "168.63.129.16", "192.0.0.192",
		"0.0.0.0", "0.0.0.1", "::", "::ffff:0.0.0.0", "224.0.0.1", "239.1.1.1", "ff02::1", "ff01::1", "ff0e::1", "255.255.255.255", "240.0.0.1",
		"::127.0.0.1", "::169.254.169.254", "64:ff9b::a9fe:a9fe", "64:ff9b::7f00:1", "64:ff9b:1::a9fe:a9fe",
		"2002:a9fe:a9fe::1", "2002:7f00:1::", "2001:0:4136:e378:8000:63bf:3fff:fdd2", "fec0::1", "fe80::1%eth0",
	}
	notPublic := []string{
		"127.0.0.1", "127.1.2.3", "127.255.255.254", "::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1",
		"10.0.0.1", "10.255.255.255", "172.16.0.1", "172.31.255.255", "192.168.1.1", "100.64.0.1", "fc00::1", "fd12:3456::1",
	}
	try := func(classes []reach.Class, list []string) {
		t.Helper()
		for _, text := range list {
			w := &world{answers: [][]netip.Addr{addrs("93.184.216.34", text)}}
			// An address that nobody reaches is reported here already, and dialled
			// by nobody who does not listen.
			d, _ := egress.New(egress.Options{Resolve: w.resolve, Dial: w.dial},
				egress.Destination{Name: "name", Address: "bad.example:443", Reach: classes},
				egress.Destination{Name: "literal", Address: net.JoinHostPort(text, "443"), Reach: classes})
			for _, name := range []string{"name", "literal"} {
				_, err := d.Dial(t.Context(), name)
				var refused *egress.RefusedError
				if !errors.As(err, &refused) || len(w.dialled) != 0 {
					t.Errorf("%s as a %s: got %v, dialled %v", text, name, err, w.dialled)
				}
			}
		}
	}
	try([]reach.Class{reach.Public, reach.Private, reach.Loopback}, always)
	try(nil, append(always, notPublic...))
	try([]reach.Class{reach.Private}, []string{"127.0.0.1", "::1", "8.8.8.8"})
	try([]reach.Class{reach.Loopback}, []string{"10.0.0.1", "8.8.8.8"})
}

func TestForms(t *testing.T) {
	t.Parallel()
	for _, a := range []string{
		"", "host", "host:", "host:0", "host:65536", "host:http", ":443", "2130706433:80", "0x7f.0.0.1:80", "0177.0.0.1:80", "127.1:80",
		"0x7f000001:80", "127.0.0.1.:80", "1.2.3.4.5:80", "user@host:80", "host/x:80", "a b:80", "host.0:80", "::1:80", "[::1]", "host.:x",
	} {
		if _, err := egress.New(egress.Options{}, egress.Destination{Name: "n", Address: a}); err == nil {
			t.Errorf("%q was taken as host:port", a)
		}
	}
	for _, a := range []string{"temporal.internal:7233", "1.2.3.4:443", "[2606:4700::1111]:443", "host.:80", "a1:80"} {
		if _, err := egress.New(egress.Options{}, egress.Destination{Name: "n", Address: a}); err != nil {
			t.Errorf("%q: %v", a, err)
		}
	}
}

// TestRebinding: the second answer of a name server is never asked for, and what
// is dialled is the address that was checked.
func TestRebinding(t *testing.T) {
	t.Parallel()
	w := &world{answers: [][]netip.Addr{addrs("93.184.216.34"), addrs("127.0.0.1")}}
	d, err := egress.New(egress.Options{Resolve: w.resolve, Dial: w.dial}, egress.Destination{Name: "n", Address: "rebind.example:443"})
	if err != nil {
		t.Fatal(err)
	}
	c, err := d.Dial(t.Context(), "n")
	if err != nil {
		t.Fatal(err)
	}
	_ = c.Close()
	if w.lookups != 1 || len(w.dialled) != 1 || w.dialled[0] != "93.184.216.34:443" {
		t.Errorf("%d lookups, dialled %v", w.lookups, w.dialled)
	}
	if _, err := d.Dial(t.Context(), "n"); err == nil {
		t.Error("the rebound name was dialled")
	}
}

func TestOnly(t *testing.T) {
	t.Parallel()
	w := &world{answers: [][]netip.Addr{addrs("10.0.0.7")}}
	d, err := egress.New(egress.Options{Resolve: w.resolve, Dial: w.dial},
		egress.Destination{Name: "n", Address: "temporal.internal:7233", Reach: []reach.Class{reach.Private}})
	if err != nil {
		t.Fatal(err)
	}
	var refused *egress.RefusedError
	if _, err := d.Only("n")(t.Context(), "tcp", "other.internal:7233"); !errors.As(err, &refused) {
		t.Errorf("another address: %v", err)
	}
	if _, err := d.Only("m")(t.Context(), "tcp", "temporal.internal:7233"); !errors.As(err, &refused) {
		t.Errorf("another destination: %v", err)
	}
	c, err := d.Only("n")(t.Context(), "tcp", "Temporal.internal:7233")
	if err != nil {
		t.Fatal(err)
	}
	_ = c.Close()
}

// TestReal dials a listener of this machine through the real network.
func TestReal(t *testing.T) {
	t.Parallel()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	d, err := egress.New(egress.Options{Timeout: 5 * time.Second},
		egress.Destination{Name: "open", Address: l.Addr().String(), Reach: []reach.Class{reach.Loopback}},
		egress.Destination{Name: "shut", Address: l.Addr().String()})
	if err != nil {
		t.Fatal(err)
	}
	c, err := d.Dial(t.Context(), "open")
	if err != nil {
		t.Fatal(err)
	}
	_ = c.Close()
	if _, err := d.Dial(t.Context(), "shut"); err == nil {
		t.Error("a public destination reached loopback")
	}
}

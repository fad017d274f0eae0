package egress_test

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"testing"

	"github.com/quell-soar/quell/connectors/sdk/reach"
	"github.com/quell-soar/quell/connectors/sdk/reach/reachtest"
	"github.com/quell-soar/quell/internal/egress"
)

// attempt dials one destination through the real network of the test.
func attempt(t *testing.T, address string, classes ...reach.Class) error {
	t.Helper()
	d, err := egress.New(egress.Options{}, egress.Destination{Name: "n", Address: address, Reach: classes})
	if err != nil {
		return err
	}
	c, err := d.Dial(t.Context(), "n")
	if err == nil {
		_ = c.Close()
	}
	return err
}

// TestCanary writes each form of a forbidden place as a destination and as what
// the name of one resolves to: at once, among good addresses, and at the second
// look-up.
func TestCanary(t *testing.T) {
	reachtest.InNetwork(t, func(c *reachtest.Canary) {
		for _, address := range []string{"1.2.3.4:80", "1.2.3.4:443", "[2606:4700::2222]:80", "127.0.0.1:80"} {
			was := len(c.Touched())
			if err := attempt(t, address, reach.Public, reach.Loopback); err != nil || !seen(c, was) {
				t.Fatalf("the canary does not see a connection to %s (%v), so its silence would say nothing", address, err)
			}
		}
		was, tries, forms := len(c.Touched()), 0, reachtest.Forms(t)
		good := netip.MustParseAddr(reachtest.Vendors[0])
		for _, f := range forms {
			address, ok := f.HostPort()
			if !ok {
				continue
			}
			classes := []reach.Class{reach.Public, reach.Private, reach.Loopback}
			if f.Kind != reachtest.Never {
				classes = classes[:1]
			}
			addresses := []string{address}
			if bad, ok := f.Addr(); ok {
				for i, answer := range [][]netip.Addr{{bad}, {bad, good}, {good, bad}} {
					host := fmt.Sprintf("n%d-%d.example", tries, i)
					c.Resolve(host, answer)
					addresses = append(addresses, net.JoinHostPort(host, "80"))
				}
			}
			for _, a := range addresses {
				tries++
				if err := attempt(t, a, classes...); err == nil {
					t.Errorf("%s (%q) was dialled", a, f.Text)
				}
			}
		}
		tries += rebound(t, c, forms)
		t.Logf("%d forms of forbidden places, %d attempts of Quell's own dialer: %d connections at the canary", len(forms), tries, len(c.Touched())-was)
		if got := c.Touched()[was:]; len(got) != 0 {
			t.Errorf("the canary was reached at %v", got)
		}
	})
}

// seen waits for the listener, which counts a moment after the dialer is done.
func seen(c *reachtest.Canary, was int) bool {
	for range 1000 {
		if len(c.Touched()) > was {
			return true
		}
		if n, err := net.Dial("tcp", reachtest.Vendors[0]+":80"); err == nil { // a turn of the same listener
			_ = n.Close()
		}
	}
	return false
}

// rebound dials names whose address changes after the first look-up.
func rebound(t *testing.T, c *reachtest.Canary, forms []reachtest.Form) (tries int) {
	t.Helper()
	good := netip.MustParseAddr(reachtest.Vendors[0])
	for _, f := range forms {
		bad, ok := f.Addr()
		if !ok {
			continue
		}
		tries++
		host := fmt.Sprintf("rebinds-%d.example", tries)
		c.Resolve(host, []netip.Addr{good}, []netip.Addr{bad})
		d, err := egress.New(egress.Options{}, egress.Destination{Name: "n", Address: host + ":80"})
		if err != nil {
			t.Fatal(err)
		}
		looked := c.Lookups()
		conn, err := d.Dial(t.Context(), "n")
		if err != nil || c.Lookups() != looked+1 {
			t.Errorf("%s at a good address: %v after %d look-ups, want one", host, err, c.Lookups()-looked)
			continue
		}
		_ = conn.Close()
		var refused *egress.RefusedError
		if _, err := d.Dial(t.Context(), "n"); !errors.As(err, &refused) {
			t.Errorf("%s rebound to %s: %v", host, bad, err)
		}
	}
	return tries
}

package reachtest

import (
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
)

// Vendors are the addresses in the network that are no canary: an honest server
// on the internet, which redirects to where it is told.
var Vendors = []string{"8.8.8.8", "2606:4700::1111"}

// Canary is a network in which every address leads to one listener, on ports 80
// and 443, and a name server whose answers the test gives. It may be used from
// many goroutines.
type Canary struct {
	mu       sync.Mutex
	touched  []string
	vendors  int
	redirect redirect
	answers  map[string][][]netip.Addr
	lookups  int
}

type redirect struct {
	status int
	to     string
}

// Touched lists the addresses at which somebody connected, since the network
// began: none is a vendor's.
func (c *Canary) Touched() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.touched)
}

// AtVendors counts the connections to the vendors' addresses.
func (c *Canary) AtVendors() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.vendors
}

// Redirect lets the vendors answer with a status and a Location; status 0 ends
// that.
func (c *Canary) Redirect(status int, to string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.redirect = redirect{status, to}
}

// Resolve sets what the name server answers for a name: one set of addresses
// each time it is asked, the last one from then on.
func (c *Canary) Resolve(name string, answers ...[]netip.Addr) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.answers[strings.ToLower(name)] = answers
}

// Lookups counts the names that were asked for.
func (c *Canary) Lookups() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.lookups
}

// listen begins on a port. Connections are counted when they stand, whatever is
// said on them.
func (c *Canary) listen(t *testing.T, port string) {
	t.Helper()
	l, err := net.Listen("tcp", ":"+port)
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{
		Handler:           http.HandlerFunc(c.answer),
		ReadHeaderTimeout: 0, // every connection is the test's own
		ConnState:         c.count,
	}
	t.Cleanup(func() { _ = srv.Close() })
	go func() { _ = srv.Serve(l) }()
}

func (c *Canary) count(conn net.Conn, state http.ConnState) {
	if state != http.StateNew {
		return
	}
	at, err := netip.ParseAddrPort(conn.LocalAddr().String())
	c.mu.Lock()
	defer c.mu.Unlock()
	if text := at.Addr().Unmap().String(); err != nil || !slices.Contains(Vendors, text) {
		c.touched = append(c.touched, text)
		return
	}
	c.vendors++
}

func (c *Canary) answer(w http.ResponseWriter, _ *http.Request) {
	c.mu.Lock()
	r := c.redirect
	c.mu.Unlock()
	if r.status == 0 {
		return
	}
	// Set past net/http, which would take a line end out.
	w.Header()["Location"] = []string{r.to}
	w.WriteHeader(r.status)
}

// next is the name server's answer to a question.
func (c *Canary) next(name string) []netip.Addr {
	c.mu.Lock()
	defer c.mu.Unlock()
	list := c.answers[strings.ToLower(strings.TrimSuffix(name, "."))]
	if len(list) == 0 {
		return nil
	}
	if len(list) > 1 {
		c.answers[strings.ToLower(strings.TrimSuffix(name, "."))] = list[1:]
	}
	return list[0]
}

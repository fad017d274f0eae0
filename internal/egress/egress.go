package egress

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/quell-soar/quell/connectors/sdk/reach"
)

// Destination is one place that may be dialled.
type Destination struct {
	Name string
	// Address is host:port.
	Address string
	// Reach lists what its addresses may be; empty means reach.Public.
	Reach []reach.Class
}

// Options tune a dialer. Zero fields take their defaults.
type Options struct {
	// Resolve finds the addresses of a host; default the system's resolver.
	Resolve func(ctx context.Context, host string) ([]netip.Addr, error)
	// Dial opens a connection to an address and port; default net.Dialer.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// Timeout bounds resolving and connecting together; default 10 s.
	Timeout time.Duration
}

// RefusedError says that a connection was not opened and why.
type RefusedError struct {
	Destination string
	// Address is the address that was refused, or what stood in its place.
	Address string
	Reason  string
}

func (e *RefusedError) Error() string {
	return fmt.Sprintf("egress to %s: %s is refused: %s", e.Destination, e.Address, e.Reason)
}

// Dialer opens connections to its destinations. It is safe for concurrent use.
type Dialer struct {
	places map[string]Destination
	opts   Options
}

// New makes a dialer for destinations. It reports all destinations whose address
// has not the form host:port, or is one that nobody reaches.
func New(o Options, places ...Destination) (*Dialer, error) {
	d := &Dialer{places: map[string]Destination{}, opts: o}
	var errs []error
	for _, p := range places {
		if _, _, err := reach.Split(p.Address); err != nil {
			errs = append(errs, fmt.Errorf("egress destination %s: %w", p.Name, err))
		}
		if _, twice := d.places[p.Name]; twice {
			errs = append(errs, fmt.Errorf("egress destination %s stands twice", p.Name))
		}
		d.places[p.Name] = p
	}
	return d, errors.Join(errs...)
}

// Dial connects to the destination of a name. Errors are *RefusedError, or those
// of resolving and connecting.
func (d *Dialer) Dial(ctx context.Context, name string) (net.Conn, error) {
	p, ok := d.places[name]
	if !ok {
		return nil, &RefusedError{Destination: name, Address: "it", Reason: "no destination of that name is configured"}
	}
	to := reach.Dialer{Allow: p.Reach, Resolve: d.opts.Resolve, Open: d.opts.Dial, Timeout: d.opts.Timeout}
	conn, err := to.Dial(ctx, p.Address)
	var refused *reach.RefusedError
	if errors.As(err, &refused) {
		return nil, &RefusedError{Destination: name, Address: refused.Address, Reason: refused.Reason}
	}
	if err != nil {
		return nil, fmt.Errorf("egress to %s: %w", name, err)
	}
	return conn, nil
}

// Only is Dial for clients that name an address themselves, such as net/http:
// any other address than the destination's is refused.
func (d *Dialer) Only(name string) func(ctx context.Context, network, address string) (net.Conn, error) {
	return func(ctx context.Context, _, address string) (net.Conn, error) {
		if p, ok := d.places[name]; ok && !strings.EqualFold(address, p.Address) {
			return nil, &RefusedError{Destination: name, Address: address, Reason: "the destination is " + p.Address}
		}
		return d.Dial(ctx, name)
	}
}

package egress

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Reach says which addresses a destination may have.
type Reach string

// The reaches. A destination of a wider reach does not include the narrower:
// what is configured as public and turns out private was tampered with.
const (
	Public   Reach = "public"
	Private  Reach = "private"
	Loopback Reach = "loopback"
)

// Destination is one place that may be dialled.
type Destination struct {
	Name string
	// Address is host:port.
	Address string
	// Reach lists what its addresses may be; empty means Public.
	Reach []Reach
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
// has not the form host:port.
func New(o Options, places ...Destination) (*Dialer, error) {
	if o.Resolve == nil {
		o.Resolve = func(ctx context.Context, host string) ([]netip.Addr, error) {
			return net.DefaultResolver.LookupNetIP(ctx, "ip", host)
		}
	}
	if o.Dial == nil {
		o.Dial = (&net.Dialer{}).DialContext
	}
	if o.Timeout <= 0 {
		o.Timeout = 10 * time.Second
	}
	d := &Dialer{places: map[string]Destination{}, opts: o}
	var errs []error
	for _, p := range places {
		if _, _, err := split(p.Address); err != nil {
			errs = append(errs, fmt.Errorf("egress destination %s: %w", p.Name, err))
		}
		if _, twice := d.places[p.Name]; twice {
			errs = append(errs, fmt.Errorf("egress destination %s stands twice", p.Name))
		}
		if len(p.Reach) == 0 {
			p.Reach = []Reach{Public}
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
	ctx, cancel := context.WithTimeout(ctx, d.opts.Timeout)
	defer cancel()
	host, port, err := split(p.Address)
	if err != nil {
		return nil, err
	}
	addrs, err := d.addresses(ctx, p, host)
	if err != nil {
		return nil, err
	}
	var errs []error
	for _, a := range addrs {
		conn, err := d.opts.Dial(ctx, "tcp", netip.AddrPortFrom(a, port).String())
		if err == nil {
			return conn, nil
		}
		errs = append(errs, err)
	}
	return nil, fmt.Errorf("egress to %s: %w", name, errors.Join(errs...))
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

// addresses resolves a host once and refuses it whole where one address may not
// be reached.
func (d *Dialer) addresses(ctx context.Context, p Destination, host string) ([]netip.Addr, error) {
	addrs := []netip.Addr{}
	if a, err := netip.ParseAddr(host); err == nil {
		addrs = append(addrs, a)
	} else if addrs, err = d.opts.Resolve(ctx, host); err != nil {
		return nil, fmt.Errorf("egress to %s: %w", p.Name, err)
	}
	if len(addrs) == 0 {
		return nil, fmt.Errorf("egress to %s: %s has no address", p.Name, host)
	}
	for i, a := range addrs {
		addrs[i] = a.Unmap()
		if reason := refusal(addrs[i], p.Reach); reason != "" {
			return nil, &RefusedError{Destination: p.Name, Address: a.String(), Reason: reason}
		}
	}
	return addrs, nil
}

// split reads host:port. A host that other software reads as a number (0x7f.1,
// 2130706433, 0177.0.0.1) is refused: what it means depends on who reads it.
func split(address string) (host string, port uint16, err error) {
	host, text, err := net.SplitHostPort(address)
	if err != nil {
		return "", 0, fmt.Errorf("%q is not host:port", address)
	}
	n, err := strconv.ParseUint(text, 10, 16)
	if err != nil || n == 0 {
		return "", 0, fmt.Errorf("%q has no port from 1 to 65535", address)
	}
	if _, err := netip.ParseAddr(host); err == nil {
		return host, uint16(n), nil
	}
	labels := strings.Split(strings.TrimSuffix(host, "."), ".")
	last := labels[len(labels)-1]
	if host == "" || last == "" || last[0] >= '0' && last[0] <= '9' || strings.ContainsAny(host, "%@/\\ ") {
		return "", 0, fmt.Errorf("%q names neither a host nor an address", address)
	}
	return host, uint16(n), nil
}

// never are blocks that no destination reaches, with the reason.
var never = []struct {
	block  netip.Prefix
	reason string
}{
	{netip.MustParsePrefix("0.0.0.0/8"), "it stands for this machine"},
	{netip.MustParsePrefix("100.100.100.200/32"), "it is a cloud metadata service"},
	{netip.MustParsePrefix("168.63.129.16/32"), "it is a cloud metadata service"},
	{netip.MustParsePrefix("192.0.0.192/32"), "it is a cloud metadata service"},
	{netip.MustParsePrefix("fd00:ec2::/32"), "it is a cloud metadata service"},
	{netip.MustParsePrefix("fd20:ce::254/128"), "it is a cloud metadata service"},
	{netip.MustParsePrefix("240.0.0.0/4"), "it is reserved"},
	{netip.MustParsePrefix("::/96"), "it hides an IPv4 address"},
	{netip.MustParsePrefix("64:ff9b::/96"), "it hides an IPv4 address"},
	{netip.MustParsePrefix("64:ff9b:1::/48"), "it hides an IPv4 address"},
	{netip.MustParsePrefix("2002::/16"), "it hides an IPv4 address"},
	{netip.MustParsePrefix("2001::/32"), "it hides an IPv4 address"},
	{netip.MustParsePrefix("fec0::/10"), "it is site-local"},
}

// shared is the carrier's private block (RFC 6598).
var shared = netip.MustParsePrefix("100.64.0.0/10")

// refusal says why an unmapped address may not be reached, or "".
func refusal(a netip.Addr, reach []Reach) string {
	has := Public
	switch {
	case !a.IsValid() || a.Zone() != "":
		return "it is no address of the network"
	case a == netip.IPv6Loopback() || a.IsLoopback():
		has = Loopback
	case a.IsLinkLocalUnicast() || a.IsLinkLocalMulticast() || a.IsInterfaceLocalMulticast():
		return "it is link-local"
	case a.IsUnspecified():
		return "it stands for this machine"
	case a.IsMulticast():
		return "it is multicast"
	default:
		for _, n := range never {
			if n.block.Contains(a) {
				return n.reason
			}
		}
		if a.IsPrivate() || shared.Contains(a) {
			has = Private
		}
	}
	if !slices.Contains(reach, has) {
		return fmt.Sprintf("it is %s; the destination may be %v only", has, reach)
	}
	return ""
}

package reach

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"time"
)

const (
	// headStart is how long an address is tried alone before the next one joins
	// (RFC 8305): one family that leads nowhere must not hold up the other.
	headStart = 250 * time.Millisecond
	// mostAddresses of a name are tried.
	mostAddresses = 8
)

// Dialer opens connections to checked addresses. Its zero value reaches public
// addresses. It is safe for concurrent use; its fields are not changed after
// the first call.
type Dialer struct {
	// Allow lists what addresses may be; empty means Public.
	Allow []Class
	// Resolve finds the addresses of a host; default the system's resolver.
	Resolve func(ctx context.Context, host string) ([]netip.Addr, error)
	// Open opens a connection to an address and port; default net.Dialer.
	Open func(ctx context.Context, network, address string) (net.Conn, error)
	// Timeout bounds resolving and connecting together; default 10 s.
	Timeout time.Duration
}

// Dial connects to host:port. Errors are *RefusedError where the rule says no,
// else those of resolving and connecting.
func (d *Dialer) Dial(ctx context.Context, address string) (net.Conn, error) {
	host, port, err := Split(address)
	if err != nil {
		var refused *RefusedError
		if !errors.As(err, &refused) {
			err = &RefusedError{Address: fmt.Sprintf("%q", address), Reason: err.Error()}
		}
		return nil, err
	}
	timeout := d.Timeout
	if timeout <= 0 {
		timeout = 10 * time.Second
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	addrs, err := d.addresses(ctx, host)
	if err != nil {
		return nil, err
	}
	return d.race(ctx, spread(addrs), port)
}

// addresses resolves a host once and refuses it whole where one address may not
// be reached.
func (d *Dialer) addresses(ctx context.Context, host string) ([]netip.Addr, error) {
	addrs := []netip.Addr{}
	if a, err := netip.ParseAddr(host); err == nil {
		addrs = append(addrs, a)
	} else if addrs, err = d.resolve(ctx, host); err != nil {
		return nil, err
	}
	if len(addrs) == 0 {
		return nil, fmt.Errorf("%s has no address", host)
	}
	out := make([]netip.Addr, len(addrs))
	for i, a := range addrs {
		class, err := ClassOf(a)
		if err != nil {
			return nil, err
		}
		allow := d.Allow
		if len(allow) == 0 {
			allow = []Class{Public}
		}
		if out[i] = a.Unmap(); !slices.Contains(allow, class) {
			return nil, &RefusedError{Address: out[i].String(), Reason: fmt.Sprintf("it is %s; the destination may be %v only", class, allow)}
		}
	}
	return out, nil
}

func (d *Dialer) resolve(ctx context.Context, host string) ([]netip.Addr, error) {
	if d.Resolve != nil {
		return d.Resolve(ctx, host)
	}
	return net.DefaultResolver.LookupNetIP(ctx, "ip", host)
}

// spread puts the families by turns, the one first that the resolver put first,
// and drops what is too much.
func spread(addrs []netip.Addr) []netip.Addr {
	var first, other []netip.Addr
	for _, a := range addrs {
		if a.Is4() == addrs[0].Is4() {
			first = append(first, a)
		} else {
			other = append(other, a)
		}
	}
	var out []netip.Addr
	for i := range max(len(first), len(other)) {
		if i < len(first) {
			out = append(out, first[i])
		}
		if i < len(other) {
			out = append(out, other[i])
		}
	}
	return out[:min(len(out), mostAddresses)]
}

// race tries the addresses one after the other, each joined by the next where it
// takes long, and returns the first connection.
func (d *Dialer) race(ctx context.Context, addrs []netip.Addr, port uint16) (net.Conn, error) {
	open := d.Open
	if open == nil {
		open = (&net.Dialer{KeepAlive: 15 * time.Second}).DialContext
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	type result struct {
		conn net.Conn
		err  error
	}
	results := make(chan result, len(addrs))
	begun, ended := 0, 0
	begin := func() {
		to := netip.AddrPortFrom(addrs[begun], port).String()
		begun++
		go func() {
			conn, err := open(ctx, "tcp", to)
			results <- result{conn, err}
		}()
	}
	begin()
	next := time.NewTicker(headStart)
	defer next.Stop()
	var errs []error
	for {
		select {
		case r := <-results:
			ended++
			if r.err == nil {
				go func(left int) {
					for range left { // who comes too late is sent away
						if r := <-results; r.err == nil {
							_ = r.conn.Close()
						}
					}
				}(begun - ended)
				return r.conn, nil
			}
			if errs = append(errs, r.err); ended == len(addrs) {
				return nil, errors.Join(errs...)
			}
			if begun < len(addrs) && ended == begun {
				begin()
			}
		case <-next.C:
			if begun < len(addrs) {
				begin()
			}
		}
	}
}

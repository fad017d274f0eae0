package reachtest

import (
	"encoding/binary"
	"net"
	"net/netip"
	"strings"
)

// The record types that are answered (RFC 1035, RFC 3596).
const (
	typeA    = 1
	typeAAAA = 28
)

// names answers questions until the socket is closed. A resolver asks for A and
// AAAA at once: the two belong to one look-up and get one answer's addresses.
func (c *Canary) names(l net.PacketConn) {
	buf := make([]byte, 1500)
	open := map[string][]netip.Addr{} // half-answered look-ups, by name
	for {
		n, from, err := l.ReadFrom(buf)
		if err != nil {
			return
		}
		name, kind, end := question(buf[:n])
		if end == 0 {
			continue
		}
		addrs, half := open[name]
		if half {
			delete(open, name)
		} else {
			addrs = c.next(name)
			open[name] = addrs
			c.mu.Lock()
			c.lookups++
			c.mu.Unlock()
		}
		_, _ = l.WriteTo(reply(buf[:end], kind, addrs), from)
	}
}

// question reads the one question of a query: its name, its type, and where it
// ends; 0 where it cannot be read.
func question(b []byte) (name string, kind uint16, end int) {
	at := 12
	var labels []string
	for at < len(b) && b[at] != 0 {
		n := int(b[at])
		if n > 63 || at+1+n >= len(b) {
			return "", 0, 0
		}
		labels = append(labels, string(b[at+1:at+1+n]))
		at += 1 + n
	}
	if at+5 > len(b) {
		return "", 0, 0
	}
	return strings.Join(labels, "."), binary.BigEndian.Uint16(b[at+1:]), at + 5
}

// reply writes the answer to a query that was cut behind its question. Nothing
// of it may be kept: each record lives 0 seconds.
func reply(query []byte, kind uint16, addrs []netip.Addr) []byte {
	out := append([]byte(nil), query...)
	out[2], out[3] = 0x84, 0x00 // an answer, authoritative, no error
	binary.BigEndian.PutUint16(out[4:], 1)
	var count uint16
	for _, a := range addrs {
		raw := a.AsSlice()
		if kind == typeA && len(raw) != 4 || kind == typeAAAA && len(raw) != 16 || kind != typeA && kind != typeAAAA {
			continue
		}
		count++
		out = append(out, 0xc0, 12) // the name of the question
		out = binary.BigEndian.AppendUint16(out, kind)
		out = append(out, 0, 1, 0, 0, 0, 0)
		out = binary.BigEndian.AppendUint16(out, uint16(len(raw)))
		out = append(out, raw...)
	}
	binary.BigEndian.PutUint16(out[6:], count)
	binary.BigEndian.PutUint32(out[8:], 0)
	return out
}

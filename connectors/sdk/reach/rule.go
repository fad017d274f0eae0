package reach

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// Class is where an address lies.
type Class string

// The classes. A destination of one class does not include another: what is
// configured as public and turns out private was tampered with.
const (
	Public   Class = "public"
	Private  Class = "private"
	Loopback Class = "loopback"
)

// RefusedError says that a connection was not opened and why.
type RefusedError struct {
	// Address is the host or address that was refused.
	Address string
	Reason  string
}

func (e *RefusedError) Error() string { return e.Address + " is refused: " + e.Reason }

// Why refused addresses are.
const (
	hides    = "it carries another address inside"
	itself   = "it stands for this machine"
	metadata = "it is a cloud metadata service"
	reserved = "it is reserved"
)

// never are blocks that no destination reaches, with the reason.
var never = []struct {
	block  netip.Prefix
	reason string
}{
	{netip.MustParsePrefix("0.0.0.0/8"), itself},
	{netip.MustParsePrefix("100.100.100.200/32"), metadata}, // Alibaba Cloud
	{netip.MustParsePrefix("168.63.129.16/32"), metadata},   // Azure's wire server
	{netip.MustParsePrefix("192.0.0.192/32"), metadata},     // Oracle Cloud
	{netip.MustParsePrefix("192.0.0.0/24"), reserved},
	{netip.MustParsePrefix("192.0.2.0/24"), reserved},
	{netip.MustParsePrefix("192.88.99.0/24"), reserved},
	{netip.MustParsePrefix("198.18.0.0/15"), reserved},
	{netip.MustParsePrefix("198.51.100.0/24"), reserved},
	{netip.MustParsePrefix("203.0.113.0/24"), reserved},
	{netip.MustParsePrefix("240.0.0.0/4"), reserved},
	{netip.MustParsePrefix("::/96"), hides},               // IPv4-compatible
	{netip.MustParsePrefix("::ffff:0:0/96"), hides},       // IPv4-mapped, where it was not unmapped
	{netip.MustParsePrefix("::ffff:0:0:0/96"), hides},     // IPv4-translated
	{netip.MustParsePrefix("64:ff9b::/96"), hides},        // NAT64
	{netip.MustParsePrefix("64:ff9b:1::/48"), hides},      // NAT64 of a network
	{netip.MustParsePrefix("2001::/32"), hides},           // Teredo
	{netip.MustParsePrefix("2002::/16"), hides},           // 6to4
	{netip.MustParsePrefix("2001::/23"), reserved},        // protocols
	{netip.MustParsePrefix("2001:db8::/32"), reserved},    // documentation
	{netip.MustParsePrefix("3fff::/20"), reserved},        // documentation
	{netip.MustParsePrefix("fd00:ec2::/32"), metadata},    // AWS
	{netip.MustParsePrefix("fd20:ce::254/128"), metadata}, // Google Cloud
	{netip.MustParsePrefix("fd00:42::42/128"), metadata},  // Scaleway
	{netip.MustParsePrefix("fec0::/10"), "it is site-local"},
}

var (
	// shared is the carrier's private block (RFC 6598).
	shared = netip.MustParsePrefix("100.64.0.0/10")
	// unicast is all that is given out of IPv6's public addresses.
	unicast = netip.MustParsePrefix("2000::/3")
)

// names of metadata services. Each has an address that is refused too; the name
// tells earlier, before anybody is asked.
var names = []string{
	"metadata", "metadata.google.internal", "metadata.goog", "instance-data", "instance-data.ec2.internal", "metadata.azure.internal",
	"metadata.azure.com", "metadata.tencentyun.com", "metadata.packet.net", "metadata.platformequinix.com", "rancher-metadata", "rancher-metadata.rancher.internal",
}

// ClassOf says where an address lies, or why nobody reaches it. An IPv4 address
// in an IPv6 one (::ffff:a.b.c.d) is judged as the IPv4 address.
func ClassOf(a netip.Addr) (Class, error) {
	a = a.Unmap()
	refuse := func(reason string) (Class, error) {
		return "", &RefusedError{Address: a.String(), Reason: reason}
	}
	switch {
	case !a.IsValid() || a.Zone() != "":
		return refuse("it is no address of the network")
	case a.IsLoopback():
		return Loopback, nil
	case a.IsLinkLocalUnicast() || a.IsLinkLocalMulticast() || a.IsInterfaceLocalMulticast():
		return refuse("it is link-local")
	case a.IsUnspecified():
		return refuse(itself)
	case a.IsMulticast():
		return refuse("it is multicast")
	case isatap(a):
		return refuse(hides)
	}
	for _, n := range never {
		if n.block.Contains(a) {
			return refuse(n.reason)
		}
	}
	switch {
	case a.IsPrivate() || shared.Contains(a):
		return Private, nil
	case a.Is6() && !unicast.Contains(a):
		return refuse(reserved)
	}
	return Public, nil
}

// isatap finds the interface identifier 0:5efe or 200:5efe of RFC 5214, which
// the IPv4 address of a tunnel follows, in any prefix.
func isatap(a netip.Addr) bool {
	b := a.As16()
	return a.Is6() && b[8]&^2 == 0 && b[9] == 0 && b[10] == 0x5e && b[11] == 0xfe
}

// Named lists what a destination may be that stands in the configuration: an
// address or localhost is what it says; a name is public or private, because
// what is on premises has names too, but never loopback.
func Named(host string) []Class {
	if a, err := netip.ParseAddr(host); err == nil {
		if c, err := ClassOf(a); err == nil {
			return []Class{c}
		}
		return nil
	}
	if localhost(host) {
		return []Class{Loopback}
	}
	return []Class{Public, Private}
}

// localhost is what RFC 6761 keeps for the loopback interface.
func localhost(host string) bool {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	return host == "localhost" || strings.HasSuffix(host, ".localhost")
}

// Split reads host:port. Errors say what is wrong with the form.
func Split(address string) (host string, port uint16, err error) {
	host, text, err := net.SplitHostPort(address)
	if err != nil {
		return "", 0, fmt.Errorf("%q is not host:port", address)
	}
	n, err := strconv.ParseUint(text, 10, 16)
	if err != nil || n == 0 || text[0] == '+' {
		return "", 0, fmt.Errorf("%q has no port from 1 to 65535", address)
	}
	return host, uint16(n), CheckHost(host)
}

// CheckHost reports a host that is neither an address nor a name in the one way
// in which names are written, or that is a metadata service or an address that
// nobody reaches. What other software reads as a number (0x7f.1, 2130706433,
// 0177.0.0.1) or maps to ASCII is refused: what it means depends on who reads it.
func CheckHost(host string) error {
	if a, err := netip.ParseAddr(host); err == nil {
		_, err := ClassOf(a)
		return err
	}
	bare := strings.TrimSuffix(host, ".")
	if len(bare) > 253 || strings.Trim(bare, letters) != "" {
		return fmt.Errorf("%q names neither a host nor an address; a name in another script is written as xn--", host)
	}
	labels := strings.Split(bare, ".")
	for _, l := range labels {
		if l == "" || len(l) > 63 {
			return fmt.Errorf("%q names neither a host nor an address", host)
		}
	}
	if last := labels[len(labels)-1]; last[0] >= '0' && last[0] <= '9' {
		return fmt.Errorf("%q names neither a host nor an address: its end reads as a number", host)
	}
	if slices.Contains(names, strings.ToLower(bare)) {
		return &RefusedError{Address: host, Reason: metadata}
	}
	return nil
}

// letters may stand in a name of a host; the underscore is no letter of one, and
// occurs.
const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_."

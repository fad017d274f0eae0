package guard

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"github.com/quell-soar/quell/connectors/spec/kind"
)

// names are protected names, addresses and blocks, made ready to compare.
type names struct {
	names map[string]bool
	// hosts are the first labels of names with a domain.
	hosts    map[string]bool
	prefixes []netip.Prefix
}

func namesOf(list []string) (names, error) {
	n := names{names: map[string]bool{}, hosts: map[string]bool{}}
	for _, p := range list {
		if strings.Contains(p, "/") {
			prefix, err := netip.ParsePrefix(strings.TrimSpace(p))
			if err != nil {
				return n, fmt.Errorf("guard: protected %q is neither a name nor a CIDR block", p)
			}
			n.prefixes = append(n.prefixes, plain(prefix))
			continue
		}
		name := fold(p)
		if name == "" {
			return n, errors.New("guard: a protected name is empty")
		}
		if a, err := address(name); err == nil {
			n.prefixes = append(n.prefixes, netip.PrefixFrom(a, a.BitLen()))
			continue
		}
		n.names[name] = true
		if host, _, dotted := strings.Cut(name, "."); dotted && !strings.Contains(name, "@") {
			n.hosts[host] = true
		}
	}
	return n, nil
}

// address parses an address in any of its spellings to the one that is compared.
func address(s string) (netip.Addr, error) {
	a, err := netip.ParseAddr(strings.Trim(s, "[]"))
	return a.Unmap().WithZone(""), err
}

// plain writes a block of IPv4-mapped addresses as the IPv4 block that it is.
func plain(p netip.Prefix) netip.Prefix {
	const mapped = 96
	if p.Addr().Is4In6() && p.Bits() >= mapped {
		p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-mapped)
	}
	return p.Masked()
}

// fold writes a name as it is compared: without case, without the dot of a fully
// qualified name.
func fold(s string) string { return strings.ToLower(strings.TrimSuffix(strings.TrimSpace(s), ".")) }

// has compares a name or address. Vendors call one host by its whole name or by
// its first label, and either matches a rule in either form: two hosts of one
// first label are then both left alone. A block of addresses is protected if it
// has any protected address in it.
func (n names) has(name string) bool {
	name = fold(name)
	if name == "" {
		return false
	}
	if a, err := address(name); err == nil {
		return n.within(netip.PrefixFrom(a, a.BitLen()))
	}
	if p, err := netip.ParsePrefix(name); err == nil {
		return n.within(plain(p))
	}
	host, _, dotted := strings.Cut(name, ".")
	return n.names[name] || n.names[host] || !dotted && n.hosts[name]
}

func (n names) within(block netip.Prefix) bool {
	return slices.ContainsFunc(n.prefixes, func(p netip.Prefix) bool { return p.Overlaps(block) })
}

// account compares an account's name: CORP\krbtgt and krbtgt@corp.example are
// krbtgt in every domain.
func (n names) account(name string) bool {
	name = fold(name)
	if _, after, ok := strings.Cut(name, `\`); ok {
		name = after
	}
	local, _, _ := strings.Cut(name, "@")
	return n.names[name] || local != "" && n.names[local]
}

// under reports whether one of the names lies in a domain: who blocks the domain
// blocks the name.
func (n names) under(domain string) bool {
	for name := range n.names {
		if name == domain || strings.HasSuffix(name, "."+domain) {
			return true
		}
	}
	return false
}

// covers reports whether a target is one of the names, by all that is known of
// it.
func (n names) covers(t Target) bool {
	if n.has(t.vendorID()) || n.has(t.Label) {
		return true
	}
	if t.Kind == "user" {
		mail, _ := t.value("mail")
		m, _ := mail.(string)
		if n.account(t.vendorID()) || n.account(t.Label) || m != "" && n.account(m) {
			return true
		}
	}
	addresses, _ := t.texts("addresses")
	if slices.ContainsFunc(addresses, n.has) {
		return true
	}
	switch kind.Kind(t.Kind) {
	case kind.Domain:
		return n.under(fold(t.ID))
	case kind.URL:
		host := hostOf(t.ID)
		return host != "" && (n.has(host) || n.under(host))
	}
	return false
}

// touches says why a target is left alone, or "".
func (g *Guard) touches(t Target) string {
	switch {
	case g.own.covers(t):
		return "is Quell's own"
	case g.protected.covers(t):
		return "is protected"
	}
	if why := g.labelled(t); why != "" {
		return why
	}
	return g.neverBlocked(t)
}

// labelled compares tags and groups. Where they are not known the target could
// have any.
func (g *Guard) labelled(t Target) string {
	if !described(t.Kind) {
		return ""
	}
	for _, c := range []struct {
		what string
		list map[string]bool
	}{{"tags", g.tags}, {"groups", g.groups}} {
		if len(c.list) == 0 {
			continue
		}
		have, known := t.texts(c.what)
		if !known {
			return "may be protected by its " + c.what + ", which are " + t.unknown()
		}
		for _, h := range have {
			if c.list[fold(h)] {
				return fmt.Sprintf("is protected by its %s %q", strings.TrimSuffix(c.what, "s"), h)
			}
		}
	}
	return ""
}

// neverBlocked compares with the never-block lists.
func (g *Guard) neverBlocked(t Target) string {
	id := fold(t.ID)
	switch kind.Kind(t.Kind) {
	case kind.Domain:
		if d := related(g.rules.Domains, id, true); d != "" {
			return "is never blocked: " + d
		}
		if g.mail.domains[id] {
			return "is never blocked: its senders are ours or a partner's"
		}
	case kind.URL:
		host := hostOf(t.ID)
		if d := related(g.rules.Domains, host, false); d != "" {
			return "is never blocked: it lies in " + d
		}
		if l, ok := overlapping(g.urls, t.ID); ok {
			return "is never blocked: " + l
		}
	case kind.Email:
		_, domain, _ := strings.Cut(id, "@")
		if g.mail.addresses[id] || g.mail.domains[domain] {
			return "is never blocked: a sender of ours or a partner's"
		}
	}
	return ""
}

func domainsOK(list []string) error {
	for _, d := range list {
		if fold(d) == "" || strings.ContainsAny(d, "/@: ") {
			return fmt.Errorf("guard: %q is no domain", d)
		}
	}
	return nil
}

// related returns the listed domain that a domain is or lies in; with above, also
// one that lies in it.
func related(list []string, domain string, above bool) string {
	for _, d := range list {
		f := fold(d)
		if domain == f || strings.HasSuffix(domain, "."+f) || above && strings.HasSuffix(f, "."+domain) {
			return d
		}
	}
	return ""
}

// senders are the addresses and whole domains whose mail is never blocked.
type senders struct{ addresses, domains map[string]bool }

func sendersOf(list []string) (senders, error) {
	s := senders{addresses: map[string]bool{}, domains: map[string]bool{}}
	for _, e := range list {
		local, domain, ok := strings.Cut(fold(e), "@")
		switch {
		case !ok || domain == "" || strings.Contains(domain, "@"):
			return s, fmt.Errorf("guard: the sender %q is neither an address nor @domain", e)
		case local == "":
			s.domains[domain] = true
		default:
			s.addresses[local+"@"+domain] = true
		}
	}
	return s, nil
}

// location is a URL as it is compared: without scheme, user, query and fragment.
type location struct{ text, host, path string }

func locationsOf(list []string) ([]location, error) {
	var out []location
	for _, e := range list {
		l, ok := locate(e)
		if !ok {
			return nil, fmt.Errorf("guard: %q is no URL", e)
		}
		out = append(out, l)
	}
	return out, nil
}

func locate(text string) (location, bool) {
	u, err := url.Parse(strings.TrimSpace(text))
	if err != nil || u.Hostname() == "" {
		return location{}, false
	}
	return location{text: text, host: fold(u.Hostname()), path: strings.TrimSuffix(u.EscapedPath(), "/")}, true
}

func hostOf(text string) string {
	l, _ := locate(text)
	return l.host
}

// overlapping finds a listed URL that is the target, leads to it, or lies beneath
// it: blocks work on prefixes.
func overlapping(list []location, text string) (string, bool) {
	t, ok := locate(text)
	if !ok && len(list) > 0 {
		return "its text cannot be read as a URL", true
	}
	for _, l := range list {
		if l.host == t.host && (beneath(l.path, t.path) || beneath(t.path, l.path)) {
			return l.text, true
		}
	}
	return "", false
}

func beneath(path, of string) bool { return path == of || strings.HasPrefix(path, of+"/") }

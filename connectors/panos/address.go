package panos

import (
	"context"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/quell-soar/quell/connectors/spec"
)

// addressOf reads the input address and refuses what no packet on the way
// through a firewall can bear: blocking it would do nothing, or be a mistake for
// "all". Whose an address is, is a matter of guards.
func addressOf(r spec.Request) (netip.Addr, error) {
	text, _ := r.Inputs["address"].(string)
	a, err := netip.ParseAddr(text)
	a = a.Unmap()
	broad := netip.MustParsePrefix("240.0.0.0/4") // reserved, and the broadcast address
	this := netip.MustParsePrefix("0.0.0.0/8")
	switch {
	case err != nil || a.Zone() != "":
		return a, spec.Errorf(spec.Invalid, "%s: %q is no address", r.Action, text)
	case a.IsUnspecified() || a.IsLoopback() || a.IsMulticast() || a.IsLinkLocalUnicast() || broad.Contains(a) || this.Contains(a):
		return a, spec.Errorf(spec.Invalid, "%s: %s passes no firewall; name the address of one host", r.Action, a)
	}
	return a, nil
}

// address blocks or unblocks an address.
func (s *session) address(ctx context.Context, r spec.Request, want bool) (spec.Reply, error) {
	a, err := addressOf(r)
	if err != nil {
		return spec.Reply{}, err
	}
	c := change{
		want: want, rule: "tag " + s.tag,
		read:  func(ctx context.Context) (bool, error) { return s.tagged(ctx, a) },
		write: func(ctx context.Context) (spec.Outcome, error) { return spec.Done, s.register(ctx, a, want) },
	}
	if r.Mode == spec.Back {
		return s.readBack(ctx, r, c)
	}
	return s.drive(ctx, r, c)
}

// registered are the addresses that bear tags.
type registered struct {
	Entries []struct {
		IP   string   `xml:"ip,attr"`
		Tags []string `xml:"tag>member"`
	} `xml:"entry"`
}

// tagged asks whether the address bears the tag. The firewall answers for one
// address, so there are no pages; what it answers is compared all the same.
func (s *session) tagged(ctx context.Context, a netip.Addr) (bool, error) {
	var found registered
	cmd := fmt.Sprintf("<show><object><registered-ip><ip>%s</ip></registered-ip></object></show>", element(a.String()))
	if _, err := s.ask(ctx, url.Values{"type": {"op"}, "cmd": {cmd}}, true, &found); err != nil {
		return false, err
	}
	for _, e := range found.Entries {
		if at, err := netip.ParseAddr(e.IP); err == nil && at.Unmap() == a && slices.Contains(e.Tags, s.tag) {
			return true, nil
		}
	}
	return false, nil
}

// register adds the tag to the address or takes it away. PAN-OS calls it an
// error where it was so already.
func (s *session) register(ctx context.Context, a netip.Addr, want bool) error {
	verb, timeout := "unregister", ""
	if want {
		verb = "register"
		if s.backstop > 0 {
			timeout = fmt.Sprintf(` timeout="%d"`, int64(s.backstop/time.Second))
		}
	}
	cmd := fmt.Sprintf(`<uid-message><version>2.0</version><type>update</type><payload><%[1]s><entry ip="%[2]s"><tag><member%[3]s>%[4]s</member></tag></entry></%[1]s></payload></uid-message>`,
		verb, element(a.String()), timeout, element(s.tag))
	said, err := s.ask(ctx, url.Values{"type": {"user-id"}, "cmd": {cmd}}, false, nil)
	if err != nil && (strings.Contains(said, "already exists, ignore") || strings.Contains(said, "does not exist, ignore unreg")) {
		return nil // somebody else was faster
	}
	return err
}

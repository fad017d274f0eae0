package panos

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/quell-soar/quell/connectors/sdk"
	"github.com/quell-soar/quell/connectors/sdk/recall"
	"github.com/quell-soar/quell/connectors/sdk/rest"
	"github.com/quell-soar/quell/connectors/spec"
)

// session is one firewall.
type session struct {
	client *rest.Client
	key    *key

	user, tag, category, vsys string
	backstop                  time.Duration

	// prior remembers by effect key what was there before the first attempt: a
	// second one finds its own work.
	prior *recall.Book[map[string]any]
	// commits is the turn to commit.
	commits chan struct{}
}

var _ sdk.Session = (*session)(nil)

// Call runs one action.
func (s *session) Call(ctx context.Context, r spec.Request) (spec.Reply, error) {
	ctx, cancel := context.WithDeadline(ctx, r.Deadline)
	defer cancel()
	switch r.Action {
	case "firewall.block_ip":
		return s.address(ctx, r, true)
	case "firewall.unblock_ip":
		return s.address(ctx, r, false)
	case "firewall.block_url":
		return s.link(ctx, r, true)
	case "firewall.unblock_url":
		return s.link(ctx, r, false)
	}
	return spec.Reply{}, spec.Errorf(spec.Invalid, "panos has no action %q", r.Action)
}

// Close gives the connections back.
func (s *session) Close() error {
	s.client.Close()
	return nil
}

// Check tries the key, and whether what is blocked is denied at all: a tag that
// no group matches blocks nothing.
func (s *session) Check(ctx context.Context) []sdk.Finding {
	var info struct {
		Host    string `xml:"system>hostname"`
		Version string `xml:"system>sw-version"`
	}
	if _, err := s.ask(ctx, url.Values{"type": {"op"}, "cmd": {"<show><system><info></info></system></show>"}}, true, &info); err != nil {
		return []sdk.Finding{{Name: "credentials", Advice: err.Error()}}
	}
	out := []sdk.Finding{{Name: "credentials", OK: true, Advice: fmt.Sprintf("%s runs PAN-OS %s", info.Host, info.Version)}}
	return append(out, s.checkTag(ctx), s.checkCategory(ctx))
}

func (s *session) checkTag(ctx context.Context) sdk.Finding {
	f := sdk.Finding{Name: "tag " + s.tag}
	var found struct {
		Groups []struct {
			Name   string `xml:"name,attr"`
			Filter string `xml:"dynamic>filter"`
		} `xml:"address-group>entry"`
	}
	xpath := fmt.Sprintf("/config/devices/entry[@name='localhost.localdomain']/vsys/entry[@name='%s']/address-group", s.vsys)
	if _, err := s.ask(ctx, url.Values{"type": {"config"}, "action": {running}, "xpath": {xpath}}, true, &found); err != nil && spec.KindOf(err) != spec.NotFound {
		f.Advice = err.Error()
		return f
	}
	for _, g := range found.Groups {
		if strings.Contains(g.Filter, s.tag) {
			f.OK, f.Advice = true, "the dynamic address group "+g.Name+" matches it; see that a rule denies the group"
			return f
		}
	}
	f.Advice = fmt.Sprintf("no dynamic address group of %s matches the tag, so blocking an address does nothing; make one with the match '%s', and a rule that denies it", s.vsys, s.tag)
	return f
}

func (s *session) checkCategory(ctx context.Context) sdk.Finding {
	f := sdk.Finding{Name: "URL category " + s.category, OK: true, Advice: "it is there; see that a rule or URL filtering profile denies it"}
	if _, err := s.listed(ctx, running, ""); err != nil {
		f.OK, f.Advice = false, err.Error()
	}
	return f
}

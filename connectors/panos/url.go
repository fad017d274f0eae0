package panos

import (
	"context"
	"fmt"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/quell-soar/quell/connectors/spec"
)

// fullName is a host name of at least two labels. Its last one begins with a
// letter: what ends in a number is an address in one of its odd spellings, which
// the browser does not keep.
var fullName = regexp.MustCompile(`^([a-z0-9_]([a-z0-9_-]*[a-z0-9_])?\.)+[a-z]([a-z0-9-]*[a-z0-9])?$`)

// maxEntry is the longest entry of a URL category.
const maxEntry = 255

// entryOf writes the input url as an entry of a URL category: host and path,
// without scheme, user and fragment. A bare host ends in a slash: without it
// PAN-OS takes the entry for the beginning of other hosts' names too.
func entryOf(r spec.Request) (string, error) {
	text, _ := r.Inputs["url"].(string)
	bad := func(why string) (string, error) {
		return "", spec.Errorf(spec.Invalid, "%s: %s", r.Action, why)
	}
	u, err := url.Parse(text)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") {
		return bad("only URLs that begin with http:// or https:// can be blocked")
	}
	host := strings.ToLower(strings.TrimRight(u.Hostname(), "."))
	if ip, err := netip.ParseAddr(host); err == nil {
		host = ip.Unmap().String()
		if ip.Is6() && !ip.Is4In6() {
			host = "[" + host + "]"
		}
	} else if !fullName.MatchString(host) || len(host) > 253 {
		return bad("the URL's host is no full name and no plain address; write one of other letters as xn--…")
	}
	if port := u.Port(); port != "" {
		host += ":" + port
	}
	entry := host + "/" + strings.TrimPrefix(u.EscapedPath(), "/")
	if u.RawQuery != "" {
		entry += "?" + u.RawQuery
	}
	entry = strings.ReplaceAll(entry, `"`, "%22")
	switch {
	case strings.ContainsAny(u.Host+u.Path+u.RawQuery, "*^"):
		return bad("PAN-OS would read * or ^ in the URL as a pattern and block more than it; block its host instead")
	case strings.ContainsFunc(entry, func(c rune) bool { return c <= ' ' || c > '~' }):
		return bad("the URL has characters that an entry of a URL category cannot have; write them as %XX")
	case len(entry) > maxEntry:
		return bad(fmt.Sprintf("the URL has %d characters, and an entry of a URL category at most %d; block a shorter part of it", len(entry), maxEntry))
	}
	return entry, nil
}

// link blocks or unblocks a URL.
func (s *session) link(ctx context.Context, r spec.Request, want bool) (spec.Reply, error) {
	entry, err := entryOf(r)
	if err != nil {
		return spec.Reply{}, err
	}
	c := change{
		want: want, rule: "URL category " + s.category,
		read:  func(ctx context.Context) (bool, error) { return s.listed(ctx, running, entry) },
		write: func(ctx context.Context) (spec.Outcome, error) { return s.list(ctx, entry, want) },
	}
	if r.Mode != spec.Back {
		return s.drive(ctx, r, c)
	}
	reply, err := s.readBack(ctx, r, c)
	if err == nil && reply.Outcome == spec.Absent {
		// It may be in a commit that has not ended: then the answer is not known.
		if busy, err := s.committing(ctx); err != nil || busy {
			if err == nil {
				err = spec.Errorf(spec.Transient, "a commit is under way; ask again")
			}
			return spec.Reply{}, err
		}
	}
	return reply, err
}

// The two configurations, by the action that reads them.
const (
	running   = "show"
	candidate = "get"
)

func (s *session) categoryPath() string {
	return fmt.Sprintf("/config/devices/entry[@name='localhost.localdomain']/vsys/entry[@name='%s']/profiles/custom-url-category/entry[@name='%s']", s.vsys, s.category)
}

// listed asks whether the category of a configuration has the entry.
func (s *session) listed(ctx context.Context, configuration, entry string) (bool, error) {
	var found struct {
		Category *struct {
			Type    string   `xml:"type"`
			Members []string `xml:"list>member"`
		} `xml:"entry"`
	}
	form := url.Values{"type": {"config"}, "action": {configuration}, "xpath": {s.categoryPath()}}
	if _, err := s.ask(ctx, form, true, &found); err != nil && spec.KindOf(err) != spec.NotFound {
		return false, err
	}
	if found.Category == nil {
		return false, spec.Errorf(spec.NotFound, "the firewall has no custom URL category %q; make it (type URL List), and a rule that denies it", s.category)
	}
	if found.Category.Type == "Category Match" {
		return false, spec.Errorf(spec.Invalid, "the custom URL category %q takes categories, not URLs; make one of the type URL List", s.category)
	}
	return slices.ContainsFunc(found.Category.Members, func(m string) bool { return strings.TrimSpace(m) == entry }), nil
}

// list puts the entry into the candidate configuration, or takes it out, and
// commits. What could not be committed is taken back, so that it does not go
// live with somebody else's commit.
func (s *session) list(ctx context.Context, entry string, want bool) (spec.Outcome, error) {
	staged, err := s.listed(ctx, candidate, entry)
	if err != nil {
		return "", err
	}
	if staged != want {
		if err := s.stage(ctx, entry, want); err != nil {
			return "", err
		}
	}
	outcome, err := s.commit(ctx, func(ctx context.Context) (bool, error) {
		now, err := s.listed(ctx, running, entry)
		return now == want, err
	})
	if err == nil || spec.KindOf(err) == spec.Uncertain || staged == want {
		return outcome, err
	}
	if back := s.stage(ctx, entry, !want); back != nil {
		return "", spec.Errorf(spec.Uncertain, "%v; and the change stands in the candidate configuration, where the next commit takes it along: %v", err, back)
	}
	return "", err
}

// stage changes the candidate configuration. A lost answer is looked for.
func (s *session) stage(ctx context.Context, entry string, want bool) error {
	form := url.Values{"type": {"config"}, "action": {"set"}, "xpath": {s.categoryPath()}, "element": {"<list><member>" + element(entry) + "</member></list>"}}
	if !want {
		form = url.Values{"type": {"config"}, "action": {"delete"}, "xpath": {s.categoryPath() + `/list/member[text()="` + entry + `"]`}}
	}
	_, err := s.ask(ctx, form, false, nil)
	if spec.KindOf(err) == spec.NotFound && !want {
		return nil
	}
	if err != nil && spec.KindOf(err) == spec.Uncertain {
		if now, again := s.listed(ctx, candidate, entry); again == nil && now == want {
			return nil
		}
	}
	return err
}

package rest

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/quell-soar/quell/connectors/sdk/reach"
	"github.com/quell-soar/quell/connectors/spec"
)

// CheckBase reads a base URL: https with a host that package reach lets through
// and nothing behind the path.
// Plain http is for labs: on the loopback interface, or where allowHTTP says so.
func CheckBase(base string, allowHTTP bool) (*url.URL, error) {
	bad := func(why string) (*url.URL, error) {
		return nil, spec.Errorf(spec.Invalid, "the base URL %s; write it like https://api.example.com", why)
	}
	u, err := url.Parse(base)
	switch {
	case err != nil || hasControl(base):
		return bad("cannot be read")
	case !strings.Contains(base, "://"):
		return bad("has no scheme in front of its name")
	case u.Host == "" || u.Opaque != "":
		return bad("has no host")
	case u.User != nil:
		return bad("carries a credential, which belongs into a secret setting")
	case u.RawQuery != "" || u.Fragment != "" || u.ForceQuery:
		return bad("has a query or fragment")
	case u.Scheme == "http" && !allowHTTP && !slices.Contains(reach.Named(u.Hostname()), reach.Loopback):
		return bad("is not https, and the setting allow_http is off")
	case u.Scheme != "http" && u.Scheme != "https":
		return bad("is not https")
	}
	if err := reach.CheckHost(u.Hostname()); err != nil {
		return nil, spec.Errorf(spec.Invalid, "the base URL leads where nobody may go: %v", err)
	}
	u.Path, u.RawPath = strings.TrimRight(u.Path, "/"), ""
	return u, nil
}

// url joins base and the request's components.
func (r Request) url(base *url.URL) (string, error) {
	u := *base
	raw := strings.TrimRight(u.EscapedPath(), "/")
	for _, seg := range r.Path {
		if seg == "" || seg == "." || seg == ".." || hasControl(seg) {
			return "", spec.Errorf(spec.Invalid, "%q cannot stand in the path of a request", seg)
		}
		raw += "/" + url.PathEscape(seg)
	}
	if r.Slash {
		raw += "/"
	}
	path, err := url.PathUnescape(raw)
	if err != nil {
		return "", spec.Errorf(spec.Internal, "path of a request: %v", err)
	}
	u.Path, u.RawPath = path, raw
	for name, values := range r.Query {
		for _, v := range append([]string{name}, values...) {
			if hasControl(v) {
				return "", spec.Errorf(spec.Invalid, "the query value %q contains a control character", v)
			}
		}
	}
	u.RawQuery = r.Query.Encode()
	return u.String(), nil
}

func (r Request) method() string {
	if r.Method == "" {
		return http.MethodGet
	}
	return r.Method
}

func (r Request) reads() bool { return r.Read || r.method() == http.MethodGet }

// what names the request in errors, without its query and body.
func (r Request) what() string { return r.method() + " /" + strings.Join(r.Path, "/") }

func hasControl(s string) bool {
	return strings.ContainsFunc(s, func(c rune) bool { return c < 0x20 || c == 0x7f })
}

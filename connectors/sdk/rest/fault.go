package rest

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"unicode"
	"unicode/utf8"

	"github.com/go-resty/resty/v2"

	"github.com/quell-soar/quell/connectors/sdk/reach"
	"github.com/quell-soar/quell/connectors/spec"
)

// maxVendorText is how much of a vendor's error text is passed on.
const maxVendorText = 200

// lost is the error of a request that got no answer.
func (c *Client) lost(ctx context.Context, r Request, sent bool, err error) *spec.Error {
	why := c.reason(ctx, err)
	if errors.Is(err, resty.ErrResponseBodyTooLarge) && r.reads() {
		return spec.Errorf(spec.Internal, "%s: %s", r.what(), why)
	}
	var refused *reach.RefusedError
	if errors.As(err, &refused) && !sent {
		return spec.Errorf(spec.Invalid, "%s was not sent: %s; check the base URL and what its name resolves to", r.what(), why)
	}
	if r.reads() || !sent {
		return spec.Errorf(spec.Transient, "%s: %s", r.what(), why)
	}
	return spec.Errorf(spec.Uncertain, "%s was sent and its answer lost: %s; it may have happened", r.what(), why)
}

// reason words an error of the transport. The URL in it is dropped: its query
// holds values of the alert.
func (c *Client) reason(ctx context.Context, err error) string {
	if errors.Is(err, resty.ErrResponseBodyTooLarge) {
		return fmt.Sprintf("the reply is larger than %d bytes", c.opt.MaxReply)
	}
	if ctx.Err() != nil {
		return "the deadline came first"
	}
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err
	}
	if text := c.unreachable(err); text != "" {
		return text
	}
	return c.clean(err.Error())
}

// unreachable says what to look at where no connection came about, or "".
func (c *Client) unreachable(err error) string {
	base := c.base.Load()
	at := base.Host
	if base.Port() == "" {
		at = net.JoinHostPort(base.Hostname(), base.Scheme)              // by the service's name: 443 or 80
		if port, err := net.LookupPort("tcp", base.Scheme); err == nil { //nolint:noctx // it reads a local table
			at = net.JoinHostPort(base.Hostname(), strconv.Itoa(port))
		}
	}
	at = c.clean(at)
	var name *net.DNSError
	var op *net.OpError
	var authority x509.UnknownAuthorityError
	var wrong x509.HostnameError
	var invalid x509.CertificateInvalidError
	var record tls.RecordHeaderError
	switch {
	case errors.As(err, &name) && name.IsNotFound:
		return "the name " + c.clean(base.Hostname()) + " is not known to this machine's name service; check the base URL"
	case errors.As(err, &name):
		return "the name service of this machine does not answer for " + c.clean(base.Hostname())
	case errors.As(err, &authority):
		return "the certificate of " + at + " is signed by nobody whom this machine trusts; if it is the appliance's own, give its authority in the connector's settings"
	case errors.As(err, &wrong), errors.As(err, &invalid):
		return "the certificate of " + at + " is not valid for it: " + c.clean(err.Error())
	case errors.As(err, &record):
		return at + " does not speak TLS; check scheme and port of the base URL"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "nothing listens at " + at + ", or a firewall refuses it; check the base URL, then the way from this machine"
	case errors.Is(err, syscall.ENETUNREACH), errors.Is(err, syscall.EHOSTUNREACH):
		return "there is no way from this machine to " + at + "; check the base URL, routes and firewall"
	case errors.As(err, &op) && op.Op == "dial" && op.Timeout():
		return at + " does not answer; check the base URL, and whether a firewall between drops it"
	}
	return ""
}

// judge turns a status that is no success into an error.
func (c *Client) judge(r Request, rep *Reply) error {
	if rep.Status >= 200 && rep.Status < 300 {
		return nil
	}
	if slices.Contains(r.Accept, rep.Status) {
		return nil
	}
	e := &spec.Error{
		Kind: KindOf(rep.Status, r.reads()), VendorCode: fmt.Sprintf("HTTP %d", rep.Status), VendorRequestID: c.clean(rep.RequestID),
	}
	said := ""
	if c.opt.Fault != nil {
		message, code := c.opt.Fault(rep.Body)
		said = c.clean(message)
		if code != "" {
			e.VendorCode += " " + c.clean(code)
		}
	}
	if e.Kind == spec.RateLimited {
		e.RetryAfter = Wait(c.opt.Limits, rep.Header, c.opt.Now())
	}
	e.Message = r.what() + " was refused: " + advice(e.Kind, rep.Status)
	if r.token && rep.Status >= 400 && rep.Status < 500 && e.Kind != spec.RateLimited {
		// Whatever the status says, nobody was let in: it is no permission that lacks.
		e.Kind = spec.Auth
		e.Message = fmt.Sprintf("no token was given (HTTP %d): the client id or the secret is wrong, or they belong to another cloud region or tenant than %s; check them and the base URL", rep.Status, c.clean(c.base.Load().Host))
	}
	if said != "" {
		e.Message += "; the vendor says: " + said
	}
	return e
}

// KindOf says what a status means for a read or a write. Where a server failed
// after it had the request, a write may have happened.
func KindOf(status int, read bool) spec.ErrorKind {
	unclear := spec.Uncertain
	if read {
		unclear = spec.Transient
	}
	switch status {
	case http.StatusUnauthorized, http.StatusProxyAuthRequired:
		return spec.Auth
	case http.StatusPaymentRequired, http.StatusForbidden, http.StatusUnavailableForLegalReasons:
		return spec.Permission
	case http.StatusNotFound, http.StatusGone:
		return spec.NotFound
	case http.StatusConflict, http.StatusPreconditionFailed, http.StatusLocked:
		return spec.Conflict
	case http.StatusTooManyRequests:
		return spec.RateLimited
	case http.StatusTooEarly:
		return spec.Transient
	case http.StatusRequestTimeout, http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther:
		return unclear
	}
	if status >= 500 || status < 200 {
		return unclear
	}
	return spec.Invalid
}

func advice(k spec.ErrorKind, status int) string {
	switch {
	case status >= 300 && status < 400:
		return "it was redirected, and redirects are not followed; check the base URL"
	case k == spec.Auth:
		return "the credential is wrong or expired; check the secret settings"
	case k == spec.Permission:
		return "the credential may not do this; grant it the permission that the action names"
	case k == spec.NotFound:
		return "there is no such thing"
	case k == spec.Conflict:
		return "its state excludes this now"
	case k == spec.RateLimited:
		return "too many requests"
	case k == spec.Transient:
		return "the vendor failed; it may work later"
	case k == spec.Uncertain:
		return "the vendor failed after it had the request; it may have happened"
	}
	return "the vendor does not accept the request"
}

// clean makes a vendor's text fit to be shown: no control characters, short, no
// credential.
func (c *Client) clean(s string) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == utf8.RuneError {
			return ' '
		}
		return r
	}, s)
	if c.opt.Credential != nil {
		s = c.opt.Credential.Scrub(s)
	}
	if len(s) > maxVendorText {
		cut := maxVendorText
		for cut > 0 && !utf8.RuneStart(s[cut]) {
			cut--
		}
		s = s[:cut] + "…"
	}
	return strings.TrimSpace(s)
}

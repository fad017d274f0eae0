package rest_test

import (
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"testing"

	"github.com/quell-soar/quell/connectors/sdk/reach/reachtest"
	"github.com/quell-soar/quell/connectors/sdk/rest"
	"github.com/quell-soar/quell/connectors/spec"
)

// attempts tries a client in one network, and counts.
type attempts struct {
	t     *testing.T
	net   *reachtest.Canary
	tries int
}

// client makes a client with a credential, which must not reach the canary.
func (a *attempts) client(base string, region func(http.Header) (*url.URL, error)) (*rest.Client, error) {
	a.tries++
	return rest.New(rest.Options{BaseURL: base, AllowHTTP: true, Region: region})
}

// ask sends one request to a base URL.
func (a *attempts) ask(base string, region func(http.Header) (*url.URL, error)) error {
	return a.send(http.MethodGet, base, region)
}

func (a *attempts) send(method, base string, region func(http.Header) (*url.URL, error)) error {
	c, err := a.client(base, region)
	if err != nil {
		return err
	}
	defer c.Close()
	_, err = c.Do(a.t.Context(), rest.Request{Method: method, Path: []string{"latest", "meta-data"}})
	return err
}

// method is GET where the form can stand in a Location: net/http reports any
// other as an error, which a read would try again for a while.
func method(f reachtest.Form) string {
	if f.Kind == reachtest.URL {
		return http.MethodPost
	}
	return http.MethodGet
}

// TestCanary writes each form of a forbidden place as the base URL, as where a
// vendor redirects, as the region that it names, and as what its name resolves
// to: at once, among good addresses, and at the second look-up.
func TestCanary(t *testing.T) {
	reachtest.InNetwork(t, func(c *reachtest.Canary) {
		a := &attempts{t: t, net: c}
		for _, base := range []string{"http://1.2.3.4", "https://1.2.3.4", "http://[2606:4700::2222]", "http://10.0.0.1", "http://127.0.0.1"} {
			was := len(c.Touched())
			if _ = a.ask(base, nil); len(c.Touched()) == was {
				t.Fatalf("the canary does not see a connection to %s, so its silence would say nothing", base)
			}
		}
		was := len(c.Touched())
		forms := reachtest.Forms(t)
		for _, f := range forms {
			a.base(f)
			a.redirected(f)
			a.region(f)
			a.resolved(f)
		}
		t.Logf("%d forms of forbidden places, %d attempts of the connectors' client: %d connections at the canary", len(forms), a.tries, len(c.Touched())-was)
		if got := c.Touched()[was:]; len(got) != 0 || len(forms) < 60 {
			t.Errorf("the canary was reached at %v", got)
		}
	})
}

func (a *attempts) base(f reachtest.Form) {
	if f.Kind == reachtest.Loopback || f.Kind == reachtest.Private {
		return // an administrator may name them
	}
	for _, base := range []string{f.URL(), strings.Replace(f.URL(), "http:", "https:", 1)} {
		if err := a.ask(base, nil); spec.KindOf(err) != spec.Invalid {
			a.t.Errorf("base URL %q: %v", base, err)
		}
	}
}

func (a *attempts) redirected(f reachtest.Form) {
	defer a.net.Redirect(0, "")
	for _, status := range []int{301, 302, 303, 307, 308} {
		a.net.Redirect(status, f.URL())
		for _, vendor := range []string{"http://8.8.8.8", "http://[2606:4700::1111]"} {
			if err := a.send(method(f), vendor, nil); err == nil {
				a.t.Errorf("%d to %q was followed", status, f.URL())
			}
		}
	}
}

// region has the most credulous rule there could be: it believes the Location.
func (a *attempts) region(f reachtest.Form) {
	defer a.net.Redirect(0, "")
	for _, status := range []int{307, 308} {
		a.net.Redirect(status, f.URL())
		believe := func(h http.Header) (*url.URL, error) { return url.Parse(h.Get("Location")) }
		if err := a.send(method(f), "http://8.8.8.8", believe); err == nil {
			a.t.Errorf("%d to the region %q was followed", status, f.URL())
		}
	}
}

func (a *attempts) resolved(f reachtest.Form) {
	bad, ok := f.Addr()
	if !ok || f.Kind == reachtest.Private {
		return // what is on premises has names too
	}
	good := netip.MustParseAddr(reachtest.Vendors[0])
	name := func(how string, answers ...[]netip.Addr) string {
		host := fmt.Sprintf("%s-%d.vendor.example", how, a.tries)
		a.net.Resolve(host, answers...)
		return "http://" + host
	}
	for _, base := range []string{
		name("bad", []netip.Addr{bad}), name("first", []netip.Addr{bad, good}), name("last", []netip.Addr{good, bad}),
	} {
		if err := a.ask(base, nil); spec.KindOf(err) != spec.Invalid {
			a.t.Errorf("%s resolves to %s: %v", base, bad, err)
		}
	}
	a.rebound(name("rebinds", []netip.Addr{good}, []netip.Addr{bad}), bad)
}

// rebound asks a name whose address changes after it was checked.
func (a *attempts) rebound(base string, bad netip.Addr) {
	c, err := a.client(base, nil)
	if err != nil {
		a.t.Fatal(err)
	}
	defer c.Close()
	looked := a.net.Lookups()
	if _, err := c.Do(a.t.Context(), rest.Request{}); err != nil || a.net.Lookups() != looked+1 {
		a.t.Errorf("%s at a good address: %v after %d look-ups, want one", base, err, a.net.Lookups()-looked)
	}
	c.Close() // the next request needs a new connection
	if _, err := c.Do(a.t.Context(), rest.Request{}); spec.KindOf(err) != spec.Invalid {
		a.t.Errorf("%s rebound to %s: %v", base, bad, err)
	}
}

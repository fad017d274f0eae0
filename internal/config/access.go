package config

import (
	"maps"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/quell-soar/quell/internal/secrets"
)

// Access says who may come in, from where, and what they may do.
type Access struct {
	// LocalRoles are the roles of a person at the unix socket.
	LocalRoles []string `yaml:"local_roles"`
	// Hosts are further names under which a proxy reaches the API.
	Hosts []string `yaml:"hosts"`
	// Origins are the origins whose browsers may call the API.
	Origins []string `yaml:"origins"`
	// TLS serves TCP with certificates; it is needed outside loopback.
	TLS ServerTLS `yaml:"tls"`
	// Roles are roles beside viewer, analyst, approver, lead, admin,
	// automation and author, with their scopes.
	Roles map[string][]string `yaml:"roles"`
	// Playbooks narrow, per playbook, which roles or duties launch and decide.
	Playbooks map[string]PlaybookAccess `yaml:"playbooks"`
	// People link the ways in which one person comes, by the person's name.
	People map[string]Person `yaml:"people"`
	// OIDC is the identity provider; without an issuer nobody signs in.
	OIDC OIDC `yaml:"oidc"`
	// Sessions bound how long a browser stays signed in.
	Sessions Sessions `yaml:"sessions"`
}

// ServerTLS are PEM files.
type ServerTLS struct {
	Cert string `yaml:"cert"`
	Key  string `yaml:"key"`
	// Clients is the authority of client certificates; without it none is asked
	// for.
	Clients string `yaml:"clients"`
}

// PlaybookAccess lists roles or duties; an empty list narrows nothing.
type PlaybookAccess struct {
	Launch  []string `yaml:"launch"`
	Approve []string `yaml:"approve"`
}

// Person is one person, whatever the way in.
type Person struct {
	// Subject is the identity provider's `sub` of the person.
	Subject string `yaml:"subject"`
	// UID is the person's uid at the unix socket.
	UID *int `yaml:"uid"`
	// Certificate is the first subject alternative name of the person's client
	// certificate.
	Certificate string   `yaml:"certificate"`
	Roles       []string `yaml:"roles"`
}

// OIDC is an OpenID Connect provider.
type OIDC struct {
	Issuer       string      `yaml:"issuer"`
	ClientID     string      `yaml:"client_id"`
	ClientSecret secrets.Ref `yaml:"client_secret"`
	// Redirect is the URL of /v1/session/callback as browsers reach it.
	Redirect string `yaml:"redirect"`
	// GroupsClaim names the claim with the groups; default groups.
	GroupsClaim string `yaml:"groups_claim"`
	// Scopes are asked for besides openid and profile, such as groups and
	// offline_access.
	Scopes []string `yaml:"scopes"`
	// Roles maps a group to roles.
	Roles map[string][]string `yaml:"roles"`
	// Endpoints are further host:port that the provider's endpoints lie on.
	Endpoints []string `yaml:"endpoints"`
	// Fresh is how old a sign-in may be for approving effects; default 15m.
	Fresh Duration `yaml:"fresh"`
}

// Sessions bound a browser's session; 0 takes 30m and 12h.
type Sessions struct {
	Idle Duration `yaml:"idle"`
	Life Duration `yaml:"life"`
}

// builtInRoles have their scopes in internal/auth.
var builtInRoles = []string{"viewer", "analyst", "approver", "lead", "admin", "automation", "author"}

var scopeNames = []string{"metrics", "read", "launch", "respond", "approve", "audit", "admin"}

// access checks what is said about people, roles and ways in.
func (k *checker) access(c *Config) {
	a := c.Access
	if (a.TLS.Cert == "") != (a.TLS.Key == "") || (a.TLS.Clients != "" && a.TLS.Cert == "") {
		k.bad("access.tls", "name cert and key", "a certificate needs its key, and client certificates need both")
	}
	if c.Listen != "" {
		at, err := netip.ParseAddrPort(c.Listen)
		switch {
		case err != nil:
			k.bad("listen", "write an address with a port such as 127.0.0.1:7878, or off", "%s is no address with a port", short(c.Listen))
		case !at.Addr().IsLoopback() && a.TLS.Cert == "":
			k.bad("listen", "name access.tls.cert and key, or put a TLS proxy on this machine before it and name its host in access.hosts", "%s is no loopback address; others are served with TLS only", c.Listen)
		}
	}
	for i, o := range a.Origins {
		u, err := url.Parse(o)
		if err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http") || u.Path != "" || u.RawQuery != "" || u.User != nil {
			k.bad("access.origins."+strconv.Itoa(i), "write it as https://soc.example", "%s is no origin", short(o))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(a.Roles)) {
		path := "access.roles." + name
		if slices.Contains(builtInRoles, name) {
			k.bad(path, "take another name", "the role %s is built in and has its scopes", name)
		}
		k.name(path, name)
		for i, s := range a.Roles[name] {
			k.oneOf(path+"."+strconv.Itoa(i), s, scopeNames...)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(a.Playbooks)) {
		if !playbookID.MatchString(name) {
			k.bad("access.playbooks."+name, "", "%s is no playbook's id", short(name))
		}
	}
	k.ways(a)
	k.oidc(c)
}

// ways checks that no way in leads to two persons.
func (k *checker) ways(a Access) {
	taken := map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(a.People)) {
		p, path := a.People[name], "access.people."+name
		k.name(path, name)
		keys := []string{}
		if p.Subject != "" {
			keys = append(keys, "subject "+p.Subject)
		}
		if p.Certificate != "" {
			keys = append(keys, "certificate "+p.Certificate)
		}
		if p.UID != nil {
			keys = append(keys, "uid "+strconv.Itoa(*p.UID))
		}
		for _, key := range keys {
			if other, twice := taken[key]; twice {
				k.bad(path, "each way in belongs to one person", "the %s belongs to %s already", short(key), other)
			}
			taken[key] = name
		}
		for i, r := range p.Roles {
			if duty, isDuty := strings.CutPrefix(r, "oncall."); isDuty {
				k.bad(path+".roles."+strconv.Itoa(i), "put the person into oncall."+duty, "%s is a duty, no role", short(r))
			}
		}
	}
}

func (k *checker) oidc(c *Config) {
	o := c.Access.OIDC
	if o.Issuer == "" {
		if o.ClientID != "" || o.Redirect != "" || len(o.Roles) > 0 {
			k.bad("access.oidc", "name access.oidc.issuer", "an identity provider without an issuer")
		}
		return
	}
	for _, u := range []struct{ path, text, help string }{
		{"access.oidc.issuer", o.Issuer, "write it as the provider's discovery document has it, https://…"},
		{"access.oidc.redirect", o.Redirect, "write https://QUELL'S HOST/v1/session/callback"},
	} {
		got, err := url.Parse(u.text)
		local := err == nil && got.Scheme == "http" && isLoopback(got.Hostname())
		if err != nil || got.Host == "" || (got.Scheme != "https" && !local) {
			k.bad(u.path, u.help, "%s is no https URL", short(u.text))
		}
	}
	if o.ClientID == "" {
		k.bad("access.oidc", "name the client that Quell is at the provider", "client_id is missing")
	}
	for i, e := range o.Endpoints {
		if host, port, found := strings.Cut(e, ":"); !found || host == "" || port == "" {
			k.bad("access.oidc.endpoints."+strconv.Itoa(i), "write HOST:PORT", "%s is no host with a port", short(e))
		}
	}
	for path, d := range map[string]Duration{"access.oidc.fresh": o.Fresh, "access.sessions.idle": c.Access.Sessions.Idle, "access.sessions.life": c.Access.Sessions.Life} {
		if d < 0 || time.Duration(d) > 7*24*time.Hour {
			k.bad(path, "", "%s is not between 0 and 7d", time.Duration(d))
		}
	}
}

func isLoopback(host string) bool {
	a, err := netip.ParseAddr(host)
	return err == nil && a.IsLoopback()
}

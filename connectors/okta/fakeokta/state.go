package fakeokta

import (
	"crypto/rsa"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/quell-soar/quell/connectors/fake"
)

// User describes an account to seed.
type User struct {
	Login       string `json:"login"`
	Email       string `json:"email,omitempty"` // empty is the login
	SecondEmail string `json:"second_email,omitempty"`
	Name        string `json:"name,omitempty"` // first and last
	// Manager is the manager's login.
	Manager string `json:"manager,omitempty"`
	// Status is Okta's word; empty is ACTIVE.
	Status string `json:"status,omitempty"`
	// Provider is OKTA, ACTIVE_DIRECTORY …; empty is OKTA.
	Provider string   `json:"provider,omitempty"`
	Sessions int      `json:"sessions,omitempty"`
	Factors  []string `json:"factors,omitempty"` // push, sms, token:software:totp …
	Roles    []string `json:"roles,omitempty"`   // SUPER_ADMIN, HELP_DESK_ADMIN …
	Groups   []string `json:"groups,omitempty"`
	Grants   []Grant  `json:"grants,omitempty"`
}

// Grant describes what an account granted to an application to seed.
type Grant struct {
	App    string   `json:"app"`
	Scopes []string `json:"scopes"`
	// Ago is how long ago, such as 48h; empty is a minute.
	Ago string `json:"ago,omitempty"`
}

// Group describes a group to seed.
type Group struct {
	Name string `json:"name"`
	// Type is OKTA_GROUP, APP_GROUP or BUILT_IN; empty is OKTA_GROUP.
	Type string `json:"type,omitempty"`
}

type user struct {
	id, login, email, second, first, last, manager string
	provider                                       string
	status                                         string
	before                                         string    // what shows until the moment until
	until                                          time.Time // of the last transition
	created                                        time.Time
	passwordChanged                                time.Time
	passwords                                      int
	sessions, devices                              int
	factors                                        []*factor
	roles                                          []string
	grants                                         []*grant
	tokens                                         map[string]int // refresh tokens by client
}

type factor struct {
	id, kind string
	created  time.Time
}

type grant struct {
	id, client, app, scope string
	created                time.Time
}

type group struct {
	id, name, kind string
	created        time.Time
	members        []string // ids, oldest first
}

type event struct {
	id, kind  string
	target    *user
	published time.Time
	seen      time.Time
}

// Credentials are what the fake accepts.
type Credentials struct {
	// APIToken is good with SSWS.
	APIToken string
	// ClientID and Key are a service application and its public key.
	ClientID string
	Key      *rsa.PublicKey
}

// Okta is the fake.
type Okta struct {
	world  *fake.World
	vendor *fake.Vendor
	accept Credentials
	base   string

	bearer map[string]time.Time
	spent  map[string]bool // assertions' ids
	users  []*user         // in the order of their making
	groups []*group
	events []event
	page   int
	serial int
}

// New makes an empty org in the world.
func New(w *fake.World, accept Credentials) *Okta {
	o := &Okta{world: w, accept: accept, bearer: map[string]time.Time{}, spent: map[string]bool{}, page: 200}
	o.vendor = &fake.Vendor{
		Name: "okta", Authorize: o.authorize, Refused: refused, Dump: o.dump,
		Expire: func() { clear(o.bearer) },
		Soft:   soft,
	}
	for name, d := range map[string]time.Duration{"token": time.Hour, "lifecycle": 0, "log": 0, "latency": 0} {
		w.Lag("okta."+name, d)
	}
	w.Add(o.vendor)
	return o
}

// Pages sets how many entries a page has at most.
func (o *Okta) Pages(n int) { o.world.Do(func() { o.page = n }) }

// Seed adds groups and accounts; an account of the same login is replaced, a
// group of the same name kept. Groups that accounts name are made.
func (o *Okta) Seed(groups []Group, users ...User) error {
	var err error
	o.world.Do(func() {
		for _, g := range groups {
			o.group(g.Name, g.Type)
		}
		for _, u := range users {
			if err = o.seed(u); err != nil {
				return
			}
		}
	})
	return err
}

// Twin adds a group of a name that another has already.
func (o *Okta) Twin(name string) {
	o.world.Do(func() {
		o.groups = append(o.groups, &group{id: id("00g", name+"#2"), name: name, kind: "OKTA_GROUP", created: o.now()})
	})
}

func (o *Okta) seed(u User) error {
	if u.Login == "" {
		return fmt.Errorf("an account needs a login")
	}
	or := func(s, otherwise string) string {
		if s == "" {
			return otherwise
		}
		return s
	}
	now := o.now()
	first, last, _ := strings.Cut(u.Name, " ")
	x := &user{
		id: id("00u", u.Login), login: u.Login, email: or(u.Email, u.Login), second: u.SecondEmail, first: first, last: last,
		status: or(u.Status, "ACTIVE"), provider: or(u.Provider, "OKTA"), roles: u.Roles,
		created: now.Add(-90 * 24 * time.Hour), passwordChanged: now.Add(-30 * 24 * time.Hour),
		sessions: u.Sessions, devices: u.Sessions, tokens: map[string]int{},
	}
	if !slices.Contains([]string{"ACTIVE", "DEPROVISIONED", "LOCKED_OUT", "PASSWORD_EXPIRED", "PROVISIONED", "RECOVERY", "STAGED", "SUSPENDED"}, x.status) {
		return fmt.Errorf("account %s: there is no status %q", u.Login, u.Status)
	}
	if u.Manager != "" {
		x.manager = id("00u", u.Manager)
	}
	for _, k := range u.Factors {
		x.factors = append(x.factors, &factor{id: id("fac", u.Login+k), kind: k, created: x.created})
	}
	for _, g := range u.Grants {
		ago, err := time.ParseDuration(or(g.Ago, "1m"))
		if err != nil {
			return fmt.Errorf("account %s: grant of %s: %w", u.Login, g.App, err)
		}
		client := id("0oa", g.App)
		x.tokens[client] = 1
		for _, scope := range g.Scopes {
			x.grants = append(x.grants, &grant{id: id("oag", u.Login+g.App+scope), client: client, app: g.App, scope: scope, created: now.Add(-ago)})
		}
	}
	o.users = slices.DeleteFunc(o.users, func(old *user) bool { return old.id == x.id })
	o.users = append(o.users, x)
	for _, name := range append([]string{"Everyone"}, u.Groups...) {
		g := o.group(name, map[bool]string{true: "BUILT_IN"}[name == "Everyone"])
		if !slices.Contains(g.members, x.id) {
			g.members = append(g.members, x.id)
		}
	}
	return nil
}

// group returns the group of a name, making it where there is none.
func (o *Okta) group(name, kind string) *group {
	for _, g := range o.groups {
		if g.name == name {
			return g
		}
	}
	if kind == "" {
		kind = "OKTA_GROUP"
	}
	g := &group{id: id("00g", name), name: name, kind: kind, created: o.now()}
	o.groups = append(o.groups, g)
	return g
}

// id makes an id as Okta's look: a prefix that tells the kind, and 17 characters.
func id(prefix, of string) string {
	sum := sha256.Sum256([]byte(prefix + strings.ToLower(of)))
	return prefix + hex.EncodeToString(sum[:])[:17]
}

func (o *Okta) now() time.Time { return o.world.Clock().Now() }

// find returns the account of an id, a login or the unique beginning of one.
func (o *Okta) find(idOrLogin string) *user {
	var short []*user
	for _, u := range o.users {
		if u.id == idOrLogin || strings.EqualFold(u.login, idOrLogin) {
			return u
		}
		if name, _, _ := strings.Cut(u.login, "@"); strings.EqualFold(name, idOrLogin) {
			short = append(short, u)
		}
	}
	if len(short) == 1 {
		return short[0]
	}
	return nil
}

// shown is the status that readers see.
func (u *user) shown(now time.Time) string {
	if now.Before(u.until) {
		return u.before
	}
	return u.status
}

// turn changes the status; it shows after the lag.
func (o *Okta) turn(u *user, to string) {
	u.before, u.status, u.until = u.shown(o.now()), to, o.now().Add(o.world.LagOf("okta.lifecycle"))
}

func (o *Okta) log(kind string, u *user) {
	o.serial++
	o.events = append(o.events, event{
		id: fmt.Sprintf("evt-%06d", o.serial), kind: kind, target: u, published: o.now(), seen: o.now().Add(o.world.LagOf("okta.log")),
	})
}

func (o *Okta) dump() any {
	users, groups := []any{}, []any{}
	for _, u := range o.users {
		factors, grants := []string{}, []string{}
		for _, f := range u.factors {
			factors = append(factors, f.kind)
		}
		for _, g := range u.grants {
			grants = append(grants, g.app+" "+g.scope)
		}
		tokens := 0
		for _, n := range u.tokens {
			tokens += n
		}
		users = append(users, map[string]any{
			"login": u.login, "status": u.status, "passwords": u.passwords, "sessions": u.sessions, "devices": u.devices,
			"factors": factors, "grants": grants, "refresh_tokens": tokens,
		})
	}
	for _, g := range o.groups {
		members := slices.Clone(g.members)
		slices.Sort(members) // the order of joining is no state
		groups = append(groups, map[string]any{"name": g.name, "members": members})
	}
	return map[string]any{"users": users, "groups": groups}
}

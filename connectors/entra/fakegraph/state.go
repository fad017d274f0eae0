package fakegraph

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/quell-soar/quell/connectors/fake"
)

// User describes an account to seed.
type User struct {
	Name        string   `json:"name"`
	Mail        string   `json:"mail,omitempty"` // empty is the name; "-" is none
	DisplayName string   `json:"display_name,omitempty"`
	OtherMails  []string `json:"other_mails,omitempty"`
	Proxies     []string `json:"proxies,omitempty"` // further addresses
	// Manager is the name of an account that is there already.
	Manager  string `json:"manager,omitempty"`
	Disabled bool   `json:"disabled,omitempty"`
	Synced   bool   `json:"synced,omitempty"`
	// Roles are template ids of directory roles; "global-admin" stands for the
	// highest.
	Roles []string `json:"roles,omitempty"`
	// Groups are names; a group is made at its first mention.
	Groups []string `json:"groups,omitempty"`
	// Methods are second factors: phone, microsoftAuthenticator, fido2 …
	Methods  []string  `json:"methods,omitempty"`
	Consents []Consent `json:"consents,omitempty"`
	Rules    []Rule    `json:"rules,omitempty"`
}

// Consent is what an account let an application do. Without a time, Graph tells
// none.
type Consent struct {
	App     string     `json:"app"`
	Scopes  string     `json:"scopes"`
	Granted *time.Time `json:"granted,omitempty"`
}

// Rule is an inbox rule.
type Rule struct {
	Name     string   `json:"name"`
	Forward  []string `json:"forward,omitempty"`
	Delete   bool     `json:"delete,omitempty"`
	Disabled bool     `json:"disabled,omitempty"`
}

// Message is a message to seed, one copy for each recipient's mailbox.
type Message struct {
	MessageID string `json:"message_id"`
	From      string `json:"from"`
	Subject   string `json:"subject,omitempty"`
	Body      string `json:"body,omitempty"`
	// To are names of accounts.
	To []string `json:"to"`
	// Folder is where the copies lie; empty is inbox.
	Folder string `json:"folder,omitempty"`
}

// lagged is a value whose readers see the one before it for a while.
type lagged[T any] struct {
	value, before T
	until         time.Time
}

func steady[T any](v T) lagged[T] { return lagged[T]{value: v, before: v} }

func (l lagged[T]) at(now time.Time) T {
	if now.Before(l.until) {
		return l.before
	}
	return l.value
}

func (l *lagged[T]) set(v T, now time.Time, lag time.Duration) {
	l.before, l.value, l.until = l.at(now), v, now.Add(lag)
}

type account struct {
	id                      string
	seed                    User
	mail                    string
	created                 time.Time
	enabled                 lagged[bool]
	passwordChanged, issued lagged[time.Time]
	password                string
	sessions                int
	manager                 *account
	methods                 []*method
	grants                  []*grant
	rules                   []*rule
	copies                  []*letter
}

type method struct {
	id, kind string
	there    lagged[bool]
}

type grant struct {
	id, client string
	consent    Consent
	owner      *account
	there      lagged[bool]
}

type rule struct {
	id      string
	seed    Rule
	enabled lagged[bool]
}

// letter is one copy of a message in a mailbox.
type letter struct {
	id     string
	seed   Message
	owner  *account
	at     time.Time
	folder lagged[string] // by name; folders' ids are made from names
}

type group struct {
	id, name string
	members  map[string]*lagged[bool]
}

// Graph is the fake.
type Graph struct {
	world              *fake.World
	vendor             *fake.Vendor
	tenant, id, secret string
	base               string
	page               int

	tokens   map[string]time.Time
	accounts []*account
	groups   []*group
	roles    map[string][]*account // by template id
	apps     map[string]string     // id to name
	senders  map[string]*lagged[string]
	mails    []string
	serial   int
}

// globalAdmin is the highest role's template.
const globalAdmin = "62e90394-69f5-4237-9190-012177145e10"

// New makes an empty tenant that accepts one application.
func New(w *fake.World, tenant, clientID, clientSecret string) *Graph {
	g := &Graph{
		world: w, tenant: tenant, id: clientID, secret: clientSecret, page: 100,
		tokens: map[string]time.Time{}, roles: map[string][]*account{}, apps: map[string]string{}, senders: map[string]*lagged[string]{},
	}
	g.vendor = &fake.Vendor{
		Name: "entra", Authorize: g.authorize, Refused: refused, Dump: g.dump, Soft: soft,
		Expire: func() { clear(g.tokens) },
	}
	for name, d := range map[string]time.Duration{"token": time.Hour, "replication": 150 * time.Millisecond, "latency": 0} {
		w.Lag("entra."+name, d)
	}
	w.Add(g.vendor)
	return g
}

// SetPage says how many entries a page of a list has at most.
func (g *Graph) SetPage(n int) { g.world.Do(func() { g.page = n }) }

// soft is a success with a failure within where the API has such, and else a
// success after which nothing has happened.
func soft(c *fake.Call) fake.Answer {
	switch {
	case strings.HasSuffix(c.URL.Path, "/revokeSignInSessions"):
		return reply(c, http.StatusOK, map[string]any{"value": false})
	case strings.HasSuffix(c.URL.Path, "/InvokeCommand"):
		return reply(c, http.StatusOK, map[string]any{"value": []any{map[string]any{"Error": "The entry could not be processed."}}})
	}
	return reply(c, http.StatusNoContent, nil)
}

// guid makes an id from a name, the same each time.
func guid(parts ...string) string {
	sum := sha256.Sum256([]byte(strings.ToLower(strings.Join(parts, "/"))))
	h := hex.EncodeToString(sum[:16])
	return fmt.Sprintf("%s-%s-%s-%s-%s", h[:8], h[8:12], h[12:16], h[16:20], h[20:])
}

// opaque makes an id as Exchange writes them.
func opaque(parts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(parts, "/")))
	return "AAMk" + base64.RawURLEncoding.EncodeToString(append(sum[:], sum[:]...)) + "AA="
}

// SeedUsers adds accounts.
func (g *Graph) SeedUsers(users ...User) error {
	var err error
	g.world.Do(func() {
		for _, u := range users {
			if err = g.seedUser(u); err != nil {
				return
			}
		}
	})
	return err
}

func (g *Graph) seedUser(u User) error {
	if u.Name == "" {
		return fmt.Errorf("an account needs a name")
	}
	if g.named(u.Name) != nil {
		return fmt.Errorf("there is an account %s already", u.Name)
	}
	now := g.world.Clock().Now().UTC()
	old := now.AddDate(-1, 0, 0).Truncate(time.Second)
	a := &account{
		id: guid("user", u.Name), seed: u, mail: u.Mail, created: old, sessions: 2,
		enabled: steady(!u.Disabled), passwordChanged: steady(old), issued: steady(old),
	}
	switch u.Mail {
	case "":
		a.mail = u.Name
	case "-":
		a.mail = ""
	}
	if u.Manager != "" {
		if a.manager = g.named(u.Manager); a.manager == nil {
			return fmt.Errorf("account %s: there is no account %s that manages it", u.Name, u.Manager)
		}
	}
	for i, k := range u.Methods {
		a.methods = append(a.methods, &method{id: guid("method", u.Name, fmt.Sprint(i)), kind: k, there: steady(true)})
	}
	for _, c := range u.Consents {
		app := guid("app", c.App)
		g.apps[app] = c.App
		a.grants = append(a.grants, &grant{id: strings.TrimRight(opaque("grant", u.Name, c.App), "="), client: app, consent: c, owner: a, there: steady(true)})
	}
	for i, r := range u.Rules {
		a.rules = append(a.rules, &rule{id: opaque("rule", u.Name, fmt.Sprint(i))[:16], seed: r, enabled: steady(!r.Disabled)})
	}
	for _, template := range u.Roles {
		if template == "global-admin" {
			template = globalAdmin
		}
		g.roles[template] = append(g.roles[template], a)
	}
	for _, name := range u.Groups {
		member := steady(true)
		g.groupNamed(name).members[a.id] = &member
	}
	g.accounts = append(g.accounts, a)
	return nil
}

// SeedGroup adds a group; one of the same name may be there already.
func (g *Graph) SeedGroup(name string) (id string) {
	g.world.Do(func() {
		n := &group{id: guid("group", name, fmt.Sprint(len(g.groups))), name: name, members: map[string]*lagged[bool]{}}
		g.groups = append(g.groups, n)
		id = n.id
	})
	return id
}

func (g *Graph) groupNamed(name string) *group {
	for _, n := range g.groups {
		if n.name == name {
			return n
		}
	}
	n := &group{id: guid("group", name, "0"), name: name, members: map[string]*lagged[bool]{}}
	g.groups = append(g.groups, n)
	return n
}

// SeedMessages puts copies into mailboxes.
func (g *Graph) SeedMessages(messages ...Message) error {
	var err error
	g.world.Do(func() {
		for _, m := range messages {
			if m.Folder == "" {
				m.Folder = "inbox"
			}
			for _, to := range m.To {
				a := g.named(to)
				if a == nil || a.mail == "" {
					err = fmt.Errorf("message %s: there is no mailbox of %s", m.MessageID, to)
					return
				}
				a.copies = append(a.copies, &letter{
					id: opaque("letter", a.id, m.MessageID, fmt.Sprint(len(a.copies))), seed: m, owner: a,
					at: g.world.Clock().Now().UTC().Truncate(time.Second), folder: steady(m.Folder),
				})
			}
		}
	})
	return err
}

// Mails are the texts of the messages that were sent, oldest first.
func (g *Graph) Mails() []string {
	var out []string
	g.world.Do(func() { out = slices.Clone(g.mails) })
	return out
}

// Password is the last password that was set for an account.
func (g *Graph) Password(name string) string {
	var out string
	g.world.Do(func() {
		if a := g.named(name); a != nil {
			out = a.password
		}
	})
	return out
}

func (g *Graph) named(name string) *account {
	for _, a := range g.accounts {
		if strings.EqualFold(a.seed.Name, name) || a.id == name {
			return a
		}
	}
	return nil
}

// dump lists every object in its final state, sorted. Times are left out so that
// two worlds can be compared.
func (g *Graph) dump() any {
	users := []map[string]any{}
	for _, a := range g.accounts {
		methods, grants, rules, copies := []string{}, []string{}, []string{}, []string{}
		for _, m := range a.methods {
			if m.there.value {
				methods = append(methods, m.kind)
			}
		}
		for _, n := range a.grants {
			if n.there.value {
				grants = append(grants, n.consent.App+": "+n.consent.Scopes)
			}
		}
		for _, r := range a.rules {
			rules = append(rules, fmt.Sprintf("%s enabled=%t", r.seed.Name, r.enabled.value))
		}
		for _, l := range a.copies {
			copies = append(copies, l.seed.MessageID+" in "+l.folder.value)
		}
		in := []string{}
		for _, n := range g.groups {
			if m := n.members[a.id]; m != nil && m.value {
				in = append(in, n.name)
			}
		}
		users = append(users, map[string]any{
			"name": a.seed.Name, "id": a.id, "enabled": a.enabled.value, "sessions": a.sessions, "password_set": a.password != "",
			"methods": methods, "consents": grants, "rules": rules, "messages": copies, "groups": in,
		})
	}
	slices.SortFunc(users, func(x, y map[string]any) int { return strings.Compare(x["id"].(string), y["id"].(string)) })
	senders := map[string]string{}
	for address, s := range g.senders {
		if s.value != "" {
			senders[address] = s.value
		}
	}
	return map[string]any{"users": users, "senders": senders, "sent": len(g.mails)}
}

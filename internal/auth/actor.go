package auth

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Scope is one thing that a token may do.
type Scope string

// The scopes, of which Metrics is for Prometheus; the package comment says what each allows.
const (
	Metrics Scope = "metrics"
	Read    Scope = "read"
	Launch  Scope = "launch"
	Respond Scope = "respond"
	Approve Scope = "approve"
	Publish Scope = "publish"
	Audit   Scope = "audit"
	Admin   Scope = "admin"
)

// Scopes returns all scopes, the weakest first.
func Scopes() []Scope { return []Scope{Metrics, Read, Launch, Respond, Approve, Publish, Audit, Admin} }

// Actor is who calls.
type Actor struct {
	// Name stands in the ledger: user:alice, local:1000.
	Name   string
	Roles  []string
	Scopes []Scope
	// OnCall lists the actor's duties now, as approvals write them: oncall.soc.
	OnCall []string
	// Token is the id of the token, empty for who came without one.
	Token string
	// Session is the id of the browser's session, empty for who came without
	// one; SignedIn is when that person proved who they are.
	Session  string
	SignedIn time.Time
}

// Can reports whether the actor has a scope. Admin has all of them.
func (a Actor) Can(s Scope) bool {
	return slices.Contains(a.Scopes, s) || slices.Contains(a.Scopes, Admin)
}

// Has reports whether the actor has one of the roles or duties in who.
func (a Actor) Has(who []string) bool {
	return slices.ContainsFunc(who, func(w string) bool {
		return slices.Contains(a.Roles, w) || slices.Contains(a.OnCall, w)
	})
}

// Names lists what an approval's chain may call the actor: roles, then duties.
func (a Actor) Names() []string { return slices.Concat(a.Roles, a.OnCall) }

// Duties says who is on call: per duty's name (without "oncall.") the people,
// as user:NAME, NAME for short, or local:UID.
type Duties map[string][]string

// Of lists the duties of an actor, sorted, as oncall.NAME.
func (d Duties) Of(actor string) []string {
	var out []string
	for name, people := range d {
		if slices.ContainsFunc(people, func(p string) bool { return p == actor || UserPrefix+p == actor }) {
			out = append(out, "oncall."+name)
		}
	}
	slices.Sort(out)
	return out
}

// UserPrefix begins the actor of a person who came with a token.
const UserPrefix = "user:"

// LocalPrefix begins the actor of a uid that came over the unix socket.
const LocalPrefix = "local:"

// RefusedError says that an actor may not do something.
type RefusedError struct {
	Actor string
	Need  Scope
}

func (e *RefusedError) Error() string {
	return fmt.Sprintf("%s may not do this: it needs the scope %s; ask an admin for a token that has it", e.Actor, e.Need)
}

// ParseScopes reads scopes by name; an unknown one is an error.
func ParseScopes(names []string) ([]Scope, error) {
	out := make([]Scope, 0, len(names))
	for _, n := range names {
		if !slices.Contains(Scopes(), Scope(n)) {
			return nil, fmt.Errorf("there is no scope %q; the scopes are %s", n, strings.Join(texts(Scopes()), ", "))
		}
		out = append(out, Scope(n))
	}
	slices.Sort(out)
	return slices.Compact(out), nil
}

func texts(in []Scope) []string {
	out := make([]string, len(in))
	for i, s := range in {
		out[i] = string(s)
	}
	return out
}

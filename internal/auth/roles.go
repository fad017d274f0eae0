package auth

import (
	"fmt"
	"maps"
	"slices"
)

// The roles that every installation has. Others are the installation's own words
// and carry scopes only where the configuration gives them some; a role without
// scopes still counts in the chains of approvals.
const (
	Viewer     = "viewer"
	Analyst    = "analyst"
	Approver   = "approver"
	Lead       = "lead"
	RoleAdmin  = "admin"
	Automation = "automation"
	Author     = "author"
)

// builtIn says what the seven roles allow. An approver decides and answers, and
// starts nothing; automation starts playbooks and never decides;
// an author publishes them and starts nothing.
func builtIn() map[string][]Scope {
	return map[string][]Scope{
		Viewer:     {Metrics, Read},
		Analyst:    {Metrics, Read, Launch, Respond, Approve},
		Approver:   {Metrics, Read, Approve},
		Lead:       {Metrics, Read, Launch, Respond, Approve, Audit},
		RoleAdmin:  {Admin},
		Automation: {Read, Launch},
		Author:     {Metrics, Read, Publish},
	}
}

// Rights say what roles allow, and who may launch or decide what of a playbook.
// It is read-only after NewRights and safe for concurrent use.
type Rights struct {
	roles     map[string][]Scope
	playbooks map[string]PlaybookRights
}

// PlaybookRights narrow a playbook to roles or duties. An empty list leaves it to
// the playbook's own words: on.manual.roles and the chains of its approvals.
type PlaybookRights struct {
	Launch  []string
	Approve []string
}

// NewRights adds the installation's roles to the six of its own. It refuses a
// role that redefines one of these: what "admin" means is the same everywhere.
func NewRights(roles map[string][]string, playbooks map[string]PlaybookRights) (*Rights, error) {
	r := &Rights{roles: builtIn(), playbooks: maps.Clone(playbooks)}
	for _, name := range slices.Sorted(maps.Keys(roles)) {
		if _, taken := r.roles[name]; taken {
			return nil, fmt.Errorf("the role %s is built in and has its scopes; take another name", name)
		}
		if !nameForm.MatchString(name) {
			return nil, fmt.Errorf("the role %q must be 1 to 64 of letters, digits, . _ @ -", name)
		}
		scopes, err := ParseScopes(roles[name])
		if err != nil {
			return nil, fmt.Errorf("role %s: %w", name, err)
		}
		r.roles[name] = scopes
	}
	return r, nil
}

// Scopes returns what roles allow together, sorted; an unknown role allows
// nothing.
func (r *Rights) Scopes(roles []string) []Scope {
	var out []Scope
	for _, name := range roles {
		out = append(out, r.roles[name]...)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// Role is one role as people read it.
type Role struct {
	Name   string
	Scopes []Scope
}

// Roles lists all roles that carry scopes, sorted by name.
func (r *Rights) Roles() []Role {
	out := make([]Role, 0, len(r.roles))
	for _, name := range slices.Sorted(maps.Keys(r.roles)) {
		out = append(out, Role{Name: name, Scopes: slices.Clone(r.roles[name])})
	}
	return out
}

// MayLaunch reports whether the installation lets the actor start a playbook by
// hand. The playbook's own on.manual.roles are asked beside it. nil narrows
// nothing.
func (r *Rights) MayLaunch(a Actor, playbook string) bool {
	return r == nil || r.may(a, r.playbooks[playbook].Launch)
}

// MayApprove reports whether the installation lets the actor decide in runs of a
// playbook. The chain of the request is asked beside it.
func (r *Rights) MayApprove(a Actor, playbook string) bool {
	return r == nil || r.may(a, r.playbooks[playbook].Approve)
}

func (r *Rights) may(a Actor, who []string) bool { return len(who) == 0 || a.Has(who) }

package auth

import (
	"slices"
	"strings"
	"testing"
	"time"
)

func TestPeopleAreOneWhateverTheWay(t *testing.T) {
	t.Parallel()
	p, err := NewPeople([]Person{
		{Name: "alice", Subject: "00u1", UID: new(1000), Certificate: "spiffe://soc/alice", Roles: []string{"ir-lead"}},
		{Name: "bob", Subject: "00u2"},
	})
	if err != nil {
		t.Fatal(err)
	}
	bySub, roles := p.Subject("00u1")
	byCert, _ := p.Certificate("spiffe://soc/alice")
	bySocket := p.Local(Actor{Name: "local:1000", Roles: []string{"analyst"}}, 1000)
	for _, got := range []string{bySub, byCert, bySocket.Name} {
		if got != "user:alice" {
			t.Errorf("got %s", got)
		}
	}
	if !slices.Equal(roles, []string{"ir-lead"}) || !slices.Equal(bySocket.Roles, []string{"analyst", "ir-lead"}) || !slices.Equal(p.Token("alice"), roles) {
		t.Errorf("roles %v, %v, %v", roles, bySocket.Roles, p.Token("alice"))
	}
	// Who is not named keeps a name that nobody can choose.
	if got, _ := p.Subject("alice"); got != "oidc:alice" {
		t.Errorf("the subject alice became %s", got)
	}
	if got, _ := p.Certificate(""); got != "cert:" {
		t.Errorf("a certificate without a name became %s", got)
	}
	if got := p.Local(Actor{Name: "local:7"}, 7); got.Name != "local:7" {
		t.Errorf("uid 7 became %s", got.Name)
	}
}

func TestNoWayLeadsToTwo(t *testing.T) {
	t.Parallel()
	for _, list := range [][]Person{
		{{Name: "a"}, {Name: "a"}},
		{{Name: "a", Subject: "s"}, {Name: "b", Subject: "s"}},
		{{Name: "a", Certificate: "c"}, {Name: "b", Certificate: "c"}},
		{{Name: "a", UID: new(0)}, {Name: "b", UID: new(0)}},
		{{Name: "user:a"}},
		{{Name: ""}},
	} {
		if _, err := NewPeople(list); err == nil {
			t.Errorf("%+v was taken", list)
		}
	}
}

func TestRights(t *testing.T) {
	t.Parallel()
	r, err := NewRights(map[string][]string{"tier1": {"read", "launch"}}, map[string]PlaybookRights{
		"contain": {Launch: []string{"tier1", "oncall.soc"}, Approve: []string{"ir-lead"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := r.Scopes([]string{"tier1", "approver", "ciso"}); !slices.Equal(got, []Scope{Approve, Launch, Metrics, Read}) {
		t.Errorf("scopes %v", got)
	}
	if got := r.Scopes([]string{"ciso"}); len(got) != 0 {
		t.Errorf("a role without scopes gave %v", got)
	}
	for _, c := range []struct {
		a               Actor
		playbook        string
		launch, approve bool
	}{
		{Actor{Roles: []string{"tier1"}}, "contain", true, false},
		{Actor{OnCall: []string{"oncall.soc"}}, "contain", true, false},
		{Actor{Roles: []string{"ir-lead"}}, "contain", false, true},
		{Actor{Roles: []string{"admin"}}, "contain", false, false},
		{Actor{}, "other", true, true},
	} {
		if got := r.MayLaunch(c.a, c.playbook); got != c.launch {
			t.Errorf("%+v launches %s: %v", c.a, c.playbook, got)
		}
		if got := r.MayApprove(c.a, c.playbook); got != c.approve {
			t.Errorf("%+v approves in %s: %v", c.a, c.playbook, got)
		}
	}
	for _, bad := range []map[string][]string{{"admin": {"read"}}, {"x y": {"read"}}, {"x": {"root"}}} {
		if _, err := NewRights(bad, nil); err == nil {
			t.Errorf("%v was taken", bad)
		}
	}
	if len(r.Roles()) != 8 {
		t.Errorf("%d roles", len(r.Roles()))
	}
}

// Automation and viewers can decide nothing, and only admins have every scope.
func TestBuiltInRolesKeepTheirPlace(t *testing.T) {
	t.Parallel()
	r, err := NewRights(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, role := range []string{Viewer, Automation} {
		if slices.Contains(r.Scopes([]string{role}), Approve) {
			t.Errorf("%s may approve", role)
		}
	}
	for _, role := range r.Roles() {
		if slices.Contains(role.Scopes, Admin) != (role.Name == RoleAdmin) {
			t.Errorf("%s: %v", role.Name, role.Scopes)
		}
	}
}

func TestFailuresBoundOneAddress(t *testing.T) {
	t.Parallel()
	clk := &clock{at: time.Unix(1_800_000_000, 0)}
	f := NewFailures(3, time.Minute, clk.now)
	for i := range 3 {
		if wait := f.Failed("10.0.0.1"); wait != 0 {
			t.Fatalf("failure %d waits %s", i, wait)
		}
	}
	if wait := f.Failed("10.0.0.1"); wait != time.Minute {
		t.Errorf("the fourth waits %s", wait)
	}
	if wait := f.Failed("10.0.0.2"); wait != 0 {
		t.Errorf("another address waits %s", wait)
	}
	clk.pass(time.Minute)
	if wait := f.Failed("10.0.0.1"); wait != 0 {
		t.Errorf("a minute later it waits %s", wait)
	}
	for i := range failuresKept * 2 {
		f.Failed(strings.Repeat("x", i%7) + string(rune('a'+i%26)) + time.Duration(i).String())
	}
	if len(f.seen) > failuresKept {
		t.Errorf("%d addresses are kept", len(f.seen))
	}
}

package auth

import (
	"fmt"
	"slices"
)

// Person links the ways in which one person comes: without a link a token, a
// uid, a certificate and a sign-in are four names in the ledger, and two of them
// could vote twice.
type Person struct {
	// Name is the person's; the ledger has it as user:NAME.
	Name string
	// Subject is the `sub` that the identity provider gives the person. It is
	// the identity; names and addresses of mail change hands.
	Subject string
	// UID is the person's uid at the unix socket, nil for none.
	UID *int
	// Certificate is the subject alternative name (URI, DNS or mail) of the
	// person's client certificate.
	Certificate string
	// Roles are added to those that the way in gives.
	Roles []string
}

// People finds persons by the way in which they come. It is read-only after
// NewPeople.
type People struct {
	bySubject, byCertificate, byName map[string]Person
	byUID                            map[int]Person
}

// NewPeople checks that no way in leads to two persons.
func NewPeople(list []Person) (*People, error) {
	p := &People{bySubject: map[string]Person{}, byCertificate: map[string]Person{}, byName: map[string]Person{}, byUID: map[int]Person{}}
	for _, one := range list {
		if !nameForm.MatchString(one.Name) {
			return nil, fmt.Errorf("the person %q must be named by 1 to 64 of letters, digits, . _ @ -", one.Name)
		}
		for _, way := range []struct {
			what, key string
			index     map[string]Person
		}{{"name", one.Name, p.byName}, {"subject", one.Subject, p.bySubject}, {"certificate", one.Certificate, p.byCertificate}} {
			if way.key == "" {
				continue
			}
			if other, taken := way.index[way.key]; taken {
				return nil, fmt.Errorf("the %s %q leads to two persons, %s and %s", way.what, way.key, other.Name, one.Name)
			}
			way.index[way.key] = one
		}
		if one.UID != nil {
			if other, taken := p.byUID[*one.UID]; taken {
				return nil, fmt.Errorf("the uid %d leads to two persons, %s and %s", *one.UID, other.Name, one.Name)
			}
			p.byUID[*one.UID] = one
		}
	}
	return p, nil
}

// SubjectPrefix begins the actor of somebody who signed in and whom the
// configuration does not name.
const SubjectPrefix = "oidc:"

// CertificatePrefix begins the actor of a client certificate that the
// configuration does not link to a person.
const CertificatePrefix = "cert:"

// Subject returns the actor's name and further roles for a subject of the
// identity provider.
func (p *People) Subject(sub string) (name string, roles []string) {
	return named(p.bySubject, sub, SubjectPrefix)
}

// Certificate is Subject for a client certificate's name.
func (p *People) Certificate(san string) (name string, roles []string) {
	return named(p.byCertificate, san, CertificatePrefix)
}

// Local names the actor of a uid that was let in.
func (p *People) Local(a Actor, uid int) Actor {
	if one, ok := p.byUID[uid]; ok {
		a.Name = UserPrefix + one.Name
		a.Roles = union(a.Roles, one.Roles)
	}
	return a
}

// Token adds the roles of the person whom a token speaks for.
func (p *People) Token(user string) []string { return slices.Clone(p.byName[user].Roles) }

func named(index map[string]Person, key, prefix string) (string, []string) {
	if one, ok := index[key]; ok && key != "" {
		return UserPrefix + one.Name, slices.Clone(one.Roles)
	}
	return prefix + key, nil
}

// union joins lists without repeating, sorted.
func union(lists ...[]string) []string {
	out := slices.Concat(lists...)
	slices.Sort(out)
	return slices.Compact(out)
}

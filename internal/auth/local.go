package auth

import (
	"fmt"
	"strconv"
)

// local makes the actor of a uid, where that uid may come in at all.
func local(uid, own int, roles []string) (Actor, error) {
	name := LocalPrefix + strconv.Itoa(uid)
	if uid != own && uid != 0 {
		return Actor{}, fmt.Errorf("%s is neither the server's own uid nor root; come with a token over TCP", name)
	}
	return Actor{Name: name, Roles: roles, Scopes: []Scope{Admin}}, nil
}

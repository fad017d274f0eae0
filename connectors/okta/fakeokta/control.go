package fakeokta

import (
	"net/http"

	"github.com/quell-soar/quell/connectors/fake"
)

// Control serves the org's side of the lab's control API:
//
//	POST /_lab/okta  {"groups": [{"name": "VPN"}], "users": [{"login": "ann@example.com", "factors": ["push"]}]}
//
// An account that is there already is replaced.
func (o *Okta) Control(mux *http.ServeMux) {
	mux.HandleFunc("POST /_lab/okta", func(w http.ResponseWriter, r *http.Request) {
		var in struct {
			Groups []Group `json:"groups"`
			Users  []User  `json:"users"`
		}
		err := fake.Read(w, r, &in)
		if err == nil {
			err = o.Seed(in.Groups, in.Users...)
		}
		var n int
		o.world.Do(func() { n = len(o.users) })
		fake.Reply(w, map[string]int{"users": n}, err, http.StatusBadRequest)
	})
}

package fakegraph

import (
	"net/http"

	"github.com/quell-soar/quell/connectors/fake"
)

// Control serves the tenant's side of the lab's control API:
//
//	POST /_lab/entra/users     {"users": [{"name": "ann@lab.example", "methods": ["phone"]}]}
//	POST /_lab/entra/methods   {"name": "ann@lab.example", "method": "phone"}: its owner registers a factor
//	POST /_lab/entra/messages  {"messages": [{"message_id": "<1@x>", "from": "eve@x", "to": ["ann@lab.example"]}]}
func (g *Graph) Control(mux *http.ServeMux) {
	g.registers(mux)
	mux.HandleFunc("POST /_lab/entra/users", func(w http.ResponseWriter, r *http.Request) {
		var in struct {
			Users []User `json:"users"`
		}
		err := fake.Read(w, r, &in)
		if err == nil {
			err = g.SeedUsers(in.Users...)
		}
		var n int
		g.world.Do(func() { n = len(g.accounts) })
		fake.Reply(w, map[string]int{"users": n}, err, http.StatusBadRequest)
	})
	mux.HandleFunc("POST /_lab/entra/messages", func(w http.ResponseWriter, r *http.Request) {
		var in struct {
			Messages []Message `json:"messages"`
		}
		err := fake.Read(w, r, &in)
		if err == nil {
			err = g.SeedMessages(in.Messages...)
		}
		fake.Reply(w, map[string]int{"messages": len(in.Messages)}, err, http.StatusBadRequest)
	})
}

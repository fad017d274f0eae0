package fakegraph

import (
	"fmt"
	"net/http"

	"github.com/quell-soar/quell/connectors/fake"
)

// Register lets an account's owner register a second factor, as people do after
// theirs were removed.
func (g *Graph) Register(name, kind string) error {
	var err error
	g.world.Do(func() {
		for _, a := range g.accounts {
			if a.seed.Name == name {
				a.methods = append(a.methods, &method{id: guid("registered", name, fmt.Sprint(len(a.methods))), kind: kind, there: steady(true)})
				return
			}
		}
		err = fmt.Errorf("the tenant has no account %s", name)
	})
	return err
}

// registers serves Register:
//
//	POST /_lab/entra/methods {"name": "ann@lab.example", "method": "phone"}
func (g *Graph) registers(mux *http.ServeMux) {
	mux.HandleFunc("POST /_lab/entra/methods", func(w http.ResponseWriter, r *http.Request) {
		var in struct {
			Name   string `json:"name"`
			Method string `json:"method"`
		}
		err := fake.Read(w, r, &in)
		if err == nil {
			err = g.Register(in.Name, in.Method)
		}
		fake.Reply(w, map[string]bool{"ok": true}, err, http.StatusBadRequest)
	})
}

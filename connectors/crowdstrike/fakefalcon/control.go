package fakefalcon

import (
	"net/http"

	"github.com/quell-soar/quell/connectors/fake"
)

// Control serves the tenant's side of the lab's control API:
//
//	POST /_lab/hosts  {"count": 2000, "prefix": "host-"}: host-00001 … host-02000
//	POST /_lab/hosts  {"hosts": [{"hostname": "web-01", "state": "contained", "findings": [2, 0]}]}
//	POST /_lab/files  {"files": [{"hostname": "web-01", "path": "C:\\a.exe", "state": "released"}]}
//
// A host that is there already is changed to what is given.
func (f *Falcon) Control(mux *http.ServeMux) {
	mux.HandleFunc("POST /_lab/hosts", func(w http.ResponseWriter, r *http.Request) {
		var in struct {
			Count  int    `json:"count"`
			Prefix string `json:"prefix"`
			Hosts  []Host `json:"hosts"`
		}
		err := fake.Read(w, r, &in)
		if in.Prefix == "" {
			in.Prefix = "host-"
		}
		if err == nil {
			err = f.SeedHosts(in.Hosts...)
		}
		if err == nil {
			_, err = f.SeedMany(in.Count, in.Prefix)
		}
		var n int
		f.world.Do(func() { n = len(f.hosts) })
		fake.Reply(w, map[string]int{"hosts": n}, err, http.StatusBadRequest)
	})
	mux.HandleFunc("POST /_lab/files", func(w http.ResponseWriter, r *http.Request) {
		var in struct {
			Files []File `json:"files"`
		}
		err := fake.Read(w, r, &in)
		for _, file := range in.Files {
			if err == nil {
				err = f.SeedFile(file)
			}
		}
		var n int
		f.world.Do(func() { n = len(f.files) })
		fake.Reply(w, map[string]int{"files": n}, err, http.StatusBadRequest)
	})
}

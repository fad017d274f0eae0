package fake

import (
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"time"
)

// Control serves the world's side of the lab's control API:
//
//	GET  /_lab/world?vendor=            every object, in a fixed order
//	GET  /_lab/effects?vendor=&operation=&object=&key=&after=
//	GET  /_lab/script, PUT /_lab/script the faults, as text
//	GET  /_lab/lag, PUT /_lab/lag       delays by name: {"jira.search": "2s"}
func (w *World) Control(mux *http.ServeMux) {
	mux.HandleFunc("GET /_lab/world", func(rw http.ResponseWriter, r *http.Request) {
		out, err := w.Dump(r.URL.Query().Get("vendor"))
		Reply(rw, out, err, http.StatusInternalServerError)
	})
	mux.HandleFunc("GET /_lab/effects", func(rw http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		after, _ := strconv.ParseInt(q.Get("after"), 10, 64)
		out, err := w.Effects(Filter{
			Vendor: q.Get("vendor"), Operation: q.Get("operation"), Object: q.Get("object"), Key: q.Get("key"), After: after,
		})
		Reply(rw, out, err, http.StatusInternalServerError)
	})
	mux.HandleFunc("GET /_lab/script", func(rw http.ResponseWriter, _ *http.Request) {
		var text string
		w.Do(func() { text = w.script.String() })
		rw.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = io.WriteString(rw, text)
	})
	mux.HandleFunc("PUT /_lab/script", func(rw http.ResponseWriter, r *http.Request) {
		raw, err := io.ReadAll(http.MaxBytesReader(rw, r.Body, maxBody))
		if err == nil {
			err = w.SetScript(string(raw))
		}
		Reply(rw, map[string]bool{"ok": true}, err, http.StatusBadRequest)
	})
	mux.HandleFunc("GET /_lab/lag", func(rw http.ResponseWriter, _ *http.Request) { Reply(rw, texts(w.Lags()), nil, 0) })
	mux.HandleFunc("PUT /_lab/lag", func(rw http.ResponseWriter, r *http.Request) {
		var in map[string]string
		err := Read(rw, r, &in)
		changes := map[string]time.Duration{}
		for name, text := range in {
			d, bad := time.ParseDuration(text)
			if bad != nil {
				err = bad
			}
			changes[name] = d
		}
		if err == nil {
			err = w.SetLag(changes)
		}
		Reply(rw, texts(w.Lags()), err, http.StatusBadRequest)
	})
}

// Read reads a control request's JSON body and refuses unknown fields.
func Read(rw http.ResponseWriter, r *http.Request, out any) error {
	dec := json.NewDecoder(http.MaxBytesReader(rw, r.Body, maxBody))
	dec.DisallowUnknownFields()
	return dec.Decode(out)
}

// Reply answers a control request: out, or the error with its status.
func Reply(rw http.ResponseWriter, out any, err error, status int) {
	a := Answer{Status: http.StatusOK, Body: out}
	if err != nil {
		a = Answer{Status: status, Body: map[string]string{"error": err.Error()}}
	}
	// A client that left in between misses only the answer.
	_ = send(rw, a)
}

func texts(in map[string]time.Duration) map[string]string {
	out := make(map[string]string, len(in))
	for name, d := range in {
		out[name] = d.String()
	}
	return out
}

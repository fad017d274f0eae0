package fakefalcon

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/quell-soar/quell/connectors/fake"
)

// Handler serves the API.
func (f *Falcon) Handler() http.Handler {
	mux := http.NewServeMux()
	on := func(pattern string, op fake.Operation) { mux.Handle(pattern, f.world.Handler(f.vendor, op)) }
	on("POST /oauth2/token", fake.Operation{Name: "token", Public: true, Prepare: f.token})
	on("GET /devices/queries/devices/v1", fake.Operation{Name: "query-hosts", Prepare: f.queryHosts})
	on("POST /devices/entities/devices/v2", fake.Operation{Name: "get-hosts", Prepare: f.getHosts})
	contain := f.world.Handler(f.vendor, fake.Operation{Name: "contain", Prepare: f.act})
	lift := f.world.Handler(f.vendor, fake.Operation{Name: "lift", Prepare: f.act})
	mux.HandleFunc("POST /devices/entities/devices-actions/v2", func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("action_name") == "lift_containment" {
			lift.ServeHTTP(w, r)
			return
		}
		contain.ServeHTTP(w, r)
	})
	on("GET /quarantine/queries/quarantined-files/v1", fake.Operation{Name: "query-files", Prepare: f.queryFiles})
	on("POST /quarantine/entities/quarantined-files/GET/v1", fake.Operation{Name: "get-files", Prepare: f.getFiles})
	on("PATCH /quarantine/entities/quarantined-files/v1", fake.Operation{Name: "update-files", Prepare: f.updateFiles})
	on("POST /ods/entities/scans/v1", fake.Operation{Name: "create-scan", Prepare: f.createScan})
	on("GET /ods/queries/scans/v1", fake.Operation{Name: "query-scans", Prepare: f.queryScans})
	on("GET /ods/entities/scans/v2", fake.Operation{Name: "get-scans", Prepare: f.getScans})
	return mux
}

// fault is one entry of an envelope's errors.
type fault struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
	ID      string `json:"id,omitempty"`
}

// envelope is the frame of every answer.
func envelope(c *fake.Call, status int, resources []any, errs ...fault) fake.Answer {
	if resources == nil {
		resources = []any{}
	}
	if errs == nil {
		errs = []fault{}
	}
	return fake.Answer{
		Status: status,
		Header: map[string]string{"X-Cs-Traceid": c.ID, "X-Ratelimit-Limit": "6000", "X-Ratelimit-Remaining": "5999"},
		Body: map[string]any{
			"meta":      map[string]any{"query_time": 0.01, "powered_by": "fakefalcon", "trace_id": c.ID, "pagination": map[string]any{"total": len(resources)}},
			"resources": resources, "errors": errs,
		},
	}
}

func refused(c *fake.Call, status int, retry time.Duration) fake.Answer {
	a := envelope(c, status, nil, fault{Code: status, Message: strings.ToLower(http.StatusText(status))})
	if status == http.StatusTooManyRequests {
		// Falcon tells the moment, in whole seconds, and not how long.
		a.Header["X-Ratelimit-Retryafter"] = fmt.Sprint(time.Now().Add(retry + 999*time.Millisecond).Unix())
		a.Header["X-Ratelimit-Remaining"] = "0"
	}
	return a
}

func (f *Falcon) authorize(c *fake.Call) *fake.Answer {
	token, _ := strings.CutPrefix(c.Header.Get("Authorization"), "Bearer ")
	expires, ok := f.tokens[token]
	if ok && f.world.Clock().Now().Before(expires) {
		return nil
	}
	a := envelope(c, http.StatusUnauthorized, nil, fault{Code: 401, Message: "access denied, invalid bearer token"})
	return &a
}

func (f *Falcon) token(c *fake.Call) fake.Act {
	form, err := url.ParseQuery(string(c.Body))
	if err != nil || form.Get("client_id") != f.id || form.Get("client_secret") != f.secret {
		return fake.Say("", envelope(c, http.StatusForbidden, nil, fault{Code: 403, Message: "access denied, authorization failed"}))
	}
	return fake.Act{Run: func() fake.Done {
		life := f.world.LagOf("crowdstrike.token")
		f.serial++
		token := fmt.Sprintf("falcon-token-%06d", f.serial)
		f.tokens[token] = f.world.Clock().Now().Add(life)
		return fake.Done{Answer: fake.Answer{Status: http.StatusCreated, Body: map[string]any{
			"access_token": token, "token_type": "bearer", "expires_in": int(life.Seconds()),
		}}}
	}}
}

// query answers a filtered search with the ids for which get knows the values.
func query(c *fake.Call, object string, each func(hit func(id string, get func(string) ([]string, bool)))) fake.Act {
	terms, err := parseFilter(c.URL.Query().Get("filter"))
	if err != nil {
		return fake.Say(object, envelope(c, http.StatusBadRequest, nil, fault{Code: 400, Message: err.Error()}))
	}
	return fake.Act{Object: object, Run: func() fake.Done {
		ids := []any{}
		var bad error
		each(func(id string, get func(string) ([]string, bool)) {
			ok, err := all(terms, get)
			if err != nil {
				bad = err
			}
			if ok {
				ids = append(ids, id)
			}
		})
		if bad != nil {
			return fake.Done{Answer: envelope(c, http.StatusBadRequest, nil, fault{Code: 400, Message: bad.Error()})}
		}
		return fake.Done{Answer: envelope(c, http.StatusOK, ids)}
	}}
}

func termOf(c *fake.Call, field string) string {
	terms, err := parseFilter(c.URL.Query().Get("filter"))
	if err != nil {
		return ""
	}
	for _, t := range terms {
		if t.field == field {
			return t.value
		}
	}
	return ""
}

func (f *Falcon) queryHosts(c *fake.Call) fake.Act {
	name := termOf(c, "hostname")
	return query(c, name, func(hit func(string, func(string) ([]string, bool))) {
		among := f.named[strings.ToLower(name)]
		if name == "" {
			among = sorted(f.hosts)
		}
		for _, h := range among {
			hit(h.aid, func(field string) ([]string, bool) {
				switch field {
				case "hostname":
					return []string{h.name}, true
				case "device_id":
					return []string{h.aid}, true
				}
				return nil, false
			})
		}
	})
}

// ids reads a body that names things by id.
type ids struct {
	IDs    []string `json:"ids"`
	Action string   `json:"action"`
}

func badBody(c *fake.Call, err error) fake.Act {
	return fake.Say("", envelope(c, http.StatusBadRequest, nil, fault{Code: 400, Message: fmt.Sprintf("invalid body: %v", err)}))
}

func (f *Falcon) nameOf(aids []string) string {
	if len(aids) == 1 && f.hosts[aids[0]] != nil {
		return f.hosts[aids[0]].name
	}
	return strings.Join(aids, ",")
}

func (f *Falcon) getHosts(c *fake.Call) fake.Act {
	var in ids
	if err := c.JSON(&in); err != nil || len(in.IDs) == 0 {
		return badBody(c, err)
	}
	return fake.Act{Object: f.nameOf(in.IDs), Run: func() fake.Done {
		now := f.world.Clock().Now()
		var found []any
		var errs []fault
		for _, id := range in.IDs {
			h := f.hosts[id]
			if h == nil {
				errs = append(errs, fault{Code: 404, Message: "device not found", ID: id})
				continue
			}
			found = append(found, map[string]any{
				"device_id": h.aid, "hostname": h.name, "os_version": h.os, "platform_name": "Windows",
				"status": h.status(now), "last_seen": h.seen.Format(time.RFC3339),
			})
		}
		status := http.StatusOK
		if len(found) == 0 {
			status = http.StatusNotFound
		}
		return fake.Done{Answer: envelope(c, status, found, errs...)}
	}}
}

// act contains hosts or lifts containment: the last write wins, and the same
// write again while the first is under way is a conflict.
func (f *Falcon) act(c *fake.Call) fake.Act {
	var in ids
	if err := c.JSON(&in); err != nil || len(in.IDs) == 0 {
		return badBody(c, err)
	}
	to := contained
	switch c.URL.Query().Get("action_name") {
	case "contain":
	case "lift_containment":
		to = normal
	default:
		return badBody(c, fmt.Errorf("unknown action_name"))
	}
	return fake.Act{Object: f.nameOf(in.IDs), Run: func() fake.Done {
		now := f.world.Clock().Now()
		var done []any
		var errs []fault
		var changes []fake.Change
		for _, id := range in.IDs {
			h := f.hosts[id]
			switch {
			case h == nil:
				errs = append(errs, fault{Code: 404, Message: "no such device", ID: id})
				continue
			case now.Before(h.until) && h.state == to:
				errs = append(errs, fault{Code: 409, Message: "an action is in progress", ID: id})
				continue
			}
			before := h.status(now)
			if h.state != to {
				h.state, h.until = to, now.Add(f.world.LagOf("crowdstrike.containment"))
			}
			done = append(done, map[string]any{"id": id, "path": "/devices/entities/devices/v1"})
			changes = append(changes, fake.Change{Object: h.name, Before: before, After: to})
		}
		status := http.StatusAccepted
		if len(done) == 0 {
			status = errs[0].Code
		}
		return fake.Done{Answer: envelope(c, status, done, errs...), Effects: changes}
	}}
}

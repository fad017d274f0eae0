package fakefalcon

import (
	"fmt"
	"net/http"
	"time"

	"github.com/quell-soar/quell/connectors/fake"
)

func (f *Falcon) queryFiles(c *fake.Call) fake.Act {
	return query(c, f.nameOf([]string{termOf(c, "device.device_id")}), func(hit func(string, func(string) ([]string, bool))) {
		for _, q := range sorted(f.files) {
			hit(q.id, func(field string) ([]string, bool) {
				switch field {
				case "device.device_id":
					return []string{q.host.aid}, true
				case "hostname":
					return []string{q.host.name}, true
				case "paths.path":
					return []string{q.path}, true
				}
				return nil, false
			})
		}
	})
}

func (f *Falcon) ownerOf(fileIDs []string) string {
	if len(fileIDs) == 1 && f.files[fileIDs[0]] != nil {
		return f.files[fileIDs[0]].host.name
	}
	return ""
}

func (f *Falcon) getFiles(c *fake.Call) fake.Act {
	var in ids
	if err := c.JSON(&in); err != nil || len(in.IDs) == 0 {
		return badBody(c, err)
	}
	return fake.Act{Object: f.ownerOf(in.IDs), Run: func() fake.Done {
		now := f.world.Clock().Now()
		var found []any
		for _, id := range in.IDs {
			if q := f.files[id]; q != nil {
				state := q.status(now)
				found = append(found, map[string]any{
					"id": q.id, "aid": q.host.aid, "hostname": q.host.name, "sha256": q.sha256, "state": state,
					"date_created": q.created.Format(time.RFC3339Nano),
					"paths":        []any{map[string]any{"path": q.path, "state": state}},
				})
			}
		}
		return fake.Done{Answer: envelope(c, http.StatusOK, found)}
	}}
}

func (f *Falcon) updateFiles(c *fake.Call) fake.Act {
	var in ids
	if err := c.JSON(&in); err != nil || len(in.IDs) == 0 {
		return badBody(c, err)
	}
	to, ok := map[string]string{"release": "released", "unrelease": "quarantined"}[in.Action]
	if !ok {
		return badBody(c, fmt.Errorf("unknown action %q", in.Action))
	}
	return fake.Act{Object: f.ownerOf(in.IDs), Run: func() fake.Done {
		now := f.world.Clock().Now()
		var done []any
		var errs []fault
		var changes []fake.Change
		for _, id := range in.IDs {
			q := f.files[id]
			if q == nil {
				errs = append(errs, fault{Code: 404, Message: "no such file", ID: id})
				continue
			}
			before := q.status(now)
			if q.state != to {
				q.before, q.state, q.until = before, to, now.Add(f.world.LagOf("crowdstrike.quarantine"))
			}
			done = append(done, id)
			changes = append(changes, fake.Change{Object: q.host.name + ":" + q.path, Before: before, After: to})
		}
		status := http.StatusOK
		if len(done) == 0 {
			status = http.StatusNotFound
		}
		return fake.Done{Answer: envelope(c, status, done, errs...), Effects: changes}
	}}
}

func (f *Falcon) createScan(c *fake.Call) fake.Act {
	var in struct {
		Hosts       []string `json:"hosts"`
		FilePaths   []string `json:"file_paths"`
		Description string   `json:"description"`
	}
	if err := c.JSON(&in); err != nil || len(in.Hosts) != 1 || len(in.FilePaths) == 0 {
		return badBody(c, err)
	}
	name := f.nameOf(in.Hosts)
	return fake.Act{Object: name, Run: func() fake.Done {
		h := f.hosts[in.Hosts[0]]
		if h == nil {
			return fake.Done{Answer: envelope(c, http.StatusNotFound, nil, fault{Code: 404, Message: "no such device", ID: in.Hosts[0]})}
		}
		now := f.world.Clock().Now()
		s := &scan{
			id: fmt.Sprintf("%032x", len(f.scans)+1), description: in.Description, host: h,
			begun: now, until: now.Add(f.world.LagOf("crowdstrike.scan")),
		}
		if len(h.findings) > 0 {
			s.findings = h.findings[0]
		}
		if len(h.findings) > 1 {
			h.findings = h.findings[1:]
		}
		f.scans[s.id] = s
		return fake.Done{
			Answer:  envelope(c, http.StatusOK, []any{f.scanBody(s, now)}),
			Effects: []fake.Change{{Object: h.name, Key: in.Description, After: "scan " + s.id}},
		}
	}}
}

func (f *Falcon) scanBody(s *scan, now time.Time) map[string]any {
	malicious := 0
	if s.status(now) == "completed" {
		malicious = s.findings
	}
	return map[string]any{
		"id": s.id, "description": s.description, "hosts": []string{s.host.aid}, "status": s.status(now),
		"created_on": s.begun.UTC().Format(time.RFC3339Nano), "filecount": map[string]any{"scanned": 1000, "malicious": malicious},
	}
}

func (f *Falcon) queryScans(c *fake.Call) fake.Act {
	return query(c, "", func(hit func(string, func(string) ([]string, bool))) {
		for _, s := range sorted(f.scans) {
			hit(s.id, func(field string) ([]string, bool) {
				if field == "description" {
					return []string{s.description}, true
				}
				return nil, false
			})
		}
	})
}

func (f *Falcon) getScans(c *fake.Call) fake.Act {
	wanted := c.URL.Query()["ids"]
	return fake.Act{Run: func() fake.Done {
		now := f.world.Clock().Now()
		var found []any
		for _, id := range wanted {
			if s := f.scans[id]; s != nil {
				found = append(found, f.scanBody(s, now))
			}
		}
		return fake.Done{Answer: envelope(c, http.StatusOK, found)}
	}}
}

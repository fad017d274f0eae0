package fakefalcon

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/quell-soar/quell/connectors/fake"
)

// The states of a host as Falcon names them.
const (
	normal    = "normal"
	contained = "contained"
)

// Host describes a host to seed.
type Host struct {
	Hostname string `json:"hostname"`
	OS       string `json:"os,omitempty"`
	// State is normal or contained; empty is normal.
	State string `json:"state,omitempty"`
	// Findings are the malicious files that each scan in turn finds; the last
	// number stays.
	Findings []int `json:"findings,omitempty"`
}

// File describes a file in quarantine, or released from it, to seed.
type File struct {
	Hostname string `json:"hostname"`
	Path     string `json:"path"`
	SHA256   string `json:"sha256,omitempty"`
	// State is released or quarantined; empty is released.
	State string `json:"state,omitempty"`
}

type host struct {
	aid, name, os string
	seen          time.Time
	state         string
	until         time.Time // while it lies ahead, state is still on its way
	findings      []int
}

type file struct {
	id, path, sha256 string
	host             *host
	state, before    string
	until            time.Time
	created          time.Time
}

type scan struct {
	id, description string
	host            *host
	begun           time.Time
	until           time.Time
	findings        int
}

// Falcon is the fake.
type Falcon struct {
	world  *fake.World
	vendor *fake.Vendor
	id     string
	secret string

	tokens map[string]time.Time
	hosts  map[string]*host // by aid
	named  map[string][]*host
	files  map[string]*file
	scans  map[string]*scan
	serial int
}

// New makes an empty Falcon tenant in the world that accepts one API client.
func New(w *fake.World, clientID, clientSecret string) *Falcon {
	f := &Falcon{
		world: w, id: clientID, secret: clientSecret, tokens: map[string]time.Time{},
		hosts: map[string]*host{}, named: map[string][]*host{}, files: map[string]*file{}, scans: map[string]*scan{},
	}
	f.vendor = &fake.Vendor{
		Name: "crowdstrike", Authorize: f.authorize, Refused: refused, Dump: f.dump,
		Expire: func() { clear(f.tokens) },
		Soft: func(c *fake.Call) fake.Answer {
			status := http.StatusOK
			if strings.Contains(c.URL.Path, "/devices-actions/") {
				status = http.StatusAccepted
			}
			return envelope(c, status, nil, fault{Code: http.StatusBadRequest, Message: "the request was not carried out"})
		},
	}
	for name, d := range map[string]time.Duration{
		"token": 30 * time.Minute, "containment": 150 * time.Millisecond,
		"quarantine": 50 * time.Millisecond, "scan": 300 * time.Millisecond, "latency": 0,
	} {
		w.Lag("crowdstrike."+name, d)
	}
	w.Add(f.vendor)
	return f
}

// SeedHosts adds hosts; one of the same name is changed to what is given.
func (f *Falcon) SeedHosts(hosts ...Host) error {
	var err error
	f.world.Do(func() {
		for _, h := range hosts {
			if err = f.seedHost(h); err != nil {
				return
			}
		}
	})
	return err
}

// SeedMany adds n hosts PREFIX00001 … and returns the last name.
func (f *Falcon) SeedMany(n int, prefix string) (last string, err error) {
	for i := 1; i <= n && err == nil; i++ {
		last = fmt.Sprintf("%s%05d", prefix, i)
		err = f.SeedHosts(Host{Hostname: last})
	}
	return last, err
}

// Twin adds a second host of a name that is there already: reinstalled machines
// look so.
func (f *Falcon) Twin(h Host) {
	f.world.Do(func() { f.addHost(h) })
}

func (f *Falcon) seedHost(h Host) error {
	if h.Hostname == "" {
		return fmt.Errorf("a host needs a hostname")
	}
	if h.State != "" && h.State != normal && h.State != contained {
		return fmt.Errorf("host %s: state %q is neither normal nor contained", h.Hostname, h.State)
	}
	old := f.named[strings.ToLower(h.Hostname)]
	if len(old) == 0 {
		f.addHost(h)
		return nil
	}
	for _, o := range old {
		if h.State != "" {
			o.state, o.until = h.State, time.Time{}
		}
		if h.OS != "" {
			o.os = h.OS
		}
		if h.Findings != nil {
			o.findings = slices.Clone(h.Findings)
		}
	}
	return nil
}

func (f *Falcon) addHost(h Host) {
	name := strings.ToLower(h.Hostname)
	sum := sha256.Sum256(fmt.Appendf(nil, "%s/%d", name, len(f.named[name])))
	n := &host{
		aid: hex.EncodeToString(sum[:16]), name: h.Hostname, os: h.OS, state: h.State,
		seen: f.world.Clock().Now().UTC(), findings: slices.Clone(h.Findings),
	}
	if n.os == "" {
		n.os = "Windows 11"
	}
	if n.state == "" {
		n.state = normal
	}
	f.hosts[n.aid] = n
	f.named[name] = append(f.named[name], n)
}

// SeedFile adds a quarantine record; one of the same host and hash is replaced.
func (f *Falcon) SeedFile(in File) error {
	var err error
	f.world.Do(func() {
		hosts := f.named[strings.ToLower(in.Hostname)]
		if len(hosts) == 0 || in.Path == "" {
			err = fmt.Errorf("a file needs a path and a host that is there; %q is not", in.Hostname)
			return
		}
		if in.SHA256 == "" {
			sum := sha256.Sum256([]byte(in.Path))
			in.SHA256 = hex.EncodeToString(sum[:])
		}
		if in.State == "" {
			in.State = "released"
		}
		h := hosts[0]
		n := &file{id: h.aid + "_" + in.SHA256, path: in.Path, sha256: in.SHA256, host: h, state: in.State, created: f.world.Clock().Now().UTC()}
		f.files[n.id] = n
	})
	return err
}

// status is how Falcon shows the host's containment now.
func (h *host) status(now time.Time) string {
	if !now.Before(h.until) {
		return h.state
	}
	if h.state == contained {
		return "containment_pending"
	}
	return "lift_containment_pending"
}

func (q *file) status(now time.Time) string {
	if now.Before(q.until) {
		return q.before
	}
	return q.state
}

func (s *scan) status(now time.Time) string {
	if now.Before(s.until) {
		return "running"
	}
	return "completed"
}

// dump lists every object, sorted. Times are left out so that two worlds can be
// compared.
func (f *Falcon) dump() any {
	now := f.world.Clock().Now()
	hosts, files, scans := []map[string]any{}, []map[string]any{}, []map[string]any{}
	for _, h := range sorted(f.hosts) {
		hosts = append(hosts, map[string]any{"hostname": h.name, "device_id": h.aid, "status": h.status(now)})
	}
	for _, q := range sorted(f.files) {
		files = append(files, map[string]any{"id": q.id, "hostname": q.host.name, "path": q.path, "state": q.status(now)})
	}
	for _, s := range sorted(f.scans) {
		scans = append(scans, map[string]any{"id": s.id, "hostname": s.host.name, "description": s.description, "status": s.status(now)})
	}
	return map[string]any{"hosts": hosts, "files": files, "scans": scans}
}

// sorted returns a map's values in the order of its keys.
func sorted[V any](m map[string]V) []V {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	out := make([]V, len(keys))
	for i, k := range keys {
		out[i] = m[k]
	}
	return out
}

package config

import (
	"encoding/hex"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/quell-soar/quell/playbooks/diag"
)

var (
	// nameForm is the form of instances, sources, tenants and duties; it is what
	// the connector host and the ledger take.
	nameForm   = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$`)
	playbookID = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,62}$`)
	actionForm = regexp.MustCompile(`^[a-z]+(\.[a-z][a-z0-9_]*)?$`)
	personForm = regexp.MustCompile(`^((user:)?[A-Za-z0-9][A-Za-z0-9._@-]{0,63}|local:[0-9]+)$`)
)

// maxSocket is the longest path that the kernel takes for a unix socket.
const maxSocket = 107

// checker collects what is wrong, at the place of the value or of what holds it.
type checker struct {
	problems
	places map[string]Place
}

// Validate reports all that is wrong with the values, as *Error. It looks at no
// file and no network; quell doctor does.
func (c *Config) Validate() error {
	k := &checker{problems: problems{file: c.file}, places: c.places}
	k.basics(c)
	k.access(c)
	k.temporal(c.Temporal)
	k.telemetry(c.Telemetry.Traces)
	k.paths(c)
	k.git(c.Git)
	k.sources(c)
	k.connectors(c)
	k.bindings(c)
	k.modes(c)
	k.people(c)
	k.hours(c)
	k.guards(c)
	return k.err()
}

// at finds the place of a path, or of the nearest thing around it.
func (k *checker) at(path string) Place {
	for {
		if p, ok := k.places[path]; ok {
			return p
		}
		cut := strings.LastIndexByte(path, '.')
		if cut < 0 {
			return k.places[""]
		}
		path = path[:cut]
	}
}

func (k *checker) bad(path, help, format string, args ...any) {
	k.add(k.at(path), help, "%s", path+": "+fmt.Sprintf(format, args...))
}

func (k *checker) oneOf(path, value string, all ...string) {
	if slices.Contains(all, value) {
		return
	}
	help := "it is one of " + strings.Join(all, ", ")
	if near := diag.Near(value, all); near != "" {
		help = "did you mean " + near + "? " + help
	}
	k.bad(path, help, "there is no %s", short(value))
}

func (k *checker) name(path, name string) {
	if !nameForm.MatchString(name) {
		k.bad(path, "a name takes letters, digits, . _ and -, at most 63", "%s is no name", short(name))
	}
}

func (k *checker) basics(c *Config) {
	k.name("tenant", c.Tenant)
	k.oneOf("log.level", c.Log.Level, "trace", "debug", "info", "warn", "error")
	k.oneOf("log.format", c.Log.Format, "json", "text")
	for _, l := range []struct {
		path string
		n    int
	}{{"limits.active_runs", c.Limits.ActiveRuns}, {"limits.waiting_runs", c.Limits.WaitingRuns}} {
		if l.n < 1 || l.n > 1_000_000 {
			k.bad(l.path, "", "%d is not between 1 and 1000000", l.n)
		}
	}
	if n := c.Limits.FreeDisk; n < 0 || n > 1<<24 {
		k.bad("limits.free_disk_mib", "0 takes the default", "%d is not between 0 and 16777216", n)
	}
}

func (k *checker) temporal(t Temporal) {
	if t.Address == "" {
		if t.TLS != (TLS{}) {
			k.bad("temporal.tls", "name temporal.address too, or remove it", "TLS files without a cluster")
		}
		return
	}
	host, port, err := net.SplitHostPort(t.Address)
	if n, perr := strconv.ParseUint(port, 10, 16); err != nil || host == "" || perr != nil || n == 0 {
		k.bad("temporal.address", "write host:port such as temporal.internal:7233", "%s is no host with a port", short(t.Address))
		return
	}
	if t.Namespace == "" {
		k.bad("temporal.namespace", "", "it is empty")
	}
	if (t.TLS.Cert == "") != (t.TLS.Key == "") {
		k.bad("temporal.tls", "", "cert and key belong together")
	}
	a, err := netip.ParseAddr(host)
	local := host == "localhost" || err == nil && a.IsLoopback()
	if !local && t.TLS == (TLS{}) {
		k.bad("temporal.address", "set temporal.tls.ca, cert and key", "%s is another machine; Quell speaks to it with TLS only", short(host))
	}
}

func (k *checker) paths(c *Config) {
	if c.DataDir == "" {
		k.bad("data_dir", "", "it is empty")
	}
	if len(c.Socket) > maxSocket {
		k.bad("socket", "name a shorter path", "a socket's path has at most %d bytes; %s has %d", maxSocket, c.Socket, len(c.Socket))
	}
	if within(c.DataDir, c.Keys.Ledger) {
		k.bad("keys.ledger", "name a file elsewhere", "the key lies in the data directory; a backup would contain it")
	}
	for i, ref := range c.Keys.Payloads {
		path := "keys.payloads." + strconv.Itoa(i)
		file, is := strings.CutPrefix(ref.String(), "file:")
		switch {
		case !is:
			k.bad(path, "write file:PATH", "a payload key lies in a file of its own")
		case within(c.DataDir, file):
			k.bad(path, "name a file elsewhere", "the key lies in the data directory; a backup would contain it")
		}
	}
	if within(c.DataDir, c.Retention.Export) && c.Retention.Export != "" {
		k.bad("retention.export", "name a directory on another disk or machine", "what is exported beside the store is lost with it")
	}
	for path, d := range map[string]struct{ is, least Duration }{
		"retention.keep": {c.Retention.Keep, Duration(time.Second)}, "retention.record": {c.Retention.Record, Duration(time.Second)},
		"retention.histories": {c.Retention.Histories, Duration(time.Minute)}, "retention.readings": {c.Retention.Readings, Duration(time.Second)},
	} {
		if d.is < d.least {
			k.bad(path, "write a time such as 400d", "%s is too short; it is at least %s", time.Duration(d.is), time.Duration(d.least))
		}
	}
	if c.Retention.Record < c.Retention.Keep {
		k.bad("retention.record", "write a time that is not shorter than retention.keep", "the record would leave before the detail that it tells of")
	}
	if c.Ledger.Checkpoints != "" && within(c.DataDir, c.Ledger.Checkpoints) {
		k.bad("ledger.checkpoints", "name a file on another disk or machine", "checkpoints beside the ledger prove nothing against who can write both")
	}
}

// within reports whether file lies in or under dir.
func within(dir, file string) bool {
	rel, err := filepath.Rel(dir, file)
	return err == nil && rel != ".." && !strings.HasPrefix(rel, "../")
}

func (k *checker) sources(c *Config) {
	for _, name := range slices.Sorted(maps.Keys(c.Sources)) {
		s, path := c.Sources[name], "sources."+name
		k.name(path, name)
		k.oneOf(path+".kind", string(s.Kind), string(SourceCrowdStrike), string(SourceGeneric))
		if s.Mode != c.Modes.Triggers.Alert { // that one is told where it stands
			k.mode(path+".mode", s.Mode)
		}
		if n := len(s.Secrets); n < 1 || n > 2 {
			k.bad(path+".secrets", "name one secret, or two while one is rotated", "a source has one or two secrets; here are %d", n)
		}
		if s.Rate < 0 || s.Burst < 0 {
			k.bad(path, "", "rate and burst are not negative")
		}
		k.ceiling(path+".ceiling", s.Ceiling)
	}
}

func (k *checker) connectors(c *Config) {
	for _, name := range slices.Sorted(maps.Keys(c.Connectors)) {
		n, path := c.Connectors[name], "connectors."+name
		k.name(path, name)
		if name == "quell" {
			k.bad(path, "take another name", "quell is the instance of Quell's own actions")
		}
		k.mode(path+".mode", n.Mode)
		if !nameForm.MatchString(n.Connector) {
			k.bad(path+".connector", "such as crowdstrike", "say which connector serves this instance")
		}
		if raw, err := hex.DecodeString(n.SHA256); n.SHA256 != "" && (err != nil || len(raw) != 32) {
			k.bad(path+".sha256", "sha256sum prints it", "a checksum has 64 hexadecimal digits")
		}
		if n.Rate < 0 || n.Burst < 0 {
			k.bad(path, "", "rate and burst are not negative")
		}
		if n.Burst > 0 && n.Rate == 0 {
			k.bad(path+".burst", "say rate too", "a burst without a rate bounds nothing")
		}
		for _, s := range slices.Sorted(maps.Keys(n.Secrets)) {
			if _, both := n.Settings[s]; both {
				k.bad(path+".settings."+s, "remove it here", "it stands under secrets too")
			}
		}
	}
}

func (k *checker) bindings(c *Config) {
	known := slices.Sorted(maps.Keys(c.Connectors))
	for _, action := range slices.Sorted(maps.Keys(c.Bindings)) {
		path, instance := "bindings."+action, c.Bindings[action]
		if !actionForm.MatchString(action) {
			k.bad(path, "such as edr.isolate_host or edr", "%s is neither an action nor a domain", short(action))
		}
		if !slices.Contains(known, instance) {
			help := "the instances stand under connectors"
			if near := diag.Near(instance, known); near != "" {
				help = "did you mean " + near + "?"
			}
			k.bad(path, help, "there is no connector instance %s", short(instance))
		}
	}
}

func (k *checker) mode(path string, m Mode) {
	k.oneOf(path, string(m), string(Observe), string(Ask), string(Act))
}

func (k *checker) modes(c *Config) {
	k.mode("modes.triggers.alert", c.Modes.Triggers.Alert)
	k.mode("modes.triggers.manual", c.Modes.Triggers.Manual)
	k.mode("modes.triggers.schedule", c.Modes.Triggers.Schedule)
	k.mode("modes.triggers.schedule", c.Modes.Triggers.Schedule)
	for _, p := range slices.Sorted(maps.Keys(c.Modes.Playbooks)) {
		k.playbook("modes.playbooks."+p, p)
		k.mode("modes.playbooks."+p, c.Modes.Playbooks[p])
	}
	for _, p := range slices.Sorted(maps.Keys(c.Settings)) {
		k.playbook("settings."+p, p)
	}
}

func (k *checker) playbook(path, name string) {
	if !playbookID.MatchString(name) {
		k.bad(path, "such as contain-infected-host", "%s is no playbook's name", short(name))
	}
}

func (k *checker) people(c *Config) {
	for _, duty := range slices.Sorted(maps.Keys(c.OnCall)) {
		path := "oncall." + duty
		k.name(path, duty)
		for i, p := range c.OnCall[duty] {
			if !personForm.MatchString(p) {
				k.bad(path+"."+strconv.Itoa(i), "write alice, user:alice or local:1000", "%s is no person", short(p))
			}
		}
	}
	for i, r := range c.Access.LocalRoles {
		if !nameForm.MatchString(r) || strings.HasPrefix(r, "oncall.") {
			k.bad("access.local_roles."+strconv.Itoa(i), "duties stand under oncall", "%s is no role", short(r))
		}
	}
}

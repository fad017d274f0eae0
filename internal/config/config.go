package config

import (
	"strings"
	"time"

	"github.com/quell-soar/quell/internal/secrets"
)

// DefaultFile is read where no file is named.
const DefaultFile = "/etc/quell/quell.yaml"

// Config is an installation. Paths are absolute: relative ones in the file are
// taken from the file's directory.
type Config struct {
	// DataDir holds the databases; default /var/lib/quell. It is mode 0700.
	DataDir string `yaml:"data_dir"`
	// Listen is the TCP address of the API, an address with a port, loopback unless
	// access.tls has a certificate; default 127.0.0.1:7878. "off" leaves TCP closed and makes it empty.
	Listen string `yaml:"listen"`
	// Socket is the unix socket of the API; default DATA_DIR/run/quell.sock. Its
	// directory is mode 0700.
	Socket string `yaml:"socket"`
	// Tenant is whose runs these are; default "default".
	Tenant string `yaml:"tenant"`
	// Playbooks are files, and directories whose *.yaml and *.yml files are
	// playbooks.
	Playbooks []string `yaml:"playbooks"`
	Git       Git      `yaml:"git"`
	Log       Log      `yaml:"log"`
	Temporal  Temporal `yaml:"temporal"`
	Store     Store    `yaml:"store"`
	Keys      Keys     `yaml:"keys"`
	Ledger    Ledger   `yaml:"ledger"`
	// Evidence is the directory of contents that are too large for a history, named
	// by their SHA-256; default DATA_DIR/evidence. Several servers share one.
	Evidence  string    `yaml:"evidence"`
	Retention Retention `yaml:"retention"`
	Access    Access    `yaml:"access"`
	// Sources are the senders of alerts, by name.
	Sources map[string]Source `yaml:"sources"`
	// Connectors are the connector instances, by name.
	Connectors map[string]Connector `yaml:"connectors"`
	// Bindings say which instance serves an action (edr.isolate_host) or all
	// actions of a domain (edr). The action's own binding goes before its domain's.
	Bindings map[string]string `yaml:"bindings"`
	Modes    Modes             `yaml:"modes"`
	// OnCall lists, per duty NAME, the people who have it: approvals call it
	// oncall.NAME. A person is NAME or user:NAME of a token, or local:UID.
	OnCall map[string][]string `yaml:"oncall"`
	// Rotations add, per duty, the person whose turn it is to those of OnCall.
	Rotations map[string]Rotation `yaml:"rotations"`
	// Calendars are business hours by name; settings of the type calendar name
	// them.
	Calendars map[string]Calendar `yaml:"calendars"`
	// Settings give, per playbook, the values of its settings. A value is a text,
	// a list ([]any) or a map (map[string]any) of values; each text is read by
	// the type that the playbook gives it.
	Settings  map[string]map[string]any `yaml:"settings"`
	Guards    Guards                    `yaml:"guards"`
	Limits    Limits                    `yaml:"limits"`
	Telemetry Telemetry                 `yaml:"telemetry"`

	// file and places serve the messages of Validate.
	file   string
	places map[string]Place
}

// Log says what is logged and how.
type Log struct {
	// Level is trace, debug, info, warn or error; default info.
	Level string `yaml:"level"`
	// Format is json or text; default json.
	Format string `yaml:"format"`
}

// Temporal names an external Temporal cluster. Without an address Quell runs its
// own.
type Temporal struct {
	// Address is host:port of the cluster's frontend.
	Address string `yaml:"address"`
	// Namespace is Quell's namespace there; default quell.
	Namespace string `yaml:"namespace"`
	TLS       TLS    `yaml:"tls"`
}

// TLS are PEM files. They are needed outside loopback.
type TLS struct {
	// Cert and Key are our client certificate.
	Cert string `yaml:"cert"`
	Key  string `yaml:"key"`
	// CA is the cluster's authority.
	CA string `yaml:"ca"`
}

// Store chooses the database. Without a DSN it is SQLite in the data directory.
type Store struct {
	// DSN refers to a PostgreSQL connection string; it may hold a password.
	DSN secrets.Ref `yaml:"dsn"`
}

// Keys are files outside the data directory, so that no backup contains them.
type Keys struct {
	// Ledger is the file of the key that signs checkpoints; it is made at the
	// first start. Default DATA_DIR-keys/ledger.key.
	Ledger string `yaml:"ledger"`
	// Payloads refer to the files of the keys that seal what Temporal stores: the
	// first seals, every one opens. Without one it stands in the clear.
	Payloads []secrets.Ref `yaml:"payloads"`
}

// Retention says how long detail is kept. Without Export nothing is deleted.
type Retention struct {
	// Export is a directory, better on another disk, to which the ledger is written
	// piece by piece, and evidence before it is deleted.
	Export string `yaml:"export"`
	// Keep is how long after its end a run's detail is kept at least; default 400d.
	Keep Duration `yaml:"keep"`
	// Record is how long the rows of the ledger stay in the store, and that a run was
	// after it ended; default 1100d, at least Keep.
	Record Duration `yaml:"record"`
	// Histories is how long the embedded engine keeps the history of a closed
	// workflow, at least a minute; default 30d.
	Histories Duration `yaml:"histories"`
	// Readings is how long whole answers to reads are kept for backtests, at most as
	// long as Keep where something is deleted; default 90d.
	Readings Duration `yaml:"readings"`
}

// Ledger says where its checkpoints go.
type Ledger struct {
	// Checkpoints, where set, is a file that every signed checkpoint is appended
	// to. It should lie on another disk or another machine.
	Checkpoints string `yaml:"checkpoints"`
}

// SourceKind is the shape of a source's alerts.
type SourceKind string

// The kinds of sources.
const (
	SourceCrowdStrike SourceKind = "crowdstrike"
	SourceGeneric     SourceKind = "generic"
)

// Source is one sender of alerts.
type Source struct {
	Kind SourceKind `yaml:"kind"`
	// Secrets are the keys under which deliveries are signed: one, or two while
	// one is rotated.
	Secrets []secrets.Ref `yaml:"secrets"`
	// Mode bounds the runs that its alerts start, beside the mode of alert
	// triggers, which is the default.
	Mode Mode `yaml:"mode"`
	// Rate is how many alerts a second it may send for long, Burst how many at
	// once; 0 takes intake's own bounds.
	Rate  float64 `yaml:"rate"`
	Burst int     `yaml:"burst"`
	// Ceiling bounds what its alerts may say and cause.
	Ceiling Ceiling `yaml:"ceiling"`
}

// Ceiling bounds what the alerts of a source may say and cause. A list that is not
// there bounds nothing; an empty one lets nothing through.
type Ceiling struct {
	// Severity is the highest that is believed; a higher one is lowered to it.
	Severity string `yaml:"severity"`
	// Fields are those parts of an alert that can name targets and are believed:
	// hosts, users, files, ips, urls, emails. The others are left out of what
	// playbooks see.
	Fields []string `yaml:"fields"`
	// Playbooks are those that it may start.
	Playbooks []string `yaml:"playbooks"`
	// Actions are the effects that its runs may cause: an action, a domain such as
	// edr, or *.
	Actions []string `yaml:"actions"`
}

// Connector is one connector instance: a product, an account, a process.
type Connector struct {
	// Connector is the connector's name: crowdstrike, jira.
	Connector string `yaml:"connector"`
	// Binary is the program; default quell-connector beside the quell program.
	Binary string `yaml:"binary"`
	// SHA256 pins the program, in hex; empty accepts any that others cannot write.
	SHA256 string `yaml:"sha256"`
	// Mode bounds what the instance does; default observe.
	Mode Mode `yaml:"mode"`
	// Settings are texts, read by the connector's types; no secrets.
	Settings map[string]string `yaml:"settings"`
	// Secrets refer to the secrets, by the setting's name.
	Secrets map[string]secrets.Ref `yaml:"secrets"`
	// Reads are files and directories that the process may read besides the
	// system's own, such as a private certificate authority.
	Reads []string `yaml:"reads"`
	// Rate is how many calls a second it takes for long, Burst how many at once
	// after quiet; a rate of 0 sets no bound. What the vendor itself asks for is
	// obeyed beside it.
	Rate  float64 `yaml:"rate"`
	Burst int     `yaml:"burst"`
}

// Mode says how much may happen by itself.
type Mode string

// The modes, lowest first.
const (
	Observe Mode = "observe"
	Ask     Mode = "ask"
	Act     Mode = "act"
)

// Modes are the modes of playbooks and triggers; the lowest of all that apply
// wins. What is not named is in observe.
type Modes struct {
	// Playbooks are the modes by playbook.
	Playbooks map[string]Mode `yaml:"playbooks"`
	Triggers  Triggers        `yaml:"triggers"`
}

// Triggers are the modes by what started a run; default observe.
type Triggers struct {
	Alert    Mode `yaml:"alert"`
	Manual   Mode `yaml:"manual"`
	Schedule Mode `yaml:"schedule"`
}

// Limits bound the load.
type Limits struct {
	// ActiveRuns is how many runs work at once; default 200. Runs that wait for a
	// person or a time do not count.
	ActiveRuns int `yaml:"active_runs"`
	// WaitingRuns is how many claimed runs may wait to be started before alerts
	// are put off; default 10000.
	WaitingRuns int `yaml:"waiting_runs"`
	// FreeDisk is how many MiB shall be free on the disk of the data directory;
	// with less no alert is taken and no run started. 0 is 1024, or a twentieth of
	// the disk where that is less.
	FreeDisk int `yaml:"free_disk_mib"`
}

// Default is the configuration of an empty file, before paths are completed.
func Default() *Config {
	return &Config{
		DataDir: "/var/lib/quell", Listen: "127.0.0.1:7878", Tenant: "default",
		Log:       Log{Level: "info", Format: "json"},
		Temporal:  Temporal{Namespace: "quell"},
		Modes:     Modes{Triggers: Triggers{Alert: Observe, Manual: Observe, Schedule: Observe}},
		Limits:    Limits{ActiveRuns: 200, WaitingRuns: 10_000},
		Retention: Retention{Keep: Duration(400 * 24 * time.Hour), Record: Duration(1100 * 24 * time.Hour), Histories: Duration(30 * 24 * time.Hour), Readings: Duration(90 * 24 * time.Hour)},
	}
}

// File is the path that the configuration was read from, empty for none.
func (c *Config) File() string { return c.file }

// Bound returns the instance that the bindings name for an action: the action's
// own, else its domain's.
func (c *Config) Bound(action string) (instance string, ok bool) {
	if instance, ok = c.Bindings[action]; ok {
		return instance, true
	}
	domain, _, _ := strings.Cut(action, ".")
	instance, ok = c.Bindings[domain]
	return instance, ok
}

// PlaybookMode is the configured mode of a playbook.
func (c *Config) PlaybookMode(name string) Mode {
	if m, ok := c.Modes.Playbooks[name]; ok {
		return m
	}
	return Observe
}

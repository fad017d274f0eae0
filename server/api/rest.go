package api

import (
	"encoding/json"
	"time"

	"github.com/quell-soar/quell/connectors/spec"
)

// AlertReceived answers a signed alert.
type AlertReceived struct {
	Alert string `json:"alert"`
	// Duplicate says that the source sent this alert before; Runs are those of
	// the first time.
	Duplicate bool `json:"duplicate,omitempty"`
	// Runs are started or joined.
	Runs []AlertRun `json:"runs"`
}

// AlertRun says what an alert meant to one playbook.
type AlertRun struct {
	Playbook string `json:"playbook"`
	Run      string `json:"run,omitempty"`
	// Verdict is started, joined, silenced, refused or failed.
	Verdict string `json:"verdict"`
	Reason  string `json:"reason,omitempty"`
}

// Alert is one stored alert.
type Alert struct {
	ID       string     `json:"id"`
	Source   string     `json:"source"`
	SourceID string     `json:"source_id"`
	Kind     string     `json:"kind"`
	Title    string     `json:"title"`
	Severity string     `json:"severity"`
	Occurred time.Time  `json:"occurred"`
	Received time.Time  `json:"received"`
	Dropped  []string   `json:"dropped,omitempty"`
	Runs     []AlertRun `json:"runs,omitempty"`
}

// AlertDetail is a stored alert with what expressions see of it and the body
// as it came.
type AlertDetail struct {
	Alert
	Value json.RawMessage `json:"value"`
	// Raw is the body, byte for byte.
	Raw []byte `json:"raw,omitempty"`
	// ClosedAs is what it turned out to be, ClosedBy the run that said so; both
	// are empty while it is open.
	ClosedAs string    `json:"closed_as,omitempty"`
	ClosedBy string    `json:"closed_by,omitempty"`
	Closed   time.Time `json:"closed,omitzero"`
}

// AlertFilter narrows a list of alerts.
type AlertFilter struct {
	Source string
	Limit  int
	Cursor string
}

// Alerts is a page of alerts, newest first.
type Alerts struct {
	Alerts []Alert `json:"alerts"`
	Next   string  `json:"next,omitempty"`
}

// Connector is one configured instance.
type Connector struct {
	Instance string `json:"instance"`
	// Type is the connector's name: crowdstrike.
	Type    string `json:"type"`
	Version string `json:"version,omitempty"`
	// State is starting, ready, circuit_open (the vendor kept failing, and calls are
	// held back for a while), draining, broken or off.
	State   string   `json:"state"`
	Detail  string   `json:"detail,omitempty"`
	Mode    string   `json:"mode,omitempty"`
	Actions []string `json:"actions,omitempty"`
	// Checks are set in the answer to a check.
	Checks []ConnectorCheck `json:"checks,omitempty"`
}

// ConnectorCheck is one thing that a check looked at: credentials, a permission,
// the clock, the version.
type ConnectorCheck struct {
	Name string `json:"name"`
	OK   bool   `json:"ok"`
	// Advice says what to do where it is not OK; else what was seen.
	Advice string `json:"advice,omitempty"`
}

// Connectors lists the instances.
type Connectors struct {
	Connectors []Connector `json:"connectors"`
}

// Installed is what playbooks meet here: quell check compiles against it.
type Installed struct {
	Instances []InstalledConnector `json:"instances"`
	// Bindings name the instance of an action or of a domain of them.
	Bindings map[string]string `json:"bindings,omitempty"`
	// Roles are those that somebody has, OnCall the duties on which there is
	// somebody.
	Roles  []string `json:"roles,omitempty"`
	OnCall []string `json:"on_call,omitempty"`
}

// InstalledConnector is an instance with the actions of its connector's manifest.
type InstalledConnector struct {
	Instance  string        `json:"instance"`
	Connector string        `json:"connector"`
	Version   string        `json:"version"`
	Actions   []spec.Action `json:"actions"`
}

// Entry is one entry of the ledger. Its payload lies apart and may have been
// erased under retention; the digest stays.
type Entry struct {
	Seq   uint64    `json:"seq"`
	At    time.Time `json:"at"`
	Kind  string    `json:"kind"`
	Actor string    `json:"actor"`
	Run   string    `json:"run,omitempty"`
	Step  string    `json:"step,omitempty"`
	// Key is what the entry is about: an effect, a request, an alert, a token.
	Key string `json:"key,omitempty"`
	// Request is the API request that caused it.
	Request string `json:"request,omitempty"`
	// Digest is the salted digest of the payload.
	Digest string `json:"digest,omitempty"`
	// Payload is absent where it was erased.
	Payload json.RawMessage `json:"payload,omitempty"`
	Erased  bool            `json:"erased,omitempty"`
}

// EntryFilter narrows a list of entries.
type EntryFilter struct {
	Run   string
	After uint64
	Limit int
}

// Entries is a page of the ledger, in its order.
type Entries struct {
	Entries []Entry `json:"entries"`
	// Next is the number to pass as After, 0 on the last page.
	Next uint64 `json:"next,omitempty"`
	// Gone is set where rows after that which was asked for left the store, up to this
	// one: they stand in what retention.export wrote.
	Gone uint64 `json:"gone,omitempty"`
}

// Checkpoint is the last signed head of the ledger.
type Checkpoint struct {
	// Note is the signed note, as the verifier reads it.
	Note string `json:"note"`
	Size uint64 `json:"size"`
	// Tail counts the entries that are chained and not yet covered.
	Tail uint64 `json:"tail"`
}

// NewToken asks for a token.
type NewToken struct {
	// Name says what it is for; it is unique among live tokens.
	Name string `json:"name"`
	// User is the person or program it speaks for. Its actor is user:USER: the
	// same for all tokens of one person, so nobody approves their own request
	// with a second token.
	User   string   `json:"user"`
	Roles  []string `json:"roles,omitempty"`
	Scopes []string `json:"scopes"`
	// Expires is how long it is good, such as 12h or 30d, at most 366d; empty
	// means 90d.
	Expires string `json:"expires,omitempty"`
}

// Token is a token without its secret, which nobody has but its owner.
type Token struct {
	ID      string    `json:"id"`
	Name    string    `json:"name"`
	User    string    `json:"user"`
	Roles   []string  `json:"roles,omitempty"`
	Scopes  []string  `json:"scopes"`
	Created time.Time `json:"created"`
	By      string    `json:"by"`
	Expires time.Time `json:"expires"`
	// LastUsed is exact to a minute.
	LastUsed time.Time `json:"last_used,omitzero"`
	Revoked  time.Time `json:"revoked,omitzero"`
}

// CreatedToken is the one answer that carries a token's secret.
type CreatedToken struct {
	Token
	Secret string `json:"secret"`
}

// Tokens lists tokens.
type Tokens struct {
	Tokens []Token `json:"tokens"`
}

// Health says that the process answers.
type Health struct {
	Status  string `json:"status"`
	Version string `json:"version,omitempty"`
}

// Ready says whether Quell can do its work, and what keeps it from it.
type Ready struct {
	Ready bool        `json:"ready"`
	Parts []PartReady `json:"parts"`
}

// PartReady is one part that Quell needs.
type PartReady struct {
	// Name is store, ledger, engine, connectors, disk or clock.
	Name string `json:"name"`
	OK   bool   `json:"ok"`
	// Why says what is wrong and what to do; of a part that works, what is odd.
	Why string `json:"why,omitempty"`
}

// Whoami says who the server takes the caller for.
type Whoami struct {
	Actor  string   `json:"actor"`
	Roles  []string `json:"roles,omitempty"`
	Scopes []string `json:"scopes"`
	// OnCall lists the duties that the actor has now.
	OnCall []string `json:"on_call,omitempty"`
	Token  string   `json:"token,omitempty"`
	// Session is set for who signed in with a browser.
	Session string `json:"session,omitempty"`
}

// Role is a role and what it allows.
type Role struct {
	Name   string   `json:"name"`
	Scopes []string `json:"scopes"`
}

// Roles are all roles that allow something.
type Roles struct {
	Roles []Role `json:"roles"`
}

// Session is somebody who is signed in.
type Session struct {
	ID      string    `json:"id"`
	Actor   string    `json:"actor"`
	Shown   string    `json:"shown,omitempty"`
	Subject string    `json:"subject"`
	Issuer  string    `json:"issuer"`
	Roles   []string  `json:"roles,omitempty"`
	Address string    `json:"address,omitempty"`
	Created time.Time `json:"created"`
	Seen    time.Time `json:"seen"`
	Expires time.Time `json:"expires"`
}

// Sessions are the live sessions, newest first.
type Sessions struct {
	Sessions []Session `json:"sessions"`
}

// FirstAdmin uses up the code for the first admin.
type FirstAdmin struct {
	// Code is what the server showed at its first start.
	Code string `json:"code" maxLength:"128"`
	// User is the admin's name; Name says what the token is for.
	User string `json:"user"`
	Name string `json:"name"`
}

// RotateToken gives a token another secret.
type RotateToken struct {
	// Overlap is how long the old secret stays good, such as 10m; empty means
	// that it ends at once.
	Overlap string `json:"overlap,omitempty"`
}

// KillSwitch says whether new effects are stopped, and why. Releases by a
// person stay possible while they are.
type KillSwitch struct {
	On     bool   `json:"on"`
	Reason string `json:"reason,omitempty"`
}

// TurnSwitch turns the kill switch.
type TurnSwitch struct {
	Reason string `json:"reason"`
}

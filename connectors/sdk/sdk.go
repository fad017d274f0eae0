package sdk

import (
	"context"

	"github.com/quell-soar/quell/connectors/sdk/secret"
	"github.com/quell-soar/quell/connectors/spec"
)

// Connector describes one product and opens sessions to it. Its life:
//
//  1. Quell starts the binary and asks for the Manifest. No configuration, no
//     secret and no network are there yet; nothing may be dialled.
//  2. Open is called once with the instance's configuration. It checks the
//     settings and may not call the vendor: a vendor that is down must not keep
//     Quell from starting.
//  3. The Session serves calls until Close, many at once.
//
// The process serves exactly one instance.
type Connector interface {
	Manifest() spec.Manifest
	Open(ctx context.Context, c Config) (Session, error)
}

// Config is what an instance was given. Settings hold canonical values by the
// manifest's types, defaults filled in; Secrets hold the settings marked Secret.
type Config struct {
	// Instance is the instance's name, which stands in every handle it makes.
	Instance string
	Settings map[string]any
	Secrets  map[string]secret.Value
}

// Session is an open connection to one vendor tenant. All methods may be called
// at once from many goroutines.
type Session interface {
	// Call runs one action. ctx ends at r.Deadline: when it ends, no request may
	// run on. For an effect, Call reads, decides, acts and verifies; it answers
	// Already where nothing was to do. Errors are *spec.Error; an error after a
	// change was sent and its answer lost is Uncertain. The same Key comes again
	// after a crash.
	Call(ctx context.Context, r spec.Request) (spec.Reply, error)
	// Check tries credentials, permissions, clock and version, reading only.
	Check(ctx context.Context) []Finding
	Close() error
}

// Finding is one line of Check, for `quell connector check` and `doctor`.
type Finding struct {
	// Name is what was looked at: credentials, permission Hosts: Write, clock.
	Name string `json:"name"`
	OK   bool   `json:"ok"`
	// Advice says what to do where it is not OK; else what was seen.
	Advice string `json:"advice,omitempty"`
}

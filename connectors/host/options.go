package host

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"time"

	"github.com/rs/zerolog"

	"github.com/quell-soar/quell/connectors/sdk/secret"
	"github.com/quell-soar/quell/connectors/spec"
)

// Instance is one configured connector: a product, an account, a process.
type Instance struct {
	// Name stands in handles, permits and logs: edr, jira-it.
	Name string
	// Connector is the manifest's name; the process gets it as first argument.
	Connector string
	// Binary is the path of the program.
	Binary string
	// SHA256 pins the program in hex; empty accepts any that others cannot write.
	SHA256 string
	// Args follow the connector's name. Every user of the machine can read them.
	Args []string
	// Settings are texts, read by the manifest's types; no secrets.
	Settings map[string]string
	// Secrets fetches the secrets by setting name, anew at each start of the
	// process, and at each ping to see whether one was changed: then the process is
	// replaced. It must be quick; nil where there are none.
	Secrets func(ctx context.Context) (map[string]secret.Value, error)
	// Reads are files and directories that the process may read besides the
	// system's own, such as a private certificate authority.
	Reads []string
	// Observe says that no effect leaves for this instance, whoever permits it; a
	// Permit of an inverse is the exception.
	Observe bool
	// Rate is how many calls a second it takes for long, Burst how many at once
	// after quiet (at least 1); a Rate of 0 sets no bound.
	Rate  float64
	Burst int
}

// Permit lets one effect out. The admission transaction makes it.
type Permit struct {
	// Expires is checked against the host's clock just before the call is
	// written.
	Expires time.Time
	// Key is the effect's key and must be the request's.
	Key string
	// Inverse says that the call takes an earlier effect back.
	Inverse bool
	// Entered says that the caller has a slot already, from Enter.
	Entered bool
}

// Options configure a host. A zero field takes its default.
type Options struct {
	Log       zerolog.Logger
	Instances []Instance
	// Clock tells the time for permits and rate limits; default time.Now.
	Clock func() time.Time
	// RunDir is where sockets live; default the system's temporary directory.
	// Its path must be short.
	RunDir string

	// Evidence keeps the contents of artifacts; default in memory, for the host's
	// life.
	Evidence Evidence
	// Space says why nothing large may be kept now, or nil; without it anything may.
	Space func() error

	// Slots is how many calls run at once on one instance; default 16.
	Slots int
	// Failures at a stretch open an instance's circuit, for CircuitFirst and twice
	// as long each time until the vendor answers, at most CircuitMost; defaults 5,
	// 1 s, 30 s. Timeouts, lost connections and answers that say that the vendor is
	// in trouble count.
	Failures                  int
	CircuitFirst, CircuitMost time.Duration
	// ReadyWait is how long a call waits for an instance that restarts; default
	// 10 s, and never beyond the call's own deadline.
	ReadyWait time.Duration
	// OpenTimeout bounds Describe, fetching secrets and Configure; default 15 s.
	OpenTimeout time.Duration
	// StartTimeout bounds start and handshake of a process; default 15 s.
	StartTimeout time.Duration
	// PingEvery is the watchdog's interval, PingTimeout how long a process may
	// take to answer before it is killed; defaults 2 s and 5 s.
	PingEvery, PingTimeout time.Duration
	// RetryFirst and RetryMost bound the pause before a restart, which doubles
	// from one crash to the next and begins anew once a call was served;
	// defaults 50 ms and 10 s.
	RetryFirst, RetryMost time.Duration
	// An instance that crashes Crashes times within CrashWindow is quarantined:
	// it is started again each QuarantineRetry. Defaults 10, 1 min, 15 s.
	Crashes                      int
	CrashWindow, QuarantineRetry time.Duration
	// DrainTimeout is how long Close waits for running calls; default 10 s.
	DrainTimeout time.Duration
	// StopGrace is how long a process may take to end by itself; default 2 s.
	StopGrace time.Duration
	// Waited is told how long a call waited before it could leave, and for what:
	// slot, rate_limit, circuit or restart. Took is told what the process itself says that a
	// call took, for calls whose context carries a traceparent in its metadata. Both
	// return at once; nil is told nothing.
	Waited func(instance, reason string, took time.Duration)
	Took   func(ctx context.Context, instance string, r spec.Request, began time.Time, took time.Duration)
	// Memory and Files bound a process; see launch.Options.
	Memory, Files uint64
}

func (o Options) filled() Options {
	orDuration := func(d *time.Duration, def time.Duration) {
		if *d <= 0 {
			*d = def
		}
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.Evidence == nil {
		o.Evidence = &memory{kept: map[string][]byte{}}
	}
	if o.Slots <= 0 {
		o.Slots = 16
	}
	if o.Failures <= 0 {
		o.Failures = 5
	}
	if o.Crashes <= 0 {
		o.Crashes = 10
	}
	orDuration(&o.CircuitFirst, time.Second)
	orDuration(&o.CircuitMost, 30*time.Second)
	orDuration(&o.ReadyWait, 10*time.Second)
	orDuration(&o.OpenTimeout, 15*time.Second)
	orDuration(&o.StartTimeout, 15*time.Second)
	orDuration(&o.PingEvery, 2*time.Second)
	orDuration(&o.PingTimeout, 5*time.Second)
	orDuration(&o.RetryFirst, 50*time.Millisecond)
	orDuration(&o.RetryMost, 10*time.Second)
	orDuration(&o.CrashWindow, time.Minute)
	orDuration(&o.QuarantineRetry, 15*time.Second)
	orDuration(&o.DrainTimeout, 10*time.Second)
	orDuration(&o.StopGrace, 2*time.Second)
	return o
}

var instanceName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$`)

func (o Options) validate() error {
	seen := map[string]bool{}
	var errs []error
	for _, i := range o.Instances {
		switch {
		case !instanceName.MatchString(i.Name):
			errs = append(errs, fmt.Errorf("connector instance %q: the name takes letters, digits, '.', '_' and '-', at most 63", i.Name))
		case seen[i.Name]:
			errs = append(errs, fmt.Errorf("connector instance %s stands twice; give one another name", i.Name))
		case i.Connector == "":
			errs = append(errs, fmt.Errorf("connector instance %s: say which connector it is", i.Name))
		case i.Rate < 0 || i.Burst < 0:
			errs = append(errs, fmt.Errorf("connector instance %s: rate and burst are not negative", i.Name))
		case i.Binary == "":
			errs = append(errs, fmt.Errorf("connector instance %s: say which binary serves %s", i.Name, i.Connector))
		}
		seen[i.Name] = true
	}
	return errors.Join(errs...)
}

package conformance

import (
	"testing"

	"github.com/quell-soar/quell/connectors/sdk"
	"github.com/quell-soar/quell/connectors/sdk/secret"
	"github.com/quell-soar/quell/connectors/spec"
)

// Target is a connector under test.
type Target struct {
	Connector sdk.Connector
	// Binary is the path of a built connector binary that serves it; empty leaves
	// out the run over the wire.
	Binary string
	// Lookup finds a generic action, as vocabulary.Lookup does; nil leaves out
	// the comparison with the vocabulary.
	Lookup func(action string) (spec.Action, bool)
	// Start makes a fresh fake vendor for one check and stops it in t's Cleanup.
	// It is called once for each check.
	Start func(t testing.TB) Fake
	// Samples has one entry for each action of the manifest.
	Samples map[string]Sample
	// Faults are the scripts that the fake understands.
	Faults Faults
	// Evidence are contents that samples name by their reference
	// (kind.ArtifactOf).
	Evidence [][]byte
	// Without names checks that cannot hold for this vendor, with the reason. A
	// key is a check's name, or action/check for one action alone.
	Without map[string]string
}

// Fake is a running fake vendor.
type Fake struct {
	Settings map[string]string
	Secrets  map[string]secret.Value
	// Reads are files that the connector's process must be let read.
	Reads []string
	// Fault makes the fake misbehave by a script from now on; "" ends that.
	Fault func(script string)
	// World writes the vendor's state, always in the same form: what a change
	// would change, and no times, logs or counters of requests.
	World func() string
}

// Sample is how the suite calls one action.
type Sample struct {
	// Before are effects that prepare the fresh fake: a release needs something
	// that was isolated.
	Before []Step
	// Inputs are canonical values, or Found.
	Inputs map[string]any
	// Want are outputs that the inputs must give on a fresh fake, such as a verdict
	// that only a finished analysis has. What it does not name is not looked at.
	Want map[string]any
	// Missing names something that is not there: the answer is not_found. For an
	// effect it may be left out.
	Missing map[string]any
	// Ambiguous matches several things: the answer is ambiguous.
	Ambiguous map[string]any
	// Faults override the target's where they are set.
	Faults Faults
}

// Step is one effect that prepares a check.
type Step struct {
	Action string
	// Inputs are canonical values, or Found.
	Inputs map[string]any
}

// Found is an input that another action has to find first, such as a handle.
type Found struct {
	Action string
	Inputs map[string]any
	// Output is the field of its output; of a list, the first element is taken
	// unless All is set.
	Output string
	All    bool
}

// Faults are scripts for the fake. A check whose script is empty is not run, and
// the test's log says so.
type Faults struct {
	// RateLimited refuses requests as too many and tells when to come back.
	RateLimited string
	// Expired lets the present token expire once; a fresh one works.
	Expired string
	// Unauthorized refuses every credential.
	Unauthorized string
	// SoftError answers the action's own request with success and an error
	// within, and changes nothing.
	SoftError string
	// Lost does what was asked and then loses the answer.
	Lost string
	// Slow delays answers by several seconds.
	Slow string
}

func (f Faults) over(base Faults) Faults {
	or := func(a, b string) string {
		if a != "" {
			return a
		}
		return b
	}
	return Faults{
		RateLimited: or(f.RateLimited, base.RateLimited), Expired: or(f.Expired, base.Expired),
		Unauthorized: or(f.Unauthorized, base.Unauthorized), SoftError: or(f.SoftError, base.SoftError),
		Lost: or(f.Lost, base.Lost), Slow: or(f.Slow, base.Slow),
	}
}

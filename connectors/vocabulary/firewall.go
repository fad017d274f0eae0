package vocabulary

import (
	"slices"
	"time"

	"github.com/quell-soar/quell/connectors/spec"
	"github.com/quell-soar/quell/connectors/spec/kind"
)

// commitDeadline is for changes that a firewall takes up only after its whole
// configuration was committed.
const commitDeadline = 3 * time.Minute

// firewall are the actions on what may pass.
func firewall() []spec.Action {
	return slices.Concat(
		blocking("ip", "address", kind.Of(kind.IP), "the address; a network is refused", effectDeadline,
			[]string{"react.RA3101", "react.RA3102", "d3fend.D3-NTF", "openc2.deny.ipv4_net"},
			[]string{"react.RA5101", "d3fend.D3-RNA", "openc2.allow.ipv4_net"}),
		blocking("url", "url", kind.Of(kind.URL), "the URL; scheme, user and fragment make no difference", commitDeadline,
			[]string{"react.RA3105", "d3fend.D3-NTF", "openc2.deny.uri"},
			[]string{"react.RA5103", "d3fend.D3-RNA", "openc2.allow.uri"}),
	)
}

// blocking are the two directions of one kind of block.
func blocking(what, input string, t kind.Type, doc string, deadline time.Duration, block, unblock []string) []spec.Action {
	title := map[string]string{"ip": "an address", "url": "a URL"}[what]
	in := []kind.Field{field(input, t, doc)}
	out := []kind.Field{
		field("blocked", kind.Of(kind.Boolean), "whether it is blocked now"),
		text("rule", "where the firewall keeps it, in the firewall's own words"),
	}
	return []spec.Action{
		{
			Name: "firewall.block_" + what, Title: "Block " + title,
			Doc:    "Keeps traffic with " + title + " from passing.",
			Inputs: in, Outputs: out,
			Class: spec.Idempotent, ReadBack: spec.Strong, Settle: effectSettle, Deadline: deadline,
			Reversal: spec.Exact, Inverse: "firewall.unblock_" + what, Targets: input, Tags: block,
		},
		{
			Name: "firewall.unblock_" + what, Title: "Unblock " + title,
			Doc:    "Lets traffic with " + title + " pass again. As an undo it leaves blocked what was so before.",
			Inputs: in, Outputs: out,
			Class: spec.Idempotent, ReadBack: spec.Strong, Settle: effectSettle, Deadline: deadline,
			Reversal: spec.Exact, Inverse: "firewall.block_" + what, Targets: input, Tags: unblock,
		},
	}
}

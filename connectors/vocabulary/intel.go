package vocabulary

import (
	"github.com/quell-soar/quell/connectors/spec"
	"github.com/quell-soar/quell/connectors/spec/kind"
)

// The verdicts of threat intelligence and of sandboxes.
const (
	// Malicious: the source says that it does harm.
	Malicious = "malicious"
	// Suspicious: the source has doubts.
	Suspicious = "suspicious"
	// Clean: the source looked and found nothing.
	Clean = "clean"
	// Unknown: the source knows nothing of it, which says nothing about it.
	Unknown = "unknown"
)

// Verdict is the type of a verdict.
func Verdict() kind.Type { return kind.ChoiceOf(Malicious, Suspicious, Clean, Unknown) }

func judgement() []kind.Field {
	return []kind.Field{
		field("verdict", Verdict(), "what the source says"),
		field("score", kind.Of(kind.Int), "0 harmless to 100 certain"),
		text("source", "who says so"),
	}
}

// intel are the look-ups of what is known of a thing.
func intel() []spec.Action {
	one := func(what, title, doc string, value kind.Field, tags ...string) spec.Action {
		return spec.Action{
			Name: "intel.lookup_" + what, Title: title, Doc: doc,
			Inputs: []kind.Field{value}, Outputs: judgement(),
			Class: spec.Read, Deadline: quickDeadline, Quick: true, Tags: tags,
		}
	}
	return []spec.Action{
		one("domain", "Look a domain up", "Asks what is known of a domain. One that nobody has seen is unknown, not clean.",
			field("value", kind.Of(kind.Domain), "the domain"), "react.RA2104", "d3fend.D3-DNRA", "openc2.query.domain_name"),
		one("hash", "Look a file hash up", "Asks what is known of a file. A hash that nobody has seen is unknown, not clean.",
			field("value", kind.Of(kind.Hash), "MD5, SHA-1, SHA-256 or SHA-512 in hex"), "react.RA2312", "d3fend.D3-FHRA", "openc2.query.file"),
		one("ip", "Look an address up", "Asks what is known of an address. One that nobody has seen, such as a private one, is unknown.",
			field("value", kind.Of(kind.IP), "the address"), "react.RA2105", "d3fend.D3-IPRA", "openc2.query.ipv4_net"),
		one("url", "Look a URL up", "Asks what is known of a URL; it is not opened, and not handed in. One that nobody has seen is unknown, not clean.",
			field("value", kind.Of(kind.URL), "the URL"), "react.RA2106", "d3fend.D3-URA", "openc2.query.uri"),
	}
}

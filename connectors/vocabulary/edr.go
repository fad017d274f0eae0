package vocabulary

import (
	"time"

	"github.com/quell-soar/quell/connectors/spec"
	"github.com/quell-soar/quell/connectors/spec/kind"
)

// The states of a host's network containment, as every EDR connector names them.
const (
	// HostNormal is a host that reaches its network.
	HostNormal = "normal"
	// HostIsolating is a host that was told to cut itself off and has not yet.
	HostIsolating = "isolating"
	// HostIsolated is a host that reaches nothing but its EDR.
	HostIsolated = "isolated"
	// HostReleasing is a host that was told to come back and has not yet.
	HostReleasing = "releasing"
)

// HostState is the type of a host's containment state.
func HostState() kind.Type {
	return kind.ChoiceOf(HostNormal, HostIsolating, HostIsolated, HostReleasing)
}

// Times that fit most vendors; a manifest sets its own.
const (
	quickDeadline  = 10 * time.Second
	effectDeadline = 6 * time.Second
	effectSettle   = 2 * time.Second
)

func hostInput() kind.Field {
	return field("host", kind.HandleOf("device"), "the host, as edr.find_host returned it")
}

// hosts are the actions on a host's containment.
func hosts() []spec.Action {
	host := hostInput()
	state := field("state", HostState(), "the host's containment state")
	return []spec.Action{
		{
			Name: "edr.find_host", Title: "Find a host",
			Doc:    "Finds the one host of that name. None is not_found, several are ambiguous; none is picked.",
			Inputs: []kind.Field{field("hostname", kind.Of(kind.Hostname), "the name; upper and lower case are the same")},
			Outputs: []kind.Field{
				field("device", kind.HandleOf("device"), "what the other edr actions take"),
				text("hostname", "the name as the EDR has it"),
				state,
				text("os", "the operating system, in the EDR's words"),
				optional("last_seen", kind.Of(kind.Timestamp), "when the EDR last heard of the host"),
			},
			Class: spec.Read, Deadline: quickDeadline, Quick: true,
			Tags: []string{"react.~RA2001", "openc2.locate.device"},
		},
		{
			Name: "edr.get_host_state", Title: "Read a host's state",
			Doc:     "Reads whether the host is cut off from the network.",
			Inputs:  []kind.Field{host},
			Outputs: []kind.Field{state},
			Class:   spec.Read, Deadline: quickDeadline, Quick: true,
			Tags: []string{"openc2.query.device"},
		},
		{
			Name: "edr.isolate_host", Title: "Isolate a host",
			Doc:     "Cuts the host off from everything but its EDR.",
			Inputs:  []kind.Field{host},
			Outputs: []kind.Field{state},
			Class:   spec.Idempotent, ReadBack: spec.Strong, Settle: effectSettle, Deadline: effectDeadline,
			Reversal: spec.Exact, Inverse: "edr.release_host", Targets: "host",
			Tags: []string{"react.~RA3109", "react.~RA3110", "d3fend.D3-NI", "openc2.contain.device"},
		},
		{
			Name: "edr.release_host", Title: "Release a host",
			Doc:     "Lets an isolated host back onto the network. As an undo it leaves a host isolated that was so before.",
			Inputs:  []kind.Field{host},
			Outputs: []kind.Field{state},
			Class:   spec.Idempotent, ReadBack: spec.Strong, Settle: effectSettle, Deadline: effectDeadline,
			Reversal: spec.Exact, Inverse: "edr.isolate_host", Targets: "host",
			Tags: []string{"react.~RA5105", "d3fend.D3-RNA", "openc2.allow.device"},
		},
	}
}

// files are the actions on what lies on a host.
func files() []spec.Action {
	host := hostInput()
	path := field("path", kind.Of(kind.Path), "where the file lies or lay on the host")
	return []spec.Action{
		{
			Name: "edr.quarantine_file", Title: "Quarantine a file",
			Doc:    "Moves a file of a host into the EDR's quarantine, where it cannot run.",
			Inputs: []kind.Field{host, path},
			Outputs: []kind.Field{
				field("file", kind.HandleOf("quarantined_file"), "the file in quarantine"),
				optional("sha256", kind.Of(kind.Hash), "its hash, where the EDR knows it"),
			},
			Class: spec.Idempotent, ReadBack: spec.Strong, Settle: effectSettle, Deadline: effectDeadline,
			Reversal: spec.Exact, Inverse: "edr.restore_file", Targets: "host",
			Tags: []string{"react.RA3302", "react.RA3303", "d3fend.D3-CQ", "openc2.contain.file"},
		},
		{
			Name: "edr.restore_file", Title: "Restore a file",
			Doc:     "Puts a quarantined file back. As an undo it leaves a file in quarantine that was there before.",
			Inputs:  []kind.Field{host, path},
			Outputs: []kind.Field{field("file", kind.HandleOf("quarantined_file"), "the file's record in the EDR")},
			Class:   spec.Idempotent, ReadBack: spec.Strong, Settle: effectSettle, Deadline: effectDeadline,
			Reversal: spec.Exact, Inverse: "edr.quarantine_file", Targets: "host",
			Tags: []string{"react.RA5301", "d3fend.D3-RF", "openc2.restore.file"},
		},
		{
			Name: "edr.scan_host", Title: "Scan a host",
			Doc:    "Starts an on-demand scan and waits for it, or joins the one that was started for the same step.",
			Inputs: []kind.Field{host},
			Outputs: []kind.Field{
				field("scan", kind.HandleOf("scan"), "the scan"),
				field("findings", kind.Of(kind.Int), "how many malicious files it found"),
			},
			Class: spec.Once, ReadBack: spec.Strong, Settle: effectSettle, Deadline: effectDeadline,
			Reversal: spec.Unneeded, Targets: "host",
			Tags: []string{"d3fend.~D3-FA", "openc2.scan.device"},
		},
	}
}

package vocabulary

import (
	"time"

	"github.com/quell-soar/quell/connectors/spec"
	"github.com/quell-soar/quell/connectors/spec/kind"
)

func ticket() []spec.Action {
	ref := field("ticket", kind.HandleOf("ticket"), "the ticket, as ticket.create_ticket returned it")
	return []spec.Action{
		{
			Name: "ticket.create_ticket", Title: "Open a ticket",
			Doc: "Opens a ticket for a key, or finds the one that was opened for it: the same key gives the same ticket.",
			Inputs: []kind.Field{
				text("key", "what the ticket is about, such as run.incident"),
				text("title", "one line"),
				optional("body", kind.Of(kind.String), "plain text; it is never read as markup"),
				optional("severity", kind.Of(kind.Severity), "becomes the tracker's priority"),
			},
			Outputs: []kind.Field{
				field("ticket", kind.HandleOf("ticket"), "what the other ticket actions take"),
				field("url", kind.Of(kind.URL), "where a person reads it"),
			},
			// Trackers know no idempotency key and find new tickets by an index
			// that lags, so "not found" proves nothing. Nobody wants a ticket
			// taken back: it is the record of what happened.
			Class: spec.Once, ReadBack: spec.Lagging, Settle: 5 * time.Second, Deadline: effectDeadline,
			Reversal: spec.Unneeded,
			Tags:     []string{"openc2.create.x-quell:ticket"},
		},
		{
			Name: "ticket.add_comment", Title: "Comment on a ticket",
			Doc:     "Adds a comment once: it is found again by a mark that the connector leaves on it.",
			Inputs:  []kind.Field{ref, text("body", "plain text; it is never read as markup")},
			Outputs: []kind.Field{text("comment_id", "the tracker's id of the comment")},
			Class:   spec.Once, ReadBack: spec.Strong, Settle: effectSettle, Deadline: effectDeadline,
			Reversal: spec.Unneeded, Targets: "ticket",
			Tags: []string{"openc2.update.x-quell:ticket"},
		},
		{
			Name: "ticket.attach_file", Title: "Attach a file to a ticket",
			Doc: "Puts evidence beside the ticket's text, once: the file's name carries the beginning of its SHA-256, by which it is found again. What is in it is never opened.",
			Inputs: []kind.Field{
				ref,
				field("file", kind.Of(kind.Artifact), "the evidence, as an action returned it or an alert brought it"),
				optional("name", kind.Of(kind.String), "what people shall call it, such as message.eml; paths and odd characters are taken out"),
			},
			Outputs: []kind.Field{
				text("attachment_id", "the tracker's id of the attachment"),
				text("name", "the file's name at the tracker"),
			},
			Class: spec.Once, ReadBack: spec.Strong, Settle: effectSettle, Deadline: sweepDeadline,
			Reversal: spec.Unneeded, Targets: "ticket",
			Tags: []string{"openc2.copy.artifact"},
		},
		{
			Name: "ticket.set_status", Title: "Set a ticket's status",
			Doc:     "Moves a ticket to a status of its workflow. As an undo it restores the status that was found.",
			Inputs:  []kind.Field{ref, text("status", "the status by its name in the tracker")},
			Outputs: []kind.Field{text("status", "the status it has now")},
			Class:   spec.Idempotent, ReadBack: spec.Strong, Settle: effectSettle, Deadline: effectDeadline,
			Reversal: spec.Exact, Inverse: "ticket.set_status", Targets: "ticket",
			Tags: []string{"openc2.set.x-quell:ticket"},
		},
	}
}

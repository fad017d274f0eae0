package vocabulary

import (
	"slices"
	"time"

	"github.com/quell-soar/quell/connectors/spec"
	"github.com/quell-soar/quell/connectors/spec/kind"
)

// The times of actions over many mailboxes.
const (
	searchDeadline = 5 * time.Minute
	sweepDeadline  = 5 * time.Minute
)

// mail are the actions on messages, mailboxes' rules and senders.
func mail() []spec.Action {
	return slices.Concat(messages(), rules(), senders())
}

func messages() []spec.Action {
	id := field("message_id", kind.Of(kind.MessageID), "the Message-ID header, angle brackets included")
	refs := field("messages", kind.ListOf(kind.HandleOf("message")), "the copies, as mail.find_messages returned them")
	return []spec.Action{
		{
			Name: "mail.get_message", Title: "Get a message",
			Doc: "Finds one copy of the message of that Message-ID, wherever it lies, and keeps it whole as evidence. A copy's texts are the sender's.",
			Inputs: []kind.Field{
				id,
				optional("mailbox", kind.Of(kind.Email), "whose mailbox to look into first, such as the reporter's"),
			},
			Outputs: []kind.Field{
				field("message", kind.HandleOf("message"), "the copy that was found"),
				field("mailbox", kind.Of(kind.Email), "whose mailbox it lies in"),
				field("sender", kind.Of(kind.Email), "the address in From; nothing proves that it wrote the message"),
				text("subject", "the subject"),
				field("received", kind.Of(kind.Timestamp), "when this mailbox got it"),
				field("eml", kind.Of(kind.Artifact), "the whole message as it came (RFC 5322)"),
			},
			Class: spec.Read, Deadline: searchDeadline,
			Tags: []string{"react.RA2203", "openc2.locate.x-quell:email"},
		},
		{
			Name: "mail.find_messages", Title: "Find every copy of a message",
			Doc:    "Finds the copies of one message in all mailboxes, by its Message-ID and nothing that many messages share. None is an empty list.",
			Inputs: []kind.Field{id},
			Outputs: []kind.Field{
				field("messages", kind.ListOf(kind.HandleOf("message")), "the copies; each mailbox has its own"),
				field("mailboxes", kind.Of(kind.Int), "how many mailboxes were looked through"),
				field("refused", kind.ListOf(kind.Of(kind.String)), "the mailboxes that could not be looked through"),
			},
			Class: spec.Read, Deadline: searchDeadline,
			Tags: []string{"react.RA2203", "react.RA2202", "openc2.locate.x-quell:email"},
		},
		{
			Name: "mail.quarantine_message", Title: "Quarantine messages",
			Doc:     "Takes copies of a message out of their mailboxes' sight, to where they can be brought back from.",
			Inputs:  []kind.Field{refs},
			Outputs: []kind.Field{field("quarantined", kind.Of(kind.Int), "how many of them lie in quarantine now")},
			Class:   spec.Idempotent, ReadBack: spec.Strong, Settle: effectSettle, Deadline: sweepDeadline,
			Reversal: spec.Exact, Inverse: "mail.restore_message", Targets: "messages",
			Tags: []string{"react.RA3203", "d3fend.D3-CQ", "openc2.contain.x-quell:email"},
		},
		{
			Name: "mail.restore_message", Title: "Restore messages",
			Doc:     "Puts quarantined messages back into the inbox. As an undo it puts each where it lay, and leaves those in quarantine that were there before.",
			Inputs:  []kind.Field{refs},
			Outputs: []kind.Field{field("restored", kind.Of(kind.Int), "how many of them lie in their mailboxes now")},
			Class:   spec.Idempotent, ReadBack: spec.Strong, Settle: effectSettle, Deadline: sweepDeadline,
			Reversal: spec.Exact, Inverse: "mail.quarantine_message", Targets: "messages",
			Tags: []string{"react.RA5203", "d3fend.D3-RE", "openc2.restore.x-quell:email"},
		},
	}
}

func rules() []spec.Action {
	in := []kind.Field{field("rule", kind.HandleOf("mail_rule"), "the rule, as mail.list_rules returned it")}
	out := []kind.Field{field("enabled", kind.Of(kind.Boolean), "whether the rule is in force")}
	return []spec.Action{
		{
			Name: "mail.list_rules", Title: "List a mailbox's rules",
			Doc:     "Reads the rules that act on what the mailbox gets. Expressions may read of each rule: name, enabled, changed, dated, forwards_to, deletes.",
			Inputs:  []kind.Field{userInput()},
			Outputs: []kind.Field{field("rules", kind.ListOf(kind.HandleOf("mail_rule")), "the rules in their order")},
			Class:   spec.Read, Deadline: readDeadline,
			Tags: []string{"openc2.query.x-quell:email"},
		},
		{
			Name: "mail.disable_rule", Title: "Disable a mailbox's rule",
			Doc:    "Ends a rule's work and keeps it: it is evidence, and can be enabled again.",
			Inputs: in, Outputs: out,
			Class: spec.Idempotent, ReadBack: spec.Strong, Settle: effectSettle, Deadline: effectDeadline,
			Reversal: spec.Exact, Inverse: "mail.enable_rule", Targets: "rule",
			Tags: []string{"d3fend.~D3-ER", "openc2.stop.x-quell:mail_rule"},
		},
		{
			Name: "mail.enable_rule", Title: "Enable a mailbox's rule",
			Doc:    "Puts a rule into force. As an undo it leaves a rule disabled that was so before.",
			Inputs: in, Outputs: out,
			Class: spec.Idempotent, ReadBack: spec.Strong, Settle: effectSettle, Deadline: effectDeadline,
			Reversal: spec.Exact, Inverse: "mail.disable_rule", Targets: "rule",
			Tags: []string{"d3fend.~D3-RE", "openc2.start.x-quell:mail_rule"},
		},
	}
}

func senders() []spec.Action {
	in := []kind.Field{field("address", kind.Of(kind.Email), "the sender's address")}
	out := []kind.Field{field("blocked", kind.Of(kind.Boolean), "whether mail from the address is refused")}
	return []spec.Action{
		{
			Name: "mail.block_sender", Title: "Block a sender",
			Doc:    "Keeps mail from one address out of all mailboxes.",
			Inputs: in, Outputs: out,
			Class: spec.Idempotent, ReadBack: spec.Strong, Settle: effectSettle, Deadline: effectDeadline,
			Reversal: spec.Exact, Inverse: "mail.unblock_sender", Targets: "address",
			Tags: []string{"react.RA3202", "d3fend.D3-EF", "openc2.deny.email_addr"},
		},
		{
			Name: "mail.unblock_sender", Title: "Unblock a sender",
			Doc:    "Lets mail from the address in again. As an undo it leaves an address blocked that was so before.",
			Inputs: in, Outputs: out,
			Class: spec.Idempotent, ReadBack: spec.Strong, Settle: effectSettle, Deadline: effectDeadline,
			Reversal: spec.Exact, Inverse: "mail.block_sender", Targets: "address",
			Tags: []string{"react.RA5202", "d3fend.~D3-EF", "openc2.allow.email_addr"},
		},
	}
}

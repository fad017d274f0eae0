package vocabulary

import (
	"github.com/quell-soar/quell/connectors/spec"
	"github.com/quell-soar/quell/connectors/spec/kind"
)

// notify are the messages to people.
func notify() []spec.Action {
	return []spec.Action{{
		Name: "notify.send_message", Title: "Send a message",
		Doc: "Sends one text to a person or a channel. Either to or channel is given, and either template or text. What the text says is data: it is never read as markup, and a value never fills a template twice.",
		Inputs: []kind.Field{
			optional("to", kind.Of(kind.Email), "the person, by mail address"),
			optional("channel", kind.Of(kind.String), "the channel, by a name of the instance's setting channels"),
			optional("template", kind.Of(kind.String), "a named text: one of the instance's setting templates, or reported-benign, reported-thanks, reported-phishing"),
			optional("values", kind.MapOf(kind.Of(kind.String)), "what fills the template's {fields}"),
			optional("text", kind.Of(kind.String), "the text itself, in place of a template"),
			optional("subject", kind.Of(kind.String), "the first line, where the medium has one; in place of the template's"),
		},
		Outputs: []kind.Field{
			text("message_id", "what the medium calls the message"),
			optional("sent_to", kind.Of(kind.String), "the address or channel that got it"),
		},
		// A second message wakes a second time, and few media know a key. Nothing
		// is restored by taking a message back: it was read. No target either: a
		// person who is told something is not acted on.
		Class: spec.Once, ReadBack: spec.Lagging, Settle: effectSettle, Deadline: effectDeadline,
		Reversal: spec.Unneeded,
		Tags:     []string{"openc2.create.x-quell:message"},
	}}
}

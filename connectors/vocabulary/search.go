package vocabulary

import (
	"time"

	"github.com/quell-soar/quell/connectors/spec"
	"github.com/quell-soar/quell/connectors/spec/kind"
)

// savedDeadline is for searches over days of logs.
const savedDeadline = 5 * time.Minute

// search are the saved searches over logs. No action takes a query: what is
// searched for was written by who runs the log store, and a playbook gives only
// values.
func search() []spec.Action {
	since := field("since", kind.Of(kind.Timestamp), "how far back to look")
	return []spec.Action{
		{
			Name: "search.run_saved", Title: "Run a saved search",
			Doc: "Runs a search that the instance's configuration declares with its inputs and columns. A cell is text of its column's kind.",
			Inputs: []kind.Field{
				text("name", "the search, by its name in the instance's setting searches"),
				optional("values", kind.MapOf(kind.Of(kind.String)), "its inputs, each as text of its kind"),
				optional("since", kind.Of(kind.Timestamp), "how far back to look; without it, as far as the search says itself"),
			},
			Outputs: found(kind.MapOf(kind.Of(kind.String))),
			Class:   spec.Read, Deadline: savedDeadline,
			Tags: []string{"openc2.query.x-quell:log"},
		},
		{
			Name: "search.sign_ins", Title: "Search an account's sign-ins",
			Doc:    "Finds who signed in with an account and from where.",
			Inputs: []kind.Field{anyUser(), since},
			Outputs: found(kind.RecordOf(
				field("address", kind.Of(kind.IP), "where from"),
				field("risky", kind.Of(kind.Boolean), "whether the log store, or the directory, has doubts about it"),
				field("at", kind.Of(kind.Timestamp), "when"),
				optional("succeeded", kind.Of(kind.Boolean), "whether it got in"),
				optional("application", kind.Of(kind.String), "what was signed in to"),
				optional("country", kind.Of(kind.String), "where the address lies"),
			)),
			Class: spec.Read, Deadline: savedDeadline,
			Tags: []string{"react.~RA2602", "openc2.query.x-quell:log"},
		},
		{
			Name: "search.url_clicks", Title: "Search who opened URLs",
			Doc: "Finds who opened one of the URLs, and whether they sent something there. Without URLs there are no rows.",
			Inputs: []kind.Field{
				field("urls", kind.ListOf(kind.Of(kind.URL)), "the URLs, exactly as they stood in the message"),
				since,
			},
			Outputs: found(kind.RecordOf(
				field("user", kind.Of(kind.Email), "who, by mail address"),
				field("url", kind.Of(kind.URL), "which one"),
				field("submitted_form", kind.Of(kind.Boolean), "whether a form was sent there, such as a password"),
				field("at", kind.Of(kind.Timestamp), "when"),
			)),
			Class: spec.Read, Deadline: savedDeadline,
			Tags: []string{"react.~RA2202", "openc2.query.x-quell:log"},
		},
	}
}

// found are the outputs of a search with rows of a type.
func found(row kind.Type) []kind.Field {
	return []kind.Field{
		field("rows", kind.ListOf(row), "what was found, in the search's own order"),
		field("truncated", kind.Of(kind.Boolean), "whether there were more rows than the instance takes: these are not all"),
		field("unreadable", kind.Of(kind.Int), "how many rows were left out because a cell does not fit its column"),
	}
}

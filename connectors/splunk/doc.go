// Package splunk runs saved searches of Splunk Enterprise or Cloud. No query text
// ever comes from a playbook: whoever runs Splunk writes and names the searches,
// the instance's settings bind them, and a playbook gives values.
//
// # Values
//
// Splunk puts args.NAME into a saved search's text where $args.NAME$ stands, as
// text: it escapes nothing. So this connector sends nothing that could mean
// something there: a value is percent-encoded down to letters, digits, dot, hyphen
// and underscore, and the search decodes it with urldecode(). The elements of a
// list are encoded one by one and joined with commas. Times are seconds since
// 1970; since is also the search's earliest time.
//
// # The two generic searches
//
// search.sign_ins gives args.user (the account's name), args.user_id (the
// vendor's id) and args.since. Columns: address, risky, at; succeeded,
// application and country where they are known:
//
//	index=auth | where lower(user)=lower(urldecode("$args.user$"))
//	| eval risky=if(risk>50,"true","false"), at=_time | rename src AS address
//	| table at address risky succeeded application country
//
// search.url_clicks gives args.urls and args.since. Columns: user (a mail
// address), url, submitted_form, at:
//
//	index=proxy | eval wanted=split("$args.urls$", ",") | mvexpand wanted
//	| where url=urldecode(wanted) | eval submitted_form=if(method="POST","true","false"), at=_time
//	| table at user url submitted_form
//
// # More searches
//
// The setting searches declares others with typed inputs and columns; they are
// run with search.run_saved. A manifest does not depend on an instance's
// configuration, so their columns reach a playbook as text, each checked against
// its declared kind here.
//
// # Rows
//
// A cell that does not fit its column's kind leaves its row out, which is counted
// and told. A column that is missing altogether is an error. More rows than
// max_rows are cut, which is told too. A search must only read: this connector
// sends trigger_actions=0, but cannot see whether the search itself writes.
//
// Facts are from Splunk's REST API reference (saved/searches/{name}/dispatch,
// search/v2/jobs, Splunk 9.0.1 and later) and its search reference (urldecode).
package splunk

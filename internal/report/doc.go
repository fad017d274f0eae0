// Package report makes the post-incident review of a run: what happened, when,
// who decided what and why, what is still open, and how the record proves it.
//
// A review is built from Quell's own store (the run's row, its plan, effects,
// requests, alerts, ledger) and needs no engine: it works on runs that ended long
// ago and that Temporal has forgotten. Build gives it as data; HTML, Markdown and
// JSON write it. The same data is kept in the ledger by a playbook's
// `report: pir` step (kind report.made), and FromEntry reads it back.
//
// # Text from outside
//
// Alerts are written by attackers, and reasons by people. A Report holds their
// texts as they came; whoever writes it out makes them harmless for the sink:
//
//	HTML      html/template escapes; no script, link, image or style comes from
//	          data, and the page's policy forbids them; invisible and
//	          direction-turning characters are shown by their number
//	Markdown  every text stands in a code span, in which nothing has a meaning
//	JSON      as it came, in JSON's own escapes
//
// # Times
//
// Time to triage, contain and recover run from the moment when Quell received the
// first alert, or when a person launched the run. What observe mode only would
// have done counts in none of them. Total ends with the run; taking back, which may
// come later, has a time of its own.
package report

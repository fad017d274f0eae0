// Package slack is the connector for Slack: messages to people and channels.
//
// What Slack's API is like, and what follows from it here:
//
//   - An answer is HTTP 200 with {"ok": false, "error": …} where it failed. ok
//     decides, not the status; only rate limits and outages have a status of
//     their own.
//   - There is no idempotency key. Each message carries a mark of its effect's
//     key in its metadata, which nobody sees, and is looked for by it in the
//     conversation's history. Slack promises no moment from which a message
//     stands there, and people delete: "absent" proves nothing.
//   - A person is found by mail address and written to in a direct message from
//     the app.
//   - A channel is named by the instance's settings, not by the playbook: names
//     can be taken over, ids cannot.
//   - Text is plain: markup, mentions, links' previews are all switched off, and
//     the three characters that Slack reads are escaped.
package slack

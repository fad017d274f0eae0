// Package jira is the connector for Jira Cloud: tickets, comments,
// attachments, statuses.
//
// What Jira's API is like, and what follows from it here:
//
//   - It has no idempotency key: a second create makes a second issue. A ticket
//     therefore carries a label made from its key, and is searched before one is
//     created. The search index lags, so "not found" proves nothing: what this
//     process created it remembers, and creates for one key never overlap.
//   - Comments are read strongly. Each ends in a line with a mark of its effect's
//     key, by which it is found again.
//   - Attachments stand in the issue, which is read strongly. Each file's name
//     carries the beginning of its SHA-256, so the same evidence is attached once.
//   - A status is reached by a transition that the present status offers.
//   - Text is sent as plain text nodes of Atlassian's document format. Nothing in
//     it is markup, a mention or a link.
package jira

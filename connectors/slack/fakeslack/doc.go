// Package fakeslack is a stateful fake of the part of Slack's Web API that the
// connector uses: people by mail address, direct messages, channels, messages
// with metadata, a history with pages, and failures as a 200 with ok:false. It
// shares no code with the connector.
//
// Operations, as fault scripts name them: auth, lookup, open, post, history.
// Their object is the mail address at lookup, else the conversation's name.
// A fault 429, 5xx is a status; 401, 403, 404 and other 4xx are a 200 with
// ok:false, and so is soft.
//
// Lags: slack.history (until a message stands in the history), slack.latency.
package fakeslack

// Package fakeasset is a stateful fake of an asset inventory behind HTTP: entries
// that are found by a part of their name, in pages. It shares no code with the
// connector.
//
// Operations, as fault scripts name them: find-hosts, find-users. Their object is
// the name that is looked for. Lag: asset.latency (of every answer).
package fakeasset

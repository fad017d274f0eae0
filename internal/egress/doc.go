// Package egress is the one dialer for connections that Quell itself opens to
// other machines. Connectors run in their own processes and have theirs in
// connectors/sdk/rest.
//
// A connection goes to a named destination and to nothing else. Which addresses
// a destination may have, and how they are dialled, is connectors/sdk/reach, the
// rule that connectors keep to as well.
package egress

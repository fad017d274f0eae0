// Package mail hands one message to a mail relay by SMTP (RFC 5321, RFC 6409).
// It is the way out for connectors that write to people by mail; rest is the
// way for everything that speaks HTTP.
//
// What it promises:
//
//   - A message has one recipient. It was accepted, refused, or it is unknown:
//     an answer lost after the final dot is Uncertain, everything before that is
//     proven not to have been sent.
//   - The connection is encrypted before a password or a message is sent.
//     Without TLS only a relay on the loopback interface is spoken to.
//   - No value can add a header, a recipient or a command: addresses are checked,
//     header texts are encoded, control characters are refused.
//   - SMTP has no way to ask whether a message was sent. The Message-ID is the
//     caller's, so that readers and archives can tell a second copy.
package mail

// Package fakesmtp is a stateful fake of a mail relay (RFC 5321): STARTTLS with
// a certificate of its own, AUTH PLAIN, recipients that it knows, and mailboxes
// that keep what was accepted. It shares no code with the connector.
//
// Operations, as fault scripts name them: connect, auth, send. The object of
// send is the recipient. A fault 401 becomes the reply 535, 429 becomes 451,
// 5xx becomes 421 and every other 4xx 554.
//
// Lags: smtp.latency.
package fakesmtp

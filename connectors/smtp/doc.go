// Package smtp is the connector for a mail relay: it sends messages to people.
//
// What SMTP is like, and what follows from it here:
//
//   - Nobody can be asked whether a message was sent. notify.send_message has no
//     read-back here: where the answer to the final dot is lost it is uncertain,
//     and a person decides whether it is sent again.
//   - The Message-ID is made from the effect's key and is the same at each
//     attempt, so that a reader's mail program or an archive can tell a second
//     copy. A relay does not look at it.
//   - What this process sent it remembers: the same key is not sent twice.
//   - A reply 5yz to the recipient is "not found"; greylisting and a full queue
//     are "come back later".
//   - Nothing is sent without TLS, but to a relay on the loopback interface.
package smtp

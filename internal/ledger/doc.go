// Package ledger is the record of what was decided and done. Rows are only ever
// added, and leave the store from the front, on record, once an export has them
// (Prune); whoever changes, removes or swaps one is found out by arithmetic.
//
// # The bytes
//
// They are fixed: what one release writes, every later one verifies.
// docs/ledger.md says the same for auditors, with a verifier in Python.
//
//   - A row is the JSON object of type Row: fields in declared order, no spaces,
//     times in nanoseconds since 1970 UTC.
//   - The chain: h(0) is 32 zero bytes; h(n) is the SHA-256 of the ASCII text
//     "quell ledger 1\n", h(n-1) and the row's bytes.
//   - The payload of a row lies apart. The row holds, in hex, the SHA-256 of a
//     random salt of 16 bytes and the payload's bytes, so that a payload can be
//     erased when its time has come and the proofs stay whole. A payload that is
//     gone without an entry of its erasure is a finding.
//   - The tree is the Merkle tree of RFC 6962, section 2.1, over the rows' bytes
//     in order, as golang.org/x/mod/sumdb/tlog stores it.
//   - A checkpoint is a note (golang.org/x/mod/sumdb/note) signed with Ed25519
//     over three lines: the origin "quell.ledger", the number of rows, the tree's
//     root in base64.
//
// # Who calls what
//
// Every room appends within its own transaction (Append, AppendOnce). Locks are
// taken in one order: a room's own rows first, the ledger's head last. One
// goroutine of the server runs Run. Sign, Read, Export and the verifiers may be
// called at any time, by several processes at once.
//
// # What is proved
//
// Rows under a checkpoint cannot be changed without the signing key. The tail
// that no checkpoint covers yet, at most about a second old, is protected by the
// chain alone, and the verifier names it. That rows were cut off at the end, with
// their checkpoints, shows only against a checkpoint that was kept elsewhere.
//
// Sign refuses to sign what does not hang together, so a store that was changed
// is noticed when it happens and not months later.
package ledger

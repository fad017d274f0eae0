// Package retention exports the ledger piece by piece to a directory, and deletes
// the detail of what ended long ago, once the export has it.
//
// The export are files, one after the other, on another disk or machine; together
// they verify as one (`quell audit verify DIR`). The store notes how far they go
// only after they are on disk, and beyond that nothing is deleted: an export that
// cannot be written holds everything back.
//
// Deleted are payloads of the ledger (on record; the chain and its proofs stay),
// inputs and results of runs, requests and votes, alerts, evidence, and effects
// that were taken back or never happened. What stays for ever are the rows of the
// ledger, one line for each run, and of each effect that stands what an undo needs.
package retention

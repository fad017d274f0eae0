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
// that were taken back or never happened.
//
// Later, after Record, the rows of the ledger leave the store too, from the front and
// on record, and with them the line of each run. What stays for ever is what an undo
// needs: of each effect that stands and could be taken back, and the line of its run.
// A run that is open keeps its rows and all that came after the first of them.
package retention

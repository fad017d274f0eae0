// Package backup copies an installation on one machine while it runs, and puts
// such a copy in the place of a new one.
//
// The engine's database is copied first, the store after it, the evidence last.
// So the store is never behind the engine: what the engine does again finds its
// outcome in the store and no call is made. The other order would lose the record
// of effects and holders. What the store believes delivered to the engine (runs
// started, votes told) is delivered again after a restore; the engine knows both
// by their ids. Keys lie outside the data directory and are never copied.
package backup

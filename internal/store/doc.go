// Package store opens Quell's own database, brings its tables up to date and runs
// transactions. It is SQLite in one file, or PostgreSQL where more than one
// process shall serve; nothing above it can tell which.
//
// Each domain owns its tables: it hands a Schema to Migrate and writes its SQL
// itself, with ? for parameters, in the part of SQL that both databases have.
// BLOB stands for bytes in a schema and becomes BYTEA on PostgreSQL.
//
// # Update
//
// On SQLite one goroutine writes. It takes all updates that wait, gives each a
// savepoint of its own and commits them together, so that sixteen callers share
// one fsync. A function that fails rolls back its own savepoint only. On
// PostgreSQL each update is a transaction; rows that decide something are locked
// with SELECT … FOR UPDATE, for which Tx.ForUpdate gives the words.
//
// Either way a function may be called more than once, and must touch nothing but
// its Tx: after a deadlock or a serialization failure it is called again.
package store

// Package storetest opens stores for tests: SQLite in a directory of the test,
// PostgreSQL on a throw-away server from the machine's own binaries. What runs
// on one of them runs on both.
package storetest

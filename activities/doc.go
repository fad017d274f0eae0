// Package activities does what workflows ask for: it calls connectors, through
// the effects store where a call changes the world, and keeps people's requests
// and the ledger.
//
// An activity may be started any number of times for the same task: a process
// was killed, a heartbeat was late, an answer lost. None of them relies on being
// called once. What has happened stands in the store, under keys that are the
// same at every try, and is looked up before anything is done.
//
// This is the only package that sees effects, guard and host together.
package activities

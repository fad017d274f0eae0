// Package serve puts the rooms together: it is the one place that knows them
// all, and it decides nothing. Run is `quell serve`. It stands apart from the
// command line so that the commands, and their tests, do not link the Temporal
// server.
package serve

// Package engine gives Quell its Temporal: either the real server in this
// process on SQLite, or a client of a cluster elsewhere.
//
// It is the only package beside cmd/quell and the end-to-end tests that imports
// the Temporal server: a binary that links it weighs 200 MB.
//
// The embedded server listens on loopback for four services, and three of them
// know no authorizer. So every socket, between the services too, demands a
// client certificate of an authority that exists in this process's memory only
// and dies with it. Nobody else on the machine can speak to it, root's debugger
// aside.
package engine

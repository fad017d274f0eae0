// Package server is Quell's HTTP API: /v1 on a unix socket and, where it is
// configured, on loopback TCP. It decides who may ask, reads and checks the
// request, and hands it to the rooms that do the work; it starts no workflow
// itself and holds no state that a restart would lose.
//
// One table, in routes.go, names every route with what it demands. The mux is
// built from that table alone, a route without a demand does not build, and the
// tests walk the same table: there is no second place where a route could be
// opened by mistake.
//
// Before any handler: the Host must be one of ours (DNS rebinding), an Origin
// must be allowed (CSRF; no CORS header is ever sent), the body has a bound and
// a deadline, the caller is known, the caller has the scope. Refusals stand in
// the ledger.
package server

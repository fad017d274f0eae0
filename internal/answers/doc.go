// Package answers remembers what the API answered to requests that carried an
// idempotency key, so that a client that lost an answer can ask again and nothing
// is done twice.
//
// A key belongs to one caller. It is taken before the request is worked on, so
// that a second request with it waits for nothing: it is told that the first is
// still being worked on, or gets the first's answer. The same key with another
// request is a mistake of the client and refused. Keys are kept for a day.
package answers

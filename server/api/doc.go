// Package api is the paper between Quell's server and whoever speaks to it: the
// requests and answers of /v1, the form of an error, and a Go client over the
// unix socket or TCP. It is a leaf: it imports only contracts, so the command
// line links no store and no engine.
//
// A run's id is PLAYBOOK/HASH/GENERATION and stands in paths as three segments.
// The id of a request to people holds '#' and '/', and stands as one escaped
// segment.
//
// Errors of the client are of two types: [*Error] when the server answered with
// a problem (RFC 9457), [*Unreachable] when no answer came. Error.Refused tells
// a refusal from a mistake.
package api

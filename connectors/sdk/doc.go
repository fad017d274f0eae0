// Package sdk is what the author of a connector imports: the interface to
// implement and Serve, which speaks the wire. sdk/rest has an HTTP client that
// keeps the rules on retries, limits and secrets; sdk/secret holds a secret.
//
// What is too large to be an output goes into the evidence store: Keep takes a
// reader and gives the reference that the output then has, and no more than a piece
// of the content is ever in memory, here and at the host.
//
// It imports no other part of Quell than spec and proto.
package sdk

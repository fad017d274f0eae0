// Package sdk is what the author of a connector imports: the interface to
// implement and Serve, which speaks the wire. sdk/rest has an HTTP client that
// keeps the rules on retries, limits and secrets; sdk/secret holds a secret.
//
// It imports no other part of Quell than spec and proto.
package sdk

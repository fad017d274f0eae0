// Package rest is the HTTP client of connectors. It keeps the rules that every
// connector would otherwise have to remember:
//
//   - A URL is built from components, each escaped; control characters and
//     segments such as ".." are refused.
//   - Writes are sent exactly once. Only reads are repeated, a little, within
//     the call's deadline; waiting longer is the caller's business.
//   - A write whose request may have reached the vendor and whose answer was
//     lost is Uncertain. What was proven before sending is Transient.
//   - A status becomes an error kind, a rate-limit header of any dialect becomes
//     RetryAfter.
//   - Redirects are not followed. A vendor's own way of naming the right region
//     may be followed once and is then pinned.
//   - An expired token is renewed once, by one of the calls that need it.
//   - No proxy of the environment is used, replies are capped, and no credential
//     stands in an error.
package rest

// Package panos connects a Palo Alto Networks firewall through its XML API.
//
// An address is blocked by a tag that is registered to it; a dynamic address
// group that matches the tag, and a rule that denies the group, must be there.
// That takes effect at once. A URL is blocked as a member of a custom URL
// category, which a rule or profile must deny; that takes a commit. A commit
// takes only the changes of this connector's own administrator along, so that
// nobody's half-done work goes live by an incident.
//
// PAN-OS answers most failures with HTTP 200 and status="error" within. Its codes
// and texts are those of the PAN-OS XML API documentation ("API Error Codes"); it
// has no rate limit of its own and no idempotency key: each change is brought
// about by reading, writing and reading again.
//
// A hold's time is not passed to the firewall. PAN-OS can end a tag by itself,
// but the end that the first of several holders asks for would end the others'
// hold too, and a hold that asks a person must not end by itself. The setting
// backstop sets one long time for all tags instead, for what everybody forgot.
package panos

// Package signin signs people in at an OpenID Connect provider (OpenID Connect
// Core 1.0, authorization code flow with PKCE, RFC 7636).
//
// A sign-in has two halves. [Provider.Begin] makes the address that the browser
// is sent to, and a ticket that stays in the browser's cookie; [Provider.Finish]
// takes what the provider sent back. Between them nothing is kept in the server:
// the ticket is sealed with a key of this process and holds state, nonce and
// verifier. A restart between the halves asks the person to begin again.
//
// The identity is issuer and subject. Names and addresses of mail are for the
// eye. Roles come from the provider's groups by the configuration's map; where
// the provider left the groups out because they are too many, nobody is signed
// in: a missing group must not be read as "not in it".
//
// [Provider.Recheck] asks the provider again, at the moment of a decision, whether
// the person is still who they were and has the groups still.
package signin

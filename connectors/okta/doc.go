// Package okta is the connector for Okta: accounts, their sessions, passwords,
// factors, consents and groups.
//
// What Okta's API is like, and what follows from it here:
//
//   - Lifecycle calls are transitions that only some statuses allow: suspend only
//     from ACTIVE, unsuspend only from SUSPENDED, otherwise a 400 E0000001. So the
//     status is read first, and a refusal is answered by reading it again.
//   - Disabling is suspending: it keeps groups, applications and factors, and
//     unsuspending restores exactly what was there. Okta suspends only an ACTIVE
//     account; one that is locked out, in recovery or not yet activated is a
//     conflict for a person. A suspended account "can only be unsuspended or
//     deactivated", so its password cannot be reset; and one whose password was
//     reset is PASSWORD_EXPIRED until its owner signs in, so it cannot be
//     suspended. A playbook on Okta disables first, and resets after it enabled.
//   - Searches lag; reading an account, its groups, factors and grants does not.
//   - Lists have pages: the Link header's "next" carries a cursor, which is all
//     that is taken from it.
//   - Sessions cannot be listed. That they were cleared is seen in the System
//     Log, which lags: after a lost answer "absent" proves nothing.
//   - A new password comes in the answer of the call that makes it. It is mailed
//     through the instance's relay and stays nowhere; where the answer is lost,
//     it reached nobody, and the reply says so.
//   - A consent is what one application was granted by one account: its grants
//     are revoked together, and its refresh tokens with them.
package okta

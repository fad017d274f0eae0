// Package fakeokta is a stateful fake of the part of Okta's management API that
// the connector uses: accounts and their transitions, sessions, temporary
// passwords, factors, grants and refresh tokens, groups, roles, the System Log,
// pages by Link header, API tokens and OAuth for services with a signed
// assertion. It shares no code with the connector.
//
// Operations, as fault scripts name them: token, list-users, get-user, suspend,
// unsuspend, clear-sessions, temp-password, list-factors, delete-factor,
// list-grants, client-grants, revoke-grants, client-tokens, revoke-tokens,
// list-groups, user-groups, add-member, remove-member, user-roles, assignees,
// logs. Their object is the account's login where there is one, or the group's
// name.
//
// Lags: okta.token (a token's life), okta.lifecycle (until a transition shows),
// okta.log (until an event stands in the log), okta.latency.
package fakeokta

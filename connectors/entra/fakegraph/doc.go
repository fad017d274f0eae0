// Package fakegraph is a stateful fake of the parts of Microsoft Graph, of the
// Entra token endpoint and of Exchange Online's admin API that the connector
// uses: directory reads that lag behind writes, pages, throttling with
// Retry-After, answers 200 with a failure within, message ids that change with
// the folder unless immutable ones are asked for. It shares no code with the
// connector.
//
// Operations, as fault scripts name them: token, list-users, get-user,
// update-user, revoke-sessions, get-manager, send-mail, list-methods,
// delete-method, list-grants, get-grant, delete-grant, list-assignments,
// get-objects, list-memberships, list-groups, add-member, remove-member,
// list-roles, list-role-members, list-messages, get-message, get-mime,
// move-message, get-folder, list-rules, get-rule, update-rule, read-senders,
// write-senders. Their object is the account's name where there is one.
//
// Lags: entra.token (a token's life), entra.replication (how long a directory or
// mailbox read shows what was before a write), entra.latency (of every answer).
package fakegraph

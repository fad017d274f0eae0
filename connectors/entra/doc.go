// Package entra is the connector for Microsoft Entra ID and Exchange Online:
// accounts, sessions, passwords, second factors, consents, groups, messages,
// inbox rules and blocked senders, through Microsoft Graph v1.0.
//
// What these APIs are like, and what follows from it here:
//
//   - Reads follow writes with a delay: the directory is replicated. A 204 says
//     that a change was taken; it counts once a read shows it. What a read does
//     not show by the deadline is Pending.
//   - Lists have pages. @odata.nextLink is a whole URL; it is followed only where
//     it leads back to the configured API.
//   - There is no idempotency key. Accounts, memberships, rules, folders and
//     grants are states and are read back. Sessions and passwords are seen by a
//     time that moved: who does not remember where it stood cannot tell.
//   - revokeSignInSessions and the Exchange commands answer 200 with a failure
//     within. Adding a member who is there is a 400, deleting what is gone a 404:
//     the state is read again before a refusal is believed.
//   - Graph finds a message only within a mailbox, so all mailboxes are asked, by
//     Message-ID. Immutable ids keep a copy's handle good when it is moved.
//   - Graph tells no time of an inbox rule, and of a consent only where the
//     application was assigned to the user; otherwise the fact "dated" is false.
//   - An account with an administrator's role is changed only by an application
//     that itself holds the role Privileged Authentication Administrator.
//   - Blocking a sender is no part of Graph v1.0. It is done through the Exchange
//     admin API that Microsoft's own PowerShell module calls.
//   - Roles that an account could activate (PIM) and has not are not seen; who is
//     an administrator through a group is privileged, and is not counted as
//     another last administrator.
package entra

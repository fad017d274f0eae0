// Package auth says who calls and what they may do.
//
// A caller proves who it is by a token over TCP, or by the kernel's word over
// the unix socket. Both give an [Actor]: a name that stands in the ledger, roles
// that playbooks and approvals ask for, and scopes that routes ask for. Roles
// are the installation's own words; scopes are ours and few:
//
//	metrics  read the metrics of the process, which name no host, person or run
//	read     look at runs, alerts, requests, connectors, playbooks
//	launch   start a playbook that lets one of the actor's roles launch it
//	respond  cancel and undo runs, check connectors, retire playbooks and lower
//	         their mode, turn the kill switch on
//	approve  vote, answer, decide; the request's own chain says who of these
//	publish  publish playbooks
//	audit    read and export the ledger
//	admin    make and revoke tokens, lift the kill switch, raise the mode of
//	         playbooks, and all of the above
//
// No scope lets anyone approve their own request.
//
// A token is 256 bits or more, shown once, kept as its SHA-256 only, limited in
// time, and speaks for one person: the actor is user:NAME whatever the token,
// so a second token gives nobody a second vote. On the unix socket the uid of
// the server and root are local:UID with all scopes; every other uid is nobody.
package auth

// Package crowdstrike is the connector for CrowdStrike Falcon: hosts and their
// containment, quarantined files, on-demand scans.
//
// What Falcon's API is like, and what follows from it here:
//
//   - Every answer is an envelope whose errors may stand beside a 2xx. A change
//     counts as accepted only where its id is among the resources and no error
//     names it.
//   - Containment is asynchronous: a 202, then the host's status is polled until
//     it is there. What is accepted and not there at the deadline is Pending.
//   - A 409 means that another action is under way. It is waited for.
//   - There is no idempotency key. Containment and quarantine are states and can
//     be read back; a scan carries a mark of the effect's key in its description.
//   - A request to the wrong region is answered with a 308 and the right one's
//     name, which is followed once.
package crowdstrike

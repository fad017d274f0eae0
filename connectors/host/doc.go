// Package host keeps the configured connector instances running and carries
// calls to them. It is the only way to a connector.
//
// One goroutine owns each instance: it starts the process, asks for its
// manifest, hands over settings and secrets, watches it with pings, kills it
// where it is frozen, and starts it again: quickly at first, then at growing
// intervals, and slowly once it has crashed too often (quarantined), but always
// again. A call that comes while an instance restarts waits for it for a while.
//
// Nothing that a connector says is believed: the host checks each reply against
// the action's types, stamps the instance on every handle, cuts and cleans every
// text, and takes the instance's secrets out of it. See launch for what the
// process itself may do.
//
// One instance takes nothing from the others: its calls are bounded by slots, which
// runs take by turns (gate), work that waits for them by places (queue), and a vendor
// that does not answer gets none for a while (circuit). Who waits is told to whoever
// asked for it (OnWait).
//
// What the host promises about effects: an effect leaves only with a permit that
// has not expired; an error of a kind that asserts that nothing happened is
// returned only when the request did not leave, or when the connector itself
// said so. When the answer to a sent effect is lost, broken or late, the error
// is Uncertain.
package host

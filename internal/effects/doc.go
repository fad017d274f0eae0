// Package effects decides whether a call that changes the world is made, and
// keeps what came of it. It is the reason why no crash doubles an effect.
//
// # An effect's states
//
//	         Admit                    Settle: done, already, partial,
//	(none) ─────────► open ─────────► failed, unknown           ─► settled
//	                  │  ▲
//	  Settle: nothing │  │ Admit, with all guards asked again
//	  happened, retry ▼  │
//	                 idle
//
// open means that an attempt may be under way: its intent is in the ledger, and
// a call may have left. It stays so while the process that made it is dead. Who
// admits the same effect again is told to wait until the attempt's deadline and
// the action's settle time are over, and then to read back. What a read-back
// says decides (Conclude):
//
//	present                          → settled, done (verified)
//	absent, read-back strong         → idle: it did not happen, try again
//	absent or unsure, idempotent or
//	keyed                            → idle: trying again cannot double it
//	else                             → settled, unknown: a person finds out
//
// Who tries again without knowing that nothing happened is in doubt: the targets
// stay locked until the outcome, "already" is then our own doing, and no refusal
// or error settles it as without effect.
//
// Attempts carry a fence. Whoever was taken for dead and comes back late with a
// result is refused, and looks again.
//
// # Holders
//
// A reversible effect with targets is held, over all runs, by those who asked
// for it. The first holder's prior state is kept until the last holder leaves;
// only then is the vendor called, with that state. What was there without Quell
// is not held, and so not released.
//
// What is held is told by instance, action, target and the action's other inputs:
// two files quarantined on one host are two holds, each with its own prior state.
// So an input of a reversible action that does not say what is changed, such as a
// remark, would keep two runs from sharing a hold; the vocabulary has none.
//
// Effects on one target of one instance run one at a time.
package effects

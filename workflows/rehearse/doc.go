// Package rehearse plays a plan through the real interpreter without acting: in
// Temporal's test environment, with skipped time and a world of its own in place of
// the activities that touch anything. No effect can be called from here: the world
// knows no connector host, and what answers an effect is told what to say.
//
// Two things are built on a play. A preview (Preview) shows what a playbook would
// do: reads are really made, once each; effects are listed; people are imagined,
// each of their answers in turn. A backtest (Backtest) plays recorded alerts
// through two versions of a playbook, with recorded answers only, and tells where
// the versions part.
//
// What differs from a real run: an effect's outcome is imagined or as it was
// recorded, the tries of a call take no playbook time, and a hold is noted and does
// not run on after the run's end.
package rehearse

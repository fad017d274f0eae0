// Package workflows interprets plans as Temporal workflows: the run of a
// playbook, the undo of a run, the hold on an effect.
//
// All code here runs inside workflows and again at each replay, so it is
// deterministic: time comes from workflow.Now, waiting from workflow timers,
// goroutines from workflow.Go, and no map is ranged over where its order could
// show. workflowcheck and the histories in testdata/replay hold it.
//
// A run takes no decision about an effect by itself. It says to an activity what
// the plan wants, and hears what came of it; whether a call is made, the effects
// store decides in one transaction with the ledger. Likewise a vote: an Update
// only wakes the run, which then reads the stored votes.
//
// # How a run goes
//
// Phases run in order, steps within them in order. A step's modifiers act in the
// order if, approve, foreach or repeat, timeout, retry, on_error. An approval on
// a loop is asked once, before it, and seals the effects of all its rounds.
// Whatever ends the phases early (stop, a failure nobody handled, a denied
// approval, a cancellation) leads to review, which always runs.
package workflows

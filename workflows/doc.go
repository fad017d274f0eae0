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
// # How a run hears
//
// Votes, verbs (pause, skip a step, …) and alerts that join the run stand in
// Quell's store. An Update says that there is something new, and the run reads.
//
// # How long a run may be
//
// Between two rounds of a loop that stands in no other loop, parallel, approval
// or time-out, a run whose history is long continues as new: its standing travels
// in the input of the next execution, which walks the plan to the same loop. What
// local activities bring into one workflow task is bounded too; see breathe.
//
// # How a run goes
//
// Phases run in order, steps within them in order. A step's modifiers act in the
// order if, approve, foreach or repeat, timeout, retry, on_error. An approval on
// a loop is asked once, before it, and seals the effects of all its rounds.
// A failure goes to the step's own on_error, and then to that of the blocks around
// it. Whatever ends the phases early (stop, a failure nobody handled, a denied
// approval, a cancellation) leads to review, which always runs.
package workflows

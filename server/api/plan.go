package api

import (
	"context"
	"encoding/json"
	"time"
)

// PlaybookText is a playbook as its author wrote it.
type PlaybookText struct {
	// File names it in what is said about it.
	File string `json:"file" maxLength:"300" doc:"its file's name, for messages"`
	Text string `json:"text" maxLength:"1048576" doc:"the YAML"`
}

// PlanRequest asks what a playbook would do. Either Inputs or Alert starts it.
type PlanRequest struct {
	// Playbook names an active playbook; or Source is the text of one that need not
	// be.
	Playbook string        `json:"playbook,omitempty" maxLength:"200" doc:"an active playbook"`
	Source   *PlaybookText `json:"source,omitempty" doc:"or the text of one"`
	// Beside are the texts of playbooks that it may call, where they are not active.
	Beside []PlaybookText             `json:"beside,omitempty" maxItems:"50" doc:"texts of playbooks that it calls"`
	Inputs map[string]json.RawMessage `json:"inputs,omitempty" doc:"the playbook's inputs, as for a launch by hand"`
	// Alert is an alert as From would send it.
	Alert json.RawMessage `json:"alert,omitempty" doc:"an alert, in the form of its source"`
	From  string          `json:"from,omitempty" maxLength:"200" doc:"the source of the alert; the first that the playbook names where it is not given"`
}

// Plan is what a playbook would do now, in the order in which it would. Nothing of
// it happened: reads were called, effects were only resolved.
type Plan struct {
	Playbook string    `json:"playbook"`
	Title    string    `json:"title"`
	Digest   string    `json:"digest"`
	At       time.Time `json:"at" doc:"when the reads were made"`
	Offline  bool      `json:"offline,omitempty" doc:"reads were answered by fixtures, and guards not asked"`
	// Mode is what a run would start in now.
	Mode   string          `json:"mode" doc:"observe, ask or act: what a run would start in now"`
	Inputs json.RawMessage `json:"inputs" doc:"the run's inputs"`
	// Closing is how the run ends where people approve and nothing fails.
	Closing string        `json:"closing" doc:"how it ends where people approve and nothing fails"`
	Reason  string        `json:"reason,omitempty"`
	Reads   []PlanRead    `json:"reads"`
	Effects []PlanEffect  `json:"effects"`
	Asks    []PlanAsk     `json:"asks"`
	Unknown []PlanUnknown `json:"unknown" doc:"what decides the way and is not known yet, with each way"`
	Reach   []PlanReach   `json:"reach" doc:"blast radius per action"`
	Notes   []string      `json:"notes"`
	// Plays is how often the interpreter ran for this, one way each.
	Plays int `json:"plays"`
}

// PlanRead is one read that was called for the plan, once however often the run
// would.
type PlanRead struct {
	Step     string          `json:"step"`
	Action   string          `json:"action"`
	Instance string          `json:"instance"`
	Inputs   json.RawMessage `json:"inputs"`
	// Output has the fields that the playbook reads.
	Output json.RawMessage `json:"output,omitempty"`
	Error  string          `json:"error,omitempty"`
	// KnownAfter are the steps whose answer it needs: it was not called.
	KnownAfter []string `json:"known_after,omitempty"`
}

// PlanTarget is what an effect would act on.
type PlanTarget struct {
	ID    string `json:"id"`
	Label string `json:"label"`
	Kind  string `json:"kind"`
	// Class is what the inventory says of it: criticality, or nothing.
	Class string `json:"class,omitempty" doc:"the criticality that the inventory knows"`
	// KnownAfter is the step whose effect makes it: its id is not known yet.
	KnownAfter string `json:"known_after,omitempty"`
}

// PlanEffect is one effect that a run would bring about.
type PlanEffect struct {
	// N numbers them from 1; asks and ways refer to it.
	N         int             `json:"n"`
	Step      string          `json:"step"`
	Iteration string          `json:"iteration,omitempty"`
	Phase     string          `json:"phase,omitempty"`
	Action    string          `json:"action"`
	Instance  string          `json:"instance"`
	Inputs    json.RawMessage `json:"inputs"`
	Targets   []PlanTarget    `json:"targets"`
	// Undoes is the step whose effect it takes back.
	Undoes string `json:"undoes,omitempty"`
	// Base says that it happens where people approve and nothing fails; else Ways
	// are the only ways on which it does.
	Base bool `json:"base"`
	// Ways are those on which it happens, where Base is false, and those on which
	// it does not, where it is true.
	Ways []string `json:"ways,omitempty"`
	// KnownAfter are the steps whose answer its inputs need.
	KnownAfter []string `json:"known_after,omitempty"`
	// Ask is the number of the request that must approve it; 0 for none.
	Ask   int        `json:"ask,omitempty"`
	Guard *PlanGuard `json:"guard,omitempty" doc:"what the guards say now; nothing offline"`
	// Already says that a read found it so: no call would be made for it.
	Already bool         `json:"already,omitempty"`
	Inverse *PlanInverse `json:"inverse,omitempty"`
	Hold    *PlanHold    `json:"hold,omitempty"`
}

// PlanGuard is the word of the guards on one effect, as they stand now.
type PlanGuard struct {
	// Verdict is allow, ask, refuse or simulate.
	Verdict string `json:"verdict" enum:"allow,ask,refuse,simulate"`
	Mode    string `json:"mode" doc:"the lowest mode that applies: of trigger, playbook, source, instance"`
	// Rule and Reason are of the guard that asks, refuses, or would in observe mode.
	Rule    string       `json:"rule,omitempty"`
	Reason  string       `json:"reason,omitempty"`
	Budgets []PlanBudget `json:"budgets,omitempty"`
	// HeldBy are runs that hold the same already: this one would join them.
	HeldBy []string `json:"held_by,omitempty"`
}

// PlanBudget is what an effect takes of one budget.
type PlanBudget struct {
	Name string `json:"name"`
	// Takes counts this effect's targets, Left what is left before it and after the
	// effects above it.
	Takes int    `json:"takes"`
	Left  int    `json:"left"`
	Of    int    `json:"of"`
	Per   string `json:"per"`
}

// PlanInverse is how an effect is taken back.
type PlanInverse struct {
	Action string `json:"action,omitempty"`
	// Reversal is exact, lossy, none or unneeded.
	Reversal string `json:"reversal"`
	// Restores is the state that was found and would come back; absent where nothing
	// could be read.
	Restores json.RawMessage `json:"restores,omitempty"`
}

// PlanHold is how long an effect is kept, and what then.
type PlanHold struct {
	For string `json:"for"`
	// Until is if the run began now and people answered at once.
	Until time.Time `json:"until"`
	Then  string    `json:"then" enum:"ask,keep,release"`
}

// PlanAsk is a request to people.
type PlanAsk struct {
	N         int    `json:"n"`
	Step      string `json:"step"`
	Iteration string `json:"iteration,omitempty"`
	// Kind is approval, question or failure.
	Kind   string      `json:"kind"`
	Text   string      `json:"text"`
	Levels []PlanLevel `json:"levels"`
	Quorum int         `json:"quorum,omitempty"`
	// Effects are the numbers of those that the approval covers.
	Effects []int `json:"effects,omitempty"`
	// Base says that it is asked where people approve and nothing fails; else Ways
	// are those on which it is.
	Base    bool      `json:"base"`
	Ways    []string  `json:"ways,omitempty"`
	Answers []PlanWay `json:"answers"`
}

// PlanLevel is one rung of a chain of people.
type PlanLevel struct {
	Who    []string `json:"who"`
	Within string   `json:"within,omitempty"`
	// Persons are those who could answer now, as far as the server knows them.
	Persons []string `json:"persons,omitempty"`
}

// PlanWay is one answer or one way of a condition, and what it leads to.
type PlanWay struct {
	Way string `json:"way"`
	// Assumed says that the plan goes this way.
	Assumed bool   `json:"assumed,omitempty"`
	Closing string `json:"closing,omitempty"`
	Reason  string `json:"reason,omitempty"`
	// With and Without are the numbers of effects that come in and fall away,
	// against the way that the plan assumes.
	With    []int `json:"with,omitempty"`
	Without []int `json:"without,omitempty"`
	// Asks are the numbers of requests that come in.
	Asks []int `json:"asks,omitempty"`
	// After is how long the run waits for it: set for silence.
	After string `json:"after,omitempty"`
}

// PlanUnknown is a condition that hangs on what is not known before the run.
type PlanUnknown struct {
	Step string `json:"step"`
	// What is if, switch, repeat, approve or wait.
	What string `json:"what"`
	Text string `json:"text"`
	// On are the steps that will tell.
	On   []string  `json:"on,omitempty"`
	Ways []PlanWay `json:"ways"`
}

// PlanReach is the blast radius of one action over all ways of the plan.
type PlanReach struct {
	Action string `json:"action"`
	// Targets counts the distinct ones, Limit is the playbook's own.
	Targets int `json:"targets"`
	Limit   int `json:"limit,omitempty"`
	// Classes counts them per kind and criticality: "device high".
	Classes map[string]int `json:"classes"`
}

// RecordedAnswer is what a connector answered to a call, as it was recorded.
type RecordedAnswer struct {
	At       time.Time       `json:"at"`
	Run      string          `json:"run,omitempty"`
	Step     string          `json:"step,omitempty"`
	Action   string          `json:"action"`
	Instance string          `json:"instance"`
	Inputs   json.RawMessage `json:"inputs"`
	Output   json.RawMessage `json:"output,omitempty"`
	// Error is the kind of a failure, Message its text; empty for an answer.
	Error   string `json:"error,omitempty"`
	Message string `json:"message,omitempty"`
}

// Answers are the recorded answers of a run, in the order in which they came. As
// a file they are fixtures for quell plan --offline.
type Answers struct {
	Answers []RecordedAnswer `json:"answers"`
}

// Plan shows what a playbook would do.
func (c *Client) Plan(ctx context.Context, in PlanRequest) (Plan, error) {
	return post[Plan](ctx, c, "/v1/plans", in)
}

package run

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Direction says whether an effect acts or takes an earlier one back.
type Direction string

// The directions.
const (
	Do   Direction = "do"
	Undo Direction = "undo"
)

// TaskQueue is the one queue of workflows and of Quell's own activities. Effects
// and reads of a connector run on ConnectorQueue.
const TaskQueue = "quell"

// The types of Quell's workflows, as Temporal knows them.
const (
	PlaybookWorkflow = "quell.playbook"
	UndoWorkflow     = "quell.undo"
	HoldWorkflow     = "quell.hold"
	DoubtWorkflow    = "quell.doubt"
	FiringWorkflow   = "quell.firing"
)

// OnceHash is the middle part of a run's id: what the run is about. value is
// the canonical JSON of the once_per expressions.
func OnceHash(tenant, playbook string, value []byte) string {
	h := sha256.New()
	for _, part := range [][]byte{[]byte(tenant), []byte(playbook), value} {
		fmt.Fprintf(h, "%d:", len(part))
		h.Write(part)
	}
	return hex.EncodeToString(h.Sum(nil))[:24]
}

// ID builds a run's id, which is its workflow id too.
func ID(playbook, hash string, generation int) string {
	return playbook + "/" + hash + "/" + strconv.Itoa(generation)
}

// CalledID builds the id of a run that another run calls. The same call is the
// same run, however often it is begun; generation counts a person's retries,
// from 1.
func CalledID(playbook, parent, step, iteration string, generation int) string {
	return ID(playbook, "c-"+OnceHash(parent, step, []byte(iteration)), generation)
}

// ScheduleID builds the id of a playbook's n-th schedule, from 1. Temporal adds
// the nominal time for the id of each firing.
func ScheduleID(playbook string, n int) string {
	return SchedulePrefix + playbook + "/" + strconv.Itoa(n)
}

// SchedulePrefix begins the ids of Quell's schedules.
const SchedulePrefix = "schedule/"

// What begins the ids of workflows that are no runs.
const (
	holdPrefix  = "hold/"
	undoPrefix  = "undo/"
	doubtPrefix = "doubt/"
)

// Aside reports whether a workflow is a hold, an undo or a question to people, by
// its id: these serve a run and are none.
func Aside(workflow string) bool {
	return strings.HasPrefix(workflow, holdPrefix) || strings.HasPrefix(workflow, undoPrefix) || strings.HasPrefix(workflow, doubtPrefix)
}

// FiringTime reads the nominal time out of a firing's workflow id.
func FiringTime(id string) (time.Time, error) {
	const form = time.RFC3339
	if n := len("2006-01-02T15:04:05Z"); len(id) > n {
		if at, err := time.Parse(form, id[len(id)-n:]); err == nil {
			return at.UTC(), nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is no firing of a schedule: it ends in no time", id)
}

// UndoID builds the id of the n-th undo of a run, from 1.
func UndoID(run string, n int) string { return undoPrefix + run + "/" + strconv.Itoa(n) }

// HoldID builds the id of the hold on an effect.
func HoldID(effectKey string) string { return holdPrefix + effectKey }

// DoubtID builds the id of the question about an effect whose run is gone.
func DoubtID(effectKey string) string { return doubtPrefix + effectKey }

// DoubtRequestID names that question.
func DoubtRequestID(effectKey string) string { return DoubtID(effectKey) + "@1" }

// Key is an effect's name in both stores, the same at every attempt.
type Key struct {
	Tenant string
	Run    string
	// Step is the path of the step in the plan.
	Step string
	// Iteration is the path of loop indexes and rounds, outermost first: "",
	// "3", "0.2".
	Iteration string
	Direction Direction
	// Generation counts deliberate repetitions: a person's retry, a second undo
	// of the same step. It starts at 1.
	Generation int
}

// String writes the key; ParseKey reads it back.
func (k Key) String() string {
	return strings.Join([]string{k.Tenant, k.Run, k.Step, k.Iteration, string(k.Direction), strconv.Itoa(k.Generation)}, "|")
}

// ParseKey reads what Key.String wrote.
func ParseKey(s string) (Key, error) {
	p := strings.Split(s, "|")
	if len(p) != 6 {
		return Key{}, fmt.Errorf("effect key %q does not have six parts", s)
	}
	n, err := strconv.Atoi(p[5])
	if err != nil || n < 1 || (p[4] != string(Do) && p[4] != string(Undo)) {
		return Key{}, fmt.Errorf("effect key %q has a bad direction or generation", s)
	}
	return Key{Tenant: p[0], Run: p[1], Step: p[2], Iteration: p[3], Direction: Direction(p[4]), Generation: n}, nil
}

// RequestID names one request to people: an approval, a question, an error that
// waits for a decision. n counts requests at the same place, from 1.
func RequestID(run, step, iteration string, n int) string {
	return run + "#" + step + "#" + iteration + "#" + strconv.Itoa(n)
}

// Subject names an affected account as one who is asked: the connector instance
// that knows it and its id there.
func Subject(instance, id string) string { return "subject:" + instance + ":" + id }

// HoldRequestID names one question of a hold: at is when it was asked, in
// seconds since 1970.
func HoldRequestID(effectKey string, at int64) string {
	return HoldID(effectKey) + "@" + strconv.FormatInt(at, 10)
}

// RunOf returns the run that a workflow belongs to: itself, or the run whose effect
// is held, in doubt, or taken back. It is empty for a schedule's firing and for what
// is no id of ours.
func RunOf(workflow string) string {
	rest, key := workflow, false
	for _, prefix := range []string{holdPrefix, doubtPrefix} {
		if r, found := strings.CutPrefix(workflow, prefix); found {
			rest, key = r, true
		}
	}
	switch {
	case key:
		k, err := ParseKey(rest)
		if err != nil {
			return ""
		}
		return k.Run
	case strings.HasPrefix(workflow, SchedulePrefix):
		return ""
	case strings.HasPrefix(workflow, undoPrefix):
		rest = strings.TrimPrefix(workflow, undoPrefix)
		rest = rest[:max(0, strings.LastIndexByte(rest, '/'))]
	}
	if strings.Count(rest, "/") != 2 {
		return ""
	}
	return rest
}

// WorkflowOf returns the id of the workflow that waits for a request: the run's
// own, a hold's, or that of a question about an effect whose run is gone.
func WorkflowOf(request string) string {
	if strings.HasPrefix(request, holdPrefix) || strings.HasPrefix(request, doubtPrefix) {
		if i := strings.LastIndexByte(request, '@'); i > 0 {
			return request[:i]
		}
		return request
	}
	id, _, _ := strings.Cut(request, "#")
	return id
}

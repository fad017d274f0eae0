package playtest

import (
	"encoding/json"
	"time"

	"github.com/quell-soar/quell/activities/task"
)

// open puts a request before the people of the script: the first thing that is
// said for its step and kind and not used yet.
func (w *world) open(q task.OpenRequest) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, r := range w.requests {
		if r.ID == q.ID {
			return
		}
	}
	r := &Request{ID: q.ID, Step: w.at(q.Place), Kind: q.Kind, Text: q.Text, Levels: q.Levels, Opened: q.Opened, Show: q.Show}
	for i := range w.c.People {
		s := &w.c.People[i]
		if w.said[i] || s.Step != r.Step || (s.Kind != "" && s.Kind != r.Kind) {
			continue
		}
		w.said[i], r.say = true, s
		break
	}
	w.requests = append(w.requests, r)
}

// tally tells how a request stands at a time of the playbook.
func (w *world) tally(q task.TallyRequest) task.TallyResult {
	w.mu.Lock()
	defer w.mu.Unlock()
	var r *Request
	for _, o := range w.requests {
		if o.ID == q.ID {
			r = o
		}
	}
	if r == nil {
		return task.TallyResult{State: "expired"}
	}
	end := time.Time{}
	at := r.Opened
	for _, l := range r.Levels {
		if l.Within == 0 {
			at = time.Time{}
			break
		}
		at = at.Add(l.Within)
	}
	end = at
	if s := r.say; s != nil && s.Says != "silent" {
		when := r.Opened.Add(s.After)
		if late := !end.IsZero() && when.After(end); !late {
			if q.Now.Before(when) {
				return task.TallyResult{State: "open", Next: when}
			}
			return w.vote(r, s)
		}
	}
	if !end.IsZero() {
		if q.Now.Before(end) {
			return task.TallyResult{State: "open", Next: end}
		}
		return task.TallyResult{State: "expired"}
	}
	// This one waits for as long as it takes, and the script says nothing: the
	// play ends, and says so.
	limit := w.began.Add(w.budget)
	if q.Now.Before(limit) {
		return task.TallyResult{State: "open", Next: limit}
	}
	w.problem("step %s asks people (%s: %s) and nobody ever answers", r.Step, r.Kind, r.Text)
	return task.TallyResult{State: "denied", Withdrawn: true, Reason: "nobody ever answers"}
}

func (w *world) vote(r *Request, s *Say) task.TallyResult {
	who := s.Who
	if who == "" && len(r.Levels) > 0 && len(r.Levels[0].Who) > 0 {
		who = r.Levels[0].Who[0]
	}
	t := task.TallyResult{State: "approved", By: []string{who}, Reason: s.Why}
	switch s.Says {
	case "deny":
		t.State = "denied"
	case "approve":
	case "answer":
		t.Answer = s.Answer
	default:
		t.Answer, _ = json.Marshal(map[string]string{"choice": s.Says})
	}
	return t
}

func (w *world) closed(q task.CloseRequest) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, r := range w.requests {
		if r.ID == q.ID && r.Decided == "" {
			r.Decided = q.Decision
		}
	}
}

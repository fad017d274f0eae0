package rehearse

import (
	"time"

	"github.com/quell-soar/quell/activities/task"
)

// open puts a request before the people of the script.
func (s *stage) open(q task.OpenRequest) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.request(q.ID) == nil {
		s.played.Requests = append(s.played.Requests, &Request{OpenRequest: q, At: s.at(q.Place)})
	}
}

func (s *stage) request(id string) *Request {
	for _, r := range s.played.Requests {
		if r.ID == id {
			return r
		}
	}
	return nil
}

// tally tells how a request stands at a time of the playbook.
func (s *stage) tally(q task.TallyRequest) task.TallyResult {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.request(q.ID)
	if r == nil {
		return task.TallyResult{State: "expired"}
	}
	if r.said == nil {
		said := s.script.Say(r)
		r.said = &said
	}
	end, ends := r.ends()
	if !r.said.Silent {
		when := r.Opened.Add(r.said.After)
		if !ends || !when.After(end) {
			if q.Now.Before(when) {
				return task.TallyResult{State: "open", Next: when}
			}
			return r.said.tally()
		}
	}
	if !ends { // it waits for as long as it takes: the play ends, and says so
		end = s.began.Add(budget)
		if q.Now.Before(end) {
			return task.TallyResult{State: "open", Next: end}
		}
		return task.TallyResult{State: "denied", Withdrawn: true, Reason: neverAnswered}
	}
	if q.Now.Before(end) {
		return task.TallyResult{State: "open", Next: end}
	}
	return task.TallyResult{State: "expired"}
}

// neverAnswered is the reason of the end of a play in which a request without an
// end is not answered.
const neverAnswered = "nobody ever answers"

// ends is when nobody can answer any more; false where the last level waits for as
// long as it takes.
func (r *Request) ends() (time.Time, bool) {
	at := r.Opened
	for _, l := range r.Levels {
		if l.Within == 0 {
			return time.Time{}, false
		}
		at = at.Add(l.Within)
	}
	return at, true
}

func (s *Said) tally() task.TallyResult {
	t := task.TallyResult{State: "denied", By: s.By, Reason: s.Reason, Answer: s.Answer, Untrusted: s.Untrusted, Withdrawn: s.Withdrawn}
	if s.Approve {
		t.State = "approved"
	}
	return t
}

func (s *stage) closed(q task.CloseRequest) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r := s.request(q.ID); r != nil && r.Decided == "" {
		r.Decided = q.Decision
	}
}

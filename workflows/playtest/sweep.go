package playtest

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/quell-soar/quell/connectors/spec"
	"github.com/quell-soar/quell/playbooks/plan"
)

// Swept is one cell of the sweep: a call of an action fails in one kind. Calls that
// end alike are one cell; test and call are those of the first.
type Swept struct {
	Case   string `json:"test"`
	Action string `json:"action"`
	// Call is which call of the action failed, from 1.
	Call int `json:"call"`
	// Kind is the kind of the failure; lost is an answer that did not come.
	Kind    string `json:"kind"`
	Closing string `json:"closing,omitempty"`
	// Asked says that a person was asked what to do; the sweep answers stop.
	Asked bool `json:"asked,omitempty"`
	// Runs is how many runs of the sweep ended so.
	Runs int `json:"runs"`
	// Bad is why the end was not a declared one; empty is well.
	Bad string `json:"bad,omitempty"`
}

// sweepBudget is the longest that a run may take in the sweep, beside what the
// same run takes without a fault.
const sweepBudget = 60 * 24 * time.Hour

// mostCalls bounds the calls of one action that are made to fail, in each test.
const mostCalls = 5

// Sweep fails every call of every action that the tests make, in every kind, and
// plays the run to its end. A person who is asked about the failure says stop.
// Every run must end as declared, within the budget, with its review. Of these
// runs every sample-th is played; 0 and 1 play all.
func Sweep(p *plan.Plan, cases []Case, sample int) []Swept {
	var out []Swept
	turn := 0
	seen := map[string]int{}
	for i := range cases {
		c := cases[i]
		if c.Mode == "observe" {
			continue
		}
		plain := Play(p, &c)
		var names []string
		for a := range plain.Calls {
			names = append(names, a)
		}
		slices.Sort(names)
		for _, a := range names {
			sp, _ := specOf(p, a)
			for n := 1; n <= min(plain.Calls[a], mostCalls); n++ {
				for _, k := range append(errorKinds(), "lost") {
					if k == "lost" && !sp.Effect() {
						continue
					}
					if turn++; sample > 1 && turn%sample != 0 {
						continue
					}
					s := sweep(p, c, a, n, k, plain.Took)
					key := strings.Join([]string{a, k, s.Closing, fmt.Sprint(s.Asked), s.Bad}, "|")
					if at, again := seen[key]; again { // the same end again tells nothing new
						out[at].Runs++
						continue
					}
					seen[key] = len(out)
					out = append(out, s)
				}
			}
		}
	}
	return out
}

func specOf(p *plan.Plan, name string) (spec.Action, bool) {
	if a, ok := p.ActionSpec(name); ok {
		return a, true
	}
	return inverse(p, name)
}

func sweep(p *plan.Plan, c Case, action string, n int, k string, usual time.Duration) Swept {
	s := Swept{Case: c.Name, Action: action, Call: n, Kind: k, Runs: 1}
	f := &fault{action: action, at: n, answer: Answer{Error: k, Message: "the sweep"}}
	if k == "lost" {
		f.answer = Answer{Lost: true}
	}
	c.People = slices.Clone(c.People)
	walk(p, func(st *plan.Step) { // whoever is asked about it says stop
		for range 8 {
			c.People = append(c.People, Say{Step: st.Path, Kind: "failure", Says: "stop"})
		}
	})
	got := play(p, &c, f)
	s.Closing = got.Result.Closing
	for _, r := range got.Requests {
		s.Asked = s.Asked || r.Kind == "failure"
	}
	switch {
	case !slices.Contains(closings, s.Closing):
		s.Bad = "it did not end: " + strings.Join(stops(got), "; ")
	case got.Took > usual+sweepBudget:
		s.Bad = "it took " + got.Took.String()
	case !f.hit:
		s.Bad = "the call never came"
	case len(stops(got)) > 0:
		s.Bad = strings.Join(stops(got), "; ")
	}
	return s
}

// stops are the problems of a play that say that it hung; answers that were not
// needed, or not foreseen by the script once a call failed, are none.
func stops(got *Played) []string {
	var out []string
	for _, m := range got.Problems {
		if strings.Contains(m, "nobody ever answers") || strings.HasPrefix(m, "the run ") {
			out = append(out, m)
		}
	}
	return out
}

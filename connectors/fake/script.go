package fake

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"
)

// FaultKind names what a fake does wrong.
type FaultKind string

// The kinds of fault; the package comment tells what each does.
const (
	OK          FaultKind = "ok"
	Refuse      FaultKind = "refuse"
	Soft        FaultKind = "soft"
	ExpireToken FaultKind = "expire-token"
	Slow        FaultKind = "slow"
	Drop        FaultKind = "drop"
	Lost        FaultKind = "lost"
	Late        FaultKind = "late"
	Hold        FaultKind = "hold"
)

// Fault is one thing that goes wrong with one request.
type Fault struct {
	Kind FaultKind
	// Status is the answer of Refuse, and of Lost where it answers.
	Status int
	// For is the time of Slow, Late and Hold, and after which a 429 asks to come
	// back.
	For time.Duration
}

type step struct {
	fault Fault
	turns int     // left; below 0 without end
	rate  float64 // 0 to 1
}

type rule struct {
	vendor, operation, object string
	steps                     []step
}

// Script decides which request meets which fault. It is not safe for concurrent
// use; the world guards it.
type Script struct {
	text  string
	rules []rule
	dice  *rand.Rand
}

// ParseScript reads a script; seed decides the chances.
func ParseScript(text string, seed uint64) (*Script, error) {
	s := &Script{text: text, dice: rand.New(rand.NewPCG(seed, 0))} //nolint:gosec // chances must repeat, not be secret
	for i, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(line)
		if cut := strings.Index(line, "#"); cut == 0 || cut > 0 && line[cut-1] == ' ' {
			line = strings.TrimSpace(line[:cut])
		}
		if line == "" {
			continue
		}
		r, err := parseRule(line)
		if err != nil {
			return nil, fmt.Errorf("fault script, line %d: %w", i+1, err)
		}
		s.rules = append(s.rules, r)
	}
	return s, nil
}

// String returns the script's text.
func (s *Script) String() string { return s.text }

// Next decides about one request and uses up a turn of the rule that matches.
func (s *Script) Next(vendor, operation, object string) Fault {
	for i := range s.rules {
		r := &s.rules[i]
		if !matches(r.vendor, vendor) || !matches(r.operation, operation) || !matches(r.object, object) {
			continue
		}
		for len(r.steps) > 0 && r.steps[0].turns == 0 {
			r.steps = r.steps[1:]
		}
		if len(r.steps) == 0 {
			continue
		}
		st := &r.steps[0]
		if st.turns > 0 {
			st.turns--
		}
		if st.rate < 1 && s.dice.Float64() >= st.rate {
			continue
		}
		return st.fault
	}
	return Fault{Kind: OK}
}

func matches(pattern, s string) bool { return pattern == "*" || strings.EqualFold(pattern, s) }

func parseRule(line string) (rule, error) {
	head, tail, ok := strings.Cut(line, ":")
	if !ok {
		return rule{}, fmt.Errorf("%q has no colon; write VENDOR OPERATION: FAULT", line)
	}
	words := strings.Fields(head)
	if len(words) < 2 || len(words) > 3 {
		return rule{}, fmt.Errorf("%q is not VENDOR OPERATION [OBJECT]", strings.TrimSpace(head))
	}
	r := rule{vendor: words[0], operation: words[1], object: "*"}
	if len(words) == 3 {
		r.object = words[2]
	}
	for part := range strings.SplitSeq(tail, ";") {
		if len(r.steps) > 0 && r.steps[len(r.steps)-1].turns < 0 {
			return rule{}, fmt.Errorf("%q is never reached: the step before it has no end; give that a count, such as 3x", strings.TrimSpace(part))
		}
		st, err := parseStep(strings.Fields(part))
		if err != nil {
			return rule{}, err
		}
		r.steps = append(r.steps, st)
	}
	return r, nil
}

func parseStep(words []string) (step, error) {
	st := step{turns: 1, rate: 1}
	counted := false
	if len(words) > 0 && words[0] == "then" {
		words = words[1:]
	}
	if len(words) > 0 {
		if n, ok := strings.CutSuffix(words[0], "x"); ok {
			turns, err := strconv.Atoi(n)
			if err != nil || turns < 1 {
				return st, fmt.Errorf("%q is no count such as 3x", words[0])
			}
			st.turns, counted, words = turns, true, words[1:]
		} else if words[0] == "always" {
			st.turns, counted, words = -1, true, words[1:]
		}
	}
	if len(words) > 0 {
		if p, ok := strings.CutSuffix(words[0], "%"); ok {
			pct, err := strconv.ParseFloat(p, 64)
			if err != nil || !(pct > 0 && pct <= 100) {
				return st, fmt.Errorf("%q is no chance from 1%% to 100%%", words[0])
			}
			st.rate, words = pct/100, words[1:]
			if !counted {
				st.turns = -1
			}
		}
	}
	if len(words) == 0 {
		return st, fmt.Errorf("a step names no fault; there are ok, 429, 500, soft, expire-token, slow, drop, lost, late and hold")
	}
	var err error
	st.fault, err = parseFault(words[0], words[1:])
	return st, err
}

func parseFault(name string, args []string) (Fault, error) {
	f := Fault{Kind: FaultKind(name)}
	arg := strings.Join(args, " ")
	bad := func(want string) (Fault, error) {
		return f, fmt.Errorf("fault %s: %q is not understood; %s", name, arg, want)
	}
	switch f.Kind {
	case OK, Soft, ExpireToken, Drop:
		if arg != "" {
			return bad("it takes nothing behind it")
		}
		return f, nil
	case Slow, Late, Hold:
		d, err := time.ParseDuration(arg)
		if err != nil || d <= 0 {
			return bad("it takes a time such as 3s")
		}
		f.For = d
		return f, nil
	case Lost:
		if arg == "" {
			return f, nil
		}
		n, err := strconv.Atoi(strings.TrimPrefix(arg, "status="))
		if err != nil || n < 200 || n > 599 {
			return bad("it takes nothing or status=502")
		}
		f.Status = n
		return f, nil
	}
	status, err := strconv.Atoi(name)
	if err != nil || status < 400 || status > 599 {
		return f, fmt.Errorf("there is no fault %q; there are ok, 429, 500, soft, expire-token, slow, drop, lost, late and hold", name)
	}
	f.Kind, f.Status = Refuse, status
	if arg == "" {
		f.For = time.Second
		return f, nil
	}
	retry, ok := strings.CutPrefix(arg, "retry=")
	d, err := time.ParseDuration(retry)
	if !ok || err != nil || status != 429 {
		return bad("only 429 takes something, such as retry=2s")
	}
	f.For = d
	return f, nil
}

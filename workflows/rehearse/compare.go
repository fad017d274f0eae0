package rehearse

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"

	"github.com/quell-soar/quell/connectors/spec/kind"
	"github.com/quell-soar/quell/playbooks/plan"
	"github.com/quell-soar/quell/server/api"
	"github.com/quell-soar/quell/workflows/run"
)

// side is one version's play of a record.
type side struct {
	plan   *plan.Plan
	played *Played
	script *recording
}

// order is where each step stands in a plan.
func order(p *plan.Plan) map[string]int {
	out := map[string]int{}
	walk(p, func(st *plan.Step) { out[st.Path] = len(out) })
	return out
}

// known reports whether what a version does at a step counts: all of it, or where
// data is missing what stands before.
func (s *side) known(step string) bool {
	if !s.script.frozen {
		return true
	}
	at := order(s.plan)
	n, there := at[step]
	limit, known := at[s.script.at]
	return there && known && n < limit
}

// compare fills in where two versions part.
func compare(old, now *side, c *api.BacktestCase) {
	c.Decides = decisions(old, now)
	c.Targets, c.Inputs = targetsApart(old, now)
	c.Asks = asksApart(old, now)
	if !now.script.frozen && old.played.Result.Closing != now.played.Result.Closing {
		c.Ends = &api.BacktestChange{Before: old.played.Result.Closing, After: now.played.Result.Closing}
	}
	c.Missing, c.Assumed = now.script.missing, now.script.assumed
}

// decisions lists the conditions of both versions that went another way.
func decisions(old, now *side) []api.BacktestChange {
	before, after := ways(old.plan, old.played.Result.Tree.Steps), ways(now.plan, now.played.Result.Tree.Steps)
	var out []api.BacktestChange
	walk(now.plan, func(st *plan.Step) {
		a, b := before[st.Path], after[st.Path]
		if a != "" && b != "" && a != b && now.known(st.Path) {
			out = append(out, api.BacktestChange{What: st.Path, Before: a, After: b})
		}
	})
	return out
}

// ways tells which way each condition of a plan went, in all its rounds.
func ways(p *plan.Plan, tree []run.StepProgress) map[string]string {
	conditions := map[string]bool{}
	walk(p, func(st *plan.Step) { conditions[st.Path] = st.If != nil || st.Choose != nil })
	out := map[string]string{}
	var in func([]run.StepProgress)
	in = func(steps []run.StepProgress) {
		for _, s := range steps {
			if conditions[s.Path] && s.Kind != "item" && s.Kind != "round" {
				word := "yes"
				switch {
				case strings.HasPrefix(s.Detail, "case "), s.Detail == "default", strings.HasPrefix(s.Detail, "no case"):
					word = s.Detail
				case s.Status == "skipped":
					word = "no"
				}
				if out[s.Path] != "" {
					word = out[s.Path] + ", " + word
				}
				out[s.Path] = word
			}
			in(s.Steps)
		}
	}
	in(tree)
	return out
}

// deed is an effect as a backtest compares it.
func (e *Effect) deed() string {
	text := strings.TrimSpace(e.Action + " " + strings.Join(labels(e.Targets), ", "))
	if e.Undo {
		return "undo by " + text
	}
	return text
}

// deeds are the effects of a version that count, by what they are.
func (s *side) deeds() (names []string, by map[string][]*Effect) {
	by = map[string][]*Effect{}
	for _, e := range s.played.Effects {
		if s.script.late[e.Key] {
			continue
		}
		name := e.deed()
		if by[name] == nil {
			names = append(names, name)
		}
		by[name] = append(by[name], e)
	}
	return names, by
}

// targetsApart lists the effects that come in and fall away, and those on the same
// targets whose inputs are others.
func targetsApart(old, now *side) (targets, inputs []api.BacktestChange) {
	before, was := old.deeds()
	after, is := now.deeds()
	for _, name := range before {
		gone := len(was[name]) - len(is[name])
		for i, e := range was[name] {
			if i < gone && now.known(e.Step) {
				targets = append(targets, api.BacktestChange{What: e.Step, Before: name})
			}
		}
	}
	for _, name := range after {
		for i, e := range is[name] {
			if i >= len(was[name]) {
				targets = append(targets, api.BacktestChange{What: e.Step, After: name})
				continue
			}
			if o := was[name][i]; !bytes.Equal(o.Inputs, e.Inputs) {
				a, b := apart(o.Inputs, e.Inputs)
				inputs = append(inputs, api.BacktestChange{What: e.Step + " " + name, Before: a, After: b})
			}
		}
	}
	return targets, inputs
}

// apart are the inputs that differ, as JSON.
func apart(a, b json.RawMessage) (before, after string) {
	var x, y map[string]json.RawMessage
	if json.Unmarshal(a, &x) != nil || json.Unmarshal(b, &y) != nil {
		return brief(a), brief(b)
	}
	for name := range x {
		if bytes.Equal(x[name], y[name]) {
			delete(x, name)
			delete(y, name)
		}
	}
	ra, err1 := json.Marshal(x)
	rb, err2 := json.Marshal(y)
	if err1 != nil || err2 != nil {
		return brief(a), brief(b)
	}
	return brief(ra), brief(rb)
}

// asksApart lists the requests that come in and fall away. One that asks others, or
// asks something else, is another.
func asksApart(old, now *side) []api.BacktestChange {
	before, after := old.asks(), now.asks()
	var out []api.BacktestChange
	for _, a := range before {
		if i := slices.IndexFunc(after, func(b ask) bool { return b.key == a.key }); i >= 0 {
			after = slices.Delete(after, i, i+1)
			continue
		}
		if now.known(a.step) {
			out = append(out, api.BacktestChange{What: a.step, Before: a.text})
		}
	}
	for _, b := range after {
		i := slices.IndexFunc(out, func(c api.BacktestChange) bool { return c.What == b.step && c.After == "" })
		if i >= 0 { // the same step asks otherwise
			out[i].After = b.text
			continue
		}
		out = append(out, api.BacktestChange{What: b.step, After: b.text})
	}
	return out
}

// ask is a request as a backtest compares it.
type ask struct{ key, step, text string }

func (s *side) asks() []ask {
	var out []ask
	for _, r := range s.played.Requests {
		if s.script.late[r.ID] {
			continue
		}
		var chain []string
		for _, l := range r.Levels {
			who := strings.Join(l.Who, " or ")
			if l.Within > 0 {
				who += " within " + kind.FormatDuration(l.Within)
			}
			chain = append(chain, who)
		}
		text := r.Kind + " of " + strings.Join(chain, ", then ") + ": " + r.Text
		out = append(out, ask{key: r.At + "\x00" + text + "\x00" + r.question(), step: r.At, text: text})
	}
	return out
}

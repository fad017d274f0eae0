package playtest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/quell-soar/quell/activities"
	"github.com/quell-soar/quell/activities/task"
	"github.com/quell-soar/quell/connectors/spec"
	"github.com/quell-soar/quell/connectors/spec/kind"
	"github.com/quell-soar/quell/internal/intake"
	"github.com/quell-soar/quell/playbooks/compile"
	"github.com/quell-soar/quell/playbooks/diag"
	"github.com/quell-soar/quell/playbooks/plan"
	"github.com/quell-soar/quell/playbooks/source"
	"github.com/quell-soar/quell/server/api"
	"github.com/quell-soar/quell/workflows/rehearse"
	"github.com/quell-soar/quell/workflows/run"
)

// Offline asks for the preview of a playbook without a server.
type Offline struct {
	// File is the playbook.
	File string
	// Fixtures is a test file, or a file of recorded answers (api.Answers as JSON);
	// "" is the test file beside the playbook.
	Fixtures string
	// Test names the test whose answers, alert or inputs count; "" is the first.
	Test string
	// Inputs or Alert replace those of the test. Alert is an alert in the generic
	// form, From its source; "" is the first that the playbook names.
	Inputs map[string]json.RawMessage
	Alert  []byte
	From   string
}

// Preview makes the preview. Where the playbook or the fixtures have mistakes, the
// list holds them and there is no plan.
func (o Offline) Preview(ctx context.Context) (*api.Plan, diag.List, error) {
	raw, err := read(o.File)
	if err != nil {
		return nil, nil, err
	}
	p, list := compile.Compile(source.NewFile(o.File, raw), compile.Options{Actions: generic{}, Playbooks: beside(filepath.Dir(o.File))})
	if list.HasErrors() {
		return nil, list, nil
	}
	c, list, err := o.fixtures(p)
	if err != nil || list.HasErrors() {
		return nil, list, err
	}
	if err := o.begin(p, c); err != nil {
		return nil, nil, err
	}
	in, err := input(p, c)
	if err != nil {
		return nil, nil, err
	}
	w, err := newWorld(p, c)
	if err != nil {
		return nil, nil, err
	}
	callees := map[string]run.Input{}
	bindAll(p, callees)
	got, err := rehearse.Preview{Plan: p, Input: in, Callees: callees, Now: c.Now, Offline: true, Sources: &fixtures{world: w}}.Run(ctx)
	return got, nil, err
}

// bindAll lets the one instance of a play serve what called playbooks use.
func bindAll(p *plan.Plan, into map[string]run.Input) {
	for _, ch := range p.Children {
		cp, err := p.ChildPlan(ch.Digest)
		if err != nil {
			continue // the preview tells
		}
		var in run.Input
		for _, a := range cp.Actions {
			in.Bindings = append(in.Bindings, run.Binding{Action: a.Name, Instance: Instance})
		}
		into[ch.Playbook] = in
		bindAll(cp, into)
	}
}

// fixtures reads what the answers come from.
func (o Offline) fixtures(p *plan.Plan) (*Case, diag.List, error) {
	name := o.Fixtures
	if name == "" {
		name = strings.TrimSuffix(strings.TrimSuffix(o.File, ".yml"), ".yaml") + suffix
	}
	raw, err := read(name)
	if errors.Is(err, fs.ErrNotExist) {
		err = &NoTests{Where: name}
	}
	if err != nil {
		return nil, nil, fmt.Errorf("what answers the reads: %w; name a test file or a file of recorded answers with --fixtures", err)
	}
	if filepath.Ext(name) == ".json" {
		c, err := recorded(raw)
		return c, nil, err
	}
	cases, _, list := Read(source.NewFile(name, raw), p)
	if list.HasErrors() {
		return nil, list, nil
	}
	var names []string
	for i := range cases {
		if o.Test == "" || cases[i].Name == o.Test {
			return &cases[i], nil, nil
		}
		names = append(names, cases[i].Name)
	}
	return nil, nil, fmt.Errorf("%s has no test %q; there are: %s", name, o.Test, strings.Join(names, "; "))
}

// recorded makes a case of recorded answers: each counts for the inputs that it
// was given to.
func recorded(raw []byte) (*Case, error) {
	var all api.Answers
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&all); err != nil {
		return nil, fmt.Errorf("fixtures: recorded answers, as quell run answers writes them: %w", err)
	}
	c := &Case{Mode: "act", Actor: "offline", Now: time.Now().UTC().Truncate(time.Second), Answers: map[string][]Answer{}, recorded: all.Answers}
	return c, nil
}

// begin takes what starts the run from what was asked for.
func (o Offline) begin(p *plan.Plan, c *Case) error {
	switch {
	case len(o.Alert) > 0 && len(o.Inputs) > 0:
		return errors.New("an alert and inputs: one of them starts the run")
	case len(o.Alert) > 0:
		from := o.From
		for _, t := range p.Triggers.Alerts {
			if from == "" && len(t.From) > 0 {
				from = t.From[0]
			}
		}
		a, err := intake.Normalise(from, intake.Generic, "offline", c.Now, o.Alert)
		if err != nil {
			return err
		}
		c.Alert, c.Inputs = a.Value(), nil
	case len(o.Inputs) > 0:
		raw, err := intake.ReadInputs(p, o.Inputs)
		if err != nil {
			return err
		}
		v, err := kind.Decode(kind.RecordOf(inputFields(p)...), raw)
		if err != nil {
			return err
		}
		c.Alert, c.Inputs = nil, v.(map[string]any)
	case c.Alert == nil && c.Inputs == nil:
		c.Inputs = map[string]any{}
	}
	return nil
}

// fixtures answer the reads of a preview.
type fixtures struct {
	*world
	mu sync.Mutex
}

var _ rehearse.Sources = &fixtures{}

// Read answers from the record where there is one, else from the test.
func (f *fixtures) Read(_ context.Context, q task.ReadRequest) (task.ReadResult, error) {
	q.Quick = false
	if f.c.recorded == nil {
		return f.read(q), nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for i, a := range f.c.recorded {
		if a.Action != q.Action || !sameInputs(a.Inputs, q.Inputs) {
			continue
		}
		if a.Error != "" {
			return task.ReadResult{Failure: &task.Failure{Kind: a.Error, Message: a.Message}}, nil
		}
		if slices.ContainsFunc(f.c.recorded[i+1:], func(o api.RecordedAnswer) bool { return o.Action == a.Action && sameInputs(o.Inputs, q.Inputs) }) {
			f.c.recorded = slices.Delete(slices.Clone(f.c.recorded), i, i+1) // the last one stays
		}
		return task.ReadResult{Output: a.Output}, nil
	}
	return task.ReadResult{Failure: &task.Failure{Kind: string(spec.NotFound), Message: "no answer to these inputs is recorded"}}, nil
}

// sameInputs compares two canonical texts whatever the layout of the file.
func sameInputs(a, b json.RawMessage) bool {
	var x, y bytes.Buffer
	return json.Compact(&x, a) == nil && json.Compact(&y, b) == nil && bytes.Equal(x.Bytes(), y.Bytes())
}

// Foresee: offline nobody can say what guards would.
func (f *fixtures) Foresee(context.Context, task.ActRequest) (*activities.Foreseen, error) {
	return nil, nil
}

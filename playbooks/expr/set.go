package expr

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"

	"github.com/quell-soar/quell/connectors/spec/kind"
	"github.com/quell-soar/quell/internal/alert"
	"github.com/quell-soar/quell/playbooks/plan"
)

// Set holds the programs of one plan. It is made once per plan and may be used
// from several goroutines.
type Set struct {
	exprs    []plan.Expr
	programs []program
	reg      *registry
	roots    map[string]*recordType
}

type program struct {
	prog cel.Program
	ast  *cel.Ast
	// locals are the loop variables around the expression.
	locals map[string]*shape
}

// Scope is what expressions read, as canonical values of package kind. A key
// that is missing is absent.
type Scope struct {
	Inputs, Settings, Steps, Outcome, Errors, Run, Alert, Locals map[string]any
	Now                                                          time.Time
}

// EvalError is a failed expression and where it stands in the playbook.
type EvalError struct {
	Line, Column int
	Message      string
}

// Error tells the place and what went wrong.
func (e *EvalError) Error() string { return fmt.Sprintf("%d:%d: %s", e.Line, e.Column, e.Message) }

// Load makes the programs of a plan. It fails where the plan does not fit its
// own types, which a plan of this compiler never does.
func Load(p *plan.Plan) (*Set, error) {
	s := &Set{exprs: p.Exprs, reg: newRegistry(), roots: map[string]*recordType{}}
	s.reg.scope = scopeOf(p)
	for _, root := range sortedNames(s.reg.scope) {
		s.roots[root] = s.reg.newRecordType(recordPrefix+"root."+root, s.reg.scope[root], root)
	}
	locals := localsOf(p)
	envs := &Checker{reg: s.reg, envs: map[string]*cel.Env{}}
	for i, e := range p.Exprs {
		env, err := envs.celEnv(locals[i])
		if err != nil {
			return nil, fmt.Errorf("load expressions of %s: %w", p.Playbook, err)
		}
		prog, err := compileProgram(env, e.Text)
		if err != nil {
			return nil, fmt.Errorf("load expression %d of %s, line %d: %w", i, p.Playbook, e.Line, err)
		}
		if len(locals[i]) > 0 {
			prog.locals = make(map[string]*shape, len(locals[i]))
			for _, l := range locals[i] {
				prog.locals[l.Name] = s.reg.shape(l.Type)
			}
		}
		s.programs = append(s.programs, prog)
	}
	return s, nil
}

func compileProgram(env *cel.Env, text string) (program, error) {
	if len(text) > 4*maxExpression {
		return program{}, fmt.Errorf("the expression is longer than %d characters", maxExpression)
	}
	parsed, iss := env.Parse(text)
	if iss.Err() != nil {
		return program{}, iss.Err()
	}
	ast, iss, _ := check(env, parsed)
	if iss.Err() != nil {
		return program{}, iss.Err()
	}
	inOrder(ast)
	prog, err := env.Program(ast, cel.CostLimit(maxCost), cel.CostTracking(costs{}),
		cel.CustomDecoratorV2(orderLiterals))
	if err != nil {
		return program{}, err
	}
	return program{prog: prog, ast: ast}, nil
}

// scopeOf gives the types of the roots for the whole plan: whether a name may
// be read at a place was the compiler's question and is settled.
func scopeOf(p *plan.Plan) map[string]kind.Type {
	scope := enumRoots()
	record := func() kind.Type { return kind.Type{Kind: kind.Record} }
	inputs, settings, steps, outcome, errs := record(), record(), record(), record(), record()
	for _, in := range p.Inputs {
		inputs.Fields = append(inputs.Fields, kind.Field{Name: in.Name, Type: in.Type})
	}
	for _, st := range p.Settings {
		settings.Fields = append(settings.Fields, kind.Field{Name: st.Name, Type: st.Type})
	}
	for _, r := range p.Results {
		if r.Type.Kind != "" {
			steps.Fields = append(steps.Fields, kind.Field{Name: r.ID, Type: r.Type})
		}
		outcome.Fields = append(outcome.Fields, kind.Field{Name: r.ID, Type: OutcomeType()})
		errs.Fields = append(errs.Fields, kind.Field{Name: r.ID, Type: ErrorType()})
	}
	scope[rootInputs], scope[rootSettings], scope[rootSteps] = inputs, settings, steps
	scope[rootOutcome], scope[rootErrors] = outcome, errs
	scope[rootRun], scope[rootAlert] = RunType(), alert.Type()
	return scope
}

// localsOf gives, per expression, the loop variables around it, outermost first.
func localsOf(p *plan.Plan) [][]kind.Field {
	out := make([][]kind.Field, len(p.Exprs))
	inside := func(r plan.ExprRef) bool { return int(r) >= 0 && int(r) < len(out) }
	var walk func([]plan.Step, []kind.Field)
	walk = func(steps []plan.Step, around []kind.Field) {
		for i := range steps {
			st, here := &steps[i], around
			if f := st.Foreach; f != nil && inside(f.In) {
				here = append(slices.Clone(around), kind.Field{Name: f.Var, Type: elemOf(p.Exprs[f.In].Type)})
			}
			for _, r := range st.Exprs() {
				if inside(r) {
					out[r] = here
				}
			}
			for _, list := range st.Inside() {
				walk(list, here)
			}
		}
	}
	for _, ph := range p.Phases {
		walk(ph.Steps, nil)
	}
	return out
}

// Eval runs one expression. The result is a canonical value, checked against
// the expression's type where that is known; nil is an empty optional. Errors
// are *EvalError.
func (s *Set) Eval(e plan.ExprRef, sc Scope) (any, error) {
	if int(e) < 0 || int(e) >= len(s.programs) {
		return nil, &EvalError{Message: fmt.Sprintf("the plan has no expression %d", e)}
	}
	v, _, err := s.programs[e].prog.Eval(activation{s, &sc, s.programs[e].locals})
	if err != nil {
		return nil, s.failed(e, err)
	}
	out, err := fromVal(v)
	if err != nil {
		return nil, s.failed(e, err)
	}
	out, err = coerce(s.exprs[e].Type, out)
	if err != nil {
		return nil, s.failed(e, err)
	}
	return out, nil
}

// Bool runs an expression that must give true or false.
func (s *Set) Bool(e plan.ExprRef, sc Scope) (bool, error) {
	v, err := s.Eval(e, sc)
	if err != nil {
		return false, err
	}
	b, ok := v.(bool)
	if !ok {
		return false, s.failed(e, errors.New("the expression gives neither true nor false"))
	}
	return b, nil
}

// coerce checks a result against its type; a whole number becomes a double
// where one is asked for.
func coerce(t kind.Type, v any) (any, error) {
	if t.Kind == "" || v == nil {
		return v, nil
	}
	if n, ok := v.(int64); ok && t.Kind == kind.Double {
		return float64(n), nil
	}
	if err := kind.Check(t, v); err != nil {
		return nil, err
	}
	return v, nil
}

// failed places an error. CEL names the node that failed where it can.
func (s *Set) failed(e plan.ExprRef, err error) *EvalError {
	x := s.exprs[e]
	out := &EvalError{Line: x.Line, Column: x.Column, Message: cleanMessage(err.Error())}
	var ce *types.Err
	if errors.As(err, &ce) && ce.NodeID() > 0 {
		if r, ok := s.programs[e].ast.NativeRep().SourceInfo().GetOffsetRange(ce.NodeID()); ok && r.Start > 0 && !strings.Contains(x.Text, "\n") {
			out.Message = fmt.Sprintf("%s (at character %d of the expression)", out.Message, r.Start+1)
		}
	}
	return out
}

// activation resolves the roots and loop variables of one evaluation.
type activation struct {
	s      *Set
	sc     *Scope
	locals map[string]*shape
}

// ResolveName implements cel.Activation.
func (a activation) ResolveName(name string) (any, bool) {
	switch name {
	case rootInputs:
		return a.root(name, a.sc.Inputs), true
	case rootSettings:
		return a.root(name, a.sc.Settings), true
	case rootSteps:
		return a.root(name, a.sc.Steps), true
	case rootOutcome:
		return a.root(name, a.sc.Outcome), true
	case rootErrors:
		return a.root(name, a.sc.Errors), true
	case rootRun:
		return a.root(name, a.sc.Run), true
	case rootAlert:
		if a.sc.Alert == nil {
			return nil, false
		}
		return a.root(name, a.sc.Alert), true
	case rootNow:
		return types.Timestamp{Time: a.sc.Now.UTC()}, true
	case string(kind.Severity), string(kind.Criticality):
		return a.root(name, enumNames[name]), true
	}
	v, ok := a.sc.Locals[name]
	if !ok {
		return nil, false
	}
	return a.s.reg.toVal(a.locals[name], v), true
}

// Parent implements cel.Activation.
func (a activation) Parent() cel.Activation { return nil }

func (a activation) root(name string, values map[string]any) ref.Val {
	return &object{reg: a.s.reg, rec: a.s.roots[name], values: values}
}

package expr

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"

	"github.com/quell-soar/quell/connectors/spec/kind"
	"github.com/quell-soar/quell/playbooks/plan"
)

// Rule is one expression that stands outside of any playbook and says yes or no
// about a few named values: a guard of the configuration. It may be used from
// several goroutines.
type Rule struct {
	set *Set
}

// NewRule types a rule over names and makes its program. Beside the names it may
// read now and the constants of severity and criticality. Problems carry rune
// offsets into text, as Checker.Check's do.
//
// A field of a record that the value does not have makes the evaluation fail,
// though its type does not say that it may be absent: who asks about what is not
// known shall hear that, and not a guess. has(target.tags) asks whether it is.
func NewRule(text string, names []kind.Field) (*Rule, []Problem) {
	got, found := NewChecker(nil).Check(text, Env{Locals: names, OnlyRoots: []string{rootNow}})
	if len(found) > 0 {
		return nil, found
	}
	if got.Type.Kind != kind.Boolean {
		return nil, []Problem{{Code: "wrong-type", To: len([]rune(text)), Message: fmt.Sprintf("a rule says true or false; this is a %s", got.Type)}}
	}
	r, err := loadRule(text, names)
	if err != nil {
		return nil, []Problem{{Code: "internal", To: len([]rune(text)), Message: err.Error()}}
	}
	return r, nil
}

func loadRule(text string, names []kind.Field) (*Rule, error) {
	s := &Set{
		exprs: []plan.Expr{{Text: text, Type: kind.Of(kind.Boolean), Line: 1, Column: 1}},
		reg:   newRegistry(), roots: map[string]*recordType{},
	}
	s.reg.scope = enumRoots()
	for _, root := range sortedNames(s.reg.scope) {
		s.roots[root] = s.reg.newRecordType(recordPrefix+"root."+root, s.reg.scope[root], root)
	}
	locals := make(map[string]*shape, len(names))
	for _, n := range names {
		sh := s.reg.shape(n.Type)
		if sh != nil && sh.rec != nil {
			sh.rec.label = n.Name // errors speak of target.tags
		}
		locals[n.Name] = sh
	}
	env, err := newCELEnv(s.reg, slices.Clone(names))
	if err != nil {
		return nil, fmt.Errorf("load the rule: %w", err)
	}
	prog, err := compileProgram(env, text)
	if err != nil {
		return nil, fmt.Errorf("load the rule: %w", err)
	}
	prog.locals = locals
	s.programs = []program{prog}
	return &Rule{set: s}, nil
}

// Holds says whether the rule is true of the values, which are canonical values
// by name. An error says that it cannot be told.
func (r *Rule) Holds(values map[string]any, now time.Time) (bool, error) {
	v, _, err := r.set.programs[0].prog.Eval(ruleActivation{activation{r.set, &Scope{Locals: values, Now: now}, r.set.programs[0].locals}})
	if err != nil {
		return false, errors.New(cleanMessage(err.Error()))
	}
	b, ok := v.(types.Bool)
	if !ok {
		return false, errors.New("the rule gives neither true nor false")
	}
	return bool(b), nil
}

// ruleActivation knows no playbook: only locals, now and the constants.
type ruleActivation struct{ activation }

// ResolveName implements cel.Activation.
func (a ruleActivation) ResolveName(name string) (any, bool) {
	switch name {
	case rootInputs, rootSettings, rootSteps, rootOutcome, rootErrors, rootRun, rootAlert:
		return nil, false
	}
	return a.activation.ResolveName(name)
}

// Parent implements cel.Activation.
func (ruleActivation) Parent() cel.Activation { return nil }

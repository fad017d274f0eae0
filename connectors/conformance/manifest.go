package conformance

import (
	"context"
	"fmt"
	"maps"
	"reflect"
	"slices"

	"github.com/quell-soar/quell/connectors/sdk/secret"
	"github.com/quell-soar/quell/connectors/spec"
)

// fetch hands a fake's secrets to the host.
func fetch(f Fake) func(context.Context) (map[string]secret.Value, error) {
	return func(context.Context) (map[string]secret.Value, error) { return f.Secrets, nil }
}

// inspectManifest holds the manifest to the contract and to the vocabulary.
func inspectManifest(target Target) []string {
	var problems []string
	errorf := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) }
	m := target.Connector.Manifest()
	if err := m.Validate(); err != nil {
		errorf("%v", err)
	}
	if !reflect.DeepEqual(m, target.Connector.Manifest()) {
		errorf("the manifest is another at the second time")
	}
	if m.Title == "" || m.Doc == "" {
		errorf("the manifest needs a title and a doc")
	}
	if !slices.IsSortedFunc(m.Actions, func(a, b spec.Action) int {
		if a.Name < b.Name {
			return -1
		}
		return 1
	}) {
		errorf("the manifest's actions are not sorted by name")
	}
	for _, s := range m.Settings {
		if s.Doc == "" {
			errorf("the setting %s needs a doc", s.Name)
		}
		if s.Secret && s.Default != "" {
			errorf("the secret setting %s has a default", s.Name)
		}
	}
	for _, a := range m.Actions {
		problems = append(problems, inspectAction(target, a)...)
	}
	for _, name := range slices.Sorted(maps.Keys(target.Samples)) {
		if _, ok := m.Action(name); !ok {
			errorf("there is a sample for %s, which the connector does not serve", name)
		}
	}
	return problems
}

func inspectAction(target Target, a spec.Action) []string {
	var problems []string
	errorf := func(format string, args ...any) {
		problems = append(problems, a.Name+": "+fmt.Sprintf(format, args...))
	}
	if a.Title == "" {
		errorf("it needs a title")
	}
	if target.Lookup == nil {
		return problems
	}
	g, ok := target.Lookup(a.Name)
	if !ok {
		errorf("it does not stand in the vocabulary; put it there first")
		return problems
	}
	if !a.InputType().Equal(g.InputType()) {
		errorf("its inputs differ from the vocabulary's: %+v, not %+v", a.Inputs, g.Inputs)
	}
	if !a.OutputType().Equal(g.OutputType()) {
		errorf("its outputs differ from the vocabulary's: %+v, not %+v", a.Outputs, g.Outputs)
	}
	if a.Targets != g.Targets {
		errorf("its targets are %q, the vocabulary's %q", a.Targets, g.Targets)
	}
	if a.Inverse != "" && a.Inverse != g.Inverse {
		errorf("its inverse is %q, the vocabulary's %q", a.Inverse, g.Inverse)
	}
	if a.Effect() != g.Effect() {
		errorf("its class is %s, the vocabulary's %s", a.Class, g.Class)
	}
	if g.Class == spec.Once && a.Class == spec.Idempotent {
		errorf("it claims to be idempotent, which the vocabulary does not allow for it")
	}
	return problems
}

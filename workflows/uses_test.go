package workflows

import (
	"testing"

	"github.com/quell-soar/quell/connectors/spec"
	"github.com/quell-soar/quell/connectors/spec/kind"
	"github.com/quell-soar/quell/workflows/run"
)

// A handle goes back to the instance that found it, unless the action only reads
// about it: then the bound instance answers.
func TestInstanceOf(t *testing.T) {
	user := kind.Field{Name: "user", Type: kind.HandleOf("user")}
	about := user
	about.Foreign = true
	handle := kind.Handle{Name: "user", Instance: "entra", ID: "u1", Label: "ann"}
	it := &interp{in: run.Input{Bindings: []run.Binding{{Action: "iam.disable_user", Instance: "okta"}, {Action: "asset.find_user", Instance: "cmdb"}}}}
	for _, tt := range []struct {
		action string
		in     kind.Field
		value  any
		want   string
	}{
		{"iam.disable_user", user, handle, "entra"},
		{"iam.disable_user", user, []any{handle}, "entra"},
		{"asset.find_user", about, handle, "cmdb"},
		{"asset.find_group", about, handle, ""},
	} {
		sp := spec.Action{Name: tt.action, Inputs: []kind.Field{tt.in}}
		if got := it.instanceOf(sp, map[string]any{"user": tt.value}); got != tt.want {
			t.Errorf("%s goes to %q, want %q", tt.action, got, tt.want)
		}
	}
}

package host

import (
	"testing"

	"github.com/quell-soar/quell/connectors/spec"
	"github.com/quell-soar/quell/connectors/spec/kind"
)

func TestStrayedHandles(t *testing.T) {
	user := kind.Field{Name: "user", Type: kind.HandleOf("user")}
	about := kind.Field{Name: "about", Type: kind.HandleOf("user"), Foreign: true}
	a := spec.Action{Name: "test.read", Inputs: []kind.Field{user, about}}
	theirs := kind.Handle{Name: "user", Instance: "entra", ID: "u1", Label: "ann"}
	mine := kind.Handle{Name: "user", Instance: "cmdb", ID: "u1", Label: "ann"}
	for _, tt := range []struct {
		name   string
		inputs map[string]any
		want   bool
	}{
		{"read about another's", map[string]any{"about": theirs}, false},
		{"one's own", map[string]any{"user": mine, "about": theirs}, false},
		{"another's", map[string]any{"user": theirs}, true},
		{"another's in a list", map[string]any{"user": []any{mine, theirs}}, true},
		{"another's in a field that the action does not have", map[string]any{"extra": theirs}, true},
	} {
		if _, got := strayed(a, "cmdb", tt.inputs); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}

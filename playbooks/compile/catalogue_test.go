package compile_test

import (
	"slices"

	"github.com/quell-soar/quell/connectors/spec/kind"
	"github.com/quell-soar/quell/internal/alert"
	"github.com/quell-soar/quell/playbooks/compile"
	"github.com/quell-soar/quell/playbooks/compile/corpus"
)

// options are what a playbook of the tests is compiled against. The codes of an
// installation need one.
func options(codes ...string) compile.Options {
	o := corpus.Options()
	if slices.Contains(codes, "nobody-can") || slices.Contains(codes, "action-not-bound") {
		o.Installed = &compile.Installation{
			Roles: []string{"analyst", "ir-lead"}, OnCall: []string{"soc"},
			Unbound: func(action string) (why, cure string) {
				if action != "asset.find_user" {
					return "", ""
				}
				return "cmdb and entra serve asset.find_user, and none of them is bound", "bind one in the configuration: bindings: { asset.find_user: cmdb }"
			},
		}
	}
	return o
}

func alertType() kind.Type { return alert.Type() }

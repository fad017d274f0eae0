package server

import (
	"encoding/json"
	"strings"

	"github.com/quell-soar/quell/internal/intake"
	"github.com/quell-soar/quell/playbooks/plan"
)

// readInputs reads what a person gave as the playbook's inputs and writes them
// canonical.
func readInputs(p *plan.Plan, given map[string]json.RawMessage) ([]byte, error) {
	out, err := intake.ReadInputs(p, given)
	if err != nil {
		return nil, invalid("%v", err)
	}
	return out, nil
}

// shorten bounds a caller's text within an answer.
func shorten(s string) string {
	const most = 80
	if len(s) > most {
		return strings.ToValidUTF8(s[:most], "") + "…"
	}
	return s
}

package auth

import (
	"github.com/quell-soar/quell/internal/ledger"
	"github.com/quell-soar/quell/internal/store"
)

// record writes a change of a token into the ledger, within the change's own
// transaction: a token that the ledger does not know cannot exist.
func (t *Tokens) record(tx *store.Tx, kind, by string, tok Token) error {
	_, err := t.ledger.Append(tx, ledger.Row{Kind: kind, Tenant: t.tenant, Key: tok.ID, Actor: by}, struct {
		Name   string   `json:"name"`
		User   string   `json:"user"`
		Roles  []string `json:"roles,omitempty"`
		Scopes []Scope  `json:"scopes"`
	}{tok.Name, tok.User, tok.Roles, tok.Scopes})
	return err
}

package auth

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/quell-soar/quell/internal/ledger"
	"github.com/quell-soar/quell/internal/store"
)

// FirstLife is how long the code for the first admin is good.
const FirstLife = 15 * time.Minute

// FirstPrefix begins the code for the first admin.
const FirstPrefix = "quell_first_"

// ErrFirst says that no code is open, that it is over or was used, or that it is
// another one; which of them is not told.
var ErrFirst = errors.New("the code for the first admin is not good: unknown, used or older than 15 minutes; restart the server for a new one, or ask an admin")

// First opens the door for the first admin and shuts it for good: a code that is
// good once, for FirstLife, and only while the installation never had an admin.
type First struct {
	tokens *Tokens
}

// NewFirst makes the door over the tokens' tables.
func NewFirst(t *Tokens) *First { return &First{tokens: t} }

// Offer makes a code where the installation never had an admin, and returns ""
// where it had one. A later offer replaces an earlier one: only what was printed
// last is good. The caller shows it on a terminal, or writes it to a 0600 file.
func (f *First) Offer(ctx context.Context) (code string, err error) {
	t := f.tokens
	code = FirstPrefix + strings.ToLower(rand.Text()+rand.Text())
	err = t.db.Update(ctx, func(tx *store.Tx) error {
		had, err := f.had(tx)
		if err != nil || had {
			code = ""
			return err
		}
		if _, err := tx.Exec(`DELETE FROM first_admin WHERE tenant = ?`, t.tenant); err != nil {
			return err
		}
		_, err = tx.Exec(`INSERT INTO first_admin (tenant, hash, expires, used) VALUES (?, ?, ?, 0)`,
			t.tenant, digest(code), t.now().Add(FirstLife).UnixNano())
		return err
	})
	if err != nil {
		return "", fmt.Errorf("offer the first admin: %w", err)
	}
	return code, nil
}

// had reports whether an admin token was ever made, revoked and expired ones
// included: who lost the last admin repairs it on the machine, over the socket.
func (f *First) had(tx *store.Tx) (bool, error) {
	rows, err := tx.Query(`SELECT scopes FROM tokens WHERE tenant = ?`, f.tokens.tenant)
	if err != nil {
		return false, err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var raw []byte
		var scopes []Scope
		if err := rows.Scan(&raw); err != nil {
			return false, err
		}
		if err := json.Unmarshal(raw, &scopes); err != nil {
			return false, fmt.Errorf("scopes of a token: %w", err)
		}
		if slices.Contains(scopes, Admin) {
			return true, nil
		}
	}
	return false, rows.Err()
}

// Take uses a code up and makes the first admin's token. The errors are ErrFirst,
// *InvalidError for a bad wish (the code stays good), or a fault of the store.
func (f *First) Take(ctx context.Context, code string, w Wish) (Token, string, error) {
	t := f.tokens
	w.Scopes = []Scope{Admin}
	if err := w.check(); err != nil {
		return Token{}, "", err
	}
	if !strings.HasPrefix(code, FirstPrefix) || len(code) > 128 {
		return Token{}, "", ErrFirst
	}
	var tok Token
	var secret string
	err := t.db.Update(ctx, func(tx *store.Tx) error {
		had, err := f.had(tx)
		if err != nil {
			return err
		}
		var expires int64
		err = tx.QueryRow(`SELECT expires FROM first_admin WHERE tenant = ? AND hash = ? AND used = 0`, t.tenant, digest(code)).Scan(&expires)
		if errors.Is(err, sql.ErrNoRows) || had || (err == nil && t.now().UnixNano() >= expires) {
			return ErrFirst
		}
		if err != nil {
			return err
		}
		if _, err := tx.Exec(`UPDATE first_admin SET used = ? WHERE tenant = ?`, t.now().UnixNano(), t.tenant); err != nil {
			return err
		}
		if tok, secret, err = t.insert(tx, "first-admin", w); err != nil {
			return err
		}
		_, err = t.ledger.Append(tx, ledger.Row{Kind: "admin.first", Tenant: t.tenant, Key: tok.ID, Actor: UserPrefix + w.User}, map[string]string{"user": w.User})
		return err
	})
	if err != nil {
		return Token{}, "", fmt.Errorf("first admin: %w", err)
	}
	return tok, secret, nil
}

package auth

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/quell-soar/quell/internal/ledger"
	"github.com/quell-soar/quell/internal/store"
)

// Prefix begins every token, so that a scanner finds one that leaked.
const Prefix = "quell_"

const (
	defaultLife = 90 * 24 * time.Hour
	maxLife     = 366 * 24 * time.Hour
	// usedEvery is how exactly the last use is kept: not a write per request.
	usedEvery = time.Minute
)

var nameForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._@-]{0,63}$`)

// The errors of tokens. None quotes a secret.
var (
	// ErrToken: unknown, expired or revoked; which of them is not told.
	ErrToken = errors.New("the token is not good: unknown, expired or revoked")
	// ErrNoToken: there is no live token of that id.
	ErrNoToken = errors.New("there is no such token")
)

// InvalidError says what is wrong with the wish for a token.
type InvalidError struct{ Problem string }

func (e *InvalidError) Error() string { return "token: " + e.Problem }

// Wish says what token is wanted.
type Wish struct {
	Name, User string
	Roles      []string
	Scopes     []Scope
	// Life is how long it is good; 0 means 90 days.
	Life time.Duration
}

// Token is a token without its secret.
type Token struct {
	ID, Name, User             string
	Roles                      []string
	Scopes                     []Scope
	By                         string
	Created, Expires, LastUsed time.Time
	Revoked                    time.Time
}

// Tokens keeps tokens in the store.
type Tokens struct {
	db     *store.DB
	ledger *ledger.Ledger
	tenant string
	now    func() time.Time
}

// NewTokens opens the room; its tables must be there (Schema).
func NewTokens(db *store.DB, l *ledger.Ledger, tenant string, now func() time.Time) *Tokens {
	return &Tokens{db: db, ledger: l, tenant: tenant, now: now}
}

func (w Wish) check() error {
	bad := func(format string, args ...any) error { return &InvalidError{Problem: fmt.Sprintf(format, args...)} }
	switch {
	case !nameForm.MatchString(w.Name):
		return bad("its name must be 1 to 64 of letters, digits, . _ @ -")
	case !nameForm.MatchString(w.User):
		return bad("its user must be 1 to 64 of letters, digits, . _ @ -")
	case len(w.Scopes) == 0:
		return bad("it needs at least one scope of %s", strings.Join(texts(Scopes()), ", "))
	case w.Life < 0 || w.Life > maxLife:
		return bad("it may be good for at most 366d")
	}
	for _, r := range w.Roles {
		if !nameForm.MatchString(r) || strings.HasPrefix(r, "oncall.") {
			return bad("the role %q must be 1 to 64 of letters, digits, . _ @ - and no duty; duties come from the configuration", r)
		}
	}
	return nil
}

// Create makes a token and returns its secret, which nobody can read again.
func (t *Tokens) Create(ctx context.Context, by Actor, w Wish) (Token, string, error) {
	if err := w.check(); err != nil {
		return Token{}, "", err
	}
	if !by.Can(Admin) {
		return Token{}, "", &RefusedError{Actor: by.Name, Need: Admin}
	}
	var tok Token
	var secret string
	err := t.db.Update(ctx, func(tx *store.Tx) error {
		var err error
		tok, secret, err = t.insert(tx, by.Name, w)
		return err
	})
	if err != nil {
		return Token{}, "", fmt.Errorf("create token: %w", err)
	}
	return tok, secret, nil
}

// insert makes a checked token and its entry in one transaction. The
// transaction may run again: each time makes another secret.
func (t *Tokens) insert(tx *store.Tx, by string, w Wish) (Token, string, error) {
	if w.Life == 0 {
		w.Life = defaultLife
	}
	secret := Prefix + strings.ToLower(rand.Text()+rand.Text()) // 260 bits
	now := t.now().UTC()
	tok := Token{
		ID: "t-" + strings.ToLower(rand.Text())[:12], Name: w.Name, User: w.User, Roles: w.Roles, Scopes: w.Scopes,
		By: by, Created: now, Expires: now.Add(w.Life),
	}
	roles, err := json.Marshal(orNone(w.Roles))
	if err != nil {
		return Token{}, "", err
	}
	scopes, err := json.Marshal(w.Scopes)
	if err != nil {
		return Token{}, "", err
	}
	var n int
	if err := tx.QueryRow(`SELECT COUNT(*) FROM tokens WHERE tenant = ? AND name = ? AND revoked = 0 AND expires > ?`,
		t.tenant, w.Name, now.UnixNano()).Scan(&n); err != nil {
		return Token{}, "", err
	}
	if n > 0 {
		return Token{}, "", &InvalidError{Problem: fmt.Sprintf("a live token named %s is there; revoke it or take another name", w.Name)}
	}
	if _, err := tx.Exec(`INSERT INTO tokens (id, tenant, hash, name, user_name, roles, scopes, made_by, created, expires, last_used, revoked)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, 0)`, tok.ID, t.tenant, digest(secret), w.Name, w.User, roles, scopes, by,
		now.UnixNano(), tok.Expires.UnixNano()); err != nil {
		return Token{}, "", err
	}
	return tok, secret, t.record(tx, "token.created", by, tok)
}

func orNone(in []string) []string {
	if in == nil {
		return []string{}
	}
	return in
}

// digest is what is kept of a secret. The secret has 260 bits, so a plain hash
// cannot be searched.
func digest(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(sum[:])
}

const tokenColumns = `id, name, user_name, roles, scopes, made_by, created, expires, last_used, revoked` //nolint:gosec // names of columns

func scanToken(s interface{ Scan(...any) error }) (Token, error) {
	var t Token
	var roles, scopes []byte
	var created, expires, used, revoked int64
	if err := s.Scan(&t.ID, &t.Name, &t.User, &roles, &scopes, &t.By, &created, &expires, &used, &revoked); err != nil {
		return t, err
	}
	t.Created, t.Expires, t.LastUsed, t.Revoked = at(created), at(expires), at(used), at(revoked)
	if err := json.Unmarshal(roles, &t.Roles); err != nil {
		return t, fmt.Errorf("token %s: roles: %w", t.ID, err)
	}
	if err := json.Unmarshal(scopes, &t.Scopes); err != nil {
		return t, fmt.Errorf("token %s: scopes: %w", t.ID, err)
	}
	return t, nil
}

func at(n int64) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return time.Unix(0, n).UTC()
}

// Authenticate finds out who presents a secret. The error is ErrToken or a
// fault of the store.
func (t *Tokens) Authenticate(ctx context.Context, secret string) (Actor, error) {
	if !strings.HasPrefix(secret, Prefix) || len(secret) > 128 {
		return Actor{}, ErrToken
	}
	now := t.now()
	var tok Token
	err := t.db.View(ctx, func(tx *store.Tx) error {
		var err error
		// The digest is what is compared: its bytes tell a guesser nothing about
		// how near a secret came.
		tok, err = scanToken(tx.QueryRow(`SELECT `+tokenColumns+` FROM tokens WHERE tenant = ? AND hash = ?`, t.tenant, digest(secret)))
		return err
	})
	if errors.Is(err, sql.ErrNoRows) {
		return Actor{}, ErrToken
	}
	if err != nil {
		return Actor{}, fmt.Errorf("authenticate: %w", err)
	}
	if !tok.Revoked.IsZero() || !now.Before(tok.Expires) {
		return Actor{}, ErrToken
	}
	if now.Sub(tok.LastUsed) >= usedEvery {
		if err := t.db.Update(ctx, func(tx *store.Tx) error {
			_, err := tx.Exec(`UPDATE tokens SET last_used = ? WHERE id = ? AND last_used < ?`, now.UnixNano(), tok.ID, now.UnixNano())
			return err
		}); err != nil {
			return Actor{}, fmt.Errorf("authenticate: %w", err)
		}
	}
	return Actor{Name: UserPrefix + tok.User, Roles: tok.Roles, Scopes: tok.Scopes, Token: tok.ID}, nil
}

// List returns all tokens, newest first, revoked and expired ones too.
func (t *Tokens) List(ctx context.Context) ([]Token, error) {
	var out []Token
	err := t.db.View(ctx, func(tx *store.Tx) error {
		rows, err := tx.Query(`SELECT `+tokenColumns+` FROM tokens WHERE tenant = ? ORDER BY created DESC, id`, t.tenant)
		if err != nil {
			return err
		}
		defer func() { _ = rows.Close() }()
		for rows.Next() {
			tok, err := scanToken(rows)
			if err != nil {
				return err
			}
			out = append(out, tok)
		}
		return rows.Err()
	})
	if err != nil {
		return nil, fmt.Errorf("list tokens: %w", err)
	}
	return out, nil
}

// Rotate makes another secret for a live token's name, user, roles and scopes.
// The old secret stays good for overlap, at most a day, so that what uses it can
// be changed without a gap.
func (t *Tokens) Rotate(ctx context.Context, by Actor, id string, overlap time.Duration) (Token, string, error) {
	if !by.Can(Admin) {
		return Token{}, "", &RefusedError{Actor: by.Name, Need: Admin}
	}
	if overlap < 0 || overlap > 24*time.Hour {
		return Token{}, "", &InvalidError{Problem: "the old secret may stay good for at most 24h"}
	}
	var tok Token
	var secret string
	err := t.db.Update(ctx, func(tx *store.Tx) error {
		now := t.now().UTC()
		old, err := scanToken(tx.QueryRow(`SELECT `+tokenColumns+` FROM tokens WHERE tenant = ? AND id = ? AND revoked = 0 AND expires > ?`, t.tenant, id, now.UnixNano()))
		if errors.Is(err, sql.ErrNoRows) {
			return ErrNoToken
		}
		if err != nil {
			return err
		}
		name := old.Name
		until := min(old.Expires.UnixNano(), now.Add(overlap).UnixNano())
		if _, err := tx.Exec(`UPDATE tokens SET name = ?, expires = ? WHERE id = ?`, name+".old-"+id, until, id); err != nil {
			return err
		}
		if tok, secret, err = t.insert(tx, by.Name, Wish{Name: name, User: old.User, Roles: old.Roles, Scopes: old.Scopes, Life: old.Expires.Sub(old.Created)}); err != nil {
			return err
		}
		return t.record(tx, "token.rotated", by.Name, old)
	})
	if err != nil {
		return Token{}, "", fmt.Errorf("rotate token %s: %w", id, err)
	}
	return tok, secret, nil
}

// Revoke ends a token at once. A second time is ErrNoToken.
func (t *Tokens) Revoke(ctx context.Context, by Actor, id string) error {
	if !by.Can(Admin) {
		return &RefusedError{Actor: by.Name, Need: Admin}
	}
	err := t.db.Update(ctx, func(tx *store.Tx) error {
		tok, err := scanToken(tx.QueryRow(`SELECT `+tokenColumns+` FROM tokens WHERE tenant = ? AND id = ? AND revoked = 0`, t.tenant, id))
		if errors.Is(err, sql.ErrNoRows) {
			return ErrNoToken
		}
		if err != nil {
			return err
		}
		if _, err := tx.Exec(`UPDATE tokens SET revoked = ? WHERE id = ?`, t.now().UnixNano(), id); err != nil {
			return err
		}
		return t.record(tx, "token.revoked", by.Name, tok)
	})
	if err != nil {
		return fmt.Errorf("revoke token %s: %w", id, err)
	}
	return nil
}

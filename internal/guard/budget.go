package guard

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/quell-soar/quell/connectors/spec/kind"
	"github.com/quell-soar/quell/internal/store"
)

// Budget bounds how many targets some actions may reach, over all runs, within a
// sliding window.
type Budget struct {
	// Name tells it apart in the record and in the store: renamed, it begins anew.
	Name string
	// Actions are patterns: an action, a domain such as edr, or *.
	Actions []string
	// Criticality and Tags narrow it to a class of targets; empty is all. A target
	// of which that is not known belongs to every class.
	Criticality, Tags []string
	// Targets is how many, Per the length of the window.
	Targets int
	Per     time.Duration
	// Then is Refuse where it is empty. With AskFirst a person's approval lets an
	// effect out beyond the budget, and it counts.
	Then Then
}

func (b Budget) ofClass() bool { return len(b.Criticality)+len(b.Tags) > 0 }

func budgetsOf(list []Budget) ([]Budget, error) {
	out := slices.Clone(list)
	// In one order: two admissions take the budgets' locks one after the other.
	slices.SortFunc(out, func(a, b Budget) int { return strings.Compare(a.Name, b.Name) })
	for i, b := range out {
		switch {
		case b.Name == "" || i > 0 && out[i-1].Name == b.Name:
			return nil, fmt.Errorf("guard: a budget needs a name of its own, not %q", b.Name)
		case b.Targets < 0 || b.Per <= 0 || len(b.Actions) == 0:
			return nil, fmt.Errorf("guard: budget %s needs actions, a number of targets and a time", b.Name)
		case b.Then != "" && b.Then != Refuse && b.Then != AskFirst:
			return nil, fmt.Errorf("guard: budget %s: then is refuse or ask, not %q", b.Name, b.Then)
		}
		for _, c := range b.Criticality {
			if kind.Of(kind.Criticality).Rank(c) < 0 {
				return nil, fmt.Errorf("guard: budget %s: there is no criticality %q", b.Name, c)
			}
		}
	}
	return out, nil
}

// counts returns how many targets of a question the budget counts. An effect that
// names no targets counts as one.
func (b Budget) counts(q Question) int {
	if !fits(b.Actions, q.Action) {
		return 0
	}
	if len(q.Targets) == 0 {
		return 1
	}
	n := 0
	for _, t := range q.Targets {
		if b.has(t) {
			n++
		}
	}
	return n
}

func (b Budget) has(t Target) bool {
	if len(b.Criticality) > 0 {
		v, known := t.value("criticality")
		c, _ := v.(string)
		if known && !slices.Contains(b.Criticality, c) {
			return false
		}
	}
	if len(b.Tags) > 0 {
		tags, known := t.texts("tags")
		if known && !slices.ContainsFunc(tags, func(s string) bool { return slices.Contains(b.Tags, s) }) {
			return false
		}
	}
	return true
}

// Spend takes what an effect needs from every budget that counts it, or refuses
// and takes nothing. It is called in the transaction that writes the intent, for
// each attempt: what an earlier attempt of the effect took is taken anew, from
// now on.
func (g *Guard) Spend(tx *store.Tx, now time.Time, q Question) (*Refusal, error) {
	type charge struct {
		Budget
		n int
	}
	var charges []charge
	for _, b := range g.budgets {
		n := b.counts(q)
		if n == 0 {
			continue
		}
		if err := tx.Alone("guard.budget " + q.Tenant + " " + b.Name); err != nil {
			return nil, fmt.Errorf("guard: budget %s: %w", b.Name, err)
		}
		spent, err := b.spent(tx, now, q.Tenant, q.Key)
		if err != nil {
			return nil, err
		}
		if spent+n > b.Targets && (b.Then != AskFirst || !q.Approved) {
			return &Refusal{
				Rule: "budget", Ask: b.Then == AskFirst,
				Reason: fmt.Sprintf("the budget %s allows %d targets in %s; %d are spent and this needs %d", b.Name, b.Targets, kind.FormatDuration(b.Per), spent, n),
			}, nil
		}
		charges = append(charges, charge{b, n})
	}
	for _, c := range charges {
		_, err := tx.Exec(`INSERT INTO guard_spent (tenant, budget, effect_key, targets, at) VALUES (?, ?, ?, ?, ?)
			ON CONFLICT (tenant, budget, effect_key) DO UPDATE SET targets = excluded.targets, at = excluded.at`,
			q.Tenant, c.Name, q.Key, c.n, now.UnixNano())
		if err != nil {
			return nil, fmt.Errorf("guard: budget %s: %w", c.Name, err)
		}
		// A day more than the window: a budget may be lengthened, and a clock set.
		if _, err := tx.Exec(`DELETE FROM guard_spent WHERE tenant = ? AND budget = ? AND at < ?`, q.Tenant, c.Name, now.Add(-c.Per-24*time.Hour).UnixNano()); err != nil {
			return nil, fmt.Errorf("guard: budget %s: %w", c.Name, err)
		}
	}
	return nil, nil
}

// spent counts what other effects took within the window that ends now.
func (b Budget) spent(tx *store.Tx, now time.Time, tenant, but string) (int, error) {
	var n int
	err := tx.QueryRow(`SELECT COALESCE(SUM(targets), 0) FROM guard_spent WHERE tenant = ? AND budget = ? AND at > ? AND effect_key <> ?`,
		tenant, b.Name, now.Add(-b.Per).UnixNano(), but).Scan(&n)
	if err != nil {
		return 0, fmt.Errorf("guard: budget %s: %w", b.Name, err)
	}
	return n, nil
}

// GiveBack returns what an effect took. It is called, in the transaction that
// settles the effect, where it is known that nothing was changed.
func GiveBack(tx *store.Tx, key string) error {
	if _, err := tx.Exec(`DELETE FROM guard_spent WHERE effect_key = ?`, key); err != nil {
		return fmt.Errorf("guard: give back: %w", err)
	}
	return nil
}

// Account is how a budget stands.
type Account struct {
	Budget
	Spent int
}

// Accounts tells how all budgets of a tenant stand, by name.
func (g *Guard) Accounts(tx *store.Tx, now time.Time, tenant string) ([]Account, error) {
	out := make([]Account, 0, len(g.budgets))
	for _, b := range g.budgets {
		n, err := b.spent(tx, now, tenant, "")
		if err != nil {
			return nil, err
		}
		out = append(out, Account{b, n})
	}
	return out, nil
}

package guard

import (
	"time"

	"github.com/quell-soar/quell/internal/store"
)

// Charge is what an effect would take of one budget.
type Charge struct {
	Account
	// Takes is how many of its targets the budget counts.
	Takes int
}

// Charges tells what an effect would take of every budget that counts it, and
// takes nothing. It is for previews; an admission asks Spend.
func (g *Guard) Charges(tx *store.Tx, now time.Time, q Question) ([]Charge, error) {
	var out []Charge
	for _, b := range g.budgets {
		n := b.counts(q)
		if n == 0 {
			continue
		}
		spent, err := b.spent(tx, now, q.Tenant, q.Key)
		if err != nil {
			return nil, err
		}
		out = append(out, Charge{Account: Account{b, spent}, Takes: n})
	}
	return out, nil
}

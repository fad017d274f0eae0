package guard

import (
	"database/sql"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/quell-soar/quell/internal/store"
)

// Mode says how much may happen by itself.
type Mode string

// The modes, lowest first.
const (
	// Observe records what would have been done.
	Observe Mode = "observe"
	// Ask does what a person approved.
	Ask Mode = "ask"
	// Act does what the playbook says.
	Act Mode = "act"
)

// Lowest returns the lowest of modes; an empty or unknown one counts as Observe,
// and so does an empty list.
func Lowest(modes ...Mode) Mode {
	low := Act
	for _, m := range modes {
		switch m {
		case Act:
		case Ask:
			if low == Act {
				low = Ask
			}
		default:
			return Observe
		}
	}
	if len(modes) == 0 {
		return Observe
	}
	return low
}

// Refusal is a guard's word against an effect.
type Refusal struct {
	// Rule is kill_switch, freeze, protected, limit or ask.
	Rule   string `json:"rule"`
	Reason string `json:"reason"`
}

func (r *Refusal) String() string { return r.Rule + ": " + r.Reason }

// Rules are what the configuration says.
type Rules struct {
	// Protected are names, addresses and CIDR blocks that no effect may touch.
	Protected []string
	Freezes   []Freeze
}

// Freeze is a time in which nothing is changed.
type Freeze struct {
	From, To time.Time
	Reason   string
}

// Target is what an effect acts on: the vendor's id and what people call it.
type Target struct {
	ID    string `json:"id"`
	Label string `json:"label"`
}

// Guard checks effects against rules and switches.
type Guard struct {
	names map[string]bool
	// hosts are the first labels of names with a domain.
	hosts    map[string]bool
	prefixes []netip.Prefix
	freezes  []Freeze
}

// New makes a guard from rules.
func New(r Rules) (*Guard, error) {
	g := &Guard{names: map[string]bool{}, hosts: map[string]bool{}, freezes: r.Freezes}
	for _, p := range r.Protected {
		if strings.Contains(p, "/") {
			prefix, err := netip.ParsePrefix(strings.TrimSpace(p))
			if err != nil {
				return nil, fmt.Errorf("guard: protected %q is neither a name nor a CIDR block", p)
			}
			g.prefixes = append(g.prefixes, plain(prefix))
			continue
		}
		n := fold(p)
		if n == "" {
			return nil, errors.New("guard: a protected name is empty")
		}
		if a, err := address(n); err == nil {
			g.prefixes = append(g.prefixes, netip.PrefixFrom(a, a.BitLen()))
			continue
		}
		g.names[n] = true
		if host, _, dotted := strings.Cut(n, "."); dotted && !strings.Contains(n, "@") {
			g.hosts[host] = true
		}
	}
	return g, nil
}

// address parses an address in any of its spellings to the one that is compared.
func address(s string) (netip.Addr, error) {
	a, err := netip.ParseAddr(s)
	return a.Unmap().WithZone(""), err
}

// plain writes a block of IPv4-mapped addresses as the IPv4 block that it is.
func plain(p netip.Prefix) netip.Prefix {
	const mapped = 96
	if p.Addr().Is4In6() && p.Bits() >= mapped {
		p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-mapped)
	}
	return p.Masked()
}

// fold writes a name as it is compared: without case, without the dot of a fully
// qualified name.
func fold(s string) string { return strings.ToLower(strings.TrimSuffix(strings.TrimSpace(s), ".")) }

// Schema makes the guard's table.
func Schema() store.Schema {
	return store.Schema{Name: "guard", Steps: []string{
		`CREATE TABLE guard_kill (id BIGINT PRIMARY KEY, active BIGINT NOT NULL, actor TEXT NOT NULL, reason TEXT NOT NULL, at BIGINT NOT NULL)`,
		`INSERT INTO guard_kill (id, active, actor, reason, at) VALUES (1, 0, '', '', 0)`,
	}}
}

// Check returns why an effect on targets may not happen now, or nil. It is
// called in the transaction that would admit the effect.
func (g *Guard) Check(tx *store.Tx, now time.Time, targets []Target) (*Refusal, error) {
	// Whoever turns the switch waits for admissions under way: once it is turned,
	// no intent follows.
	on, reason, err := killed(tx, tx.ForShare())
	if err != nil {
		return nil, err
	}
	if on {
		return &Refusal{Rule: "kill_switch", Reason: "the kill switch is on: " + reason}, nil
	}
	for _, f := range g.freezes {
		if !now.Before(f.From) && now.Before(f.To) {
			return &Refusal{Rule: "freeze", Reason: fmt.Sprintf("changes are frozen until %s: %s", f.To.UTC().Format(time.RFC3339), f.Reason)}, nil
		}
	}
	for _, t := range targets {
		if g.protected(t.ID) || g.protected(t.Label) {
			return &Refusal{Rule: "protected", Reason: t.Label + " is protected; a person must act on it by hand"}, nil
		}
	}
	return nil, nil
}

// protected compares a target with the rules. Vendors call one host by its whole
// name or by its first label, and either matches a rule in either form: two
// hosts of one first label are then both left alone. A block of addresses is
// protected if it has any protected address in it.
func (g *Guard) protected(name string) bool {
	n := fold(name)
	if n == "" {
		return false
	}
	if a, err := address(n); err == nil {
		return g.within(netip.PrefixFrom(a, a.BitLen()))
	}
	if p, err := netip.ParsePrefix(n); err == nil {
		return g.within(plain(p))
	}
	host, _, dotted := strings.Cut(n, ".")
	return g.names[n] || g.names[host] || !dotted && g.hosts[n]
}

func (g *Guard) within(block netip.Prefix) bool {
	for _, p := range g.prefixes {
		if p.Overlaps(block) {
			return true
		}
	}
	return false
}

// Killed tells whether the kill switch is on, and why.
func Killed(tx *store.Tx) (on bool, reason string, err error) { return killed(tx, "") }

func killed(tx *store.Tx, lock string) (on bool, reason string, err error) {
	var n int64
	err = tx.QueryRow(`SELECT active, reason FROM guard_kill WHERE id = 1`+lock).Scan(&n, &reason)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return false, "", fmt.Errorf("guard: read the kill switch: %w", err)
	}
	return n != 0, reason, nil
}

// Kill turns the kill switch on or off. The caller appends the ledger entry in
// the same transaction.
func Kill(tx *store.Tx, on bool, actor, reason string, now time.Time) error {
	n := 0
	if on {
		n = 1
	}
	if _, err := tx.Exec(`UPDATE guard_kill SET active = ?, actor = ?, reason = ?, at = ? WHERE id = 1`, n, actor, reason, now.UnixNano()); err != nil {
		return fmt.Errorf("guard: turn the kill switch: %w", err)
	}
	return nil
}

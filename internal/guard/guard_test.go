package guard_test

import (
	"testing"
	"time"

	"github.com/quell-soar/quell/internal/guard"
	"github.com/quell-soar/quell/internal/store"
	"github.com/quell-soar/quell/internal/store/storetest"
)

func TestLowest(t *testing.T) {
	const o, k, a = guard.Observe, guard.Ask, guard.Act
	for _, c := range []struct {
		modes []guard.Mode
		want  guard.Mode
	}{
		{nil, o},
		{[]guard.Mode{a}, a},
		{[]guard.Mode{a, k}, k},
		{[]guard.Mode{k, a}, k},
		{[]guard.Mode{a, k, o}, o},
		{[]guard.Mode{o, a}, o},
		{[]guard.Mode{a, ""}, o},
		{[]guard.Mode{a, "ACT"}, o},
	} {
		if got := guard.Lowest(c.modes...); got != c.want {
			t.Errorf("%v: %s, want %s", c.modes, got, c.want)
		}
	}
}

// TestCheck asks about one target at a time, with a rule of every kind.
func TestCheck(t *testing.T) {
	g, err := guard.New(guard.Rules{
		Protected: []string{"dc01", "Mail.corp.example.", "10.1.0.0/16", "192.0.2.7", "::ffff:10.9.0.0/112", "2001:DB8::1", "ceo@corp.example"},
		Freezes:   []guard.Freeze{{From: time.Unix(1000, 0), To: time.Unix(2000, 0), Reason: "audit"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	storetest.Each(t, []store.Schema{guard.Schema()}, func(t *testing.T, db *store.DB) {
		rule := func(at int64, target guard.Target) (got string) {
			t.Helper()
			if err := db.Update(t.Context(), func(tx *store.Tx) error {
				no, err := g.Check(tx, time.Unix(at, 0), guard.Question{Targets: []guard.Target{{ID: "free", Label: "free"}, target}})
				if no != nil {
					got = no.Rule
				}
				return err
			}); err != nil {
				t.Fatal(err)
			}
			return got
		}
		for name, protected := range map[string]bool{
			"dc01": true, "DC01": true, "dc01.corp.example": true, "Dc01.other.": true, "dc011": false, "xdc01": false,
			"mail.corp.example": true, "MAIL.CORP.EXAMPLE.": true, "mail": true, "mail.other.example": false, "corp.example": false,
			"10.1.2.3": true, "::ffff:10.1.2.3": true, "10.2.0.0": false, "10.0.0.0/8": true, "10.1.4.0/24": true, "10.2.0.0/16": false,
			"192.0.2.7": true, "::ffff:192.0.2.7": true, "192.0.2.8": false, "192.0.2.0/30": false, "192.0.2.0/24": true,
			"10.9.255.1": true, "10.8.0.1": false, "2001:db8:0::1": true, "2001:db8::1%eth0": true, "2001:db8::2": false,
			"CEO@corp.example": true, "cfo@corp.example": false, "ceo": false, "": false, "10": false, "0.0.0.0/0": true,
		} {
			for _, target := range []guard.Target{{ID: name, Label: "label"}, {ID: "id", Label: name}} {
				if got := rule(0, target); (got == "protected") != protected {
					t.Errorf("%+v: %q", target, got)
				}
			}
		}
		free := guard.Target{ID: "ws", Label: "ws"}
		for at, want := range map[int64]string{999: "", 1000: "freeze", 1999: "freeze", 2000: ""} {
			if got := rule(at, free); got != want {
				t.Errorf("at %d: %q, want %q", at, got, want)
			}
		}
		for _, on := range []bool{true, false} {
			if err := db.Update(t.Context(), func(tx *store.Tx) error { return guard.Kill(tx, on, "ann", "drill", time.Unix(1, 0)) }); err != nil {
				t.Fatal(err)
			}
			if got := rule(0, free); (got == "kill_switch") != on {
				t.Errorf("switch %v: %q", on, got)
			}
		}
	})
}

func TestRules(t *testing.T) {
	for _, bad := range []string{"10.0.0.0/33", "a/b", "", " "} {
		if _, err := guard.New(guard.Rules{Protected: []string{bad}}); err == nil {
			t.Errorf("protected %q was taken", bad)
		}
	}
}

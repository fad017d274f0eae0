package serve

import "testing"

func TestWithHeld(t *testing.T) {
	for _, c := range []struct {
		detail  string
		runs    int
		crowded bool
		want    string
	}{
		{"", 0, false, ""},
		{"the circuit is open", 0, false, "the circuit is open"},
		{"", 1, false, "1 run waits for it"},
		{"the circuit is open", 7, false, "the circuit is open; 7 runs wait for it"},
		{"", 120, true, "120 runs wait for it, and more of those that use it are not started until some go on"},
	} {
		if got := withHeld(c.detail, c.runs, c.crowded); got != c.want {
			t.Errorf("%q, %d, %t: %q, want %q", c.detail, c.runs, c.crowded, got, c.want)
		}
	}
}

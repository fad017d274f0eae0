package format_test

import (
	"strings"
	"testing"
	"time"

	"github.com/quell-soar/quell/playbooks/format"
	"github.com/quell-soar/quell/playbooks/source"
)

// TestLarge: texts near the bounds are laid out in seconds.
func TestLarge(t *testing.T) {
	head := "quell: 1\nplaybook: p\n"
	for name, text := range map[string]string{
		"comments":       head + strings.Repeat("# c\n", 19_000) + "review:\n  - report: x\n",
		"deep comments":  head + "review:\n  - report: x\n" + strings.Repeat("    # c\n  # d\n", 9_000),
		"beside":         head + "review:\n" + strings.Repeat("  - report: x # c\n", 150) + strings.Repeat("# d\n\n", 9_000),
		"one long line":  head + "tags: [" + strings.Repeat("a, ", 20_000) + "b] # c\n",
		"many lines":     head + "tags: [" + strings.Repeat("a, # c\n", 9_000) + "b]\n",
		"hashes":         head + "title: a" + strings.Repeat("#", 60_000) + "\n",
		"nested":         head + "limits: " + strings.Repeat("{ a: ", 40) + "1" + strings.Repeat("\n }", 40) + "\n",
		"hashes in line": head + "title: a " + strings.Repeat(" #", 60_000) + "\n",
	} {
		began := time.Now()
		out, list, err := format.Playbook(source.NewFile("f", []byte(text)))
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		took := time.Since(began)
		t.Logf("%s: %v, %d bytes, %d diagnostics", name, took, len(out), len(list))
		if took > 5*time.Second {
			t.Errorf("%s took %v", name, took)
		}
	}
}

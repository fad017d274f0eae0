package compile_test

import (
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/quell-soar/quell/playbooks/compile"
	"github.com/quell-soar/quell/playbooks/source"
)

// slips are what hands do to a line of a playbook; "" where the line has nothing
// to do it to.
var slips = map[string]func(line string) string{
	"quote": func(l string) string { return without(l, strings.LastIndexAny(l, `"'`)) },
	"colon": func(l string) string { return without(l, strings.Index(l, ":")) },
	"bracket": func(l string) string {
		if strings.Contains(l, "}}") {
			return ""
		}
		return without(l, strings.LastIndexAny(l, "}]"))
	},
	"one space": func(l string) string { return " " + l },
	"deeper":    func(l string) string { return "  " + l },
	"further left": func(l string) string {
		if !strings.HasPrefix(l, "  ") {
			return ""
		}
		return l[2:]
	},
	"tab": func(l string) string {
		if !strings.HasPrefix(l, "  ") {
			return ""
		}
		return "\t" + l[2:]
	},
}

func without(l string, at int) string {
	if at < 0 {
		return ""
	}
	return l[:at] + l[at+1:]
}

// TestOneSlipIsToldOnce makes one slip on a line of a sound playbook, many times,
// and counts how often more than one thing is told. It may be: a line that stands
// too deep belongs to another map, and what it was for is missing. Most are one.
func TestOneSlipIsToldOnce(t *testing.T) {
	r := rand.New(rand.NewPCG(seedOf(t)))
	files, names := valid(t), []string{}
	for name := range slips {
		names = append(names, name)
	}
	slices.Sort(names)
	told, once, far := 0, 0, 0
	for range 1500 {
		file, slip := files[r.IntN(len(files))], names[r.IntN(len(names))]
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(string(raw), "\n")
		at := r.IntN(len(lines))
		if l := strings.TrimSpace(lines[at]); l == "" || l[0] == '#' {
			continue
		}
		l := slips[slip](lines[at])
		if l == "" {
			continue
		}
		lines[at] = l
		_, list := compile.Compile(source.NewFile(file, []byte(strings.Join(lines, "\n"))), options())
		if len(list) == 0 {
			continue // such as a space before a line that stands alone
		}
		told++
		if len(list) == 1 {
			once++
		}
		if list[0].Code == "yaml" || list[0].Code == "internal" {
			far++
			t.Logf("%s on line %d of %s: %v", slip, at+1, file, list)
		}
	}
	t.Logf("%d slips were told, %d of them once, %d in the words of the YAML library", told, once, far)
	if once*100 < told*85 || far*100 > told {
		t.Errorf("%d slips were told, %d of them once, %d in the words of the YAML library", told, once, far)
	}
}

// seedOf is printed, so that a failure can be had again: QUELL_SEED sets it.
func seedOf(t *testing.T) (uint64, uint64) {
	n := rand.Uint64()
	if s := os.Getenv("QUELL_SEED"); s != "" {
		var err error
		if n, err = strconv.ParseUint(s, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("QUELL_SEED=%d", n)
	return n, 0
}

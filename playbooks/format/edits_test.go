package format_test

import (
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// comments lists the comments of a text, sorted. The tests' texts have no # in
// what is no comment but within quotes and blocks of text.
func comments(text string) []string {
	var out []string
	// block is how deep a block of text stands, first says that its first line is
	// to come, parent how deep its key stands.
	block, first, parent := -1, false, 0
	for line := range strings.Lines(strings.TrimPrefix(text, "\ufeff")) {
		line = strings.TrimRight(line, "\r\n \t")
		indent := len(line) - len(strings.TrimLeft(line, " "))
		if first && line != "" {
			first = false
			if block = indent; indent <= parent {
				block = -1 // an empty block
			}
		}
		if first || (block >= 0 && (line == "" || indent >= block)) {
			continue
		}
		block = -1
		quote := byte(0)
		for i := 0; i < len(line); i++ {
			switch c := line[i]; {
			case quote != 0:
				if c == '\\' && quote == '"' {
					i++
				} else if c == quote {
					quote = 0
				}
			case (c == '"' || c == '\'') && strings.HasPrefix(line[i+1:], ")"): // it ends a text in an expression
			case (c == '"' || c == '\'') && i > 0 && strings.ContainsRune(" [{,-:", rune(line[i-1])):
				quote = c
			case c == '#' && (i == 0 || line[i-1] == ' ' || line[i-1] == '\t'):
				out = append(out, line[i:])
				line = strings.TrimRight(line[:i], " \t")
			}
		}
		if f := strings.Fields(line); len(f) > 0 && (f[len(f)-1][0] == '|' || f[len(f)-1][0] == '>') {
			if first, parent = true, indent; strings.HasPrefix(strings.TrimLeft(line, " "), "- ") && len(f) > 2 {
				parent = indent + 2
			}
		}
	}
	slices.Sort(out)
	return out
}

// editor makes random edits that change no meaning: comments, empty lines,
// quotes, the order of keys, line ends, indentation.
type editor struct {
	*rand.Rand
	next int
}

func (r *editor) edit(text string) string {
	lines := strings.Split(text, "\n")
	at := r.IntN(len(lines))
	r.next++
	switch r.IntN(8) {
	case 0, 1: // a comment of its own, at any depth
		c := strings.Repeat(" ", r.IntN(10)) + fmt.Sprintf("# c%d", r.next)
		return strings.Join(slices.Insert(lines, at, c), "\n")
	case 2: // a comment behind something
		lines[at] += strings.Repeat(" ", 1+r.IntN(3)) + fmt.Sprintf("# c%d: \"x' {", r.next)
	case 3: // empty lines
		return strings.Join(slices.Insert(lines, at, strings.Repeat(" ", r.IntN(3)), ""), "\n")
	case 4:
		lines[at] = r.requoted(lines[at])
	case 5: // two sections or keys change places
		return r.swapped(lines)
	case 6: // spaces behind a line, a carriage return before its end
		lines[at] += []string{" ", "\r"}[r.IntN(2)]
	case 7: // brackets over lines
		for _, sep := range []string{", ", "[", "{ "} {
			if i := strings.Index(lines[at], sep); i > 0 && r.IntN(2) == 0 {
				pad := strings.Repeat(" ", len(lines[at])-len(strings.TrimLeft(lines[at], " "))+4)
				lines[at] = strings.TrimRight(lines[at][:i+len(sep)], " ") + []string{"", " # " + fmt.Sprint(r.next)}[r.IntN(2)] + "\n" + pad + lines[at][i+len(sep):]
				break
			}
		}
	}
	return strings.Join(lines, "\n")
}

// requoted writes the value of a line in other quotes, or as a block.
func (r *editor) requoted(line string) string {
	key, value, ok := strings.Cut(line, ": ")
	value = strings.TrimSpace(value)
	if !ok || value == "" || strings.ContainsAny(value[:1], "[{|>#") {
		return line
	}
	if q := value[0]; q == '"' || q == '\'' {
		if len(value) < 2 || value[len(value)-1] != q || strings.ContainsAny(value[1:len(value)-1], `"'\`) {
			return line
		}
		value = value[1 : len(value)-1]
	}
	if strings.Contains(value, " #") {
		return line
	}
	pad := strings.Repeat(" ", len(key)-len(strings.TrimLeft(key, "- "))+2)
	switch r.IntN(5) {
	case 0:
		return key + `: "` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(value) + `"`
	case 1:
		return key + ": '" + strings.ReplaceAll(value, "'", "''") + "'"
	case 2:
		return key + ": |-\n" + pad + value
	case 3:
		return key + ": >-\n" + pad + strings.Replace(value, " ", "\n"+pad, 1)
	}
	return key + ": " + value
}

// swapped changes the places of two neighbours: runs of lines that begin at the
// same depth.
func (r *editor) swapped(lines []string) string {
	depth := func(s string) int { return len(s) - len(strings.TrimLeft(s, " ")) }
	a := r.IntN(len(lines))
	n := depth(lines[a])
	end := func(i int) int {
		for i++; i < len(lines) && (strings.TrimSpace(lines[i]) == "" || depth(lines[i]) > n); i++ {
		}
		return i
	}
	b := end(a)
	if b >= len(lines) || depth(lines[b]) != n {
		return strings.Join(lines, "\n")
	}
	c := end(b)
	return strings.Join(slices.Concat(lines[:a], lines[b:c], lines[a:b], lines[c:]), "\n")
}

// TestEdits makes random edits, keeps those after which the playbook still
// compiles, and holds after each that its comments, its plan and what is said of
// it survive the formatter.
func TestEdits(t *testing.T) {
	want := 400
	if os.Getenv("QUELL_SOAK") != "" {
		want = 10_000
	}
	seed := uint64(time.Now().UnixNano())
	if s := os.Getenv("QUELL_SEED"); s != "" {
		seed, _ = strconv.ParseUint(s, 10, 64)
	}
	t.Logf("QUELL_SEED=%d", seed)
	r := &editor{Rand: rand.New(rand.NewPCG(seed, 1))}
	files := texts(t, validFolder, examples)
	names := slices.Sorted(maps.Keys(files))
	done, tried := 0, 0
	for done < want {
		name := names[r.IntN(len(names))]
		text := files[name]
		for range 12 {
			edited := r.edit(text)
			tried++
			sum, codes := meaning(t, name, edited)
			// A directive that the edit cut off from its line may find it again where
			// lines are joined: such an edit proves nothing.
			if sum == "" || edited == text || slices.Contains(codes, "unused-silence") {
				continue
			}
			text, done = edited, done+1
			once := laws(t, name, text)
			if after, again := meaning(t, name, once); after != sum || !slices.Equal(codes, again) {
				t.Fatalf("%s means something else: %v, %v\n%s", name, codes, again, cmp.Diff(text, once))
			}
		}
	}
	t.Logf("%d edits of %d kept", done, tried)
}

package archtest

import (
	"fmt"
	"slices"
	"strings"
)

// module is ours.
const module = "github.com/quell-soar/quell"

// pkg is what go list tells of a package.
type pkg struct {
	ImportPath string
	Dir        string
	GoFiles    []string
	Imports    []string
	// Deps is everything that is reached, directly or not.
	Deps         []string
	TestImports  []string
	XTestImports []string
}

// room is a package's path within the module, and whether it is ours.
func room(importPath string) (string, bool) {
	if importPath == module {
		return ".", true
	}
	return strings.CutPrefix(importPath, module+"/")
}

// covers reports whether a pattern such as a/b or a/... covers a path.
func covers(pattern, path string) bool {
	if pattern == "..." {
		return true
	}
	if dir, ok := strings.CutSuffix(pattern, "/..."); ok {
		return path == dir || strings.HasPrefix(path, dir+"/")
	}
	return path == pattern
}

func anyCovers(patterns []string, path string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool { return covers(p, path) })
}

// height is a room's level: an entry for the room itself goes before one for
// all that lies in a room.
func height(r string) (int, bool) {
	for _, exact := range []bool{true, false} {
		for _, l := range levels {
			for _, p := range l.rooms {
				if exact && p == r || !exact && p != r && strings.HasSuffix(p, "/...") && covers(p, r) {
					return l.height, true
				}
			}
		}
	}
	return 0, false
}

// check returns every edge that breaks a rule, with the rule.
func check(all []pkg) []string {
	var out []string
	for _, p := range all {
		r, ok := room(p.ImportPath)
		if !ok {
			continue
		}
		out = append(out, checkLevel(r, p)...)
		out = append(out, checkLeaf(r, p)...)
		out = append(out, checkBans(r, p, all)...)
		out = append(out, checkTogether(r, p)...)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func checkLevel(r string, p pkg) (out []string) {
	own, ok := height(r)
	if !ok {
		return []string{fmt.Sprintf("%s has no level: give it one in internal/archtest/rules_test.go", r)}
	}
	for _, i := range p.Imports {
		to, ours := room(i)
		if !ours {
			continue
		}
		if h, ok := height(to); ok && h >= own {
			out = append(out, fmt.Sprintf("%s -> %s: imports go downwards only (level %d to %d)", r, to, own, h))
		}
	}
	return out
}

func checkLeaf(r string, p pkg) (out []string) {
	may, leaf := leaves[r]
	if !leaf {
		return nil
	}
	for _, i := range p.Imports {
		if to, ours := room(i); ours && !slices.Contains(may, to) {
			out = append(out, fmt.Sprintf("%s -> %s: %s is a leaf and may import of ours %v only", r, to, r, may))
		}
	}
	return out
}

func checkBans(r string, p pkg, all []pkg) (out []string) {
	for _, b := range bans {
		if !anyCovers(b.who, r) || anyCovers(b.but, r) {
			continue
		}
		seen := p.Imports
		if b.through {
			seen = p.Deps
		}
		for _, i := range seen {
			if i == p.ImportPath || !banned(b.what, i) {
				continue
			}
			// A room may see its own parts: connectors/sdk/... sees connectors/sdk.
			if to, ours := room(i); ours && anyCovers(b.who, to) && !slices.Contains(b.who, "...") {
				continue
			}
			out = append(out, fmt.Sprintf("%s: %s", way(p, i, all), b.rule))
		}
	}
	return out
}

func banned(what []string, importPath string) bool {
	to, ours := room(importPath)
	return slices.ContainsFunc(what, func(w string) bool {
		if own, ok := strings.CutPrefix(w, "./"); ok {
			return ours && covers(own, to)
		}
		return covers(w, importPath)
	})
}

// way writes the path of imports from a package to what it reaches, through
// packages of ours.
func way(p pkg, target string, all []pkg) string {
	from, _ := room(p.ImportPath)
	if slices.Contains(p.Imports, target) {
		return from + " -> " + short(target)
	}
	for _, i := range p.Imports {
		at := slices.IndexFunc(all, func(q pkg) bool { return q.ImportPath == i })
		if at >= 0 && (slices.Contains(all[at].Deps, target) || slices.Contains(all[at].Imports, target)) {
			return from + " -> " + way(all[at], target, all)
		}
	}
	return from + " -> … -> " + short(target)
}

func short(importPath string) string {
	if r, ours := room(importPath); ours {
		return r
	}
	return importPath
}

func checkTogether(r string, p pkg) []string {
	if slices.Contains(together.but, r) {
		return nil
	}
	for _, want := range together.rooms {
		if !slices.Contains(p.Imports, module+"/"+want) {
			return nil
		}
	}
	return []string{fmt.Sprintf("%s -> %s: only %s see them all; whoever does could act past guard and record",
		r, strings.Join(together.rooms, " + "), strings.Join(together.but, " and "))}
}

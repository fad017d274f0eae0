package app

import (
	"fmt"
	"slices"
	"strings"
)

// maxDiff is how many lines that differ are compared with each other; of more,
// all count as changed.
const maxDiff = 2000

// lineDiff writes what changes between two texts, as lines with - and +. Lines
// in common are left out; @@ tells where a change stands.
func lineDiff(name, before, after string) string {
	a, b := strings.Split(before, "\n"), strings.Split(after, "\n")
	skipped := 0
	for len(a) > 0 && len(b) > 0 && a[0] == b[0] {
		a, b, skipped = a[1:], b[1:], skipped+1
	}
	for len(a) > 0 && len(b) > 0 && a[len(a)-1] == b[len(b)-1] {
		a, b = a[:len(a)-1], b[:len(b)-1]
	}
	common := inCommon(a, b)
	var out strings.Builder
	fmt.Fprintf(&out, "--- %s\n+++ %s\n", name, name)
	apart := true
	for i, j := 0, 0; i < len(a) || j < len(b); {
		switch {
		case i < len(a) && j < len(b) && a[i] == b[j]:
			i, j, apart = i+1, j+1, true
			continue
		case apart:
			fmt.Fprintf(&out, "@@ -%d +%d @@\n", skipped+i+1, skipped+j+1)
		}
		apart = false
		if j == len(b) || (i < len(a) && common[i+1][j] >= common[i][j+1]) {
			out.WriteString("-" + a[i] + "\n")
			i++
		} else {
			out.WriteString("+" + b[j] + "\n")
			j++
		}
	}
	return out.String()
}

// inCommon gives, for each pair of places, the length of the longest common
// subsequence of the lines from there on.
func inCommon(a, b []string) [][]int32 {
	common := make([][]int32, len(a)+1)
	if len(a) > maxDiff || len(b) > maxDiff {
		same := make([]int32, len(b)+1)
		for i := range common {
			common[i] = same
		}
		return common
	}
	for i := range common {
		common[i] = make([]int32, len(b)+1)
	}
	for i, line := range slices.Backward(a) {
		for j := len(b) - 1; j >= 0; j-- {
			if line == b[j] {
				common[i][j] = common[i+1][j+1] + 1
			} else {
				common[i][j] = max(common[i+1][j], common[i][j+1])
			}
		}
	}
	return common
}

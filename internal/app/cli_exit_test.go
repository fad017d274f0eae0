package app

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/quell-soar/quell/server/api"
)

// What was not found is told with the command that shows what there is.
func TestReportNamesTheList(t *testing.T) {
	for detail, want := range map[string]string{
		"run isolate-host/x/1: not found": "quell run list", "alert nosuch: not found": "quell alert list",
		"there is no connector instance edr": "quell connector list", "there is no such token": "",
	} {
		var b bytes.Buffer
		report(&b, outputText, api.Problem(api.CodeNotFound, detail))
		if got := b.String(); strings.Contains(got, "next:") != (want != "") || !strings.Contains(got, want) {
			t.Errorf("%s: %q", detail, got)
		}
	}
}

// The words of Go's packages about a flag are not those for people.
func TestFlagProblem(t *testing.T) {
	for in, want := range map[string]string{
		`invalid argument "x" for "--limit" flag: strconv.ParseInt: parsing "x": invalid syntax`:       `--limit takes a whole number, not "x"`,
		`invalid argument "a\"b" for "-n, --most" flag: strconv.ParseInt: parsing "x": invalid syntax`: `-n, --most takes a whole number, not "a\"b"`,
		`invalid argument "soon" for "--wait" flag: time: invalid duration "soon"`:                     `--wait takes a duration such as 90s, not "soon"`,
		`invalid argument "2" for "--yes" flag: strconv.ParseBool: parsing "2": invalid syntax`:        `--yes is true or false, not "2"`,
		"unknown flag: --nosuch": "unknown flag: --nosuch",
	} {
		if got := flagProblem(errors.New(in)); got != want {
			t.Errorf("%s: %q", in, got)
		}
	}
}

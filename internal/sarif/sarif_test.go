package sarif_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"

	gosarif "github.com/owenrumney/go-sarif/v3/pkg/report/v210/sarif"

	"github.com/quell-soar/quell/internal/sarif"
	"github.com/quell-soar/quell/playbooks/diag"
	"github.com/quell-soar/quell/playbooks/source"
)

// findings are diagnostics of two files, with everything that one can have.
func findings() diag.List {
	a := source.NewFile("books/ä b.yaml", []byte("quell: 1\nüü: «x»\nüü: y\n"))
	b := source.NewFile("/srv/books/b.yaml", []byte("\xef\xbb\xbfx"))
	return diag.List{
		{
			Code: "duplicate-key", Severity: diag.Error, Message: "the key stands twice", File: a, Span: a.Span(21, 25),
			Related: []diag.Related{{Span: a.Span(9, 13), Message: "it stands here first"}}, Help: "keep one",
		},
		{Code: "unused", Severity: diag.Warning, Message: "never read", File: a, Span: a.Span(9, 13)},
		{Code: "duplicate-key", Severity: diag.Error, Message: "again", File: b, Span: b.Span(3, 4)},
		{Code: "no-such-code", Severity: diag.Error, Message: "a code without a page", File: b, Span: b.Span(4, 4)},
	}
}

func write(t *testing.T, l diag.List) []byte {
	t.Helper()
	var out bytes.Buffer
	if err := sarif.Write(&out, "1.2.3", l); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// TestSchema validates logs against the schema of SARIF 2.1.0 that the library
// carries, and shows that it finds a fault.
func TestSchema(t *testing.T) {
	for _, l := range []diag.List{findings(), nil} {
		log, err := gosarif.FromBytes(write(t, l), gosarif.WithStrictValidation())
		if err != nil {
			t.Fatal(err)
		}
		if err := log.Validate(); err != nil {
			t.Error(err)
		}
		if l == nil {
			continue
		}
		*log.Runs[0].Results[0].Locations[0].PhysicalLocation.Region.StartLine = 0
		if log.Validate() == nil {
			t.Error("a line 0 was not found")
		}
	}
}

// log is what readers of SARIF rely on.
type log struct {
	Schema  string `json:"$schema"`
	Version string
	Runs    []struct {
		ColumnKind string
		Tool       struct {
			Driver struct {
				Name, Version string
				Rules         []struct {
					ID, HelpURI          string
					ShortDescription     *struct{ Text string }
					DefaultConfiguration struct{ Level string }
				}
			}
		}
		Results []struct {
			RuleID           string
			RuleIndex        int
			Level            string
			Message          struct{ Text string }
			Locations        []place
			RelatedLocations []place
		}
	}
}

type place struct {
	ID               *int
	PhysicalLocation struct {
		ArtifactLocation struct{ URI string }
		Region           struct{ StartLine, StartColumn, EndLine, EndColumn, ByteOffset, ByteLength int }
	}
}

// TestRules holds what the schema cannot say: places, levels, references that
// resolve, indexes that fit.
func TestRules(t *testing.T) {
	var got log
	if err := json.Unmarshal(write(t, findings()), &got); err != nil {
		t.Fatal(err)
	}
	if got.Version != "2.1.0" || !strings.Contains(got.Schema, "sarif-schema-2.1.0") || len(got.Runs) != 1 {
		t.Fatalf("version %s, schema %s, %d runs", got.Version, got.Schema, len(got.Runs))
	}
	run := got.Runs[0]
	rules := run.Tool.Driver.Rules
	if run.ColumnKind != "unicodeCodePoints" || run.Tool.Driver.Name != "quell" || run.Tool.Driver.Version != "1.2.3" || len(rules) != 3 {
		t.Errorf("%s, %+v", run.ColumnKind, run.Tool.Driver)
	}
	var lines []string
	for _, r := range run.Results {
		if rules[r.RuleIndex].ID != r.RuleID {
			t.Errorf("the index %d is not that of %s", r.RuleIndex, r.RuleID)
		}
		p := r.Locations[0].PhysicalLocation
		u, err := url.Parse(p.ArtifactLocation.URI)
		if err != nil || strings.ContainsAny(p.ArtifactLocation.URI, " ä") {
			t.Errorf("%q is no URI: %v", p.ArtifactLocation.URI, err)
		}
		g := p.Region
		lines = append(lines, fmt.Sprintf("%s %s %s %d:%d-%d:%d %d+%d related %d", r.Level, r.RuleID, u.Path,
			g.StartLine, g.StartColumn, g.EndLine, g.EndColumn, g.ByteOffset, g.ByteLength, len(r.RelatedLocations)))
	}
	want := []string{
		"error duplicate-key books/ä b.yaml 3:1-3:3 21+4 related 1",
		"warning unused books/ä b.yaml 2:1-2:3 9+4 related 0",
		"error duplicate-key /srv/books/b.yaml 1:1-1:2 3+1 related 0",
		"error no-such-code /srv/books/b.yaml 1:2-1:2 4+0 related 0",
	}
	if !slices.Equal(lines, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(lines, "\n"), strings.Join(want, "\n"))
	}
	for _, r := range rules[:2] {
		if r.ShortDescription == nil || !strings.HasSuffix(r.HelpURI, "/docs/diagnostics/"+r.ID+".md") {
			t.Errorf("rule %+v", r)
		}
	}
}

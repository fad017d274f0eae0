package sarif

import (
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"path/filepath"
	"strings"

	"github.com/owenrumney/go-sarif/v3/pkg/report/v210/sarif"

	"github.com/quell-soar/quell/playbooks/diag"
	"github.com/quell-soar/quell/playbooks/source"
)

const home = "https://github.com/quell-soar/quell"

// Write writes one log with one run: a rule for each code that occurs, a result
// for each diagnostic. Columns count Unicode code points, which the log says.
// Files are named as they were given: relative ones as relative references.
func Write(w io.Writer, version string, l diag.List) error {
	run := sarif.NewRunWithInformationURI("quell", home)
	run.Tool.Driver.WithVersion(version)
	run.WithColumnKind("unicodeCodePoints")
	run.Results = []*sarif.Result{} // none found is not the same as not looked for
	for _, d := range l {
		rule(run, d)
		run.AddResult(result(d).WithRuleIndex(run.GetRuleIndex(d.Code)))
	}
	log := sarif.NewReport()
	log.AddRun(run)
	raw, err := json.MarshalIndent(log, "", "  ")
	if err != nil {
		return fmt.Errorf("write SARIF: %w", err)
	}
	if _, err := w.Write(append(raw, '\n')); err != nil {
		return fmt.Errorf("write SARIF: %w", err)
	}
	return nil
}

// rule describes a code once.
func rule(run *sarif.Run, d diag.Diagnostic) {
	if run.GetRuleIndex(d.Code) >= 0 {
		return
	}
	r := run.AddRule(d.Code)
	c, ok := diag.Lookup(d.Code)
	if !ok { // a code without a page still has its results
		return
	}
	text := plain(c.Meaning + "\n\n" + c.Cure)
	markdown := c.Meaning + "\n\n**Cure:** " + c.Cure
	r.WithShortDescription(sarif.NewMultiformatMessageString().WithText(c.Title + "."))
	r.WithFullDescription(sarif.NewMultiformatMessageString().WithText(plain(c.Meaning)))
	r.WithHelp(sarif.NewMultiformatMessageString().WithText(text).WithMarkdown(markdown))
	r.WithHelpURI(home + "/blob/main/docs/" + diag.Page(c.Name))
	r.WithDefaultConfiguration(sarif.NewReportingConfiguration().WithLevel(string(c.Severity)))
}

// plain takes Markdown's marks off; the registry uses no others.
func plain(s string) string { return strings.ReplaceAll(s, "`", "") }

func result(d diag.Diagnostic) *sarif.Result {
	text := d.Message
	if d.Help != "" {
		text += ". Cure: " + d.Help
	}
	r := sarif.NewRuleResult(d.Code).WithLevel(string(d.Severity)).WithMessage(sarif.NewTextMessage(text))
	r.AddLocation(location(d.File, d.Span))
	for i, rel := range d.Related {
		r.AddRelatedLocation(location(d.File, rel.Span).WithID(i + 1).WithMessage(sarif.NewTextMessage(rel.Message)))
	}
	return r
}

func location(f *source.File, s source.Span) *sarif.Location {
	name := ""
	if f != nil {
		name = f.Name
	}
	region := sarif.NewRegion().
		WithStartLine(s.Start.Line).WithStartColumn(s.Start.Column).
		WithEndLine(s.End.Line).WithEndColumn(s.End.Column).
		WithByteOffset(s.Start.Offset).WithByteLength(s.End.Offset - s.Start.Offset)
	return sarif.NewLocationWithPhysicalLocation(sarif.NewPhysicalLocation().
		WithArtifactLocation(sarif.NewSimpleArtifactLocation(reference(name))).
		WithRegion(region))
}

// reference writes a file's name as a URI: absolute ones with the scheme file.
func reference(name string) string {
	u := url.URL{Path: filepath.ToSlash(name)}
	if filepath.IsAbs(name) {
		u.Scheme = "file"
	}
	return u.String()
}

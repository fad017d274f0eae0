package report

import (
	"crypto/sha256"
	_ "embed" // the page and its style
	"encoding/base64"
	"fmt"
	"html/template"
	"io"
	"strings"
	"time"
)

//go:embed page.html
var pageText string

//go:embed page.css
var styleText string

// policy allows the page's own style and nothing else: no script, no image, no
// connection, no form, whatever stands in the text.
func policy() string {
	sum := sha256.Sum256([]byte(styleText))
	return "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'; base-uri 'none'; form-action 'none'"
}

// Policy is the page's content security policy, for who serves it over HTTP.
func Policy() string { return policy() + "; frame-ancestors 'none'; sandbox" }

var page = template.Must(template.New("page").Funcs(template.FuncMap{
	"visible": Visible,
	"list":    func(in []string) string { return Visible(several(in)) },
	"stamp":   stamp,
	"clock":   func(t time.Time) string { return t.UTC().Format("15:04:05.000") },
	"day":     func(t time.Time) string { return t.UTC().Format("2006-01-02") },
	"iso":     func(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) },
	"words":   func(s string) string { return strings.ReplaceAll(s, "_", " ") },
	"tone":    tone,
	"short":   short,
	"round":   round,
	"val":     measured,
	"who":     func(s string) string { return Visible(Who(s)) },
	"whos":    func(list []string) string { return Visible(several(whos(list))) },
	"verdict": verdictWord,
	"span":    waited,
	"after":   func(a, b time.Time) string { return Span(a.Sub(b)) },
	"took": func(s Step) string {
		if s.Began.IsZero() || s.Ended.IsZero() {
			return ""
		}
		return Span(s.Ended.Sub(s.Began))
	},
	"when":   later,
	"json":   func(raw []byte) string { return Visible(string(raw)) },
	"indent": func(n int) string { return "d" + fmt.Sprint(min(n, 4)) },
	"proof":  proofText,
}).Parse(pageText))

// tone is the colour class of an outcome, decision or open thing. The word itself
// always stands beside it.
func tone(s string) string {
	switch s {
	case "done", "already", "completed", "approved", "answered", "true_positive", "benign", "false_positive", "duplicate":
		return "good"
	case "failed", "refused", "denied", "undo_failed":
		return "bad"
	case "unknown", "partial", "on its way", "on_its_way", "waiting", "held", "open", "expired", "cancelled":
		return "warn"
	}
	if strings.HasPrefix(s, "unknown") {
		return "warn"
	}
	return "calm"
}

// HTML writes the review as one page that needs nothing beside it: its style lies
// within, and it has no script. It prints on A4.
func (r *Report) HTML(w io.Writer) error {
	type group struct {
		Phase   string
		Effects []Effect
	}
	var groups []group
	for _, e := range r.Effects {
		if len(groups) == 0 || groups[len(groups)-1].Phase != e.Phase {
			groups = append(groups, group{Phase: e.Phase})
		}
		g := &groups[len(groups)-1]
		g.Effects = append(g.Effects, e)
	}
	err := page.Execute(w, map[string]any{
		"R": r, "Title": title(r), "Policy": policy(), "Style": template.CSS(styleText), //nolint:gosec // our own file
		"Stands": r.Stands(func(s string) string { return "“" + Visible(s) + "”" }, Visible),
		"Short":  r.InShort(func(s string) string { return "“" + Visible(s) + "”" }, Visible), "Groups": groups, "Figures": r.figures(), "Bars": r.bars(),
	})
	if err != nil {
		return fmt.Errorf("write the review: %w", err)
	}
	return nil
}

// bar is a stretch of the picture of phases, in thousandths of its width.
type bar struct {
	Name, Class string
	X, W, Row   int
	Label       string
}

// bars draws the phases, and beneath them the waits for people, over the run's
// time. It is nil where the run took no time that could be drawn.
func (r *Report) bars() []bar {
	from, to := r.Metrics.Begin, r.Run.Ended
	if to.IsZero() {
		to = r.Made
	}
	all := to.Sub(from)
	if all < 10*time.Millisecond || len(r.Phases) == 0 {
		return nil
	}
	at := func(t time.Time) int { return int(min(max(t.Sub(from), 0), all) * 1000 / all) }
	var out []bar
	add := func(name, class string, row int, a, b time.Time) {
		if b.IsZero() {
			b = to
		}
		x := at(a)
		out = append(out, bar{Name: name, Class: class, X: x, W: max(4, at(b)-x), Row: row, Label: Span(b.Sub(a))})
	}
	for _, p := range r.Phases {
		add(p.Name, p.Name, 0, p.Began, p.Ended)
	}
	for _, d := range r.Decisions {
		if d.Request != "" && d.Kind != "hold" {
			add("waiting for people", "people", 1, d.At, d.Closed)
		}
	}
	return out
}

package report

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// Markdown writes the review as CommonMark. Every text that is not ours stands in
// a code span: no link, image, table, mention or HTML can come of it.
func (r *Report) Markdown(w io.Writer) error {
	m := &markdown{r: r}
	m.head()
	m.openings()
	m.effects()
	m.decisions()
	m.metrics()
	m.steps()
	m.timeline()
	m.proof()
	_, err := io.WriteString(w, m.String())
	return err
}

type markdown struct {
	strings.Builder
	r *Report
}

func (m *markdown) line(format string, args ...any) { fmt.Fprintf(m, format+"\n", args...) }

// code puts a text into a code span, whose fence is longer than any in the text.
func code(s string) string {
	s = Visible(s)
	if strings.TrimSpace(s) == "" {
		return "(empty)"
	}
	longest, n := 0, 0
	for _, r := range s {
		if r != '`' {
			n = 0
			continue
		}
		n++
		longest = max(longest, n)
	}
	fence := strings.Repeat("`", longest+1)
	if longest > 0 || strings.HasPrefix(s, " ") || strings.HasSuffix(s, " ") {
		s = " " + s + " "
	}
	return fence + s + fence
}

// codes is code for each of a list.
func codes(list []string) string {
	out := make([]string, 0, min(len(list), 12))
	for i, s := range list {
		if i == 12 {
			return fmt.Sprintf("%s and %d more", strings.Join(out, ", "), len(list)-i)
		}
		out = append(out, code(s))
	}
	return strings.Join(out, ", ")
}

func (m *markdown) head() {
	r := m.r
	m.line("# Post-incident review: %s\n", code(title(r)))
	m.line("## How things stand, %s\n", stamp(r.Made))
	for _, s := range r.Stands(code, code) {
		m.line("- %s", s)
	}
	m.line("\nFor the state of now: %s\n\n## In short\n", code("quell run report '"+r.Run.ID+"'"))
	for _, s := range r.InShort(code, code) {
		m.line("- %s", s)
	}
	m.line("\nRun %s · incident %s · severity %s · mode %s · playbook %s, plan %s · made %s",
		code(r.Run.ID), code(r.Run.Incident), code(r.Run.Severity), code(r.Run.Mode), code(r.Run.Playbook), code(r.Run.Digest), stamp(r.Made))
	if w := r.Written; w != nil {
		m.line("\nWritten at %s for %s%s", stamp(w.At), code(Who(w.By)), placed(w.Place))
	}
	if len(r.Alerts) > 0 {
		m.line("\n## Alerts\n")
	}
	for _, a := range r.Alerts {
		m.line("- %s, severity %s, from %s (%s), seen %s, received %s", code(a.Title), code(a.Severity), code(a.Source), code(a.SourceID), stamp(a.Occurred), stamp(a.Received))
		if len(a.Names) > 0 {
			m.line("  names %s", codes(a.Names))
		}
	}
	if len(r.Run.Inputs) > 0 {
		m.line("\nInputs: %s", code(string(r.Run.Inputs)))
	}
}

func placed(place string) string {
	if place == "" {
		return ""
	}
	return " to " + code(place)
}

func title(r *Report) string {
	if r.Run.Title != "" {
		return r.Run.Title
	}
	return r.Run.Playbook
}

func short(digest string) string {
	if len(digest) > 12 {
		return digest[:12]
	}
	return digest
}

func (m *markdown) openings() {
	m.line("\n## Still open\n")
	if len(m.r.Open) == 0 {
		m.line("Nothing was found open at %s, in what is listed here.", stamp(m.r.Made))
	}
	for _, o := range m.r.Open {
		m.line("- **%s** %s", strings.ReplaceAll(o.Kind, "_", " "), code(o.What))
		if len(o.Targets) > 0 {
			m.line("  on %s", codes(o.Targets))
		}
		if o.Do != "" {
			m.line("  do: %s", code(o.Do))
		}
	}
	if len(m.r.Looked) > 0 {
		m.line("\nLooked at, %s:\n", stamp(m.r.Made))
	}
	for _, l := range m.r.Looked {
		m.line("- %s: %d, of them %d %s", l.What, l.Of, l.Found, l.For)
	}
}

func (m *markdown) effects() {
	m.line("\n## What was done\n")
	if len(m.r.Effects) == 0 {
		m.line("Nothing was changed.")
	}
	phase := ""
	for i := range m.r.Effects {
		e := &m.r.Effects[i]
		if e.Phase != phase {
			phase = e.Phase
			m.line("\n### %s\n", code(phase))
		}
		on := ""
		if len(e.Targets) > 0 {
			on = " on " + codes(e.Targets)
		}
		m.line("- %s **%s**%s", code(e.Title), e.Outcome, on)
		m.line("  - %s through %s, step %s, %s, ledger row %d", code(e.Action), code(e.Instance), code(e.Step+round(e.Iteration)), stamp(later(e.Settled, e.Began)), e.Row)
		if len(e.Gave) > 0 {
			m.line("  - it gave %s", codes(e.Gave))
		}
		if len(e.Result) > 0 {
			m.line("  - result %s", codes(e.Result))
		}
		if len(e.With) > 0 {
			m.line("  - with %s", codes(e.With))
		}
		if e.Detail != "" {
			m.line("  - %s", code(e.Detail))
		}
		if len(e.Approved) > 0 {
			m.line("  - approved by %s", codes(whos(e.Approved)))
		}
		if e.Unasked != "" {
			m.line("  - nobody had to approve: %s was false", code(e.Unasked))
		}
		for _, u := range e.Undos {
			m.line("  - taking it back: **%s**, %s, by %s%s", u.Outcome, stamp(u.At), code(Who(u.By)), codeOr(u.Detail))
		}
		if e.Held {
			m.line("  - still in force")
		}
	}
	m.left("effects")
}

func (m *markdown) left(what string) {
	if n := m.r.Left[what]; n > 0 {
		m.line("\n%d more %s are not listed here.", n, what)
	}
}

func codeOr(s string) string {
	if s == "" {
		return ""
	}
	return ": " + code(s)
}

// round writes an iteration path: [2] for the third element or round.
func round(iteration string) string {
	if iteration == "" {
		return ""
	}
	return "[" + iteration + "]"
}

func (m *markdown) decisions() {
	m.line("\n## Decisions\n")
	if len(m.r.Decisions) == 0 {
		m.line("No person was asked, and nobody stepped in.")
	}
	for _, d := range m.r.Decisions {
		asked := ""
		if d.Asked != "" {
			asked = " " + code(d.Asked)
		}
		m.line("- %s: %s%s: **%s**", stamp(d.At), d.Kind, asked, d.Decision)
		if len(d.Seals) > 0 {
			m.line("  - sealed: %s", codes(d.Seals))
		}
		if d.Because != "" {
			m.line("  - because %s", code(d.Because))
		}
		if len(d.Facts) > 0 {
			m.line("  - where %s", codes(d.Facts))
		}
		if len(d.Chain) > 0 {
			m.line("  - asked: %s", codes(d.Chain))
		}
		if d.Silence != "" {
			until := ""
			if !d.Deadline.IsZero() {
				until = " until " + stamp(d.Deadline)
			}
			m.line("  - silence%s means %s", until, d.Silence)
		}
		for _, v := range d.Votes {
			m.line("  - %s %s%s", code(Who(v.Actor)), v.Word, voteRest(v, d.At))
		}
		if d.Then != "" {
			m.line("  - %s", d.Then)
		}
	}
}

func voteRest(v Vote, asked time.Time) string {
	text := ""
	if after := v.At.Sub(asked); after > 0 {
		text += " after " + Span(after) + ", at " + stamp(v.At)
	}
	if len(v.As) > 0 {
		text += " as " + codes(v.As)
	}
	if v.Reason != "" {
		text += ", because " + code(v.Reason)
	}
	if len(v.Answer) > 0 {
		text += ", answer " + code(string(v.Answer))
	}
	if v.Refused != "" {
		text += "; it did not count: " + code(v.Refused)
	}
	return text
}

func (m *markdown) metrics() {
	m.line("\n## Times\n")
	for _, x := range m.r.figures() {
		text := measured(x.Measure)
		if x.Why != "" {
			text += " (" + code(x.Why) + ")"
		}
		m.line("- %s: %s", x.Name, text)
	}
}

// figure is a measure with its name.
type figure struct {
	Name string
	Measure
}

func (r *Report) figures() []figure {
	m := r.Metrics
	return []figure{
		{"time to triage", m.Triage},
		{"time to contain", m.Contain},
		{"time to recover", m.Recover},
		{"waiting for people", m.People},
		{"the run in all", m.Total},
		{"taking back", m.Undo},
	}
}

// steps tells what the steps came to: by which condition, and what look-ups told.
func (m *markdown) steps() {
	if len(m.r.Phases) > 0 {
		m.line("\n## Steps\n")
	}
	for _, p := range m.r.Phases {
		for _, s := range p.Steps {
			text := fmt.Sprintf("- %s %s: %s", code(s.Path+round(s.Iteration)), code(s.Title), code(s.Outcome))
			if s.If != "" {
				text += "; if " + code(s.If)
			}
			if len(s.Facts) > 0 {
				text += "; it told " + codes(s.Facts)
			}
			if s.Detail != "" {
				text += "; " + code(s.Detail)
			}
			m.line("%s", text)
		}
	}
}

func (m *markdown) timeline() {
	m.line("\n## Timeline (UTC)\n")
	for _, e := range m.r.Timeline {
		text := e.At.UTC().Format("2006-01-02 15:04:05.000") + " " + code(e.What)
		if e.About != "" {
			text += " " + code(e.About)
		}
		if e.Who != "" {
			text += " by " + code(Who(e.Who))
		}
		if e.Row > 0 {
			text += fmt.Sprintf(" (row %d)", e.Row)
		}
		m.line("- %s", text)
	}
	m.left("events")
}

func (m *markdown) proof() {
	p := m.r.Proof
	m.line("\n## Proof\n")
	m.line("%s\n", proofText(p))
	m.line("To verify it, without trusting this text: keep the block below as `checkpoint.txt`, or better take it from where checkpoints are kept; get `ledger.key.pub` from who keeps the ledger's key; then\n")
	for _, c := range p.Verify {
		m.line("    %s", c)
	}
	if p.Checkpoint != "" {
		m.line("\nCheckpoint:\n")
		for l := range strings.SplitSeq(strings.TrimRight(p.Checkpoint, "\n"), "\n") {
			m.line("    %s", Visible(l))
		}
	}
}

// proofText says what the ledger holds of the run.
func proofText(p Proof) string {
	text := fmt.Sprintf("The ledger has %d entries of this run, rows %d to %d.", p.Rows, p.First, p.Last)
	if p.Pruned > 0 {
		text = fmt.Sprintf("Rows 1 to %d of the ledger left the store under retention, entries of this run with them: EXPORT, the directory of retention.export, has them, and they are not in this report.", p.Pruned)
		if p.Rows > 0 {
			text += fmt.Sprintf(" Still there are %d entries of this run, rows %d to %d.", p.Rows, p.First, p.Last)
		}
	}
	switch {
	case p.Pruned > 0 && p.Rows == 0:
	case p.Size == 0:
		text += " No checkpoint was signed yet."
	case p.Tail == 0:
		text += fmt.Sprintf(" The signed checkpoint below covers rows 1 to %d, and so all of them.", p.Size)
	default:
		text += fmt.Sprintf(" The signed checkpoint below covers rows 1 to %d; %d entries of this run came later and are protected by the chain alone until the next one.", p.Size, p.Tail)
	}
	if p.Erased > 0 {
		text += fmt.Sprintf(" The payloads of %d entries were erased under retention; their rows stay.", p.Erased)
	}
	return text
}

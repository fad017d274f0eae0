package report

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
)

// The longest text that stands in a page, in characters, and the longest run of
// marks on one character.
const (
	maxText  = 1500
	maxMarks = 3
)

// Visible makes a text from outside fit for a line that people read: what cannot
// be seen, breaks the line or turns its direction is shown by its number, as
// [U+202E]; marks that pile up on one character and very long texts are cut.
func Visible(s string) string {
	var b strings.Builder
	n, marks := 0, 0
	for _, r := range s {
		if n == maxText {
			fmt.Fprintf(&b, "… [%d more characters]", len([]rune(s))-maxText)
			break
		}
		n++
		if unicode.In(r, unicode.Mn, unicode.Me) {
			if marks++; marks > maxMarks {
				continue
			}
		} else {
			marks = 0
		}
		if hidden(r) {
			fmt.Fprintf(&b, "[U+%04X]", r)
			continue
		}
		b.WriteRune(r)
	}
	return b.String()
}

// hidden says that a character shows nothing by itself, or moves others.
func hidden(r rune) bool {
	return r != ' ' && (unicode.In(r, unicode.Cc, unicode.Cf, unicode.Co, unicode.Cs, unicode.Zl, unicode.Zp, unicode.Zs) ||
		unicode.Is(unicode.Other_Default_Ignorable_Code_Point, r) || unicode.Is(unicode.Variation_Selector, r) || r == unicode.ReplacementChar)
}

// stamp writes a time with its day.
func stamp(t time.Time) string {
	if t.IsZero() {
		return "–"
	}
	return t.UTC().Format("2006-01-02 15:04:05 UTC")
}

// several joins the first of a list and counts the others.
func several(list []string) string {
	const most = 12
	if len(list) <= most {
		return strings.Join(list, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(list[:most], ", "), len(list)-most)
}

// measured writes a measure: its value, or why it has none.
func measured(m Measure) string {
	if m.Seconds == nil {
		return "–"
	}
	return waited(*m.Seconds)
}

// InShort says in a few sentences what happened: how it began and ended, what was
// done, who decided, what is still open. Every text that is not ours goes through
// name, what people or an alert said through quote.
func (r *Report) InShort(quote, name func(string) string) []string {
	var out []string
	say := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	begin := "Launched by " + name(Who(r.Run.Trigger.Actor))
	if len(r.Alerts) > 0 {
		begin = "Started by the alert " + quote(r.Alerts[0].Title) + " from " + name(Who("source:"+r.Alerts[0].Source))
	}
	say("%s at %s.", begin, stamp(r.Metrics.Begin))
	switch {
	case r.Run.Closing == "":
		say("It has not ended; this tells it up to %s.", stamp(r.Made))
	case r.Run.Reason != "":
		say("It ended %s after %s: %s.", closing(r.Run.Closing), measured(r.Metrics.Total), quote(r.Run.Reason))
	default:
		say("It ended %s after %s.", closing(r.Run.Closing), measured(r.Metrics.Total))
	}
	if r.Run.Mode == "observe" {
		say("It ran in observe mode: what would have been done is listed, and nothing was done.")
	}
	say("%s", r.doneShort(name))
	say("%s", r.decidedShort(quote, name))
	say("%s", r.openShort())
	return out
}

func closing(c string) string { return strings.ReplaceAll(c, "_", " ") }

func (r *Report) doneShort(name func(string) string) string {
	var done []string
	back := 0
	for i := range r.Effects {
		e := &r.Effects[i]
		if !e.happened() && e.Outcome != "simulated" {
			continue
		}
		text := name(e.Title)
		if on := append(slices.Clip(e.Targets), e.Gave...); len(on) > 0 {
			text += ": " + name(several(on))
		}
		done = append(done, text)
		if e.undone() {
			back++
		}
	}
	if len(done) == 0 {
		return "Nothing was changed."
	}
	const most = 6
	if n := len(done) - most; n > 0 {
		done = append(done[:most], fmt.Sprintf("and %d more", n))
	}
	text := "Done: " + strings.Join(done, "; ") + "."
	if r.Run.Mode == "observe" {
		text = "Would have been done: " + strings.Join(done, "; ") + "."
	}
	switch back {
	case 0:
	case 1:
		text += " One of these was taken back."
	default:
		text += fmt.Sprintf(" %d of these were taken back.", back)
	}
	return text
}

func (r *Report) decidedShort(quote, name func(string) string) string {
	var out []string
	for _, d := range r.Decisions {
		if len(out) == 4 {
			out = append(out, fmt.Sprintf("and %d more", len(r.Decisions)-4))
			break
		}
		who := ""
		for _, v := range d.Votes {
			if v.Refused == "" {
				who = name(Who(v.Actor)) + " " + v.Word
			}
		}
		switch {
		case who != "" && d.Asked != "":
			out = append(out, who+" "+quote(d.Asked)+" after "+waited(d.Waited))
		case who != "":
			out = append(out, who)
		case d.Decision == "open":
			out = append(out, quote(d.Asked)+" still waits for an answer")
		case d.Decision == "expired":
			out = append(out, "nobody answered "+quote(d.Asked)+" within "+waited(d.Waited))
		}
	}
	if len(out) == 0 {
		return "No person was asked."
	}
	return "People: " + strings.Join(out, "; ") + "."
}

func (r *Report) openShort() string {
	counts := map[string]int{}
	for _, o := range r.Open {
		counts[o.Kind]++
	}
	var out []string
	for _, k := range gravity {
		if n := counts[k]; n > 0 {
			out = append(out, fmt.Sprintf("%d %s", n, openWords[k]))
		}
	}
	if len(out) == 0 {
		text := "Nothing was found open at " + stamp(r.Made)
		for _, l := range r.Looked {
			if l.Of > 0 {
				return text + "; what was looked at is listed below."
			}
		}
		return text + "; there was nothing to look at."
	}
	return "Still open: " + strings.Join(out, ", ") + "."
}

var openWords = map[string]string{
	"unknown": "of unknown outcome", "undo_failed": "that could not be taken back", "on_its_way": "on its way", "partial": "done in part",
	"failed": "not done", "waiting": "waiting for a person", "held": "still in force", "stays": "that cannot be taken back",
}

package compile

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	_ "time/tzdata" // a zone is known on every machine, or on none

	"github.com/quell-soar/quell/playbooks/ast"
	"github.com/quell-soar/quell/playbooks/expr"
	"github.com/quell-soar/quell/playbooks/plan"
)

// schedule types on.schedule. Nobody answers for a run that the clock starts, so
// that each input has a value here or a default.
func (u *unit) schedule(s *ast.Schedule) {
	out := plan.ScheduleTrigger{
		Cron: strings.Join(strings.Fields(s.Cron.String()), " "), Zone: s.Zone.String(),
		Overlap: plan.Overlap(u.oneOf(s.Overlap, "overlap", "skip", "skip", "queue", "allow")),
	}
	if u.need(s.Cron, s.Span, "on.schedule", "cron") {
		if err := checkCron(out.Cron); err != nil {
			u.report("bad-value", s.Cron.Span(), "write minute, hour, day, month, weekday: 0 6 * * mon-fri", "cron: %s", err)
		}
	}
	if u.need(s.Zone, s.Span, "on.schedule", "zone") {
		if _, err := time.LoadLocation(out.Zone); err != nil || out.Zone == "" || out.Zone == "Local" {
			u.report("bad-value", s.Zone.Span(), "write a name of the IANA database: Europe/Berlin, UTC", "there is no zone %s", out.Zone)
		}
	}
	env := expr.Env{Settings: u.inputs.Settings, OnlyRoots: []string{"settings", "now"}}
	out.Inputs = u.mapped(s.Inputs, head(u.file, s.Span), "the schedule", env)
	u.draft.Triggers.Schedules = []plan.ScheduleTrigger{out}
}

// cronFields are the bounds and names of the five fields of a cron line.
var cronFields = []struct {
	name     string
	from, to int
	names    []string
}{
	{"minute", 0, 59, nil},
	{"hour", 0, 23, nil},
	{"day", 1, 31, nil},
	{"month", 1, 12, []string{"jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"}},
	{"weekday", 0, 7, []string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}},
}

// checkCron reads a line of crontab(5) without its command.
func checkCron(line string) error {
	parts := strings.Fields(line)
	if len(parts) != len(cronFields) {
		return fmt.Errorf("it has %d fields, not 5", len(parts))
	}
	for i, part := range parts {
		f := cronFields[i]
		for item := range strings.SplitSeq(part, ",") {
			if err := checkCronItem(item, f.from, f.to, f.names); err != nil {
				return fmt.Errorf("the %s %q %w", f.name, item, err)
			}
		}
	}
	return nil
}

func checkCronItem(item string, from, to int, names []string) error {
	span, step, stepped := strings.Cut(item, "/")
	if n, err := strconv.Atoi(step); stepped && (err != nil || n < 1 || n > to) {
		return fmt.Errorf("has no step")
	}
	if span == "*" {
		return nil
	}
	lo, hi, ranged := strings.Cut(span, "-")
	a, ok := cronNumber(lo, from, to, names)
	if !ok {
		return fmt.Errorf("is not from %d to %d", from, to)
	}
	if !ranged {
		return nil
	}
	if b, ok := cronNumber(hi, from, to, names); !ok || b < a {
		return fmt.Errorf("is no range from %d to %d", from, to)
	}
	return nil
}

func cronNumber(s string, from, to int, names []string) (int, bool) {
	if i := slices.Index(names, strings.ToLower(s)); i >= 0 {
		return i + from, true
	}
	n, err := strconv.Atoi(s)
	return n, err == nil && n >= from && n <= to && s[0] != '+'
}

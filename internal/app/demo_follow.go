package app

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/quell-soar/quell/server/api"
	"github.com/quell-soar/quell/workflows/run"
)

// follow watches the run to its end and has its approval decided on the way.
func (d *demo) follow(ctx context.Context) error {
	d.headline("2  The run")
	width, height, terminal := d.screen()
	var show interface {
		event(api.Event) error
		close()
	}
	var live *liveWatch
	if terminal && d.getenv("TERM") != "dumb" {
		live = newLiveWatch(d.cli.out, newView(d.now), width, height)
		show = live
	} else {
		show = &lineWatch{w: d.cli.out, now: d.now, seen: map[string]string{}}
	}
	seen := map[string]bool{}
	var closing string
	err := d.ana.Watch(ctx, d.run, 0, func(ev api.Event) error {
		if err := show.event(ev); err != nil {
			return err
		}
		if ev.Run != nil {
			closing = ev.Run.Closing
		}
		if ev.Tree == nil {
			return d.kids.died()
		}
		for _, id := range waiting(ev.Tree.Steps) {
			if !seen[id] {
				seen[id] = true
				if err := d.decide(ctx, id, live); err != nil {
					return err
				}
			}
		}
		return nil
	})
	show.close()
	if err != nil {
		return err
	}
	if want := map[bool]string{true: "denied", false: "completed"}[d.denied]; closing != want {
		return failed(ExitFailed, "the run ended %s, and the demo expects %s; its log:\n%s", closing, want, d.kids.list[len(d.kids.list)-1].lastWords())
	}
	return nil
}

// waiting lists the requests that steps wait for.
func waiting(steps []run.StepProgress) []string {
	var out []string
	for _, s := range steps {
		if s.Status == "waiting for approval" {
			out = append(out, s.Detail)
		}
		out = append(out, waiting(s.Steps)...)
	}
	return out
}

// decide has one approval decided: by who sits at the terminal, or after a minute
// by the person on call.
func (d *demo) decide(ctx context.Context, id string, live *liveWatch) error {
	a, err := d.ana.Approval(ctx, id)
	if err != nil {
		return err
	}
	if a.Status != "open" {
		return nil
	}
	fd, ask := d.asksPerson(d.yes)
	if !ask {
		d.tell(live, fmt.Sprintf("%s, who is on call, approves: nobody is asked here", demoOnCall))
		return d.vote(ctx, d.lena, a, api.Approve, "the demo asks nobody")
	}
	got, err := askKeys(ctx, fd, d.wait, d.prompt(a, live))
	if live != nil {
		live.foot(nil)
	}
	if err != nil {
		return err
	}
	switch got {
	case choseYes:
		d.tell(live, fmt.Sprintf("you approved, as %s", demoAnalyst))
		return d.vote(ctx, d.ana, a, api.Approve, "looked at and approved at the terminal")
	case choseNo:
		d.tell(live, fmt.Sprintf("you denied, as %s", demoAnalyst))
		d.denied = true
		return d.vote(ctx, d.ana, a, api.Deny, "denied at the terminal")
	}
	d.tell(live, fmt.Sprintf("%s are over: %s, who is on call, approves", span(d.wait), demoOnCall))
	return d.vote(ctx, d.lena, a, api.Approve, fmt.Sprintf("nobody answered within %s", span(d.wait)))
}

func (d *demo) vote(ctx context.Context, who *api.Client, a api.Approval, word api.Decision, reason string) error {
	_, err := who.Vote(ctx, a.ID, api.Vote{Decision: word, Seal: a.Seal, Reason: reason})
	return err
}

// prompt shows the question with the time that is left: in the live picture, or as
// a line each ten seconds.
func (d *demo) prompt(a api.Approval, live *liveWatch) func(time.Duration) {
	effects := make([]string, 0, len(a.Effects))
	for _, e := range a.Effects {
		effects = append(effects, e.Action+" through "+e.Instance)
	}
	question := clean(a.Question + "  (" + strings.Join(effects, ", ") + ")")
	last := -1
	return func(left time.Duration) {
		s := int((left + 999*time.Millisecond) / time.Second)
		keys := fmt.Sprintf("[y] approve  [n] deny    in %d s %s, who is on call, approves", s, demoOnCall)
		switch {
		case live != nil && s != last:
			live.foot([]string{"", question, keys})
		case live == nil && (last < 0 || s != last && s%10 == 0):
			d.say("%s", question+"  "+keys)
		}
		last = s
	}
}

// tell says a thing beneath the live picture, or as a line.
func (d *demo) tell(live *liveWatch, text string) {
	if live != nil {
		live.note(text)
		return
	}
	d.say("%s", text)
}

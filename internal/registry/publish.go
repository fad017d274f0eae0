package registry

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"github.com/quell-soar/quell/playbooks/compile"
	"github.com/quell-soar/quell/playbooks/plan"
	"github.com/quell-soar/quell/playbooks/source"
)

// Offer is what somebody brings to be published.
type Offer struct {
	// Origin is api, dir:PATH or git:URL; Note is more of that, such as the commit.
	Origin, Note string
	// Actor is who brings it, a person or system:NAME; Request the API request.
	Actor, Request string
	// Standing says that it is the offer of a source, made again and again: what
	// was taken from it before is not taken again, though another version became
	// current since; a retired playbook stays retired; what is good is published
	// though another text is not; and a file that is gone is a problem.
	Standing bool
	// Basis names what a text is compiled against beside itself: the program and
	// the installed actions. With another one, standing texts are compiled anew.
	Basis string
	// Again has standing texts compiled though nothing changed, as at a start.
	Again bool
	Texts []Text
}

// Made is a text that holds here.
type Made struct {
	Plan *plan.Plan
	// Tested is how many tests it passed.
	Tested int
}

// Press compiles a text, plays its tests and binds it to the installation. Its
// error is for people: what is wrong at which line. others are the playbooks that
// it may call.
type Press func(ctx context.Context, t Text, others compile.Playbooks) (Made, error)

// The ends of an offered text.
const (
	// Published: it is current now.
	Published = "published"
	// Unchanged: it was current before.
	Unchanged = "unchanged"
	// Refused: it does not hold; Problem says why.
	Refused = "refused"
	// Passed: it is left alone, because a person decided otherwise.
	Passed = "passed"
)

// Taken is what became of one text.
type Taken struct {
	File, Playbook, Digest string
	N                      int
	Status                 string
	// Before is the digest that was current; SameMeaning says that it differs in
	// layout and comments only.
	Before      string
	SameMeaning bool
	Tested      int
	// Problem is why it was refused or passed, Err the error of Press behind it.
	Problem string
	Err     error
}

// TestSuffix is how the name of a playbook's tests ends.
const TestSuffix = ".test.yaml"

// Take publishes what an offer brings, in one transaction. Of a standing offer it
// takes what holds; of another one all or nothing. Where nothing changed since a
// standing offer was taken the last time, it does nothing and returns nil.
func (r *Registry) Take(ctx context.Context, o Offer, press Press) ([]Taken, error) {
	current, _, err := r.Current(ctx)
	if err != nil {
		return nil, err
	}
	known, err := r.offered(ctx, o.Origin)
	if err != nil {
		return nil, err
	}
	if o.Standing && !o.Again && !fresh(o, known) {
		return nil, nil
	}
	list := make([]candidate, len(o.Texts))
	for i, t := range o.Texts {
		list[i] = candidate{Text: t, sum: sumOf(t, o.Basis)}
	}
	makeAll(ctx, list, current, press)
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	twice(list)
	if !o.Standing && slices.ContainsFunc(list, func(c candidate) bool { return c.problem != "" }) {
		out := make([]Taken, len(list))
		for i, c := range list {
			out[i] = Taken{File: c.File, Playbook: c.name(), Status: Passed, Problem: c.problem, Err: c.err}
			if c.problem != "" {
				out[i].Status = Refused
			}
		}
		return out, nil
	}
	return r.keep(ctx, o, list, known)
}

// candidate is a text on its way into the registry.
type candidate struct {
	Text
	sum             string
	made            Made
	raw             []byte
	digest, meaning string
	problem         string
	err             error
}

func (c *candidate) name() string {
	if c.made.Plan != nil {
		return c.made.Plan.Playbook
	}
	return nameOf(c.Text)
}

// nameOf is the name that a text gives itself, or "".
func nameOf(t Text) string {
	for name := range compile.NewFiles(source.NewFile("playbook.yaml", t.Body)) {
		return name
	}
	return ""
}

// sumOf is the digest of a text, and that of what it is compiled against.
func sumOf(t Text, basis string) string {
	h := sha256.New()
	for _, b := range [][]byte{t.Body, t.Tests, []byte(t.Fault)} {
		_, _ = fmt.Fprintf(h, "%d:", len(b))
		_, _ = h.Write(b)
	}
	return hex.EncodeToString(h.Sum(nil)) + "/" + basis
}

// fresh reports whether an offer differs from what was offered before.
func fresh(o Offer, known map[string]offered) bool {
	here := 0
	for _, t := range o.Texts {
		k, ok := known[t.File]
		if !ok || k.sum != sumOf(t, o.Basis) {
			return true
		}
		here++
	}
	for _, k := range known { // a file that is gone is news once
		if k.sum != gone {
			here--
		}
	}
	return here != 0
}

// makeAll compiles all texts. One that does not hold stands in for its callers
// with the version that is current, so that its fault is its own.
func makeAll(ctx context.Context, list []candidate, current []Entry, press Press) {
	for i := range list {
		list[i].make(ctx, others(list, current), press)
	}
	for again := true; again; { // a caller that holds may let its own callers hold
		again = false
		for i := range list {
			if list[i].problem == "" || ctx.Err() != nil {
				continue
			}
			before := list[i].problem
			list[i].make(ctx, others(list, current), press)
			again = again || list[i].problem == ""
			if list[i].problem != "" {
				list[i].problem = before // the first says more
			}
		}
	}
}

// others are what a text may call: what is offered with it and holds as far as is
// known, else what is current.
func others(list []candidate, current []Entry) compile.Files {
	var files []*source.File
	for _, c := range list {
		if c.problem == "" {
			files = append(files, source.NewFile(c.File, c.Body))
		}
	}
	for _, e := range current {
		if e.Retired == nil {
			files = append(files, source.NewFile(e.Current.Text.File, e.Current.Text.Body))
		}
	}
	return compile.NewFiles(files...) // of two of one name the first counts
}

func (c *candidate) make(ctx context.Context, others compile.Playbooks, press Press) {
	var err error
	if c.Fault != "" {
		c.problem = c.Fault
		return
	}
	if c.made, err = press(ctx, c.Text, others); err == nil {
		c.raw, err = c.made.Plan.Encode()
	}
	if err == nil {
		c.digest = plan.DigestOf(c.raw)
		c.meaning, err = c.made.Plan.Meaning()
	}
	c.problem, c.err = "", err
	if err != nil {
		c.problem = strings.TrimSpace(err.Error())
	}
}

// twice refuses texts of one name: nobody could say which counts.
func twice(list []candidate) {
	at := map[string]string{}
	for i := range list {
		c := &list[i]
		if c.problem != "" {
			continue
		}
		if other, ok := at[c.name()]; ok {
			c.problem = fmt.Sprintf("playbook %s stands in %s and in %s; remove one", c.name(), other, c.File)
			continue
		}
		at[c.name()] = c.File
	}
}

package report

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/quell-soar/quell/internal/approval"
	"github.com/quell-soar/quell/internal/effects"
	"github.com/quell-soar/quell/internal/ledger"
	"github.com/quell-soar/quell/internal/runs"
	"github.com/quell-soar/quell/playbooks/plan"
	"github.com/quell-soar/quell/workflows/run"
)

// Bounds of a review: it is read by people and kept in the ledger. What is left
// out is counted.
const (
	maxEffects = 500
	maxEvents  = 2000
	maxSteps   = 1000
)

// Builder reads what a review is made of.
type Builder struct {
	Runs      *runs.Runs
	Effects   *effects.Effects
	Approvals *approval.Approvals
	Ledger    *ledger.Ledger
	// Now tells when the review is made.
	Now func() time.Time
}

// Build makes the review of a run as it stands. tree is its progress where the
// caller knows it; nil takes that of the run's end, and a run that has neither is
// told without its reads. The error is runs.ErrNotFound, or a fault of the store.
// It may be called at any time and changes nothing.
func (b *Builder) Build(ctx context.Context, tenant, runID string, tree *run.Progress) (*Report, error) {
	rec, err := b.Runs.Get(ctx, runID)
	if err == nil && rec.Tenant != tenant {
		err = fmt.Errorf("run %s: %w", runID, runs.ErrNotFound)
	}
	if err != nil {
		return nil, err
	}
	d := &draft{now: b.Now().UTC(), rec: rec, tree: tree, report: &Report{Version: Version, Template: "pir", Left: map[string]int{}}}
	d.report.Made = d.now
	if err := b.gather(ctx, d); err != nil {
		return nil, fmt.Errorf("review of %s: %w", runID, err)
	}
	d.write()
	return d.report, nil
}

// draft is a review in the making.
type draft struct {
	now     time.Time
	rec     runs.Record
	plan    *plan.Plan
	steps   map[string]*plan.Step
	tree    *run.Progress
	alerts  []runs.Alert
	effects []*effects.Effect
	held    map[string]bool
	asked   []*approval.Request
	entries []ledger.Entry
	sealed  ledger.Checkpoint
	base    ledger.Base
	report  *Report
}

// gather reads all that the store has.
func (b *Builder) gather(ctx context.Context, d *draft) (err error) {
	if raw, err := b.Runs.Plan(ctx, d.rec.Digest); err == nil {
		// A plan of another format is told without titles, and not refused.
		d.plan, _ = plan.Decode(raw)
	}
	if d.tree == nil && len(d.rec.Result) > 0 {
		var res run.Result
		if err := json.Unmarshal(d.rec.Result, &res); err != nil {
			return fmt.Errorf("result: %w", err)
		}
		d.tree = &res.Tree
	}
	ids, err := b.Runs.AlertsOf(ctx, d.rec.ID)
	if err != nil {
		return err
	}
	for _, id := range ids[:min(len(ids), 50)] {
		a, err := b.Runs.GetAlert(ctx, id)
		if err != nil {
			return err
		}
		d.alerts = append(d.alerts, a)
	}
	if d.effects, err = b.Effects.List(ctx, effects.Filter{Run: d.rec.ID}); err != nil {
		return err
	}
	d.held = map[string]bool{}
	for _, e := range d.effects {
		if e.Direction == string(run.Do) && e.Undone == "" && (e.Happened() || e.Outcome == effects.Already) {
			if d.held[e.Key], err = b.Effects.Holds(ctx, e.Key); err != nil {
				return err
			}
		}
	}
	if d.asked, _, err = b.Approvals.List(ctx, approval.Filter{Tenant: d.rec.Tenant, Run: d.rec.ID, All: true}); err != nil {
		return err
	}
	if d.entries, err = b.entries(ctx, d.rec.ID); err != nil {
		return err
	}
	if d.base, err = b.Ledger.Base(ctx); err != nil {
		return err
	}
	d.sealed, err = b.Ledger.Latest(ctx)
	return err
}

// entries reads the run's part of the ledger.
func (b *Builder) entries(ctx context.Context, runID string) ([]ledger.Entry, error) {
	var out []ledger.Entry
	f := ledger.Filter{Run: runID, Limit: 1000}
	for {
		page, err := b.Ledger.Read(ctx, f)
		if err != nil {
			return nil, err
		}
		out = append(out, page...)
		if len(page) < f.Limit || len(out) >= 50*f.Limit {
			return out, nil
		}
		f.After = page[len(page)-1].Seq
	}
}

// write fills the report from what was gathered.
func (d *draft) write() {
	d.steps = map[string]*plan.Step{}
	if d.plan != nil {
		for i := range d.plan.Phases {
			d.index(d.plan.Phases[i].Steps)
		}
	}
	r := d.report
	r.Run = d.run()
	r.Alerts = d.alertList()
	r.Phases = d.phases()
	r.Decisions = d.decisions()
	r.Effects = d.effectList()
	r.Metrics = d.metrics()
	r.Verdict = d.verdict()
	r.InForce = d.inForce()
	r.Looked = d.looked()
	r.Open = d.open()
	r.Timeline = d.timeline()
	r.Proof = d.proof()
	if len(r.Left) == 0 {
		r.Left = nil
	}
}

// index finds steps by their path.
func (d *draft) index(list []plan.Step) {
	for i := range list {
		st := &list[i]
		d.steps[st.Path] = st
		d.index(st.Steps)
		if st.Choose != nil {
			for _, c := range st.Choose.Cases {
				d.index(c.Steps)
			}
			d.index(st.Choose.Default)
		}
	}
}

func (d *draft) run() Run {
	out := Run{
		ID: d.rec.ID, Playbook: d.rec.Playbook, Digest: d.rec.Digest, Incident: d.rec.Incident, Severity: d.rec.Severity,
		Mode: d.rec.Mode, Trigger: d.rec.Trigger, Inputs: d.rec.Inputs, Status: string(d.rec.Status), Closing: d.rec.Closing,
		Reason: d.rec.Reason, Created: d.rec.Created, Started: d.rec.Started, Ended: d.rec.Ended,
	}
	if d.plan != nil {
		out.Title, out.Owner, out.Tags = d.plan.Title, d.plan.Owner, d.plan.Tags
	}
	return out
}

func (d *draft) alertList() []Alert {
	out := make([]Alert, 0, len(d.alerts))
	for _, a := range d.alerts {
		out = append(out, Alert{
			ID: a.ID, Source: a.Source, SourceID: a.Alert.ID, Title: a.Title, Severity: a.Severity,
			Occurred: a.Occurred, Received: a.Received, Names: named(a.Value),
		})
	}
	return out
}

// named lists what an alert names, for people.
func named(value json.RawMessage) []string {
	var v struct {
		Hosts  []struct{ Name string }            `json:"hosts"`
		Users  []struct{ Name string }            `json:"users"`
		Files  []struct{ Path string }            `json:"files"`
		IPs    []string                           `json:"ips"`
		Emails []struct{ Subject, Sender string } `json:"emails"`
	}
	if json.Unmarshal(value, &v) != nil {
		return nil
	}
	var out []string
	add := func(what, name string) {
		if name != "" && len(out) < 20 {
			out = append(out, what+" "+name)
		}
	}
	for _, h := range v.Hosts {
		add("host", h.Name)
	}
	for _, u := range v.Users {
		add("account", u.Name)
	}
	for _, f := range v.Files {
		add("file", f.Path)
	}
	for _, ip := range v.IPs {
		add("address", ip)
	}
	for _, m := range v.Emails {
		add("message", strings.TrimSpace(m.Subject+" "+m.Sender))
	}
	return out
}

// titleOf says what an action does, in the vocabulary's words.
func (d *draft) titleOf(action string) string {
	if d.plan != nil {
		if a, ok := d.plan.ActionSpec(action); ok && a.Title != "" {
			return a.Title
		}
	}
	return action
}

// stepTitle is the author's title of a step, or what its action does.
func (d *draft) stepTitle(path, given string) string {
	st := d.steps[path]
	switch {
	case st != nil && st.Title != "":
		return st.Title
	case st != nil && st.Action != nil:
		return d.titleOf(st.Action.Name)
	case given != "":
		return d.titleOf(given)
	case st != nil && st.ID != "":
		return st.ID
	case st != nil:
		return string(st.Kind)
	}
	return path
}

// phaseOf is the phase of a step's path.
func phaseOf(path string) string {
	name, _, _ := strings.Cut(path, ".")
	return name
}

// proof tells where the run stands in the ledger.
func (d *draft) proof() Proof {
	p := Proof{Rows: len(d.entries), Checkpoint: d.sealed.Note, Size: d.sealed.Size}
	for _, e := range d.entries {
		if len(e.Body) == 0 {
			p.Erased++
		}
		if e.Seq > d.sealed.Size {
			p.Tail++
		}
	}
	if len(d.entries) > 0 {
		p.First, p.Last = d.entries[0].Seq, d.entries[len(d.entries)-1].Seq
	}
	if d.base.Seq > 0 && !d.rec.Created.After(d.base.Until) {
		p.Pruned = d.base.Seq
	}
	p.Verify = []string{
		"quell audit export ledger.jsonl",
		"quell audit verify ledger.jsonl --public ledger.key.pub --checkpoint checkpoint.txt",
		"quell audit list --run '" + d.rec.ID + "'",
	}
	if p.Pruned > 0 {
		p.Verify = append(p.Verify, "quell audit verify EXPORT --public ledger.key.pub", "quell audit list --export EXPORT --run '"+d.rec.ID+"'")
	}
	return p
}

// FromEntry reads the review that a report step kept in the ledger: the body of
// an entry of kind report.made.
func FromEntry(body []byte) (*Report, error) {
	var r Report
	if err := json.Unmarshal(body, &r); err != nil {
		return nil, fmt.Errorf("review: %w", err)
	}
	if r.Version != Version {
		return nil, fmt.Errorf("review: form %d; this build reads form %d", r.Version, Version)
	}
	return &r, nil
}

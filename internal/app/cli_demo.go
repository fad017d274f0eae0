package app

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/quell-soar/quell/internal/ledger"
	"github.com/quell-soar/quell/server/api"
)

// demoWait is how long the demo waits for the person at the terminal.
const demoWait = 60 * time.Second

type demoFlags struct {
	yes, keep bool
	// report is the file of the review.
	report string
	wait   time.Duration
}

func (c *cli) demoCommand() *cobra.Command {
	var f demoFlags
	cmd := &cobra.Command{
		Use: "demo", Short: "Show one incident from alert to review, against fakes on this machine", Args: exactly(),
		Long: "Start the fakes of the vendors and a server of their own on free ports of this machine,\n" +
			"send an alert, follow the run, ask for its approval, take back what it left, and write\n" +
			"the post-incident review. Nothing leaves the machine; a directory for temporary files\n" +
			"holds everything and is removed. At a terminal you are asked and have a minute; without\n" +
			"one, in CI (CI is set) and with --yes nobody is asked.",
		RunE: func(cmd *cobra.Command, _ []string) error { return c.demo(cmd.Context(), f) },
	}
	cmd.Flags().BoolVarP(&f.yes, "yes", "y", false, "ask nobody; the person on call approves")
	cmd.Flags().BoolVar(&f.keep, "keep", false, "leave everything running at the end, until Ctrl-C")
	cmd.Flags().StringVar(&f.report, "report", "", "where the review goes; default a new file in the directory for temporary files")
	cmd.Flags().DurationVar(&f.wait, "wait", demoWait, "how long to wait for you before the person on call approves")
	return cmd
}

// demo is one demo under way.
type demo struct {
	*cli
	demoFlags
	house  *demoHouse
	kids   *children
	listen string
	// local speaks as the local admin, ana as who sits at the terminal, lena as
	// the person on call.
	local, ana, lena *api.Client
	run              string
	began            time.Time
	denied           bool
}

func (c *cli) demo(ctx context.Context, f demoFlags) (err error) {
	if c.output != outputText {
		return usage("the demo is for people; it has no -o %s", c.output)
	}
	d := &demo{cli: c, demoFlags: f, began: time.Now()}
	if d.house, err = newDemoHouse(); err != nil {
		return err
	}
	defer d.house.remove()
	d.kids = newChildren(d.house.dir)
	defer func() {
		stopped := d.kids.stop()
		if ctx.Err() != nil {
			err = ctx.Err() // interrupted, whatever broke because of it
			c.say("\nstopped; nothing of the demo is left")
		}
		err = errors.Join(err, stopped)
	}()
	for _, part := range []func(context.Context) error{d.open, d.attack, d.follow, d.takeBack, d.write} {
		if err := part(ctx); err != nil {
			return errors.Join(err, d.kids.died())
		}
	}
	d.last()
	if f.keep {
		return d.stay(ctx)
	}
	return nil
}

// headline separates the parts.
func (d *demo) headline(text string) {
	d.say("\n%s\n%s", text, strings.Repeat("─", len([]rune(text))))
}

// open starts lab and server.
func (d *demo) open(ctx context.Context) error {
	d.say("Quell demo: an alert, a run, an approval, an undo, a review. About 15 seconds, all on this machine.")
	lab, err := program("quell-lab")
	if err != nil {
		return err
	}
	if _, err := program("quell-connector"); err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this program: %w", err)
	}
	if err := d.house.furnish(); err != nil {
		return err
	}
	var urls struct{ CrowdStrike, Jira string }
	if err := d.kids.start(ctx, "quell-lab", lab, &urls, "--world", d.house.world, "--data", filepath.Join(d.house.dir, "lab")); err != nil {
		return err
	}
	d.say("  quell-lab   plays CrowdStrike Falcon and Jira at %s", strings.TrimSuffix(urls.CrowdStrike, "/falcon"))
	if err := d.house.configure(urls.CrowdStrike, urls.Jira); err != nil {
		return err
	}
	var ready struct{ Listen string }
	if err := d.kids.start(ctx, "quell-serve", self, &ready, "serve", "--config", d.house.config); err != nil {
		return err
	}
	d.listen = "http://" + ready.Listen
	d.say("  quell serve answers at %s, its data in %s", d.listen, d.house.dir)
	return d.people(ctx)
}

// people gives the two persons of the demo their tokens.
func (d *demo) people(ctx context.Context) (err error) {
	if d.local, err = api.Dial(api.Options{Socket: d.house.socket}); err != nil {
		return err
	}
	for name, into := range map[string]**api.Client{demoAnalyst: &d.ana, demoOnCall: &d.lena} {
		made, err := d.local.CreateToken(ctx, api.NewToken{Name: name, User: name, Roles: []string{"analyst"}, Scopes: []string{"read", "respond", "approve"}, Expires: "1d"})
		if err != nil {
			return err
		}
		if *into, err = api.Dial(api.Options{Server: d.listen, Token: made.Secret}); err != nil {
			return err
		}
	}
	return nil
}

// attack sends the alert, as the EDR would.
func (d *demo) attack(ctx context.Context) error {
	body, err := os.ReadFile(d.house.alert)
	if err != nil {
		return err
	}
	d.headline("1  The alert")
	d.say("Falcon reports ransomware on %s and signs the message. It starts %s, once.", demoHost, demoPlaybook)
	got, err := d.local.SendAlert(ctx, demoSource, "", body, []byte(d.house.sourceKey))
	if err != nil {
		return err
	}
	for _, r := range got.Runs {
		if r.Verdict == "started" {
			d.run = r.Run
		}
	}
	if d.run == "" {
		return failed(ExitFailed, "the alert started no run: %+v", got.Runs)
	}
	return nil
}

// takeBack shows undo: the file was harmless, the host is released already.
func (d *demo) takeBack(ctx context.Context) error {
	d.headline("3  A false alarm: take it back")
	const reason = "false alarm: invoice-viewer.exe is ours"
	d.say("quell undo %s --reason '%s'", d.run, reason)
	got, err := d.ana.Undo(ctx, d.run, api.UndoRun{Reason: reason})
	if err != nil {
		return err
	}
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for !got.Done {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
		if err := d.kids.died(); err != nil {
			return err
		}
		if got, err = d.ana.UndoResult(ctx, got.ID); err != nil {
			return err
		}
	}
	if err := d.printUndo(got); err != nil {
		return err
	}
	d.say("Newest first, to the state that was found. Scans and tickets leave nothing to take back.")
	return nil
}

// write writes the review and verifies the record.
func (d *demo) write(ctx context.Context) error {
	d.headline("4  The review")
	file := d.report
	if file == "" {
		f, err := os.CreateTemp("", "quell-review-*.html")
		if err != nil {
			return fmt.Errorf("the review needs a file: %w", err)
		}
		file = f.Name()
		_ = f.Close()
		_ = os.Remove(file) // writeReview makes it anew, and only where none is
	}
	d.report = file
	if err := d.signed(ctx); err != nil {
		return err
	}
	if err := writeReview(ctx, d.ana, d.run, api.ReviewHTML, reportFlags{file: file}); err != nil {
		return err
	}
	var b bytes.Buffer
	if err := d.local.ExportLedger(ctx, &b); err != nil {
		return err
	}
	public, err := os.ReadFile(filepath.Join(d.house.dir, "data-keys", "ledger.key.pub"))
	if err != nil {
		return err
	}
	rep, err := ledger.VerifyExport(&b, ledger.Trust{Public: strings.TrimSpace(string(public))})
	if err != nil {
		return err
	}
	if !rep.OK {
		return failed(ExitFailed, "the ledger does not verify: %+v", rep.Findings)
	}
	d.say("%s", file)
	d.say("The record behind it: %d rows, chained and signed, verified offline just now.", rep.Rows)
	return nil
}

// signed waits until a checkpoint covers what happened; that takes a second.
func (d *demo) signed(ctx context.Context) error {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for range 50 {
		got, err := d.local.Checkpoint(ctx)
		if err != nil || got.Tail == 0 {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
	return nil // the review says how much is not covered yet
}

// last is the last screen.
func (d *demo) last() {
	d.headline("What happened")
	if d.denied {
		d.say("An alert started a run; you denied the isolation of %s, and the run ended there, on record.", demoHost)
	} else {
		d.say("An alert started a run. It isolated %s after an approval, quarantined the file, scanned,", demoHost)
		d.say("released the host; then the undo put the file back. Each call once, each on record.")
	}
	d.say("It took %s. Review: %s", span(time.Since(d.began)), d.report)
	d.say("\nNext")
	quell := calledAs()
	if d.keep {
		d.say("  %s run show %s --config %q", quell, d.run, d.house.config)
	} else {
		d.say("  %-42s the same, left running to look around", quell+" demo --keep")
	}
	d.say("  %-42s a playbook to begin with; check tells mistakes in yours", quell+" playbook example isolate-host")
	d.say("  %-42s connect your own EDR, observing: docs/first-edr.md", quell+" init")
}

// calledAs is what to type to run this program: its name where the shell finds it,
// else its path.
func calledAs() string {
	self, err := os.Executable()
	if err != nil {
		return "quell"
	}
	if found, err := exec.LookPath("quell"); err == nil && found == self {
		return "quell"
	}
	dir, err := os.Getwd()
	if err != nil {
		return self
	}
	if rel, err := filepath.Rel(dir, self); err == nil && !strings.HasPrefix(rel, "..") {
		self = rel
	}
	if strings.ContainsAny(self, " '\"$\\") {
		return strconv.Quote(self)
	}
	return self
}

// stay leaves all running until Ctrl-C.
func (d *demo) stay(ctx context.Context) error {
	d.say("\nIt keeps running at %s; Ctrl-C ends it and removes its data.", d.listen)
	d.say("  export QUELL_CONFIG=%q", d.house.config)
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
			if err := d.kids.died(); err != nil {
				return err
			}
		}
	}
}

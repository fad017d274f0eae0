package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"github.com/quell-soar/quell/playbooks/diag"
	"github.com/quell-soar/quell/playbooks/plan"
	"github.com/quell-soar/quell/playbooks/plan/diff"
	"github.com/quell-soar/quell/server/api"
)

// OfflinePlan asks for the preview of a playbook without a server.
type OfflinePlan struct {
	// File is the playbook; Fixtures a test file or recorded answers, "" for the
	// tests beside it; Test the name of a test, "" for the first.
	File, Fixtures, Test string
	Inputs               map[string]json.RawMessage
	Alert                []byte
	From                 string
}

// PlanFunc makes a preview offline. Where the list has errors there is no plan.
type PlanFunc func(ctx context.Context, o OfflinePlan) (*api.Plan, diag.List, error)

type planFlags struct {
	inputs                      []string
	alert, from, fixtures, test string
	offline                     bool
}

func (c *cli) planCommand() *cobra.Command {
	var in planFlags
	cmd := &cobra.Command{
		Use: "plan FILE [NEW]", Short: "Show what a playbook would do; or what changes between two versions",
		Long: "Show what a playbook would do now, on the running server: its reads are called, its effects\n" +
			"only resolved, each with its targets, the guards' word, who would be asked, and how it is\n" +
			"taken back. Every answer of people is played in turn. FILE may be the name of an active\n" +
			"playbook. No effect is called.\n" +
			"With --offline fixtures answer the reads: a test file (the one beside the playbook), or\n" +
			"recorded answers as quell run answers writes them.\n" +
			"With two files: what changes from one version to the other, offline.",
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			switch len(args) {
			case 1:
				return c.plan(cmd.Context(), args[0], in)
			case 2:
				return c.planDiff(args[0], args[1])
			}
			return usage("plan needs a playbook's FILE, or OLD and NEW; see quell plan --help")
		},
	}
	f := cmd.Flags()
	f.StringArrayVarP(&in.inputs, "input", "i", nil, "an input as name=text or name:=JSON")
	f.StringVar(&in.alert, "alert", "", "file with the alert that starts it, in the form of its source")
	f.StringVar(&in.from, "from", "", "source of the alert; default the first that the playbook names")
	f.BoolVar(&in.offline, "offline", false, "ask no server: fixtures answer the reads")
	f.StringVar(&in.fixtures, "fixtures", "", "test file, or recorded answers (.json), for --offline")
	f.StringVar(&in.test, "test", "", "the test whose answers count, for --offline; default the first")
	return cmd
}

func (c *cli) plan(ctx context.Context, name string, f planFlags) error {
	inputs, err := readInputs(f.inputs)
	if err != nil {
		return err
	}
	var alert []byte
	if f.alert != "" {
		if alert, err = c.readFile(f.alert, maxPlaybook); err != nil {
			return err
		}
	}
	if !f.offline && (f.fixtures != "" || f.test != "") {
		return usage("--fixtures and --test go with --offline")
	}
	if f.offline {
		return c.planOffline(ctx, OfflinePlan{File: name, Fixtures: f.fixtures, Test: f.test, Inputs: inputs, Alert: alert, From: f.from})
	}
	req := api.PlanRequest{Inputs: inputs, From: f.from}
	if len(alert) > 0 {
		if !json.Valid(alert) {
			return usage("%s is no JSON", clean(f.alert))
		}
		req.Alert = alert
	}
	if req.Playbook, req.Source, req.Beside, err = c.playbookOf(name); err != nil {
		return err
	}
	cl, err := c.client(ctx)
	if err != nil {
		return err
	}
	got, err := cl.Plan(ctx, req)
	if away := (*api.Unreachable)(nil); errors.As(err, &away) {
		return fmt.Errorf("%w; without a server: quell plan --offline, where a test file answers the reads", err)
	}
	if err != nil {
		return err
	}
	return c.show(got, func() error { return c.planText(&got) })
}

// playbookOf is the name of an active playbook, or the text of a file with those
// beside it that it may call.
func (c *cli) playbookOf(name string) (active string, text *api.PlaybookText, beside []api.PlaybookText, err error) {
	if _, err := os.Stat(name); name != "-" && errors.Is(err, os.ErrNotExist) && nameForm.MatchString(name) && filepath.Ext(name) == "" {
		return name, nil, nil, nil
	}
	p, list, err := c.compile(name)
	if err != nil {
		return "", nil, nil, usage("%v", err)
	}
	raw, err := c.readAgain(name)
	if err != nil {
		return "", nil, nil, err
	}
	text = &api.PlaybookText{File: clean(filepath.Base(name)), Text: string(raw)}
	if p == nil || list.HasErrors() {
		return "", text, nil, nil // the server may know actions that the vocabulary does not
	}
	return "", text, besides(p, &siblings{of: name}, nil), nil
}

// besides are the texts of what a playbook calls, at whatever depth.
func besides(p *plan.Plan, sib *siblings, out []api.PlaybookText) []api.PlaybookText {
	for _, ch := range p.Children {
		f, ok := sib.Playbook(ch.Playbook)
		cp, err := p.ChildPlan(ch.Digest)
		if !ok || err != nil || slices.ContainsFunc(out, func(t api.PlaybookText) bool { return t.File == clean(filepath.Base(f.Name)) }) {
			continue
		}
		out = besides(cp, sib, append(out, api.PlaybookText{File: clean(filepath.Base(f.Name)), Text: string(f.Bytes)}))
	}
	return out
}

func (c *cli) readAgain(name string) ([]byte, error) {
	if name == "-" {
		return nil, usage("plan reads the playbook from a FILE")
	}
	return c.readFile(name, maxPlaybook)
}

func (c *cli) planOffline(ctx context.Context, o OfflinePlan) error {
	if c.Plan == nil {
		return failed(ExitUnknown, "this build plays no playbooks")
	}
	got, list, err := c.Plan(ctx, o)
	if err != nil {
		return withExample(err)
	}
	if list.HasErrors() {
		if err := c.diagnostics(list); err != nil {
			return err
		}
		return quiet(ExitFailed)
	}
	return c.show(got, func() error { return c.planText(got) })
}

func (c *cli) planDiff(before, after string) error {
	old, list, err := c.compile(before)
	if err != nil {
		return usage("%v", err)
	}
	now, more, err := c.compile(after)
	if err != nil {
		return usage("%v", err)
	}
	if list = append(list, more...); old == nil || now == nil {
		if err := c.diagnostics(list); err != nil {
			return err
		}
		return quiet(ExitFailed)
	}
	d, err := diff.Of(old, now)
	if err != nil {
		return err
	}
	return c.show(d, func() error { return d.Text(c.out) })
}

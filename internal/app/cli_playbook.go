package app

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/quell-soar/quell/server/api"
)

func (c *cli) playbookCommand() *cobra.Command {
	list := &cobra.Command{
		Use: "list", Short: "List the playbooks as they stand at the server", Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			cl, err := c.client(cmd.Context())
			if err != nil {
				return err
			}
			got, err := cl.Playbooks(cmd.Context())
			if err != nil {
				return err
			}
			return c.show(got, func() error { return c.playbooks(got) })
		},
	}
	return group("playbook", "Publish playbooks, look at them, and say how much they may do", list, c.playbookShow(), c.playbookPublish(), c.playbookDiff(),
		c.playbookPromote(), c.playbookRetire(), c.checkCommand(), c.exampleCommand())
}

func (c *cli) playbooks(got api.Playbooks) error {
	t := newTable(c.out, "NAME", "MODE", "STARTED BY", "TITLE", "VERSION", "DIGEST")
	for _, p := range got.Playbooks {
		by := strings.Join(p.From, " ")
		if p.Manual {
			by = strings.TrimSpace(by + " people")
		}
		mode := cmp.Or(p.Own, p.Mode)
		if p.Retired != nil {
			mode = "retired"
		}
		t.row(p.Name, mode, by, p.Title, strconv.Itoa(p.Version), cut(p.Digest, 12))
	}
	if err := t.flush(); err != nil {
		return err
	}
	for _, p := range got.Playbooks {
		c.playbookProblems(p)
	}
	for _, r := range got.Refused {
		c.say("refused: %s", lines(r.Why))
	}
	for _, x := range got.Problems {
		c.say("problem: %s", clean(x))
	}
	return nil
}

func (c *cli) playbookProblems(p api.Playbook) {
	for _, x := range p.Problems {
		c.say("problem of %s: %s", p.Name, lines(x))
	}
}

func (c *cli) playbookShow() *cobra.Command {
	var version string
	cmd := &cobra.Command{
		Use: "show NAME", Short: "Show a playbook with its versions, or the text of one version", Args: exactly("NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			cl, err := c.client(cmd.Context())
			if err != nil {
				return err
			}
			if version != "" {
				got, err := cl.PlaybookVersion(cmd.Context(), args[0], version)
				if err != nil {
					return err
				}
				return c.show(got, func() error {
					_, err := c.out.Write([]byte(got.Text))
					return err
				})
			}
			got, err := cl.Playbook(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			return c.show(got, func() error { return c.playbookDetail(got) })
		},
	}
	cmd.Flags().StringVar(&version, "version", "", "print the text of this version: a digest, its first characters, or current")
	return cmd
}

func (c *cli) playbookDetail(p api.PlaybookDetail) error {
	retired := ""
	if r := p.Retired; r != nil {
		retired = stamp(r.At) + " by " + r.By + ": " + r.Reason
	}
	err := pairs(c.out, "playbook", p.Name, "title", p.Title, "owner", p.Owner, "mode", p.Own, "retired", retired, "digest", p.Digest)
	if err != nil {
		return err
	}
	c.playbookProblems(p.Playbook)
	c.say("")
	t := newTable(c.out, "VERSION", "PUBLISHED", "BY", "FROM", "TESTS", "DIGEST", "")
	for _, v := range p.Versions {
		current := ""
		if v.Current {
			current = "current"
		}
		from := v.Origin + " " + v.File
		if v.Note != "" {
			from += " " + v.Note
		}
		t.row(strconv.Itoa(v.Version), stamp(v.At), v.By, from, strconv.Itoa(v.Tests), cut(v.Digest, 12), current)
	}
	return t.flush()
}

func (c *cli) playbookPublish() *cobra.Command {
	return &cobra.Command{
		Use: "publish FILE…", Short: "Compile, test, bind and publish playbooks, all or none",
		Long: "Send playbooks, with NAME.test.yaml beside each, to the server. It compiles them, plays the\n" +
			"tests, and binds them to the installed connectors. If all hold they become current\n" +
			"together: what is launched from then on runs them, and runs under way keep theirs.\n" +
			"A retired playbook is taken back into use. The mode stays as it is; a new one observes.",
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usage("playbook publish needs a FILE; see quell playbook publish --help")
			}
			var in api.PublishPlaybooks
			for _, a := range args {
				t, err := playbookText(a)
				if err != nil {
					return usage("%v", err)
				}
				in.Playbooks = append(in.Playbooks, t)
			}
			cl, err := c.client(cmd.Context())
			if err != nil {
				return err
			}
			got, err := cl.PublishPlaybooks(cmd.Context(), in)
			var p *api.Error
			switch {
			case errors.As(err, &p) && p.Code == api.CodeInvalid:
				return failed(ExitFailed, "%s", lines(p.Detail))
			case err != nil:
				return uncertain(err, "quell playbook list tells")
			}
			return c.show(got, func() error {
				for _, t := range got.Published {
					more := ""
					if t.SameMeaning && t.Status != "unchanged" {
						more = ", no change in meaning"
					}
					c.say("%s: version %d %s (%s, %s pass%s)", t.Playbook, t.Version, t.Status, cut(t.Digest, 12), count(t.Tests, "test"), more)
				}
				return nil
			})
		},
	}
}

// playbookText reads a playbook with the tests beside it.
func playbookText(file string) (api.PublishText, error) {
	t := api.PublishText{File: filepath.Base(file)}
	raw, err := os.ReadFile(file)
	if err != nil {
		return t, err
	}
	t.Text = string(raw)
	tests, err := os.ReadFile(strings.TrimSuffix(file, filepath.Ext(file)) + ".test.yaml")
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return t, err
	}
	t.Tests = string(tests)
	return t, nil
}

func (c *cli) playbookDiff() *cobra.Command {
	var text bool
	cmd := &cobra.Command{
		Use: "diff NAME [FROM [TO]]", Short: "Tell what changes between two versions; without them, what the current one changed",
		Args: cobra.RangeArgs(1, 3),
		RunE: func(cmd *cobra.Command, args []string) error {
			cl, err := c.client(cmd.Context())
			if err != nil {
				return err
			}
			args = append(args, "", "")
			got, err := cl.PlaybookDiff(cmd.Context(), args[0], args[1], args[2])
			if err != nil {
				return err
			}
			return c.show(got, func() error {
				c.say("version %d (%s) to version %d (%s)", got.From.Version, cut(got.From.Digest, 12), got.To.Version, cut(got.To.Digest, 12))
				if got.SameMeaning {
					c.say("no change in meaning: layout and comments at most")
				} else {
					c.say("%s", lines(strings.TrimRight(got.Changes, "\n")))
				}
				if text && got.From.Text != got.To.Text {
					c.say("%s", lines(strings.TrimRight(lineDiff(got.To.File, got.From.Text, got.To.Text), "\n")))
				}
				return nil
			})
		},
	}
	cmd.Flags().BoolVar(&text, "text", false, "also show the lines of the texts that differ")
	return cmd
}

func (c *cli) playbookPromote() *cobra.Command {
	var mode, digest, reason string
	cmd := &cobra.Command{
		Use: "promote NAME --to MODE", Short: "Set how much a playbook may do by itself: observe, ask or act",
		Long: "Set a playbook's mode. The content stays what it is, and so does its digest. Raising the\n" +
			"mode needs an admin; lowering it needs nobody but who responds. Runs under way are\n" +
			"lowered at once and never raised.",
		Args: exactly("NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if reason == "" || mode == "" {
				return usage("playbook promote needs --to observe, ask or act, and --reason: it stands in the record")
			}
			cl, err := c.client(cmd.Context())
			if err != nil {
				return err
			}
			got, err := cl.PromotePlaybook(cmd.Context(), args[0], api.PromotePlaybook{Mode: mode, Digest: digest, Reason: reason})
			if err != nil {
				return uncertain(err, "quell playbook list tells")
			}
			return c.show(got, func() error { c.say("%s: mode %s", got.Name, got.Own); return nil })
		},
	}
	cmd.Flags().StringVar(&mode, "to", "", "observe, ask or act")
	cmd.Flags().StringVar(&digest, "digest", "", "the version that was looked at; with another one current nothing is changed")
	cmd.Flags().StringVar(&reason, "reason", "", "why, for the record")
	return cmd
}

func (c *cli) playbookRetire() *cobra.Command {
	var reason string
	cmd := &cobra.Command{
		Use: "retire NAME", Short: "Let no new run of a playbook start; runs under way go on", Args: exactly("NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if reason == "" {
				return usage("playbook retire needs --reason: it stands in the record")
			}
			cl, err := c.client(cmd.Context())
			if err != nil {
				return err
			}
			got, err := cl.RetirePlaybook(cmd.Context(), args[0], api.RetirePlaybook{Reason: reason})
			if err != nil {
				return uncertain(err, "quell playbook list tells")
			}
			return c.show(got, func() error {
				c.say("%s is retired; quell playbook publish takes it back into use", got.Name)
				return nil
			})
		},
	}
	cmd.Flags().StringVar(&reason, "reason", "", "why, for the record")
	return cmd
}

// published examines what the server has of playbooks.
func (d *doctor) published(ctx context.Context, cl *api.Client) {
	got, err := cl.Playbooks(ctx)
	if err != nil {
		d.bad("published playbooks", "%v", err)
		return
	}
	current, troubled := 0, false
	for _, p := range got.Playbooks {
		if p.Retired == nil {
			current++
		}
		for _, x := range p.Problems {
			troubled = true
			d.bad("playbook "+p.Name, "%s; version %d stays current", clean(x), p.Version)
		}
	}
	for _, r := range got.Refused {
		troubled = true
		d.bad("playbooks", "refused: %s", clean(r.Why))
	}
	for _, x := range got.Problems {
		troubled = true
		d.bad("playbooks", "%s", clean(x))
	}
	if !troubled {
		d.ok("published playbooks", "%d", current)
	}
}

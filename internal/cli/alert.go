package cli

import (
	"context"
	"crypto/rand"
	"strings"

	"github.com/spf13/cobra"

	"github.com/quell-soar/quell/server/api"
)

func (c *cli) alertCommand() *cobra.Command {
	return group("alert", "Send and look at alerts", c.alertSend(), c.alertList(), c.alertShow())
}

func (c *cli) alertSend() *cobra.Command {
	var source, secretFile, id string
	cmd := &cobra.Command{
		Use: "send FILE", Short: "Send an alert as its source would, signed",
		Long: "Send a file's bytes as they are to the intake of a source, signed with the\n" +
			"source's secret. - reads standard input. Exits with 1 where a playbook could not\n" +
			"be started, with 3 where one was refused.",
		Args: exactly("FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			switch {
			case source == "":
				return usage("alert send needs --source, the name of a configured source")
			case secretFile == "":
				return usage("alert send needs --secret-file, a file with the secret of source %s", source)
			}
			return c.sendAlert(cmd.Context(), args[0], source, secretFile, id)
		},
	}
	f := cmd.Flags()
	f.StringVar(&source, "source", "", "source that the alert comes from")
	f.StringVar(&secretFile, "secret-file", "", "file with the source's secret")
	f.StringVar(&id, "id", "", "id of the delivery; default a fresh one")
	return cmd
}

func (c *cli) sendAlert(ctx context.Context, file, source, secretFile, id string) error {
	secret, err := c.secret(ctx, secretFile)
	if err != nil {
		return err
	}
	body, err := c.readFile(file, maxInput)
	if err != nil {
		return err
	}
	if id == "" {
		id = "msg_" + rand.Text()
	}
	return c.asker(ctx, func(cl *api.Client) error {
		got, err := cl.SendAlert(ctx, source, id, body, []byte(secret))
		if err != nil {
			return uncertain(err, "repeat the command: an alert that is there already starts nothing new")
		}
		if err := c.show(got, func() error { return c.received(got) }); err != nil {
			return err
		}
		return verdicts(got.Runs)
	})
}

func (c *cli) received(got api.AlertReceived) error {
	word := "stored"
	if got.Duplicate {
		word = "known already"
	}
	c.say("%s  %s", clean(got.Alert), word)
	if len(got.Runs) == 0 {
		c.say("no playbook wanted it")
		return nil
	}
	return c.verdictTable(got.Runs)
}

func (c *cli) verdictTable(list []api.AlertRun) error {
	t := newTable(c.out, "PLAYBOOK", "VERDICT", "RUN", "REASON")
	for _, r := range list {
		t.row(r.Playbook, r.Verdict, r.Run, r.Reason)
	}
	return t.flush()
}

// verdicts turns what became of an alert into an exit code.
func verdicts(list []api.AlertRun) error {
	code := ExitOK
	for _, r := range list {
		switch r.Verdict {
		case "failed":
			return quiet(ExitFailed)
		case "refused":
			code = ExitRefused
		}
	}
	if code != ExitOK {
		return quiet(code)
	}
	return nil
}

func (c *cli) alertList() *cobra.Command {
	var f api.AlertFilter
	cmd := &cobra.Command{
		Use: "list", Short: "List alerts, newest first", Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.asker(cmd.Context(), func(cl *api.Client) error {
				got, err := cl.Alerts(cmd.Context(), f)
				if err != nil {
					return err
				}
				return c.show(got, func() error { return c.alertTable(got) })
			})
		},
	}
	cmd.Flags().StringVar(&f.Source, "source", "", "only alerts of this source")
	cmd.Flags().IntVar(&f.Limit, "limit", 0, "how many; default 50, at most 200")
	cmd.Flags().StringVar(&f.Cursor, "cursor", "", "where the page before ended")
	return cmd
}

func (c *cli) alertTable(got api.Alerts) error {
	t := newTable(c.out, "ALERT", "SOURCE", "SEVERITY", "RECEIVED", "RUNS", "TITLE")
	for _, a := range got.Alerts {
		var runs []string
		for _, r := range a.Runs {
			if r.Run != "" {
				runs = append(runs, r.Run)
			}
		}
		t.row(a.ID, a.Source, a.Severity, c.ago(a.Received), strings.Join(runs, " "), cut(a.Title, 80))
	}
	if err := t.flush(); err != nil {
		return err
	}
	if got.Next != "" {
		c.say("more: --cursor %s", clean(got.Next))
	}
	return nil
}

func (c *cli) alertShow() *cobra.Command {
	return &cobra.Command{
		Use: "show ALERT", Short: "Show one alert as expressions see it", Args: exactly("ALERT"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.asker(cmd.Context(), func(cl *api.Client) error {
				got, err := cl.Alert(cmd.Context(), args[0])
				if err != nil {
					return err
				}
				return c.show(got, func() error { return c.printAlert(got) })
			})
		},
	}
}

func (c *cli) printAlert(a api.AlertDetail) error {
	err := pairs(c.out, "alert", a.ID, "source", a.Source, "source's id", a.SourceID, "kind", a.Kind, "title", a.Title, "severity", a.Severity,
		"occurred", stamp(a.Occurred), "received", stamp(a.Received), "left out", strings.Join(a.Dropped, " "))
	if err != nil {
		return err
	}
	if len(a.Value) > 0 {
		c.say("\nVALUE")
		c.printValues(a.Value)
	}
	if len(a.Runs) == 0 {
		return nil
	}
	c.say("\nRUNS")
	return c.verdictTable(a.Runs)
}

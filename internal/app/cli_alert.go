package app

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/quell-soar/quell/server/api"
)

func (c *cli) alertCommand() *cobra.Command {
	return group("alert", "Send and look at alerts", c.alertSend(), c.alertList(), c.alertShow(), c.addSource())
}

func (c *cli) alertSend() *cobra.Command {
	var source, secretFile, id string
	cmd := &cobra.Command{
		Use: "send FILE", Short: "Send an alert as a source would, signed", Args: exactly("FILE"),
		Long: "Send the bytes of FILE (- for standard input) as an alert of a configured source,\n" +
			"signed with HMAC-SHA256 as Standard Webhooks has it. The key stands in a file that\n" +
			"nobody else can read.",
		RunE: func(cmd *cobra.Command, args []string) error {
			if source == "" || secretFile == "" {
				return usage("alert send needs --source and --secret-file")
			}
			body, err := c.readFile(args[0], maxInput)
			if err != nil {
				return err
			}
			key, err := readSecret(cmd.Context(), secretFile)
			if err != nil {
				return err
			}
			cl, err := c.client(cmd.Context())
			if err != nil {
				return err
			}
			got, err := cl.SendAlert(cmd.Context(), source, id, body, []byte(key))
			var problem *api.Error
			if errors.As(err, &problem) && problem.Code == api.CodeUnauthenticated {
				return &Error{Code: ExitRefused, Message: fmt.Sprintf("the signature was refused: %s holds no key of the source %s, or there is no such source; sources.%[2]s.secrets in the configuration names the file of its key",
					clean(secretFile), clean(source))}
			}
			if err != nil {
				return uncertain(err, "send it again: the same alert starts nothing twice")
			}
			return c.show(got, func() error { return c.printVerdicts(got) })
		},
	}
	cmd.Flags().StringVar(&source, "source", "", "the configured source that it comes from")
	cmd.Flags().StringVar(&secretFile, "secret-file", "", "file with the source's key")
	cmd.Flags().StringVar(&id, "id", "", "id of the delivery; default a fresh one")
	return cmd
}

func (c *cli) printVerdicts(a api.AlertReceived) error {
	seen := ""
	if a.Duplicate {
		seen = "  received before"
	}
	c.say("%s%s", clean(a.Alert), seen)
	if len(a.Runs) == 0 {
		c.say("no playbook's trigger applies")
		return nil
	}
	t := newTable(c.out, "PLAYBOOK", "VERDICT", "RUN", "REASON")
	for _, r := range a.Runs {
		t.row(r.Playbook, r.Verdict, r.Run, r.Reason)
	}
	return t.flush()
}

func (c *cli) alertList() *cobra.Command {
	var f api.AlertFilter
	cmd := &cobra.Command{
		Use: "list", Short: "List alerts, newest first", Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			cl, err := c.client(cmd.Context())
			if err != nil {
				return err
			}
			got, err := cl.Alerts(cmd.Context(), f)
			if err != nil {
				return err
			}
			return c.show(got, func() error {
				t := newTable(c.out, "ALERT", "SOURCE", "SEVERITY", "TITLE", "RECEIVED", "RUNS")
				for _, a := range got.Alerts {
					t.row(a.ID, a.Source, a.Severity, cut(a.Title, 60), c.ago(a.Received), verdicts(a.Runs))
				}
				if err := t.flush(); err != nil {
					return err
				}
				if got.Next != "" {
					c.say("more: --cursor %s", clean(got.Next))
				}
				return nil
			})
		},
	}
	cmd.Flags().StringVar(&f.Source, "source", "", "only alerts of this source")
	cmd.Flags().IntVar(&f.Limit, "limit", 0, "how many; default 50, at most 200")
	cmd.Flags().StringVar(&f.Cursor, "cursor", "", "where the page before ended")
	return cmd
}

func verdicts(runs []api.AlertRun) string {
	out := make([]string, 0, len(runs))
	for _, r := range runs {
		word := r.Verdict
		if r.Run != "" {
			word += " " + r.Run
		}
		out = append(out, word)
	}
	return strings.Join(out, ", ")
}

func (c *cli) alertShow() *cobra.Command {
	return &cobra.Command{
		Use: "show ALERT", Short: "Show one alert: what expressions see, and the body as it came", Args: exactly("ALERT"),
		RunE: func(cmd *cobra.Command, args []string) error {
			cl, err := c.client(cmd.Context())
			if err != nil {
				return err
			}
			a, err := cl.Alert(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			return c.show(a, func() error {
				err := pairs(c.out, "alert", a.ID, "source", a.Source, "id there", a.SourceID, "kind", a.Kind, "title", a.Title,
					"severity", a.Severity, "occurred", stamp(a.Occurred), "received", stamp(a.Received),
					"left out", strings.Join(a.Dropped, "; "), "value", string(a.Value), "body", string(a.Raw))
				if err != nil {
					return err
				}
				for _, r := range a.Runs {
					c.say("%s  %s  %s  %s", clean(r.Playbook), clean(r.Verdict), clean(r.Run), clean(r.Reason))
				}
				return nil
			})
		},
	}
}

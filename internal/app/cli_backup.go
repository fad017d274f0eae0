package app

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/quell-soar/quell/internal/backup"
)

func (c *cli) backupCommand() *cobra.Command {
	return &cobra.Command{
		Use: "backup DIR", Short: "Copy the data directory while the server runs", Args: exactly("DIR"),
		Long: "Copy both databases and the evidence of the configuration into the new directory\n" +
			"DIR. The server may run. Keys and secrets are not copied; keep them elsewhere.",
		RunE: func(cmd *cobra.Command, args []string) error {
			conf, err := c.loadConfig()
			if err != nil {
				return err
			}
			if !conf.Store.DSN.IsZero() || conf.Temporal.Address != "" {
				return failed(ExitFailed, "quell backup copies the embedded engine and SQLite; back up Temporal's database first and then Quell's with their own tools")
			}
			m, err := backup.Make(cmd.Context(), conf.DataDir, args[0], c.Version, c.now())
			if err != nil {
				return failed(ExitFailed, "%v", err)
			}
			return c.show(m, func() error {
				_, err := fmt.Fprintf(c.out, "%d files in %s\n", len(m.Files), clean(args[0]))
				return err
			})
		},
	}
}

func (c *cli) restoreCommand() *cobra.Command {
	return &cobra.Command{
		Use: "restore DIR", Short: "Put a backup into an empty data directory", Args: exactly("DIR"),
		Long: "Put the backup in DIR into the data directory of the configuration, which must have\n" +
			"no databases. The server comes up with the kill switch on; look at what the products\n" +
			"did since the backup, then lift it: quell guard lift.",
		RunE: func(_ *cobra.Command, args []string) error {
			conf, err := c.loadConfig()
			if err != nil {
				return err
			}
			if !conf.Store.DSN.IsZero() || conf.Temporal.Address != "" {
				return failed(ExitFailed, "quell restore is for the embedded engine and SQLite")
			}
			m, err := backup.Restore(args[0], conf.DataDir, c.now())
			if err != nil {
				return failed(ExitFailed, "%v", err)
			}
			return c.show(m, func() error {
				_, err := fmt.Fprintf(c.out, "%d files in %s; the server comes up with the kill switch on\n", len(m.Files), clean(conf.DataDir))
				return err
			})
		},
	}
}

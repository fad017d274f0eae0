package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"github.com/quell-soar/quell/internal/ledger"
	"github.com/quell-soar/quell/internal/store"
)

func (c *cli) auditCommand() *cobra.Command {
	return group("audit", "Export the ledger and prove that it was not altered", c.auditVerify(), c.auditExport(), c.auditCheckpoint(), c.auditList())
}

type verifyFlags struct {
	public, checkpoint string
	store              bool
}

func (c *cli) auditVerify() *cobra.Command {
	var f verifyFlags
	cmd := &cobra.Command{
		Use: "verify [FILE]", Short: "Verify an exported ledger, or the store, offline", Args: cobra.MaximumNArgs(1),
		Long: "Verify an export (- for standard input; a directory for what retention.export\n" +
			"wrote), or with --store the stopped server's own\n" +
			"store. Exits with 1 and names the row where a row was changed, removed or swapped.\n" +
			"That rows were cut off at the end shows only against --checkpoint, a file with\n" +
			"checkpoints that was kept elsewhere. Without --public the export's own key is taken,\n" +
			"which proves nothing against who made all of it anew.",
		RunE: func(cmd *cobra.Command, args []string) error {
			if f.store == (len(args) == 1) {
				return usage("audit verify needs either an exported FILE or --store")
			}
			return c.verify(cmd.Context(), args, f)
		},
	}
	cmd.Flags().BoolVar(&f.store, "store", false, "verify the store of the configuration; the server must be stopped")
	cmd.Flags().StringVar(&f.public, "public", "", "file with the ledger's public key (the signing key's .pub)")
	cmd.Flags().StringVar(&f.checkpoint, "checkpoint", "", "file with checkpoints that was kept elsewhere; the last one counts")
	return cmd
}

func (c *cli) verify(ctx context.Context, args []string, f verifyFlags) error {
	trust := ledger.Trust{}
	if f.public != "" {
		raw, err := c.readFile(f.public, 64<<10)
		if err != nil {
			return err
		}
		trust.Public = strings.TrimSpace(string(raw))
	}
	if f.checkpoint != "" {
		raw, err := c.readFile(f.checkpoint, 64<<20)
		if err != nil {
			return err
		}
		if trust.Outside = lastNote(string(raw)); trust.Outside == "" {
			return usage("%s holds no checkpoint", f.checkpoint)
		}
	}
	var rep ledger.Report
	var err error
	if f.store {
		rep, err = c.verifyStore(ctx, trust)
	} else {
		rep, err = c.verifyFile(args[0], trust)
	}
	if err != nil {
		return err
	}
	if err := c.show(rep, func() error { return c.printReport(rep, trust, f.store) }); err != nil {
		return err
	}
	if !rep.OK {
		return quiet(ExitFailed)
	}
	return nil
}

// lastNote is the last signed note of a file to which each was appended.
func lastNote(text string) string {
	const first = "quell.ledger\n"
	at := strings.LastIndex("\n"+text, "\n"+first)
	if at < 0 {
		return ""
	}
	return strings.TrimRight(text[at:], "\n") + "\n"
}

func (c *cli) verifyFile(name string, trust ledger.Trust) (ledger.Report, error) {
	in := c.in
	if name == "-" {
		if c.inUsed {
			return ledger.Report{}, usage("standard input can be read for one thing only")
		}
		c.inUsed = true
	} else {
		f, dir, err := openExport(name)
		if err != nil {
			return ledger.Report{}, usage("%v", err)
		}
		defer func() { _ = f.Close() }()
		in, trust.Open = f, dir
	}
	rep, err := ledger.VerifyExport(in, trust)
	if err != nil {
		return rep, failed(ExitFailed, "%s cannot be verified: %v", name, err)
	}
	return rep, nil
}

// verifyStore exports the store to the verifier. The store stays closed to a
// server meanwhile.
func (c *cli) verifyStore(ctx context.Context, trust ledger.Trust) (rep ledger.Report, err error) {
	conf, err := c.loadConfig()
	if err != nil {
		return rep, err
	}
	if _, err := os.Stat(conf.Keys.Ledger); err != nil {
		return rep, failed(ExitFailed, "the ledger's key: %v; this installation has never been served, or keys.ledger names another file", err)
	}
	key, err := ledger.LoadKey(conf.Keys.Ledger)
	if err != nil {
		return rep, err
	}
	if trust.Public != "" && trust.Public != key.Public {
		return rep, failed(ExitFailed, "the key in %s is not the one of --public", conf.Keys.Ledger)
	}
	o := store.Options{Dir: conf.DataDir, Log: zerolog.Nop()}
	if !conf.Store.DSN.IsZero() {
		dsn, err := conf.Store.DSN.Resolve(ctx)
		if err != nil {
			return rep, err
		}
		o.DSN = dsn.Reveal()
	}
	db, err := store.Open(ctx, o)
	if err != nil {
		return rep, failed(ExitFailed, "%v; quell audit export asks a running server", err)
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	return ledger.New(db, key, time.Now).VerifyWhole(ctx, trust.Outside, func() (io.ReadCloser, error) {
		if conf.Retention.Export == "" {
			return nil, errors.New("retention.export is not set")
		}
		return ledger.OpenParts(conf.Retention.Export, 0)
	})
}

func (c *cli) printReport(r ledger.Report, t ledger.Trust, ownStore bool) error {
	for _, f := range r.Findings {
		c.say("row %d: %s", f.Seq, clean(f.Problem))
	}
	verdict := "the ledger holds"
	if !r.OK {
		verdict = "the ledger does NOT hold"
	}
	c.say("%s: %d rows, %d under a signed checkpoint, %d protected by the chain alone, %d payloads erased", verdict, r.Rows, r.Covered, r.Rows-r.Covered, r.Erased)
	if r.Pruned > 0 {
		where := "they stand in what retention.export wrote, and quell audit verify DIR verifies all of it"
		if ownStore {
			where = "they stand in retention.export, which was verified with it"
		}
		c.say("note: rows 1 to %d left the store on record; %s", r.Pruned, where)
	}
	if t.Public == "" && !ownStore {
		c.say("note: verified with the key that stands in the export; name the real one with --public")
	}
	if t.Outside == "" {
		c.say("note: rows cut off at the end would not show; name checkpoints that were kept elsewhere with --checkpoint")
	}
	return nil
}

func (c *cli) auditExport() *cobra.Command {
	return &cobra.Command{
		Use: "export FILE", Short: "Write the ledger into a new file, - for the output", Args: exactly("FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			cl, err := c.client(cmd.Context())
			if err != nil {
				return err
			}
			if args[0] == "-" {
				return cl.ExportLedger(cmd.Context(), c.out)
			}
			f, err := os.OpenFile(args[0], os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
			if err != nil {
				return usage("%v", err)
			}
			if err := errors.Join(cl.ExportLedger(cmd.Context(), f), f.Close()); err != nil {
				// A part of a ledger would verify as one whose end was cut off.
				_ = os.Remove(args[0])
				return fmt.Errorf("export: %w", err)
			}
			return c.show(map[string]string{"file": args[0]}, func() error {
				c.say("%s is written; quell audit verify %s", clean(args[0]), clean(args[0]))
				return nil
			})
		},
	}
}

func (c *cli) auditCheckpoint() *cobra.Command {
	return &cobra.Command{
		Use: "checkpoint", Short: "Print the last signed checkpoint, to be kept elsewhere", Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			cl, err := c.client(cmd.Context())
			if err != nil {
				return err
			}
			got, err := cl.Checkpoint(cmd.Context())
			if err != nil {
				return err
			}
			return c.show(got, func() error {
				_, err := io.WriteString(c.out, lines(got.Note))
				return err
			})
		},
	}
}

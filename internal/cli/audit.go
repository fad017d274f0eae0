package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/mod/sumdb/note"

	"github.com/quell-soar/quell/internal/ledger"
	"github.com/quell-soar/quell/server/api"
)

func (c *cli) auditCommand() *cobra.Command {
	return group("audit", "Export and verify the ledger", c.verifyCommand(), c.exportCommand(), c.checkpointCommand(), c.entriesCommand())
}

type verifyFlags struct {
	live            bool
	key, checkpoint string
}

func (c *cli) verifyCommand() *cobra.Command {
	var in verifyFlags
	cmd := &cobra.Command{
		Use: "verify FILE", Short: "Verify an export of the ledger, offline",
		Long: "Verify an export without the server: every row, every link, every checkpoint.\n" +
			"--key names the public key that was kept elsewhere; without it the export's own is\n" +
			"taken, which proves nothing against someone who made all of it anew. --checkpoint\n" +
			"names one that was kept elsewhere. --live verifies what the server exports now.\n" +
			"Exits with 1 and names the row where something is wrong.",
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			switch {
			case in.live && len(args) > 0:
				return usage("audit verify takes a FILE or --live, not both")
			case !in.live && len(args) != 1:
				return usage("audit verify needs one FILE, or --live; quell audit export -f FILE makes one")
			}
			return c.verify(cmd.Context(), args, in)
		},
	}
	f := cmd.Flags()
	f.BoolVar(&in.live, "live", false, "verify what the server exports now")
	f.StringVar(&in.key, "key", "", "file with the ledger's public key, such as ledger.key.pub")
	f.StringVar(&in.checkpoint, "checkpoint", "", "file with a checkpoint that was kept elsewhere")
	return cmd
}

func (c *cli) verify(ctx context.Context, args []string, in verifyFlags) error {
	trust, err := c.trust(in)
	if err != nil {
		return err
	}
	name, rep := "the server's ledger", ledger.Report{}
	if in.live {
		rep, err = c.verifyLive(ctx, trust)
	} else {
		name = args[0]
		rep, err = c.verifyFile(name, trust)
	}
	if err != nil {
		return err
	}
	if err := c.show(rep, func() error { return c.printReport(name, rep, trust) }); err != nil {
		return err
	}
	if !rep.OK {
		return quiet(ExitFailed)
	}
	return nil
}

// trust reads what the caller kept elsewhere. A key of another form is wrong use,
// not a broken ledger.
func (c *cli) trust(in verifyFlags) (ledger.Trust, error) {
	const most = 64 << 10
	var t ledger.Trust
	if in.key != "" {
		raw, err := c.readFile(in.key, most)
		if err != nil {
			return t, err
		}
		t.Public = strings.TrimSpace(string(raw))
		if _, err := note.NewVerifier(t.Public); err != nil {
			return t, usage("%s holds no public key of a ledger; it is the file that ends in .pub beside the signing key", in.key)
		}
	}
	if in.checkpoint != "" {
		raw, err := c.readFile(in.checkpoint, most)
		if err != nil {
			return t, err
		}
		if t.Outside = string(raw); strings.TrimSpace(t.Outside) == "" {
			return t, usage("%s is empty; quell audit checkpoint prints a checkpoint", in.checkpoint)
		}
	}
	return t, nil
}

func (c *cli) verifyFile(name string, t ledger.Trust) (ledger.Report, error) {
	in := c.in
	if name != "-" {
		f, err := os.Open(c.path(name))
		if err != nil {
			return ledger.Report{}, usage("%v", err)
		}
		defer func() { _ = f.Close() }()
		in = f
	} else if c.inUsed {
		return ledger.Report{}, usage("standard input can be read for one thing only: key, checkpoint or export")
	}
	rep, err := ledger.VerifyExport(in, t)
	if err != nil {
		return rep, failed(ExitFailed, "%s cannot be read to its end, after row %d: %v", name, rep.Rows, err)
	}
	return rep, nil
}

// verifyLive verifies while it reads: an export may be longer than memory. What
// the server failed with goes before what the verifier makes of half a stream.
func (c *cli) verifyLive(ctx context.Context, t ledger.Trust) (ledger.Report, error) {
	cl, err := c.client(ctx)
	if err != nil {
		return ledger.Report{}, err
	}
	r, w := io.Pipe()
	sent := make(chan error, 1)
	go func() {
		err := cl.ExportLedger(ctx, w)
		_ = w.CloseWithError(err)
		sent <- err
	}()
	rep, readErr := ledger.VerifyExport(r, t)
	_ = r.CloseWithError(errors.New("the verifier stopped"))
	if sendErr := <-sent; sendErr != nil && (readErr == nil || errors.Is(readErr, sendErr)) {
		return rep, sendErr
	}
	return rep, readErr
}

func (c *cli) printReport(name string, rep ledger.Report, t ledger.Trust) error {
	for _, f := range rep.Findings {
		place := clean(name)
		if f.Seq > 0 {
			place += ": row " + strconv.FormatInt(f.Seq, 10)
		}
		c.say("%s: %s", place, clean(f.Problem))
	}
	if !rep.OK {
		c.say("%s: %s; do not trust it from there on", clean(name), count(len(rep.Findings), "finding"))
		return nil
	}
	c.say("%s: good: %s, %d under a checkpoint, %d with an erased payload", clean(name), count(int(rep.Rows), "row"), rep.Covered, rep.Erased)
	if rest := rep.Rows - rep.Covered; rest > 0 {
		c.say("note: the last %s no checkpoint covers yet; the chain alone protects them", count(int(rest), "row"))
	}
	if t.Public == "" {
		c.say("note: the key is the export's own; --key with the one that you kept proves more")
	}
	return nil
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func (c *cli) exportCommand() *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use: "export", Short: "Export the ledger as JSON lines, for audit verify", Args: exactly(),
		Long: "Export the ledger as JSON lines, whatever -o says. With -f it goes to a new file\n" +
			"that only you may read; a file that is there is never overwritten.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.asker(cmd.Context(), func(cl *api.Client) error {
				if file == "" || file == "-" {
					return cl.ExportLedger(cmd.Context(), c.out)
				}
				return c.exportTo(cmd.Context(), cl, file)
			})
		},
	}
	cmd.Flags().StringVarP(&file, "file", "f", "", "new file; default standard output")
	return cmd
}

// exportTo writes beside the name and takes the name last, so that half an export
// never stands under it.
func (c *cli) exportTo(ctx context.Context, cl *api.Client, name string) (err error) {
	path := c.path(name)
	if _, err := os.Lstat(path); err == nil {
		return usage("%s is there already; name a new file", name)
	}
	f, err := os.OpenFile(path+".part", os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return usage("%s.part is there already, from an export that runs or broke off; remove it", name)
	} else if err != nil {
		return usage("%v", err)
	}
	defer func() {
		if err != nil {
			_ = os.Remove(f.Name())
		}
	}()
	if err := cl.ExportLedger(ctx, f); err != nil {
		return errors.Join(err, f.Close())
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	// Link, unlike Rename, refuses a name that somebody took meanwhile.
	if err := os.Link(f.Name(), path); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return os.Remove(f.Name())
}

func (c *cli) checkpointCommand() *cobra.Command {
	return &cobra.Command{
		Use: "checkpoint", Short: "Print the ledger's last signed head, to be kept elsewhere", Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.asker(cmd.Context(), func(cl *api.Client) error {
				got, err := cl.Checkpoint(cmd.Context())
				if err != nil {
					return err
				}
				if got.Note == "" {
					return failed(ExitFailed, "the ledger has no checkpoint yet; try again in a second")
				}
				return c.show(got, func() error {
					_, err := io.WriteString(c.out, lines(got.Note))
					return err
				})
			})
		},
	}
}

func (c *cli) entriesCommand() *cobra.Command {
	var f api.EntryFilter
	cmd := &cobra.Command{
		Use: "list", Short: "List entries of the ledger in its order", Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.asker(cmd.Context(), func(cl *api.Client) error {
				got, err := cl.Entries(cmd.Context(), f)
				if err != nil {
					return err
				}
				return c.show(got, func() error { return c.entryTable(got) })
			})
		},
	}
	cmd.Flags().StringVar(&f.Run, "run", "", "only entries of this run")
	cmd.Flags().Uint64Var(&f.After, "after", 0, "only entries behind this number")
	cmd.Flags().IntVar(&f.Limit, "limit", 0, "how many on one page")
	return cmd
}

func (c *cli) entryTable(got api.Entries) error {
	t := newTable(c.out, "ROW", "AT", "KIND", "ACTOR", "RUN", "STEP", "ABOUT")
	for _, e := range got.Entries {
		t.row(strconv.FormatUint(e.Seq, 10), stamp(e.At), e.Kind, e.Actor, e.Run, e.Step, e.Key)
	}
	if err := t.flush(); err != nil {
		return err
	}
	if got.Next > 0 {
		c.say("more: --after %d", got.Next)
	}
	return nil
}

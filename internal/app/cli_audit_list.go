package app

import (
	"errors"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/quell-soar/quell/internal/ledger"
	"github.com/quell-soar/quell/server/api"
)

func (c *cli) auditList() *cobra.Command {
	var f api.EntryFilter
	var export string
	cmd := &cobra.Command{
		Use: "list", Short: "List entries of the ledger in its order", Args: exactly(),
		Long: "List entries of the ledger in its order; with -o json, with their payloads. With\n" +
			"--export they are read from an exported file, or from the directory of\n" +
			"retention.export, without a server: entries that left the store stand there. That\n" +
			"verifies nothing; quell audit verify does.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if export != "" {
				got, err := exportedEntries(export, f)
				if err != nil {
					return err
				}
				return c.showEntries(*got)
			}
			cl, err := c.client(cmd.Context())
			if err != nil {
				return err
			}
			got, err := cl.Entries(cmd.Context(), f)
			if err != nil {
				return err
			}
			return c.showEntries(got)
		},
	}
	cmd.Flags().StringVar(&f.Run, "run", "", "only entries of this run")
	cmd.Flags().Uint64Var(&f.After, "after", 0, "only entries behind this row")
	cmd.Flags().IntVar(&f.Limit, "limit", 0, "how many on one page")
	cmd.Flags().StringVar(&export, "export", "", "read this exported FILE or directory, and not the server")
	return cmd
}

func (c *cli) showEntries(got api.Entries) error {
	return c.show(got, func() error {
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
		if got.Gone > 0 {
			c.say("note: rows 1 to %d left the store; quell audit list --export reads them from where retention.export wrote them", got.Gone)
		}
		return nil
	})
}

// exportedEntries reads a page of entries from an export.
func exportedEntries(name string, f api.EntryFilter) (out *api.Entries, err error) {
	in, _, err := openExport(name)
	if err != nil {
		return nil, usage("%v", err)
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	const page = 100
	limit := page
	if f.Limit > 0 {
		limit = min(f.Limit, 1000)
	}
	list, err := ledger.ReadExport(in, ledger.Filter{Run: f.Run, After: int64(f.After), Limit: limit}) //nolint:gosec // a row beyond that is none
	if err != nil {
		return nil, failed(ExitFailed, "%s: %v", name, err)
	}
	out = &api.Entries{Entries: make([]api.Entry, len(list))}
	for i, e := range list {
		out.Entries[i] = api.Entry{
			Seq: uint64(e.Seq), At: e.At(), Kind: e.Kind, Actor: e.Actor, Run: e.Run, Step: e.Step, Key: e.Key, Request: e.Ref, //nolint:gosec // counts from 1
			Digest: e.Row.Payload, Payload: e.Body, Erased: len(e.Body) == 0,
		}
	}
	if len(list) == limit {
		out.Next = uint64(list[limit-1].Seq) //nolint:gosec // counts from 1
	}
	return out, nil
}

package app

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/quell-soar/quell/server/api"
)

// reviewForms are the forms of a review by the words and endings for them.
var reviewForms = map[string]api.ReviewForm{
	"html": api.ReviewHTML, "md": api.ReviewMarkdown, "json": api.ReviewJSON,
	".html": api.ReviewHTML, ".htm": api.ReviewHTML, ".md": api.ReviewMarkdown, ".json": api.ReviewJSON,
}

type reportFlags struct {
	format, file string
	kept         bool
}

func (c *cli) runReport() *cobra.Command {
	var f reportFlags
	cmd := &cobra.Command{
		Use: "report RUN", Short: "Write the post-incident review of a run", Args: exactly("RUN"),
		Long: "Write the post-incident review of a run as it stands now: what was done, who decided\n" +
			"and why, what is still open, the times, and where the record proves it. It works on\n" +
			"running runs and on those that ended long ago. Without --format the ending of the file\n" +
			"says the form; the output gets Markdown.",
		RunE: func(cmd *cobra.Command, args []string) error { return c.review(cmd.Context(), args[0], f) },
	}
	cmd.Flags().StringVar(&f.format, "format", "", "html, md or json")
	cmd.Flags().StringVarP(&f.file, "out", "O", "", "file to write; it must not be there, - for the output")
	cmd.Flags().BoolVar(&f.kept, "kept", false, "as the run's last report step kept it in the ledger")
	return cmd
}

func (c *cli) review(ctx context.Context, run string, f reportFlags) error {
	form, err := c.reviewForm(f)
	if err != nil {
		return err
	}
	cl, err := c.client(ctx)
	if err != nil {
		return err
	}
	if f.file == "" || f.file == "-" {
		return cl.Review(ctx, run, form, f.kept, "", c.out)
	}
	if err := writeReview(ctx, cl, run, form, f); err != nil {
		return err
	}
	return c.show(map[string]string{"file": f.file}, func() error {
		c.say("%s is written", clean(f.file))
		return nil
	})
}

func (c *cli) reviewForm(f reportFlags) (api.ReviewForm, error) {
	word := f.format
	switch {
	case word != "":
	case c.output == outputJSON && f.file == "":
		word = "json"
	case filepath.Ext(f.file) != "":
		word = filepath.Ext(f.file)
	default:
		word = "md"
	}
	form, ok := reviewForms[word]
	if !ok {
		return "", usage("there is no form %s of a review; there are html, md and json", cut(word, 20))
	}
	return form, nil
}

// placeOf is a file with its machine, as a reader finds it.
func placeOf(file string) string {
	if abs, err := filepath.Abs(file); err == nil {
		file = abs
	}
	if host, err := os.Hostname(); err == nil {
		file = host + ":" + file
	}
	return strings.ToValidUTF8(file, "?")
}

// writeReview writes a whole review into a new file, or leaves none.
func writeReview(ctx context.Context, cl *api.Client, run string, form api.ReviewForm, f reportFlags) error {
	var b bytes.Buffer
	if err := cl.Review(ctx, run, form, f.kept, placeOf(f.file), &b); err != nil {
		return err
	}
	out, err := os.OpenFile(f.file, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return usage("%s is there already; name a new file", f.file)
	}
	if err != nil {
		return usage("%v", err)
	}
	_, err = io.Copy(out, &b)
	if err := errors.Join(err, out.Close()); err != nil {
		_ = os.Remove(f.file)
		return failed(ExitFailed, "the review could not be written: %v", err)
	}
	return nil
}

package serve

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/term"

	"github.com/quell-soar/quell/internal/auth"
)

// offerFirst shows the code for the first admin, where there never was one: on a
// terminal to whoever started the server, else in a file that only the server's
// own uid reads. A code in a log would be read by everybody who reads logs.
func offerFirst(ctx context.Context, dataDir string, t *auth.Tokens, stderr io.Writer) error {
	path := filepath.Join(dataDir, "first-admin")
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("first admin: %w", err)
	}
	code, err := auth.NewFirst(t).Offer(ctx)
	if err != nil || code == "" {
		return err
	}
	if f, isFile := stderr.(*os.File); isFile && term.IsTerminal(int(f.Fd())) {
		_, err := fmt.Fprintf(f, "No admin yet. For %s and once: quell token first-admin --user YOU, with the code\n  %s\n", auth.FirstLife, code)
		return err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("first admin: %w", err)
	}
	_, err = fmt.Fprintln(f, code)
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("first admin: %w", err)
	}
	return nil
}

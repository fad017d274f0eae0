package serve

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/quell-soar/quell/internal/auth"
	"github.com/quell-soar/quell/internal/ledger"
	"github.com/quell-soar/quell/internal/store"
	"github.com/quell-soar/quell/internal/store/storetest"
)

// TestOfferFirst: the code for the first admin is shown on a terminal, else it
// stands in a file that only the server's own user reads, and nowhere once there
// is an admin.
func TestOfferFirst(t *testing.T) {
	t.Parallel()
	db := storetest.Open(t, store.Options{Dir: t.TempDir()}, auth.Schema(), ledger.Schema())
	key, err := ledger.LoadKey(filepath.Join(t.TempDir(), "key"))
	if err != nil {
		t.Fatal(err)
	}
	tokens, dir := auth.NewTokens(db, ledger.New(db, key, time.Now), "t", time.Now), t.TempDir()
	file := filepath.Join(dir, "first-admin")

	var log bytes.Buffer
	if err := offerFirst(t.Context(), dir, tokens, &log); err != nil {
		t.Fatal(err)
	}
	st, err := os.Stat(file)
	if err != nil || st.Mode().Perm() != 0o600 || log.Len() != 0 {
		t.Fatalf("without a terminal: %v, %v, said %q", st, err, log.String())
	}

	terminal, shown := openTerminal(t)
	if err := offerFirst(t.Context(), dir, tokens, terminal); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 4096)
	n, err := shown.Read(buf)
	if err != nil || !strings.Contains(string(buf[:n]), auth.FirstPrefix) {
		t.Errorf("the terminal shows %q: %v", buf[:n], err)
	}
	if _, err := os.Stat(file); !os.IsNotExist(err) {
		t.Errorf("the code of before stays in its file: %v", err)
	}

	_, _, err = tokens.Create(t.Context(), auth.Actor{Name: "local:0", Scopes: []auth.Scope{auth.Admin}}, auth.Wish{Name: "root", User: "root", Scopes: []auth.Scope{auth.Admin}, Life: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	if err := offerFirst(t.Context(), dir, tokens, &log); err != nil || log.Len() != 0 {
		t.Errorf("there is an admin: %v, said %q", err, log.String())
	}
	if _, err := os.Stat(file); !os.IsNotExist(err) {
		t.Errorf("a code was offered although there is an admin: %v", err)
	}
}

// openTerminal makes a terminal of two ends.
func openTerminal(t *testing.T) (terminal, shown *os.File) {
	t.Helper()
	shown, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Skipf("no terminals here: %v", err)
	}
	t.Cleanup(func() { _ = shown.Close() })
	fd := int(shown.Fd())
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		t.Skipf("no terminals here: %v", err)
	}
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		t.Skipf("no terminals here: %v", err)
	}
	terminal, err = os.OpenFile(filepath.Join("/dev/pts", strconv.Itoa(n)), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("no terminals here: %v", err)
	}
	t.Cleanup(func() { _ = terminal.Close() })
	return terminal, shown
}

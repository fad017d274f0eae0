package e2e

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"
)

// postgres is a PostgreSQL server of its own process, which may be taken away in
// the middle and started again on the same data.
type postgres struct {
	t        *testing.T
	bin, dir string
	cred     *syscall.Credential
	cmd      *exec.Cmd
}

// integration skips a test that needs servers which not every machine has.
func integration(t *testing.T) {
	t.Helper()
	if os.Getenv("QUELL_INTEGRATION") == "" {
		t.Skip("QUELL_INTEGRATION=1 runs it: make integration")
	}
}

// startPostgres makes a cluster with the database quell, reached by a socket.
func startPostgres(t *testing.T) *postgres {
	t.Helper()
	bins, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if len(bins) == 0 {
		t.Skip("NOT TESTED ON POSTGRESQL: no /usr/lib/postgresql/*/bin/initdb on this machine")
	}
	dir, err := os.MkdirTemp("/tmp", "quellpg") //nolint:usetesting // a socket's path has 107 bytes at most
	if err != nil {
		t.Fatal(err)
	}
	p := &postgres{t: t, bin: filepath.Dir(bins[len(bins)-1]), dir: dir}
	t.Cleanup(func() { p.crash(); _ = os.RemoveAll(dir) })
	if os.Getuid() == 0 { // PostgreSQL refuses root
		p.cred = userOf(t, "postgres")
		if err := os.Chown(dir, int(p.cred.Uid), int(p.cred.Gid)); err != nil {
			t.Fatal(err)
		}
	}
	if out, err := p.command("initdb", "-D", p.data(), "-A", "trust", "-U", "quell", "--no-sync", "--locale=C", "-E", "UTF8").CombinedOutput(); err != nil {
		t.Fatalf("initdb: %v: %s", err, out)
	}
	p.start()
	if out, err := p.command("createdb", "-h", dir, "-U", "quell", "quell").CombinedOutput(); err != nil {
		t.Fatalf("createdb: %v: %s", err, out)
	}
	return p
}

func userOf(t *testing.T, name string) *syscall.Credential {
	t.Helper()
	u, err := user.Lookup(name)
	if err != nil {
		t.Skipf("NOT TESTED ON POSTGRESQL: this process is root and there is no user %s to run the server as", name)
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		t.Fatal(err)
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	if err != nil {
		t.Fatal(err)
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
}

func (p *postgres) data() string { return filepath.Join(p.dir, "data") }

// dsn is the connection string of the database quell.
func (p *postgres) dsn() string { return fmt.Sprintf("host=%s user=quell dbname=quell", p.dir) }

func (p *postgres) command(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(p.bin, name), args...)
	cmd.Dir, cmd.SysProcAttr = p.dir, &syscall.SysProcAttr{Credential: p.cred, Pdeathsig: syscall.SIGQUIT}
	return cmd
}

// start returns when the server takes connections.
func (p *postgres) start() {
	p.t.Helper()
	p.cmd = p.command("postgres", "-D", p.data(), "-k", p.dir, "-c", "listen_addresses=", "-c", "max_connections=100")
	log := logFile(p.t, "postgres.log")
	p.cmd.Stdout, p.cmd.Stderr = log, log
	if err := p.cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	eventually(p.t, 30*time.Second, "PostgreSQL takes connections", func() (bool, error) {
		err := p.command("pg_isready", "-q", "-h", p.dir, "-U", "quell").Run()
		return err == nil, err
	})
}

// crash ends the server as a power cut of its process would: no checkpoint, all
// connections cut. It may be called when there is none.
func (p *postgres) crash() {
	if p.cmd == nil || p.cmd.ProcessState != nil {
		return
	}
	_ = p.cmd.Process.Signal(syscall.SIGQUIT)
	_ = p.cmd.Wait()
}

// onPostgres makes the house keep its store there; called before start.
func (h *house) onPostgres(p *postgres) {
	h.t.Helper()
	h.write("postgres.dsn", p.dsn()+"\n")
	h.config += "store: {dsn: \"file:postgres.dsn\"}\n"
	h.write("quell.yaml", h.config)
}

// TestPostgresRestart runs the example with its store in PostgreSQL, which is
// crashed while runs wait for people and again while an effect is with a vendor.
// Everything goes on by itself; each host is isolated once and released once.
func TestPostgresRestart(t *testing.T) {
	integration(t)
	const n = 4
	p := startPostgres(t)
	l := startLab(t)
	l.hostsOf(n)
	h := newHouse(t, l, "")
	h.onPostgres(p)
	h.start()
	for i := 1; i <= n; i++ {
		if got, err := h.alert(fmt.Sprintf("pg-%d", i), hostname(i)); err != nil || len(got.Runs) != 1 {
			t.Fatalf("alert %d: %+v, %v", i, got, err)
		}
	}
	eventually(t, time.Minute, "a run asks for an approval", func() (bool, error) {
		list, err := h.requests()
		return len(list) > 0, err
	})
	p.crash()
	if _, err := h.alert("pg-away", hostname(1)); err == nil {
		t.Error("an alert was acknowledged while nothing could be stored")
	}
	p.start()
	l.script("crowdstrike contain: 2x hold 3s\n")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go h.approveAll(ctx)
	eventually(t, time.Minute, "an effect is with the vendor", func() (bool, error) { return len(unanswered(l)) > 0, nil })
	p.crash()
	at := time.Now()
	p.start()
	for _, r := range h.ended(n, 3*time.Minute) {
		if r.Closing != "completed" {
			d, _ := h.client().Run(t.Context(), r.ID)
			t.Errorf("%s closed %s: %+v", r.ID, r.Closing, d)
		}
	}
	t.Logf("all %d runs ended %s after the second crash", n, time.Since(at).Round(time.Millisecond))
	names := make([]string, n)
	for i := range names {
		names[i] = hostname(i + 1)
	}
	l.check(t, names)
	h.auditOK()
	if _, err := os.Stat(filepath.Join(h.dir, "data", "quell.db")); err == nil {
		t.Error("there is an SQLite store beside PostgreSQL")
	}
}

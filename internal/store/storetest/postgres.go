package storetest

import (
	"bufio"
	"database/sql"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"
)

// server is the one that all tests of a process share.
type server struct {
	dir  string // holds data, log and socket
	skip string // why there is none
	err  error
	// life is the write end of the keeper's stdin: it stops the server when the
	// process ends, however it ends.
	life io.Closer
}

var (
	start = sync.OnceValue(startServer)
	count atomic.Int64
)

// keeper starts the server, says so, waits until the test process is gone and
// cleans up. Durability is off: it is not PostgreSQL's fsync that is tested.
const keeper = `"$1/pg_ctl" -D "$2/data" -w -t 60 -l "$2/log" -o "-k $2 -c listen_addresses='' -c fsync=off -c full_page_writes=off -c synchronous_commit=off -c max_connections=100 -c deadlock_timeout=50ms" start >/dev/null && echo ready
cat >/dev/null
"$1/pg_ctl" -D "$2/data" -m immediate -w stop >/dev/null 2>&1
rm -rf "$2"`

// DSN returns the connection string of a new, empty PostgreSQL database that
// lives as long as the test. It skips where the machine has no server.
func DSN(t testing.TB) string {
	t.Helper()
	s := start()
	if s.skip != "" {
		t.Skip("NOT TESTED ON POSTGRESQL: " + s.skip)
	}
	if s.err != nil {
		t.Fatalf("throw-away PostgreSQL server: %v", s.err)
	}
	name := fmt.Sprintf("t%d", count.Add(1))
	s.admin(t, "CREATE DATABASE "+name)
	t.Cleanup(func() { s.admin(t, "DROP DATABASE "+name+" WITH (FORCE)") })
	return s.dsn(name)
}

func (s *server) dsn(name string) string {
	return fmt.Sprintf("host=%s user=quell dbname=%s", s.dir, name)
}

func (s *server) admin(t testing.TB, q string) {
	t.Helper()
	db, err := sql.Open("pgx", s.dsn("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	if _, err := db.Exec(q); err != nil {
		t.Fatalf("%s: %v", q, err)
	}
}

func startServer() *server {
	bins, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if len(bins) == 0 {
		return &server{skip: "no /usr/lib/postgresql/*/bin/initdb on this machine"}
	}
	bin := filepath.Dir(bins[len(bins)-1])
	cred, err := credential()
	if err != nil {
		return &server{skip: err.Error()}
	}
	base := os.TempDir()
	if len(base) > 60 { // a socket's path has 107 bytes at most
		base = "/tmp"
	}
	dir, err := os.MkdirTemp(base, "quellpg")
	if err != nil {
		return &server{err: err}
	}
	s := &server{dir: dir}
	if s.err = s.run(bin, cred); s.err != nil {
		_ = os.RemoveAll(dir)
	}
	return s
}

func (s *server) run(bin string, cred *syscall.Credential) error {
	attr := &syscall.SysProcAttr{Credential: cred, Setpgid: true} // a ^C reaches the test, not the server
	if cred != nil {
		if err := os.Chown(s.dir, int(cred.Uid), int(cred.Gid)); err != nil {
			return err
		}
	}
	initdb := exec.Command(filepath.Join(bin, "initdb"), "-D", filepath.Join(s.dir, "data"), "-A", "trust", "-U", "quell", "--no-sync", "--locale=C", "-E", "UTF8")
	initdb.SysProcAttr, initdb.Dir = attr, s.dir
	if out, err := initdb.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w: %s", err, out)
	}
	keep := exec.Command("/bin/sh", "-c", keeper, "sh", bin, s.dir)
	keep.SysProcAttr, keep.Dir = attr, s.dir
	in, err := keep.StdinPipe()
	if err != nil {
		return err
	}
	out, err := keep.StdoutPipe()
	if err != nil {
		return err
	}
	if err := keep.Start(); err != nil {
		return err
	}
	s.life = in
	if line, err := bufio.NewReader(out).ReadString('\n'); strings.TrimSpace(line) != "ready" {
		log, _ := os.ReadFile(filepath.Join(s.dir, "log"))
		return fmt.Errorf("pg_ctl start: %v: %s", err, log) //nolint:errorlint // it may be nil
	}
	return nil
}

// credential is the user that the server runs as: PostgreSQL refuses root.
func credential() (*syscall.Credential, error) {
	if os.Getuid() != 0 {
		return nil, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err := strconv.ParseUint(u.Uid, 10, 32)
		if err != nil {
			continue
		}
		gid, err := strconv.ParseUint(u.Gid, 10, 32)
		if err != nil {
			continue
		}
		return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
	}
	return nil, fmt.Errorf("this process is root, and there is neither a user postgres nor nobody to run the server as")
}

package e2e

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.temporal.io/server/common/cluster"
	temporalconfig "go.temporal.io/server/common/config"
	"go.temporal.io/server/common/dynamicconfig"
	"go.temporal.io/server/common/log"
	"go.temporal.io/server/common/membership/static"
	"go.temporal.io/server/common/persistence/sql/sqlplugin/sqlite"
	"go.temporal.io/server/common/primitives"
	sqliteschema "go.temporal.io/server/schema/sqlite"
	temporalserver "go.temporal.io/server/temporal"
)

// temporalDir, where set, makes this test program a Temporal server on the SQLite
// database in that directory, and temporalPorts are its four loopback ports: what
// a cluster is to Quell, in a process of its own.
const (
	temporalDir   = "QUELL_E2E_TEMPORAL_DIR"
	temporalPorts = "QUELL_E2E_TEMPORAL_PORTS"
	// temporalSuggest is after how many events that server suggests to continue as
	// new, where it is not Temporal's own number.
	temporalSuggest = "QUELL_E2E_TEMPORAL_SUGGEST"
)

var temporalServices = []primitives.ServiceName{
	primitives.FrontendService, primitives.HistoryService, primitives.MatchingService, primitives.WorkerService,
}

// temporal is a Temporal server in its own process.
type temporal struct {
	t      *testing.T
	dir    string
	env    []string
	ports  []string
	cmd    *exec.Cmd
	exited chan struct{}
}

// startTemporal runs one with the namespace quell, until the test ends; env is
// added to its environment.
func startTemporal(t *testing.T, env ...string) *temporal {
	t.Helper()
	s := &temporal{t: t, dir: t.TempDir(), env: env}
	for range temporalServices {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = l.Close() }()
		s.ports = append(s.ports, strconv.Itoa(l.Addr().(*net.TCPAddr).Port))
		_ = l.Close()
	}
	s.start()
	t.Cleanup(s.kill)
	return s
}

// address is the frontend's.
func (s *temporal) address() string { return net.JoinHostPort("127.0.0.1", s.ports[0]) }

// start returns when the process says that it serves.
func (s *temporal) start() {
	s.t.Helper()
	self, err := os.Executable()
	if err != nil {
		s.t.Fatal(err)
	}
	s.cmd = exec.Command(self)
	s.cmd.Env = append(append(os.Environ(), temporalDir+"="+s.dir, temporalPorts+"="+strings.Join(s.ports, ",")), s.env...)
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	s.cmd.Stderr = logFile(s.t, "temporal.log")
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		s.t.Fatal(err)
	}
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	exited, cmd := make(chan struct{}), s.cmd
	s.exited = exited
	line, err := bufio.NewReader(out).ReadString('\n')
	go func() { _, _ = io.Copy(io.Discard, out); _ = cmd.Wait(); close(exited) }()
	if strings.TrimSpace(line) != "ready" {
		s.t.Fatalf("the Temporal server said %q, %v", line, err)
	}
}

// kill ends the process without warning; again it does nothing.
func (s *temporal) kill() {
	_ = s.cmd.Process.Kill()
	<-s.exited
}

// serveTemporal is the process's main; it returns at a fault only.
func serveTemporal(dir, ports string) error {
	cfg := temporalConfigOf(filepath.Join(dir, "temporal.db"), strings.Split(ports, ","))
	db := cfg.Persistence.DataStores["sqlite"].SQL
	if _, err := os.Stat(filepath.Join(dir, "made")); err != nil {
		if err := sqliteschema.SetupSchema(db); err != nil {
			return err
		}
		ns, err := sqliteschema.NewNamespaceConfig("active", "quell", false, nil)
		if err != nil {
			return err
		}
		if err := sqliteschema.CreateNamespaces(db, ns); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, "made"), nil, 0o600); err != nil {
			return err
		}
	}
	hosts := map[primitives.ServiceName]static.Hosts{}
	var names []string
	for _, name := range temporalServices {
		hosts[name] = static.SingleLocalHost(net.JoinHostPort("127.0.0.1", strconv.Itoa(cfg.Services[string(name)].RPC.GRPCPort)))
		names = append(names, string(name))
	}
	settings := dynamicconfig.StaticClient{}
	if n, err := strconv.Atoi(os.Getenv(temporalSuggest)); err == nil {
		settings[dynamicconfig.HistoryCountSuggestContinueAsNew.Key()] = n
	}
	srv, err := temporalserver.NewServer(temporalserver.WithConfig(cfg), temporalserver.ForServices(names), temporalserver.WithStaticHosts(hosts),
		temporalserver.WithDynamicConfigClient(settings), temporalserver.WithLogger(log.NewNoopLogger()))
	if err != nil {
		return err
	}
	if err := srv.Start(); err != nil {
		return err
	}
	fmt.Println("ready")
	select {}
}

// temporalConfigOf is a plain server on SQLite with its own defaults, and without
// TLS: Quell takes such a cluster on loopback only.
func temporalConfigOf(file string, ports []string) *temporalconfig.Config {
	front := net.JoinHostPort("127.0.0.1", ports[0])
	off := "disabled"
	cfg := &temporalconfig.Config{
		Global: temporalconfig.Global{Membership: temporalconfig.Membership{MaxJoinDuration: 30 * time.Second, BroadcastAddress: "127.0.0.1"}},
		Persistence: temporalconfig.Persistence{
			DefaultStore: "sqlite", VisibilityStore: "sqlite", NumHistoryShards: 1,
			DataStores: map[string]temporalconfig.DataStore{"sqlite": {SQL: &temporalconfig.SQL{
				PluginName: sqlite.PluginName, DatabaseName: (&url.URL{Path: file}).EscapedPath(), MaxConns: 1, MaxIdleConns: 1,
				ConnectAttributes: map[string]string{"mode": "rwc", "journal_mode": "wal", "synchronous": "2", "busy_timeout": "10000"},
			}}},
		},
		ClusterMetadata: &cluster.Config{
			FailoverVersionIncrement: 10, MasterClusterName: "active", CurrentClusterName: "active",
			ClusterInformation: map[string]cluster.ClusterInformation{"active": {Enabled: true, InitialFailoverVersion: 1, RPCAddress: front}},
		},
		DCRedirectionPolicy: temporalconfig.DCRedirectionPolicy{Policy: "noop"},
		Archival: temporalconfig.Archival{
			History: temporalconfig.HistoryArchival{State: off}, Visibility: temporalconfig.VisibilityArchival{State: off},
		},
		NamespaceDefaults: temporalconfig.NamespaceDefaults{Archival: temporalconfig.ArchivalNamespaceDefaults{
			History:    temporalconfig.HistoryArchivalNamespaceDefaults{State: off},
			Visibility: temporalconfig.VisibilityArchivalNamespaceDefaults{State: off},
		}},
		PublicClient: temporalconfig.PublicClient{HostPort: front},
		Services:     map[string]temporalconfig.Service{},
	}
	for i, name := range temporalServices {
		port, _ := strconv.Atoi(ports[i])
		cfg.Services[string(name)] = temporalconfig.Service{RPC: temporalconfig.RPC{GRPCPort: port, BindOnIP: "127.0.0.1"}}
	}
	return cfg
}

// pair starts two servers with one store, one Temporal outside and one key; each
// makes the house of one, of a configuration that has more in it.
func pair(t *testing.T, each func(more string) *house) (tp *temporal, a, b *house) {
	t.Helper()
	p, tp := startPostgres(t), startTemporal(t)
	more := fmt.Sprintf("temporal: {address: %q}\n", tp.address())
	a = each(more)
	b = each(more + fmt.Sprintf("keys: {ledger: %s}\n", filepath.Join(a.dir, "data-keys", "ledger.key")))
	for _, h := range []*house{a, b} {
		h.onPostgres(p)
	}
	a.start()
	b.start()
	return tp, a, b
}

// TestTwoServers runs two servers on one PostgreSQL and one Temporal in its own
// process. One of them is killed while effects are with the vendor, and for good;
// then Temporal is killed and started again. The other server brings all to an
// end: each host is isolated once and released once.
func TestTwoServers(t *testing.T) {
	integration(t)
	const n = 10
	l := startLab(t)
	l.hostsOf(n)
	tp, a, b := pair(t, func(more string) *house { return newHouse(t, l, more) })
	l.script("crowdstrike contain: 4x hold 4s\n")
	for i := 1; i <= n; i++ {
		to := a
		if i%2 == 0 {
			to = b
		}
		if got, err := to.alert(fmt.Sprintf("two-%d", i), hostname(i)); err != nil || len(got.Runs) != 1 {
			t.Fatalf("alert %d: %+v, %v", i, got, err)
		}
	}
	if again, err := b.alert("two-1", hostname(1)); err != nil || len(again.Runs) != 1 {
		t.Fatalf("the alert of the one at the other: %+v, %v", again, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go b.approveAll(ctx)
	eventually(t, time.Minute, "effects are with the vendor", func() (bool, error) { return len(unanswered(l)) >= 2, nil })
	inHand := len(unanswered(l))
	a.kill()
	killed := time.Now()
	eventually(t, time.Minute, "the other server releases a host", func() (bool, error) { return len(l.effects("operation=lift")) > 0, nil })
	tp.kill()
	tp.start()
	list := b.ended(n, 4*time.Minute)
	t.Logf("%d effects were with the vendor at the kill; all %d runs ended %s after it", inHand, n, time.Since(killed).Round(time.Millisecond))
	if len(list) != n {
		t.Errorf("%d runs for %d alerts", len(list), n)
	}
	names := make([]string, n)
	for i := range names {
		names[i] = hostname(i + 1)
	}
	for _, r := range list {
		if r.Closing != "completed" {
			t.Errorf("%s closed %s", r.ID, r.Closing)
		}
	}
	l.check(t, names)
	recorded(t, l, b, list)
	rep := b.auditBy(filepath.Join(a.dir, "data-keys", "ledger.key.pub"))
	if !rep.OK {
		t.Errorf("the ledger does not verify: %+v", rep.Findings)
	}
}

// TestTemporalRestarted ends an external Temporal twice without warning: while
// tickets are being created and while hosts are being isolated. Ready tells of it;
// what answers meanwhile is stored; once Temporal is back everything goes on by
// itself, each effect once and after its intent.
func TestTemporalRestarted(t *testing.T) {
	integration(t)
	const n = 5
	tp, l := startTemporal(t), startLab(t)
	l.hostsOf(n)
	h := newHouse(t, l, fmt.Sprintf("temporal: {address: %q}\n", tp.address()))
	h.start()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	for i, vendor := range []string{"jira create", "crowdstrike contain"} {
		l.script(vendor + ": 4x hold 3s\n")
		if i == 0 {
			for k := 1; k < n; k++ {
				if got, err := h.alert(fmt.Sprintf("away-%d", k), hostname(k)); err != nil || len(got.Runs) != 1 {
					t.Fatalf("alert %d: %+v, %v", k, got, err)
				}
			}
		} else {
			go h.approveAll(ctx)
		}
		eventually(t, time.Minute, "effects are with the vendor", func() (bool, error) { return len(unanswered(l)) >= 2, nil })
		inHand := len(unanswered(l))
		tp.kill()
		eventually(t, time.Minute, "ready says that the engine is away", func() (bool, error) {
			r, err := h.client().Ready(ctx)
			return err == nil && !r.Ready, err
		})
		eventually(t, time.Minute, "the vendor answers", func() (bool, error) { return len(unanswered(l)) == 0, nil })
		if i == 0 { // it is stored, whatever Temporal does, or it is told that it is not
			got, err := h.alert(fmt.Sprintf("away-%d", n), hostname(n))
			t.Logf("an alert while Temporal is away: %+v, %v", got, err)
		}
		tp.start()
		t.Logf("%s: %d effects were with the vendor when Temporal ended", vendor, inHand)
	}
	eventually(t, time.Minute, "the last alert is taken", func() (bool, error) {
		got, err := h.alert(fmt.Sprintf("away-%d", n), hostname(n))
		return err == nil && len(got.Runs) == 1, err
	})
	began := time.Now()
	list := h.ended(n, 4*time.Minute)
	t.Logf("all %d runs ended %s after Temporal was back", len(list), time.Since(began).Round(time.Millisecond))
	names := make([]string, n)
	for i := range names {
		names[i] = hostname(i + 1)
	}
	if len(list) != n {
		t.Errorf("%d runs for %d alerts", len(list), n)
	}
	for _, r := range list {
		if r.Closing != "completed" {
			t.Errorf("%s closed %s: %s", r.ID, r.Closing, r.Reason)
		}
	}
	l.check(t, names)
	recorded(t, l, h, list)
	h.auditOK()
}

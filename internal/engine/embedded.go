package engine

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"go.temporal.io/server/common/cluster"
	"go.temporal.io/server/common/config"
	"go.temporal.io/server/common/dynamicconfig"
	"go.temporal.io/server/common/log"
	"go.temporal.io/server/common/membership/static"
	"go.temporal.io/server/common/metrics"
	"go.temporal.io/server/common/persistence/sql/sqlplugin/sqlite"
	"go.temporal.io/server/common/primitives"
	sqliteschema "go.temporal.io/server/schema/sqlite"
	"go.temporal.io/server/temporal"
	"google.golang.org/protobuf/types/known/durationpb"
)

// retention is the default of Options.Retention, leastRetention what it is at least.
const (
	retention      = 30 * 24 * time.Hour
	leastRetention = time.Minute
)

// The four services, in the order of freePorts.
var services = []primitives.ServiceName{
	primitives.FrontendService, primitives.HistoryService, primitives.MatchingService, primitives.WorkerService,
}

func loopback(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

// freePorts finds n unused loopback ports. All are held open until the last is
// found, so they differ.
func freePorts(ctx context.Context, n int) ([]int, error) {
	ports := make([]int, 0, n)
	var lc net.ListenConfig
	for range n {
		l, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
		if err != nil {
			return nil, fmt.Errorf("engine: find a free port: %w", err)
		}
		defer func() { _ = l.Close() }()
		ports = append(ports, l.Addr().(*net.TCPAddr).Port)
	}
	return ports, nil
}

// The server's stores: all that is, and the list of workflows; see fewListed.
const (
	mainStore = "sqlite"
	listStore = "list"
)

// serverConfig is the server's configuration: one connection and one shard,
// because SQLite has one writer and more of either halves its throughput.
func serverConfig(file string, ports []int, fast bool) *config.Config {
	synchronous := "2"
	if fast {
		synchronous = "1"
	}
	db := &config.SQL{
		PluginName: sqlite.PluginName,
		// The plugin builds a file: URI without escaping.
		DatabaseName: (&url.URL{Path: file}).EscapedPath(),
		MaxConns:     1, MaxIdleConns: 1,
		ConnectAttributes: map[string]string{
			"mode": "rwc", "journal_mode": "wal", "synchronous": synchronous, "busy_timeout": "10000",
		},
	}
	cfg := &config.Config{
		Global: config.Global{Membership: config.Membership{MaxJoinDuration: 30 * time.Second, BroadcastAddress: "127.0.0.1"}},
		Persistence: config.Persistence{
			DefaultStore: mainStore, VisibilityStore: listStore, NumHistoryShards: 1,
			DataStores: map[string]config.DataStore{
				mainStore: {SQL: db},
				listStore: {CustomDataStoreConfig: &config.CustomDatastoreConfig{Name: listStore}},
			},
		},
		ClusterMetadata: &cluster.Config{
			FailoverVersionIncrement: 10, MasterClusterName: "active", CurrentClusterName: "active",
			ClusterInformation: map[string]cluster.ClusterInformation{
				"active": {Enabled: true, InitialFailoverVersion: 1, RPCAddress: loopback(ports[0])},
			},
		},
		DCRedirectionPolicy: config.DCRedirectionPolicy{Policy: "noop"},
		Archival: config.Archival{
			History:    config.HistoryArchival{State: "disabled"},
			Visibility: config.VisibilityArchival{State: "disabled"},
		},
		NamespaceDefaults: config.NamespaceDefaults{Archival: config.ArchivalNamespaceDefaults{
			History:    config.HistoryArchivalNamespaceDefaults{State: "disabled"},
			Visibility: config.VisibilityArchivalNamespaceDefaults{State: "disabled"},
		}},
		PublicClient: config.PublicClient{HostPort: loopback(ports[0])},
		Services:     map[string]config.Service{},
	}
	for i, name := range services {
		cfg.Services[string(name)] = config.Service{RPC: config.RPC{GRPCPort: ports[i], BindOnIP: "127.0.0.1"}}
	}
	return cfg
}

// Bounds of what the server keeps in memory. Its defaults are those of a cluster's
// history host.
const (
	// cachedStates is how many workflows' states the history service keeps, some
	// 25 kB each. Reading one anew takes a few queries of SQLite.
	cachedStates = 2048
	// timerWorkers and the others are how many goroutines work on a queue of the
	// server. All use one connection to the database, whose next user is drawn by lot,
	// and a task that is not done after 3 s is begun anew: so many must not wait for it
	// that a task, of some tens of statements, comes near that. Those of transfers wait
	// for pollers too.
	timerWorkers, transferWorkers, listWorkers = 16, 32, 8
	// pollerWait is how long a transfer waits for a poller before its task is written
	// down for the next one; the default of 200 ms keeps the worker from others.
	pollerWait = 20 * time.Millisecond
	// writers is how many may write for the shard at once. They take turns at the
	// connection anyway. With the default of one, the deletions of old histories get
	// none as long as anything else wants to write, and each keeps its worker: once
	// they have all, no timer fires.
	writers = 64
)

// dynamicSettings raises the poll rates that would add 50 ms to each quiet step,
// gives each task queue one partition, which one machine does not need more of, and
// bounds memory. Histories that are kept for keep are deleted within a tenth of that,
// at most half an hour, after it.
func dynamicSettings(keep time.Duration) dynamicconfig.StaticClient {
	const polls = 1000
	return dynamicconfig.StaticClient{
		dynamicconfig.TransferProcessorMaxPollRPS.Key():             polls,
		dynamicconfig.TimerProcessorMaxPollRPS.Key():                polls,
		dynamicconfig.VisibilityProcessorMaxPollRPS.Key():           polls,
		dynamicconfig.MatchingNumTaskqueueReadPartitions.Key():      1,
		dynamicconfig.MatchingNumTaskqueueWritePartitions.Key():     1,
		dynamicconfig.HistoryCacheHostLevelMaxSize.Key():            cachedStates,
		dynamicconfig.TransferProcessorSchedulerWorkerCount.Key():   transferWorkers,
		dynamicconfig.TimerProcessorSchedulerWorkerCount.Key():      timerWorkers,
		dynamicconfig.VisibilityProcessorSchedulerWorkerCount.Key(): listWorkers,
		dynamicconfig.MatchingSyncMatchWaitDuration.Key():           pollerWait,
		dynamicconfig.ShardIOConcurrency.Key():                      writers,
		// There is one namespace, which need not be kept from others: setting its tasks
		// apart would walk all that wait whenever one comes.
		dynamicconfig.QueueShrinkPredicateMaxPendingKeys.Key(): 0,
		dynamicconfig.QueueMoveGroupTaskCountBase.Key():        0,
		// There is no other cluster to take anything from.
		dynamicconfig.ReplicationProcessorSchedulerWorkerCount.Key():            1,
		dynamicconfig.ReplicationLowPriorityProcessorSchedulerWorkerCount.Key(): 1,
		dynamicconfig.FrontendMaxNamespaceVisibilityRPSPerInstance.Key():        100,
		dynamicconfig.NamespaceMinRetentionLocal.Key():                          leastRetention,
		dynamicconfig.RetentionTimerJitterDuration.Key():                        min(30*time.Minute, keep/10),
	}
}

func serverOptions(cfg *config.Config, certs *memoryTLS, logger log.Logger, m metrics.Handler, keep time.Duration) []temporal.ServerOption {
	hosts := make(map[primitives.ServiceName]static.Hosts, len(services))
	names := make([]string, 0, len(services))
	for _, name := range services {
		hosts[name] = static.SingleLocalHost(loopback(cfg.Services[string(name)].RPC.GRPCPort))
		names = append(names, string(name))
	}
	opts := []temporal.ServerOption{
		temporal.WithConfig(cfg),
		temporal.ForServices(names),
		temporal.WithStaticHosts(hosts),
		temporal.WithLogger(logger),
		temporal.WithTLSConfigFactory(certs),
		temporal.WithDynamicConfigClient(dynamicSettings(keep)),
		temporal.WithCustomVisibilityStoreFactory(lists{*cfg.Persistence.DataStores[mainStore].SQL}),
	}
	if m != nil {
		opts = append(opts, temporal.WithCustomMetricsHandler(m))
	}
	return opts
}

// prepareDatabase makes the schema of a new database and registers the
// namespace. A half-made file of an interrupted first start is made anew: the
// marker is written last.
func prepareDatabase(file string, cfg *config.Config) error {
	db := cfg.Persistence.DataStores[mainStore].SQL
	marker := file + ".schema"
	made, err := os.ReadFile(marker)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		for _, f := range []string{file, file + "-wal", file + "-shm"} {
			if err := os.Remove(f); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return fmt.Errorf("engine: clear a half-made database: %w", err)
			}
		}
		if err := sqliteschema.SetupSchema(db); err != nil {
			return fmt.Errorf("engine: make the database %s: %w", file, err)
		}
		if err := os.WriteFile(marker, []byte(schemaVersion+"\n"), 0o600); err != nil {
			return fmt.Errorf("engine: mark the database as made: %w", err)
		}
	case err != nil:
		return fmt.Errorf("engine: read %s: %w", marker, err)
	case strings.TrimSpace(string(made)) != schemaVersion:
		return fmt.Errorf("engine: the database %s has schema %s, this build needs %s; start it with the build that made it",
			file, strings.TrimSpace(string(made)), schemaVersion)
	}
	ns, err := sqliteschema.NewNamespaceConfig("active", Namespace, false, nil)
	if err != nil {
		return fmt.Errorf("engine: describe the namespace: %w", err)
	}
	ns.Detail.Config.Retention = durationpb.New(retention)
	if err := sqliteschema.CreateNamespaces(db, ns); err != nil {
		return fmt.Errorf("engine: register the namespace: %w", err)
	}
	return os.Chmod(file, 0o600)
}

// schemaVersion is the version of the SQLite schema of the pinned Temporal
// server (schema/sqlite/v3/temporal, server v1.32.1). SQLite's schema has no
// upgrade path of its own; a build with another version must bring one.
const schemaVersion = "0.11"

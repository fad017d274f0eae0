package archtest

// levels give every room its height. An import goes to a lower level only; so
// there are no circles, and nothing below learns of what is above. A room in an
// entry that ends in /... includes what lies in it.
var levels = []struct {
	height int
	rooms  []string
}{
	{100, []string{"cmd/quell", "cmd/quell-connector", "cmd/quell-lab"}},
	{95, []string{"internal/e2e", "internal/archtest"}},
	{90, []string{"internal/serve", "internal/app"}},
	{80, []string{"server", "workflows/playtest"}},
	{78, []string{"internal/backtest"}},
	{75, []string{"workflows/rehearse"}},
	{70, []string{"internal/dispatch", "internal/intake", "internal/own", "workflows", "activities", "connectors/conformance", "connectors/conformance/mutants", "connectors/conformance/openapi"}},
	{65, []string{"connectors/conformance/internal/reference", "connectors/asset", "connectors/crowdstrike", "connectors/entra", "connectors/jira", "connectors/labdata", "connectors/okta", "connectors/panos", "connectors/slack", "connectors/smtp", "connectors/splunk", "connectors/virustotal"}},
	{60, []string{"connectors/host", "internal/report", "internal/lsp", "connectors/sdk/rest", "connectors/sdk/mail", "internal/engine", "connectors/fake/lab"}},
	{55, []string{"connectors/host/launch", "connectors/asset/...", "connectors/crowdstrike/...", "connectors/entra/...", "connectors/jira/...", "connectors/okta/...", "connectors/panos/...", "connectors/slack/...", "connectors/smtp/...", "connectors/splunk/...", "connectors/virustotal/...", "internal/approval", "internal/auth", "internal/effects", "internal/answers", "internal/registry", "internal/readings", "internal/runs", "internal/signin", "internal/installed"}},
	{52, []string{"playbooks/compile/corpus"}},
	{50, []string{"connectors/sdk", "playbooks/compile", "playbooks/format", "playbooks/graph", "playbooks/schema", "internal/guard", "internal/config", "internal/sarif", "activities/task"}},
	{48, []string{"internal/telemetry"}},
	{45, []string{"connectors/proto", "playbooks/plan/diff", "playbooks/parse", "playbooks/expr", "internal/ledger", "internal/secrets", "internal/backup"}},
	{40, []string{"connectors/vocabulary", "connectors/fake", "connectors/sdk/recall", "connectors/sdk/message", "playbooks/plan", "playbooks/ast", "internal/store/storetest", "server/api", "internal/egress"}},
	{35, []string{"playbooks/diag", "internal/alert", "internal/calendar", "internal/store"}},
	{30, []string{"connectors/spec", "internal/guard/subject", "playbooks/source", "workflows/run"}},
	{20, []string{"internal/failpoint", "connectors/spec/kind", "examples", "connectors/sdk/secret"}},
	{40, []string{"connectors/sdk/reach/reachtest"}},
	{20, []string{"connectors/sdk/reach", "internal/signin/signintest"}},
	{65, []string{"internal/retention"}},
	{55, []string{"internal/clock"}},
	{35, []string{"internal/disk"}},
}

// leaves may import of ours only what stands here. They are the paper between
// rooms: whoever holds them drags nothing else along.
var leaves = map[string][]string{
	"connectors/spec/kind":   {},
	"connectors/spec":        {"connectors/spec/kind"},
	"connectors/sdk/secret":  {},
	"connectors/sdk/reach":   {},
	"internal/guard/subject": {"connectors/spec/kind"},
	"workflows/run":          {},
	"activities/task":        {"workflows/run", "connectors/spec", "connectors/spec/kind"},
	"internal/alert":         {"connectors/spec/kind"},
	"internal/calendar":      {},
	"internal/store":         {},
	"internal/failpoint":     {},
	"internal/ledger":        {"internal/failpoint", "internal/store"},
	"playbooks/source":       {},
	"playbooks/diag":         {"playbooks/source"},
	"server/api":             {"connectors/spec", "connectors/spec/kind", "workflows/run"},
}

// bans forbid packages to see others. Room patterns and targets ending in /...
// include what lies beneath; a target is an import path, or a room of ours when
// it begins with "./".
var bans = []struct {
	rule string
	who  []string
	// but lists rooms that may.
	but  []string
	what []string
	// through says that what is reached through other packages counts too.
	through bool
}{
	{
		rule: "only the engine, what serves and the end-to-end tests reach the Temporal server: a program with it weighs 200 MB",
		who:  []string{"..."}, but: []string{"internal/engine", "internal/serve", "cmd/quell", "internal/e2e"},
		what: []string{"go.temporal.io/server/..."}, through: true,
	},
	{
		rule: "only the engine names the Temporal server",
		who:  []string{"..."}, but: []string{"internal/engine", "internal/e2e"},
		what: []string{"go.temporal.io/server/..."},
	},
	{
		rule: "what a connector's author imports drags nothing of the house along",
		who:  []string{"connectors/spec/...", "connectors/proto/...", "connectors/sdk/...", "connectors/vocabulary/...", "connectors/conformance/..."},
		what: []string{
			"go.temporal.io/...", "cel.dev/...", "modernc.org/...", "github.com/jackc/...", "gopkg.in/yaml.v3",
			"./internal/...", "./playbooks/...", "./workflows/...", "./activities/...", "./server/...",
		}, through: true,
	},
	{
		rule: "connectors and their fakes know nothing of the house",
		who:  []string{"connectors/..."},
		what: []string{"go.temporal.io/...", "./internal/...", "./playbooks/...", "./workflows/...", "./activities/...", "./server/..."}, through: true,
	},
	{
		rule: "YAML is known in two places",
		who:  []string{"..."}, but: []string{"playbooks/parse", "internal/config"},
		what: []string{"gopkg.in/yaml.v3", "go.yaml.in/...", "sigs.k8s.io/yaml"},
	},
	{
		rule: "the language knows no engine, plugin, process or network",
		who:  []string{"playbooks/..."},
		what: []string{
			"go.temporal.io/...", "github.com/hashicorp/go-plugin", "google.golang.org/grpc", "net/http", "os/exec",
			"./connectors/host/...", "./connectors/sdk/...", "./connectors/proto", "./workflows/...", "./activities/...", "./server/...",
		}, through: true,
	},
	{
		rule: "the language reads no file and opens no connection itself",
		who:  []string{"playbooks/..."}, what: []string{"net", "os", "io/ioutil"},
	},
	{
		rule: "of the house's inside the language knows the alert only",
		who:  []string{"playbooks/..."},
		what: []string{
			"./internal/store/...", "./internal/ledger", "./internal/effects", "./internal/guard", "./internal/config", "./internal/secrets",
			"./internal/intake", "./internal/runs", "./internal/approval", "./internal/auth", "./internal/dispatch", "./internal/engine",
		}, through: true,
	},
	{
		rule: "workflow code is pure: no store, no host, no network",
		who:  []string{"workflows", "workflows/run"},
		what: []string{
			"./internal/store/...", "./internal/ledger", "./internal/effects", "./internal/guard", "./internal/config", "./internal/approval", "./internal/runs",
			"./connectors/host/...", "./connectors/sdk/...", "./playbooks/parse", "./playbooks/compile", "./activities", "./server/...", "gopkg.in/yaml.v3",
		},
	},
	{
		rule: "expressions are evaluated in one place",
		who:  []string{"..."}, but: []string{"playbooks/expr"}, what: []string{"cel.dev/..."},
	},
	{
		rule: "databases are opened in one place",
		who:  []string{"..."}, but: []string{"internal/store", "internal/store/storetest"}, what: []string{"modernc.org/...", "github.com/jackc/..."},
	},
	{
		rule: "plugins are started, served and spoken to in three places",
		who:  []string{"..."}, but: []string{"connectors/sdk", "connectors/proto", "connectors/host/launch"}, what: []string{"github.com/hashicorp/go-plugin"},
	},
	{
		rule: "metrics and traces are made in one place; the engine's SDK tells its own",
		who:  []string{"..."}, but: []string{"internal/telemetry", "internal/engine", "internal/e2e"}, what: []string{"github.com/prometheus/...", "go.opentelemetry.io/..."},
	},
	{
		rule: "programs are started in few places, from lists of arguments: no action runs a command",
		who:  []string{"..."}, but: []string{"connectors/host/launch", "connectors/sdk/reach/reachtest", "internal/app", "internal/signin/signintest", "internal/store/storetest", "internal/archtest"}, what: []string{"os/exec"},
	},
	{
		rule: "vendors are called through one client",
		who:  []string{"..."}, but: []string{"connectors/sdk/rest"}, what: []string{"github.com/go-resty/..."},
	},
	{
		rule: "Temporal's client and worker are known where runs are started and run",
		who:  []string{"..."},
		but:  []string{"workflows", "workflows/playtest", "workflows/rehearse", "activities", "internal/dispatch", "internal/engine", "internal/serve", "internal/e2e"},
		what: []string{"go.temporal.io/sdk/..."},
	},
	{
		rule: "the command line is a client: it sees neither engine nor rooms that decide",
		who:  []string{"internal/app"},
		what: []string{
			"./server", "./workflows", "./activities", "./internal/effects", "./internal/guard", "./internal/intake", "./internal/dispatch",
			"./internal/approval", "./connectors/host/...", "go.temporal.io/...",
		}, through: true,
	},
}

// together are rooms of which nobody else sees all: who could call a vendor
// past the guards and the record.
var together = struct {
	rooms []string
	but   []string
}{
	rooms: []string{"internal/effects", "internal/guard", "connectors/host"},
	but:   []string{"activities", "internal/serve"},
}

// diallers open connections. Every other package of ours, tests apart, leaves
// that to them.
var diallers = map[string]string{
	"connectors/sdk/reach/reachtest": "the name server of a test's network",
	"connectors/sdk/reach":           "our own connections (internal/egress), calls to vendors (connectors/sdk/rest), mail to a relay",
	"server/api":                     "the client of our own API",
	"server":                         "asks whether a socket that is in the way is alive",
	"connectors/host/launch":         "the socket of a child",
}

// dials are what opens a connection or carries one along unseen.
var dials = map[string][]string{
	"net":        {"Dial", "DialTimeout", "DialTCP", "DialUDP", "DialUnix", "DialIP", "Dialer"},
	"net/http":   {"Get", "Head", "Post", "PostForm", "DefaultClient", "DefaultTransport"},
	"crypto/tls": {"Dial", "DialWithDialer", "Dialer"},
	"net/smtp":   {"Dial", "SendMail"},
}

// vague are names that say nothing about what lies within.
var vague = []string{"util", "utils", "helper", "helpers", "manager", "common", "misc"}

// maxLines is how long a file of ours may be.
const maxLines = 500

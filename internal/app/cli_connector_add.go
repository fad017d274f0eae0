package app

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/quell-soar/quell/connectors/sdk"
	"github.com/quell-soar/quell/connectors/spec"
	"github.com/quell-soar/quell/connectors/spec/kind"
	"github.com/quell-soar/quell/internal/config"
	"github.com/quell-soar/quell/internal/secrets"
	"github.com/quell-soar/quell/playbooks/diag"
)

type addFlags struct {
	as, binary   string
	set, secrets []string
}

func (c *cli) connectorAdd() *cobra.Command {
	var f addFlags
	cmd := &cobra.Command{
		Use: "add CONNECTOR", Short: "Connect a product, observing", Args: exactly("CONNECTOR"),
		Long: "Ask what the connector needs, write it into the configuration in observe mode (every\n" +
			"other byte of it stays), put secrets into files of mode 0600 beside it, and say which\n" +
			"permissions the product must grant: for observing, and for acting. Without a terminal\n" +
			"everything comes from --set and --secret; a secret never stands in an argument.",
		RunE: func(cmd *cobra.Command, args []string) error { return c.addConnector(cmd.Context(), args[0], f) },
	}
	cmd.Flags().StringVar(&f.as, "as", "", "the instance's name; default the connector's")
	cmd.Flags().StringArrayVar(&f.set, "set", nil, "a setting as name=text; may be repeated")
	cmd.Flags().StringArrayVar(&f.secrets, "secret", nil, "a secret as name=file:PATH, name=env:NAME, or name=- for standard input")
	cmd.Flags().StringVar(&f.binary, "binary", "", "the connector's program; default quell-connector beside this one")
	return cmd
}

// manifests asks a connector program what it has. It gets no environment and
// nothing to read.
func manifests(ctx context.Context, binary string) ([]spec.Manifest, error) {
	if binary == "" {
		var err error
		if binary, err = program("quell-connector"); err != nil {
			return nil, err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary, sdk.ManifestsFlag) //nolint:gosec // the operator's own program
	cmd.Env = []string{}
	var out, bad bytes.Buffer
	cmd.Stdout, cmd.Stderr = &limited{w: &out, left: 4 << 20}, &limited{w: &bad, left: 64 << 10}
	if err := cmd.Run(); err != nil {
		return nil, failed(ExitFailed, "%s does not tell its connectors: %v %s", binary, err, cut(clean(bad.String()), 200))
	}
	var list []spec.Manifest
	if err := json.Unmarshal(out.Bytes(), &list); err != nil {
		return nil, failed(ExitFailed, "%s does not tell its connectors in a form that this version reads: %v", binary, err)
	}
	for _, m := range list {
		if err := m.Validate(); err != nil {
			return nil, failed(ExitFailed, "%s: %v", binary, err)
		}
	}
	slices.SortFunc(list, func(a, b spec.Manifest) int { return strings.Compare(a.Name, b.Name) })
	return list, nil
}

// limited takes so many bytes and no more.
type limited struct {
	w    io.Writer
	left int
}

func (l *limited) Write(p []byte) (int, error) {
	if l.left -= len(p); l.left < 0 {
		return 0, errors.New("it says too much")
	}
	return l.w.Write(p)
}

func manifestOf(list []spec.Manifest, name string) (spec.Manifest, error) {
	names := make([]string, 0, len(list))
	for _, m := range list {
		if m.Name == name {
			return m, nil
		}
		names = append(names, m.Name)
	}
	if near := diag.Near(name, names); near != "" {
		return spec.Manifest{}, usage("there is no connector %s; did you mean %s?", cut(name, 40), near)
	}
	return spec.Manifest{}, usage("there is no connector %s; there are %s", cut(name, 40), strings.Join(names, ", "))
}

func (c *cli) addConnector(ctx context.Context, name string, f addFlags) error {
	conf, err := c.loadConfig()
	if err != nil {
		return err
	}
	list, err := manifests(ctx, f.binary)
	if err != nil {
		return err
	}
	m, err := manifestOf(list, name)
	if err != nil {
		return err
	}
	if f.as == "" {
		f.as = m.Name
	}
	if !nameForm.MatchString(f.as) {
		return usage("%s is no name: it takes letters, digits, . _ and -, at most 63", cut(f.as, 70))
	}
	if _, there := conf.Connectors[f.as]; there {
		return usage("there is an instance %s already; name another with --as, or change it in %s", f.as, conf.File())
	}
	q := &questions{cli: c, dir: filepath.Dir(conf.File()), instance: f.as}
	defer q.undo()
	add, err := q.ask(m, f)
	if err != nil {
		return err
	}
	if err := edit(conf.File(), func(text []byte) ([]byte, error) { return config.AddConnector(text, f.as, add) }); err != nil {
		return err
	}
	q.made = nil // they are in use now
	out := map[string]any{"instance": f.as, "connector": m.Name, "config": conf.File(), "mode": "observe", "observe": readPermissions(m), "act": actPermissions(m)}
	return c.show(out, func() error {
		c.say("%s is in %s, in mode observe.", f.as, clean(conf.File()))
		c.sayPermissions(m)
		c.say("\nNext: (re)start quell serve, then quell connector check %s", f.as)
		return nil
	})
}

// questions are what is asked about one instance.
type questions struct {
	*cli
	dir, instance string
	// made are the files of secrets that were written.
	made []string
	in   *bufio.Reader
}

// undo takes back what a failed addition wrote.
func (q *questions) undo() {
	for _, file := range q.made {
		_ = os.Remove(file)
	}
}

// ask collects settings and secrets, from flags first, and checks them as the
// connector host will.
func (q *questions) ask(m spec.Manifest, f addFlags) (config.NewConnector, error) {
	add := config.NewConnector{Connector: m.Name, Settings: map[string]string{}, Secrets: map[string]string{}}
	given, err := pairsOf(f.set, "--set")
	if err != nil {
		return add, err
	}
	refs, err := pairsOf(f.secrets, "--secret")
	if err != nil {
		return add, err
	}
	fd, person := q.asksPerson(false)
	var missing []string
	for _, s := range m.Settings {
		if s.Secret {
			err = q.secret(&add, s, refs, fd, person, &missing)
		} else {
			err = q.setting(&add, s, given, person, &missing)
		}
		if err != nil {
			return add, err
		}
	}
	for _, left := range []map[string]string{given, refs} {
		for _, n := range slices.Sorted(maps.Keys(left)) {
			return add, usage("the connector %s has no setting %s, or it belongs to the other flag", m.Name, cut(n, 40))
		}
	}
	if len(missing) > 0 {
		return add, usage("the connector %s needs %s; there is no terminal to ask at", m.Name, strings.Join(missing, " and "))
	}
	if _, err := sdk.ParseSettings(m, add.Settings); err != nil {
		return add, usage("%v", err)
	}
	return add, inClear(m, add.Settings)
}

// allowHTTP is the setting by which connectors permit URLs without TLS.
const allowHTTP = "allow_http"

// inClear refuses a URL without TLS as the connector will, which would otherwise
// be told at the next start of the server.
func inClear(m spec.Manifest, settings map[string]string) error {
	for _, s := range m.Settings {
		if s.Type.Kind != kind.URL || settings[s.Name] == "" || settings[allowHTTP] == "true" {
			continue
		}
		u, err := url.Parse(settings[s.Name])
		switch {
		case err != nil || u.Host == "":
			return usage("setting %s of connector %s names no host; write it like https://api.example.com", s.Name, m.Name)
		case u.Scheme == "https" || u.Scheme == "http" && loopback(u.Hostname()):
		case u.Scheme == "http" && slices.ContainsFunc(m.Settings, func(s spec.Setting) bool { return s.Name == allowHTTP }):
			return usage("setting %s of connector %s is not https: the credential would travel in clear text; only for a lab, --set %s=true permits it", s.Name, m.Name, allowHTTP)
		default:
			return usage("setting %s of connector %s is not https", s.Name, m.Name)
		}
	}
	return nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

func (q *questions) setting(add *config.NewConnector, s spec.Setting, given map[string]string, person bool, missing *[]string) error {
	text, ok := given[s.Name]
	delete(given, s.Name)
	switch {
	case ok:
	case person && askedFor(s):
		var err error
		if text, err = q.line(s); err != nil {
			return err
		}
	case s.Type.Kind == kind.URL && s.Default != "":
		text = s.Default // where Quell connects to shall be read in the configuration
	case s.Default == "" && !s.Optional:
		*missing = append(*missing, "--set "+s.Name+"=… ("+s.Doc+")")
	}
	if text != "" {
		add.Settings[s.Name] = text
	}
	return nil
}

// askedFor says whether a setting is worth a question: switches, lists and maps
// with a default, and what may be left out, are for --set and the configuration.
func askedFor(s spec.Setting) bool {
	switch s.Type.Kind {
	case kind.Boolean, kind.List, kind.Map, kind.Record:
		return s.Default == "" && !s.Optional
	}
	return s.Default != "" || !s.Optional
}

// line asks for one setting at the terminal until the answer has its form. Nothing
// means the default.
func (q *questions) line(s spec.Setting) (string, error) {
	if q.in == nil {
		q.in = bufio.NewReader(q.cli.in)
	}
	one := spec.Manifest{Settings: []spec.Setting{s}}
	for {
		_, _ = fmt.Fprintf(q.err, "%s (%s)%s: ", s.Name, clean(s.Doc), bracketed(s.Default))
		text, err := q.in.ReadString('\n')
		if err != nil {
			return "", usage("the answer to %s did not come", s.Name)
		}
		if text = strings.TrimSpace(text); text == "" && s.Default != "" {
			return s.Default, nil
		}
		if _, err = sdk.ParseSettings(one, map[string]string{s.Name: text}); err == nil && text != "" {
			return text, nil
		}
		_, _ = fmt.Fprintf(q.err, "  %v\n", err)
	}
}

func bracketed(s string) string {
	if s == "" {
		return ""
	}
	return " [" + clean(s) + "]"
}

func (q *questions) secret(add *config.NewConnector, s spec.Setting, refs map[string]string, fd int, person bool, missing *[]string) error {
	ref, ok := refs[s.Name]
	delete(refs, s.Name)
	switch {
	case ok && ref == "-":
		raw, err := q.stdin()
		if err != nil {
			return err
		}
		return q.keep(add, s, strings.TrimRight(string(raw), "\r\n"))
	case ok:
		if _, err := secrets.Parse(ref); err != nil {
			return usage("--secret %s: %v; or %s=- reads it from standard input", s.Name, err, s.Name)
		}
		add.Secrets[s.Name] = ref
	case person:
		_, _ = fmt.Fprintf(q.err, "%s (%s; not shown): ", s.Name, clean(s.Doc))
		raw, err := term.ReadPassword(fd)
		_, _ = fmt.Fprintln(q.err)
		if err != nil {
			return usage("the secret %s did not come: %v", s.Name, err)
		}
		if len(raw) == 0 && s.Optional {
			return nil
		}
		return q.keep(add, s, string(raw))
	case !s.Optional:
		*missing = append(*missing, "--secret "+s.Name+"=…")
	}
	return nil
}

// keep puts a secret into a file of its own.
func (q *questions) keep(add *config.NewConnector, s spec.Setting, text string) error {
	if text == "" {
		return usage("the secret %s is empty", s.Name)
	}
	rel := filepath.Join("secrets", q.instance+"."+s.Name)
	file := filepath.Join(q.dir, rel)
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return usage("%v", err)
	}
	if err := keepSecret(file, text); err != nil {
		return usage("%v; remove it, or refer to it with --secret %s=file:%s", err, s.Name, rel)
	}
	q.made = append(q.made, file)
	add.Secrets[s.Name] = "file:" + rel
	return nil
}

func pairsOf(args []string, flag string) (map[string]string, error) {
	out := map[string]string{}
	for _, a := range args {
		name, text, ok := strings.Cut(a, "=")
		if !ok || name == "" {
			return nil, usage("%s takes name=text", flag)
		}
		if _, twice := out[name]; twice {
			return nil, usage("%s %s is given twice", flag, name)
		}
		out[name] = text
	}
	return out, nil
}

// edit changes a file in one step: it is the old one or the new one, whole.
func edit(file string, change func([]byte) ([]byte, error)) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return usage("%v", err)
	}
	out, err := change(text)
	if err != nil {
		return failed(ExitFailed, "%s: %v", file, err)
	}
	st, err := os.Stat(file)
	if err != nil {
		return usage("%v", err)
	}
	tmp, err := os.CreateTemp(filepath.Dir(file), ".quell-*.yaml")
	if err != nil {
		return usage("%v", err)
	}
	_, err = tmp.Write(out)
	err = errors.Join(err, tmp.Chmod(st.Mode().Perm()), tmp.Sync(), tmp.Close())
	if err == nil {
		err = os.Rename(tmp.Name(), file)
	}
	if err != nil {
		_ = os.Remove(tmp.Name())
		return failed(ExitFailed, "%s could not be changed: %v", file, err)
	}
	return nil
}

// reading are permissions that by their vendor's name only read: Hosts: Read,
// okta.users.read, User.Read.All.
var reading = regexp.MustCompile(`(?i)\bread(\.all|basic\.all)?$`)

// readPermissions are what the credential needs to observe: what reads need, and
// what effects look at before they act.
func readPermissions(m spec.Manifest) []string {
	var out []string
	for _, a := range m.Actions {
		for _, p := range a.Permissions {
			if !a.Effect() || reading.MatchString(p) {
				out = append(out, p)
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// actPermissions are what it needs beside these to act, each with the actions
// that need it.
func actPermissions(m spec.Manifest) map[string][]string {
	reads := readPermissions(m)
	out := map[string][]string{}
	for _, a := range m.Actions {
		for _, p := range a.Permissions {
			if a.Effect() && !slices.Contains(reads, p) {
				out[p] = append(out[p], a.Name)
			}
		}
	}
	return out
}

func (c *cli) sayPermissions(m spec.Manifest) {
	reads, acts := readPermissions(m), actPermissions(m)
	if len(reads) == 0 && len(acts) == 0 {
		return
	}
	c.say("\n%s must grant its credential", clean(m.Title))
	c.say("  to observe (grant these now):")
	for _, p := range reads {
		c.say("    %s", clean(p))
	}
	c.say("  to act (grant these when you leave observe mode):")
	for _, p := range slices.Sorted(maps.Keys(acts)) {
		c.say("    %-40s for %s", clean(p), clean(strings.Join(acts[p], ", ")))
	}
}

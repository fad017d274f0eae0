package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strconv"

	"gopkg.in/yaml.v3"
)

// maxFile is the longest configuration, in bytes.
const maxFile = 1 << 20

// Load reads, completes and validates the configuration in a file. Where the
// file was read, the error is *Error and lists all that is wrong.
func Load(path string) (*Config, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("configuration %s: %w", path, err)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("configuration: %w", err)
	}
	defer func() { _ = f.Close() }()
	raw, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, fmt.Errorf("configuration %s: %w", path, err)
	}
	if len(raw) > maxFile {
		return nil, fmt.Errorf("configuration %s: it is longer than %d bytes", path, maxFile)
	}
	c, err := parse(path, raw)
	if c == nil {
		return nil, err
	}
	c.file = abs
	c.complete(filepath.Dir(abs))
	// What could be read is validated too: all problems at once.
	return joined(c, err, c.Validate())
}

func joined(c *Config, read, valid error) (*Config, error) {
	var a, b *Error
	errors.As(read, &a)
	errors.As(valid, &b)
	switch {
	case a == nil && b == nil:
		return c, nil
	case a == nil:
		return nil, b
	case b == nil:
		return nil, a
	}
	p := problems{list: append(a.Problems, b.Problems...)}
	return nil, p.err()
}

// parse reads a text into a configuration. Where the text is no YAML there is
// none; otherwise there is one beside the error.
func parse(name string, raw []byte) (*Config, error) {
	r := &reader{problems: problems{file: name}, places: map[string]Place{}}
	c := Default()
	c.file, c.places = name, r.places
	root, ok := r.document(raw)
	if !ok {
		return nil, r.err()
	}
	if root != nil {
		r.read(root, reflect.ValueOf(c).Elem(), "")
	}
	return c, r.err()
}

// document parses the YAML; a file of comments only has no root.
func (r *reader) document(raw []byte) (root *yaml.Node, ok bool) {
	defer func() {
		// The YAML package is archived; should it panic, the file is at fault.
		if p := recover(); p != nil {
			r.add(Place{Line: 1, Column: 1}, "", "this is not YAML that can be read")
			root, ok = nil, false
		}
	}()
	dec := yaml.NewDecoder(bytes.NewReader(raw))
	var doc, more yaml.Node
	switch err := dec.Decode(&doc); {
	case errors.Is(err, io.EOF):
		return nil, true
	case err != nil:
		r.syntax(err)
		return nil, false
	}
	switch err := dec.Decode(&more); {
	case errors.Is(err, io.EOF):
	case err != nil:
		r.syntax(err)
	default:
		r.add(place(&more), "keep one document", "a second document begins here")
	}
	if len(doc.Content) == 0 || isNull(doc.Content[0]) {
		return nil, true
	}
	return doc.Content[0], true
}

var yamlLine = regexp.MustCompile(`^yaml: (?:line (\d+): )?(.*)$`)

// syntax reports a mistake of YAML's grammar; YAML tells only its line.
func (r *reader) syntax(err error) {
	at, text := Place{Line: 1, Column: 1}, err.Error()
	if m := yamlLine.FindStringSubmatch(text); m != nil {
		if n, err := strconv.Atoi(m[1]); err == nil {
			at.Line = n
		}
		text = m[2]
	}
	r.add(at, "", "not YAML: %s", text)
}

// complete fills in the defaults that depend on other values, and makes paths
// absolute.
func (c *Config) complete(dir string) {
	abs := func(p *string) {
		if *p != "" && !filepath.IsAbs(*p) {
			*p = filepath.Join(dir, *p)
		}
	}
	abs(&c.DataDir)
	if c.Socket == "" {
		c.Socket = filepath.Join(c.DataDir, "run", "quell.sock")
	}
	if c.Keys.Ledger == "" {
		c.Keys.Ledger = filepath.Join(filepath.Clean(c.DataDir)+"-keys", "ledger.key")
	}
	if c.Evidence == "" {
		c.Evidence = filepath.Join(c.DataDir, "evidence")
	}
	if c.Listen == "off" {
		c.Listen = ""
	}
	for _, p := range []*string{&c.Socket, &c.Keys.Ledger, &c.Ledger.Checkpoints, &c.Evidence, &c.Retention.Export, &c.Temporal.TLS.Cert, &c.Temporal.TLS.Key, &c.Temporal.TLS.CA, &c.Access.TLS.Cert, &c.Access.TLS.Key, &c.Access.TLS.Clients} {
		abs(p)
	}
	for i := range c.Playbooks {
		abs(&c.Playbooks[i])
	}
	c.completeGit(dir, abs)
	c.Store.DSN, c.Access.OIDC.ClientSecret = c.Store.DSN.In(dir), c.Access.OIDC.ClientSecret.In(dir)
	for i := range c.Keys.Payloads {
		c.Keys.Payloads[i] = c.Keys.Payloads[i].In(dir)
	}
	for name, ref := range c.Telemetry.Traces.Headers {
		c.Telemetry.Traces.Headers[name] = ref.In(dir)
	}
	for name, s := range c.Sources {
		for i := range s.Secrets {
			s.Secrets[i] = s.Secrets[i].In(dir)
		}
		if s.Mode == "" {
			s.Mode = c.Modes.Triggers.Alert
		}
		c.Sources[name] = s
	}
	for name, k := range c.Connectors {
		if k.Mode == "" {
			k.Mode = Observe
		}
		if k.Binary == "" {
			k.Binary = besideUs("quell-connector")
		}
		abs(&k.Binary)
		for key, ref := range k.Secrets {
			k.Secrets[key] = ref.In(dir)
		}
		for i := range k.Reads {
			abs(&k.Reads[i])
		}
		c.Connectors[name] = k
	}
}

// besideUs is a program in the directory of the running one.
func besideUs(name string) string {
	self, err := os.Executable()
	if err != nil {
		return filepath.Join("/usr/local/bin", name)
	}
	return filepath.Join(filepath.Dir(self), name)
}

// Bare is the configuration of an installation that has only a data directory:
// the defaults, in observe mode, without sources and connectors.
func Bare(dataDir string) (*Config, error) {
	abs, err := filepath.Abs(dataDir)
	if err != nil {
		return nil, fmt.Errorf("data directory %s: %w", dataDir, err)
	}
	c := Default()
	c.DataDir = abs
	c.complete(abs)
	return c, c.Validate()
}

package app

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/quell-soar/quell/internal/config"
	"github.com/quell-soar/quell/internal/secrets"
)

// files examines data directory, lock and keys.
func (d *doctor) files(c *config.Config) {
	if d.mode("data directory", c.DataDir, 0o700) && c.Store.DSN.IsZero() {
		d.lock(c.DataDir)
	}
	d.mode("ledger key", c.Keys.Ledger, 0o600)
	if c.Ledger.Checkpoints == "" {
		d.warn("checkpoints", "none are kept elsewhere; set ledger.checkpoints to a file on another disk or machine")
	}
}

// lock tells whether a server has the store open. It looks at the kernel's list
// and takes no lock: a server that starts at this moment must get it.
func (d *doctor) lock(dir string) {
	file := filepath.Join(dir, "store.lock")
	st, err := os.Stat(file)
	if err != nil {
		d.warn("store lock", "the store was never opened")
		return
	}
	sys, ok := st.Sys().(*syscall.Stat_t)
	list, err := os.Open("/proc/locks")
	if !ok || err != nil {
		d.warn("store lock", "this system does not tell who has it")
		return
	}
	defer func() { _ = list.Close() }()
	inode := fmt.Sprintf(":%d", sys.Ino)
	for sc := bufio.NewScanner(list); sc.Scan(); {
		f := strings.Fields(sc.Text())
		if len(f) >= 6 && f[1] == "FLOCK" && strings.HasSuffix(f[5], inode) {
			d.ok("store lock", "process %s has the store open", f[4])
			return
		}
	}
	d.warn("store lock", "no server has the store open")
}

// secrets resolves every reference and forgets the value.
func (d *doctor) secrets(ctx context.Context, c *config.Config) {
	n, good := 0, true
	try := func(path string, r secrets.Ref) {
		n++
		if _, err := r.Resolve(ctx); err != nil {
			good = false
			d.bad("secrets", "%s: %v", path, err)
		}
	}
	if !c.Store.DSN.IsZero() {
		try("store.dsn", c.Store.DSN)
	}
	for _, name := range slices.Sorted(maps.Keys(c.Sources)) {
		for _, r := range c.Sources[name].Secrets {
			try("sources."+name, r)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.Connectors)) {
		for _, key := range slices.Sorted(maps.Keys(c.Connectors[name].Secrets)) {
			try("connectors."+name+".secrets."+key, c.Connectors[name].Secrets[key])
		}
	}
	for i, r := range c.Keys.Payloads {
		try(fmt.Sprintf("keys.payloads.%d", i), r)
	}
	if !c.Access.OIDC.ClientSecret.IsZero() {
		try("access.oidc.client_secret", c.Access.OIDC.ClientSecret)
	}
	for _, name := range slices.Sorted(maps.Keys(c.Telemetry.Traces.Headers)) {
		try("telemetry.traces.headers."+name, c.Telemetry.Traces.Headers[name])
	}
	if good {
		d.ok("secrets", "%s looked at", count(n, "reference"))
	}
}

// playbooks compiles every configured playbook.
func (d *doctor) playbooks(c *config.Config) {
	files, err := playbookFiles(c.Playbooks)
	if err != nil {
		d.bad("playbooks", "%v", err)
		return
	}
	good := 0
	for _, f := range files {
		_, list, err := d.c.compile(f)
		switch {
		case err != nil:
			d.bad("playbooks", "%v", err)
		case list.HasErrors():
			d.bad("playbooks", "%s; quell check %s", list.Error(), f)
		default:
			good++
		}
	}
	d.ok("playbooks", "%d of %d compile", good, len(files))
}

// playbookFiles lists the files that a configuration's playbooks name.
func playbookFiles(paths []string) ([]string, error) {
	var out []string
	for _, p := range paths {
		st, err := os.Stat(p)
		if err != nil {
			return nil, err
		}
		if !st.IsDir() {
			out = append(out, p)
			continue
		}
		entries, err := os.ReadDir(p)
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			if ext := filepath.Ext(e.Name()); !e.IsDir() && (ext == ".yaml" || ext == ".yml") && !strings.HasSuffix(e.Name(), ".test.yaml") {
				out = append(out, filepath.Join(p, e.Name()))
			}
		}
	}
	return out, nil
}

// binaries examines the programs of the connectors.
func (d *doctor) binaries(c *config.Config) {
	for _, name := range slices.Sorted(maps.Keys(c.Connectors)) {
		k, part := c.Connectors[name], "program of "+name
		st, err := os.Stat(k.Binary)
		if err != nil {
			d.bad(part, "%v", err)
			continue
		}
		sum, problem := programProblem(k, st)
		if problem != "" {
			d.bad(part, "%s", problem)
			continue
		}
		if k.SHA256 == "" {
			d.warn(part, "%s is not pinned; connectors.%s.sha256: %s pins this one", k.Binary, name, sum)
			continue
		}
		d.ok(part, "%s is the pinned one", k.Binary)
	}
}

// programProblem says why a connector's program is not fit to be started, or "" and
// its checksum.
func programProblem(k config.Connector, st fs.FileInfo) (sum, problem string) {
	switch {
	case !st.Mode().IsRegular():
		return "", k.Binary + " is not a file"
	case st.Mode().Perm()&0o111 == 0:
		return "", k.Binary + " is not executable; chmod 755 " + k.Binary
	case st.Mode().Perm()&0o022 != 0:
		return "", fmt.Sprintf("%s has mode %#o: others may write it; chmod 755 %[1]s", k.Binary, st.Mode().Perm())
	}
	f, err := os.Open(k.Binary)
	if err != nil {
		return "", err.Error()
	}
	defer func() { _ = f.Close() }()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err.Error()
	}
	if sum = hex.EncodeToString(h.Sum(nil)); k.SHA256 != "" && !strings.EqualFold(sum, k.SHA256) {
		return "", fmt.Sprintf("%s has checksum %s, pinned is another", k.Binary, sum)
	}
	return sum, ""
}

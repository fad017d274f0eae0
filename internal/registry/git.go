package registry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"path"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp"

	"github.com/quell-soar/quell/connectors/sdk/secret"
)

// Git is a repository that playbooks are pulled from, over https or ssh. Nothing
// is checked out: the objects of one commit are read in memory, so that no hook
// runs, no link is followed and no submodule is fetched.
type Git struct {
	// URL is https://HOST/PATH, ssh://USER@HOST/PATH or USER@HOST:PATH.
	URL string
	// Branch is followed; empty means the repository's own default.
	Branch string
	// Folder is the directory whose playbooks are read, with slashes; empty is the
	// top. Directories below it are not entered.
	Folder string
	// User and Password are for https; User also for ssh, where the URL has none.
	User     string
	Password secret.Value
	// Key is a private key for ssh, in OpenSSH's form, and KnownHosts the file
	// that says which key the server has.
	Key        secret.Value
	KnownHosts string
	// CAFile holds the authorities of the server's certificate; empty takes the
	// system's.
	CAFile string
	// Signers are files of public keys, OpenPGP (armored) or SSH (a line each).
	// Where there are any, only a commit signed by one of them is taken.
	Signers []string
	// Dial opens the one connection that is needed, to host:port.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
}

// Pulled is one commit's playbooks.
type Pulled struct {
	Commit string
	// Signer is who signed it, where that was asked.
	Signer string
	Texts  []Text
}

// pullTime bounds one pull.
const pullTime = 2 * time.Minute

// Pull reads the branch as it is now. Where that is still the commit of last, it
// returns last and fetches nothing.
func (g *Git) Pull(ctx context.Context, last Pulled) (Pulled, error) {
	ctx, cancel := context.WithTimeout(ctx, pullTime)
	defer cancel()
	r, err := g.remote()
	if err != nil {
		return Pulled{}, err
	}
	defer r.close()
	adv, err := r.refs(ctx)
	if err != nil {
		return Pulled{}, fmt.Errorf("%s: %w", g.where(), err)
	}
	tip, err := g.tip(adv)
	if err != nil || tip.String() == last.Commit {
		return last, err
	}
	raw, err := fetch(ctx, r, adv, tip)
	if err != nil {
		return Pulled{}, fmt.Errorf("%s: %w", g.where(), err)
	}
	objects, err := unpack(raw)
	if err != nil {
		return Pulled{}, fmt.Errorf("%s: %w", g.where(), err)
	}
	commit, err := object.GetCommit(objects, tip)
	if err != nil {
		return Pulled{}, fmt.Errorf("%s: commit %s: %w", g.where(), tip, err)
	}
	out := Pulled{Commit: tip.String()}
	if out.Signer, err = g.signed(commit); err != nil {
		return Pulled{}, fmt.Errorf("%s: commit %s: %w", g.where(), tip, err)
	}
	if out.Texts, err = g.texts(commit); err != nil {
		return Pulled{}, fmt.Errorf("%s: commit %s: %w", g.where(), tip, err)
	}
	return out, nil
}

// where names the repository in messages, without a password that somebody wrote
// into the URL.
func (g *Git) where() string {
	if u, err := url.Parse(g.URL); err == nil {
		return u.Redacted()
	}
	return "the repository"
}

// remote is one conversation with a server.
type remote interface {
	// refs lists what the server has.
	refs(ctx context.Context) (*packp.AdvRefs, error)
	// ask sends a request and gives the answer to read.
	ask(ctx context.Context, body []byte) (io.ReadCloser, error)
	close()
}

// remote chooses the transport. Anything but https and ssh is refused: file://
// would read this machine, git:// and http:// prove nothing about who answers.
func (g *Git) remote() (remote, error) {
	if g.Dial == nil {
		return nil, errors.New("git: there is no way out")
	}
	if at, rest, ok := strings.Cut(g.URL, ":"); ok && !strings.HasPrefix(rest, "//") && strings.Contains(at, "@") && !strings.Contains(at, "/") {
		user, host, _ := strings.Cut(at, "@")
		return &overSSH{git: g, user: user, address: net.JoinHostPort(host, "22"), path: rest}, nil
	}
	u, err := url.Parse(g.URL)
	if err != nil {
		return nil, errors.New("git: the URL cannot be read")
	}
	port := u.Port()
	switch {
	case u.Hostname() == "" || u.RawQuery != "" || u.Fragment != "":
	case u.Scheme == "https":
		if port == "" {
			port = "443"
		}
		return g.overHTTPS(u, net.JoinHostPort(u.Hostname(), port))
	case u.Scheme == "ssh":
		if port == "" {
			port = "22"
		}
		return &overSSH{git: g, user: u.User.Username(), address: net.JoinHostPort(u.Hostname(), port), path: u.Path}, nil
	}
	return nil, fmt.Errorf("git: %s is neither https://HOST/PATH nor ssh://USER@HOST/PATH", u.Redacted())
}

// Address is the host:port that Pull dials, or why there is none.
func (g *Git) Address() (string, error) {
	with := *g
	if with.Dial == nil {
		with.Dial = func(context.Context, string, string) (net.Conn, error) { return nil, net.ErrClosed }
	}
	with.CAFile = ""
	r, err := with.remote()
	switch r := r.(type) {
	case *overSSH:
		return r.address, nil
	case *overHTTPS:
		return r.address, nil
	}
	return "", err
}

func (g *Git) tip(adv *packp.AdvRefs) (plumbing.Hash, error) {
	if g.Branch == "" {
		if adv.Head == nil {
			return plumbing.ZeroHash, fmt.Errorf("%s has no default branch; name one", g.where())
		}
		return *adv.Head, nil
	}
	h, ok := adv.References["refs/heads/"+g.Branch]
	if !ok {
		return h, fmt.Errorf("%s has no branch %s", g.where(), g.Branch)
	}
	return h, nil
}

// texts reads the playbooks of the folder. A link or a submodule in it refuses
// the whole commit: somebody meant something by it that would not come true.
func (g *Git) texts(c *object.Commit) ([]Text, error) {
	tree, err := c.Tree()
	if err != nil {
		return nil, err
	}
	if g.Folder != "" {
		if tree, err = tree.Tree(g.Folder); err != nil {
			return nil, fmt.Errorf("folder %s: %w", g.Folder, err)
		}
	}
	if len(tree.Entries) > MaxFiles {
		return nil, fmt.Errorf("the folder has %d entries, more than %d", len(tree.Entries), MaxFiles)
	}
	tests := map[string][]byte{}
	var out []Text
	for _, e := range tree.Entries {
		name := path.Join(g.Folder, e.Name)
		if !plain(e.Name) {
			return nil, fmt.Errorf("the name %q is none for a file", e.Name)
		}
		switch e.Mode {
		case filemode.Dir:
			continue
		case filemode.Regular, filemode.Executable, filemode.Deprecated:
		case filemode.Symlink:
			return nil, fmt.Errorf("%s is a link; put the file itself there", name)
		case filemode.Submodule:
			return nil, fmt.Errorf("%s is a submodule; put the files themselves there", name)
		default:
			return nil, fmt.Errorf("%s is no file", name)
		}
		isTest := strings.HasSuffix(e.Name, TestSuffix)
		if !isTest && !IsPlaybook(e.Name) {
			continue
		}
		raw, err := blob(tree, e, name)
		if err != nil {
			return nil, err
		}
		if isTest {
			tests[strings.TrimSuffix(name, TestSuffix)] = raw
			continue
		}
		out = append(out, Text{File: name, Body: raw})
	}
	for i := range out {
		out[i].Tests = tests[strings.TrimSuffix(out[i].File, path.Ext(out[i].File))]
	}
	slices.SortFunc(out, func(a, b Text) int { return strings.Compare(a.File, b.File) })
	return out, nil
}

func blob(tree *object.Tree, e object.TreeEntry, name string) ([]byte, error) {
	f, err := tree.TreeEntryFile(&e)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if f.Size > MaxFile {
		return nil, fmt.Errorf("%s is longer than %d bytes", name, MaxFile)
	}
	r, err := f.Reader()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	defer func() { _ = r.Close() }()
	return io.ReadAll(io.LimitReader(r, MaxFile))
}

// plain reports whether a name of a tree is that of a file in its directory.
func plain(name string) bool {
	const longest = 200
	return name != "" && name != "." && name != ".." && len(name) <= longest && !strings.ContainsAny(name, `/\`) &&
		!strings.ContainsFunc(name, unicode.IsControl)
}

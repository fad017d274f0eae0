package config

import (
	"net/url"
	"strings"
	"time"

	"github.com/quell-soar/quell/internal/secrets"
)

// Git is a repository that playbooks are pulled from; without a URL there is
// none. Playbooks of it and of the key playbooks stand side by side.
type Git struct {
	// URL is https://HOST/PATH, ssh://USER@HOST/PATH or USER@HOST:PATH.
	URL string `yaml:"url"`
	// Branch is followed; default the repository's own.
	Branch string `yaml:"branch"`
	// Folder is the directory in the repository; default its top.
	Folder string `yaml:"folder"`
	// Every is how often it is looked at; default 1m.
	Every Duration `yaml:"every"`
	// User and Password are for https.
	User     string      `yaml:"user"`
	Password secrets.Ref `yaml:"password"`
	// Key refers to a private key for ssh; KnownHosts is the file with the
	// server's key.
	Key        secrets.Ref `yaml:"key"`
	KnownHosts string      `yaml:"known_hosts"`
	// CA holds the authorities of the server's certificate; default the system's.
	CA string `yaml:"ca"`
	// Signers are files of public keys, OpenPGP or SSH. With any, only commits
	// signed by one of them are taken.
	Signers []string `yaml:"signers"`
}

// leastPull is how often a repository may be looked at.
const leastPull = 5 * time.Second

func (c *Config) completeGit(dir string, abs func(*string)) {
	g := &c.Git
	if g.URL != "" && g.Every == 0 {
		g.Every = Duration(time.Minute)
	}
	abs(&g.KnownHosts)
	abs(&g.CA)
	for i := range g.Signers {
		abs(&g.Signers[i])
	}
	g.Password, g.Key = g.Password.In(dir), g.Key.In(dir)
}

func (k *checker) git(g Git) {
	if g.URL == "" {
		return
	}
	at, rest, short := strings.Cut(g.URL, ":")
	short = short && strings.Contains(at, "@") && !strings.Contains(at, "/") && !strings.HasPrefix(rest, "//")
	u, err := url.Parse(g.URL)
	overSSH := short || err == nil && u.Scheme == "ssh"
	switch {
	case !short && (err != nil || u.Hostname() == "" || u.Scheme != "https" && u.Scheme != "ssh"):
		k.bad("git.url", "", "it is neither https://HOST/PATH nor ssh://USER@HOST/PATH")
	case !short && u.Scheme == "https" && u.User != nil:
		k.bad("git.url", "", "it holds a user; put it under git.user and git.password")
	case overSSH && (g.Key.IsZero() || g.KnownHosts == ""):
		k.bad("git.url", "", "over ssh it needs git.key and git.known_hosts")
	}
	if time.Duration(g.Every) < leastPull {
		k.bad("git.every", "", "%s is shorter than %s", time.Duration(g.Every), leastPull)
	}
	if f := g.Folder; strings.HasPrefix(f, "/") || strings.Contains("/"+f+"/", "/../") {
		k.bad("git.folder", "", "it is no directory within the repository")
	}
}

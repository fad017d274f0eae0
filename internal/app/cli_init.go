package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"regexp"
	"time"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"github.com/quell-soar/quell/internal/auth"
	"github.com/quell-soar/quell/internal/config"
	"github.com/quell-soar/quell/internal/ledger"
	"github.com/quell-soar/quell/internal/store"
)

type initFlags struct {
	dataDir, admin, tokenFile string
}

func (c *cli) initCommand() *cobra.Command {
	var f initFlags
	cmd := &cobra.Command{
		Use: "init [DIR]", Short: "Make a new installation that observes", Args: cobra.MaximumNArgs(1),
		Long: "Make a directory (default quell) with a configuration, a place for playbooks and\n" +
			"secrets, the databases, and the first admin's token, which is shown this once. The\n" +
			"configuration observes: reads are real, effects are recorded as what would have been\n" +
			"done. What is there already is left alone.",
		RunE: func(cmd *cobra.Command, args []string) error {
			dir := "quell"
			if len(args) == 1 {
				dir = args[0]
			}
			return c.init(cmd.Context(), dir, f)
		},
	}
	cmd.Flags().StringVar(&f.dataDir, "data-dir", "", "where the databases lie; default data in the directory")
	cmd.Flags().StringVar(&f.admin, "admin", "", "the first admin's name; default yours")
	cmd.Flags().StringVar(&f.tokenFile, "token-out", "", "new file for the token, in place of showing it")
	return cmd
}

func (c *cli) init(ctx context.Context, dir string, f initFlags) error {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return usage("%v", err)
	}
	admin, err := adminName(f.admin)
	if err != nil {
		return err
	}
	file := filepath.Join(dir, "quell.yaml")
	if _, err := os.Lstat(file); !errors.Is(err, fs.ErrNotExist) {
		return usage("%s is there already; quell doctor --config %s examines it", file, file)
	}
	if err := c.layOut(dir, file, f.dataDir); err != nil {
		return err
	}
	conf, err := config.Load(file)
	if err != nil {
		return errors.Join(configError(err), os.Remove(file))
	}
	token, err := firstAdmin(ctx, conf, admin)
	if err != nil {
		return errors.Join(err, os.Remove(file))
	}
	return c.initDone(file, admin, token, f)
}

// adminForm finds what stands in no name.
var adminForm = regexp.MustCompile(`[^A-Za-z0-9._@-]`)

// adminName is the name that was given, or that of who runs this.
func adminName(given string) (string, error) {
	if given != "" {
		if adminForm.MatchString(given) || len(given) > 64 {
			return "", usage("%s is no name: it takes letters, digits, . _ @ and -, at most 64", cut(given, 70))
		}
		return given, nil
	}
	u, err := user.Current()
	if err != nil {
		return "", usage("this system does not tell your name; give it with --admin")
	}
	return adminForm.ReplaceAllString(u.Username, "-"), nil
}

// layOut makes directories and configuration.
func (c *cli) layOut(dir, file, dataDir string) error {
	if dataDir == "" {
		dataDir = "data"
	} else if abs, err := filepath.Abs(dataDir); err == nil {
		dataDir = abs
	}
	for sub, mode := range map[string]fs.FileMode{"": 0o755, "playbooks": 0o755, "secrets": 0o700} {
		if err := os.MkdirAll(filepath.Join(dir, sub), mode); err != nil {
			return usage("%v", err)
		}
	}
	f, err := os.OpenFile(file, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return usage("%v", err)
	}
	_, err = fmt.Fprintf(f, firstConfig, dataDir)
	return errors.Join(err, f.Close())
}

// firstConfig is what a new installation begins with.
const firstConfig = `# Quell's configuration, made by quell init. docs/configuration.md has every key;
# quell config check looks for mistakes, quell doctor at what they lead to.
data_dir: %q
playbooks: [playbooks]        # every *.yaml in it runs
log: {level: info, format: text}

# Three modes meet in every effect: the playbook's, that of what started the run, the
# connector's. The lowest wins, and what is not named observes: reads are real, effects
# are recorded as what would have been done. Go to ask, and then to act, one by one.
modes:
  triggers: {alert: observe, manual: observe}
  playbooks: {}

# Approvals ask people by duty: oncall.soc is who stands under soc.
# oncall: {soc: [alice, bob]}
access:
  local_roles: [analyst]      # what you are on this machine, over the socket

# Senders of alerts: quell alert add-source
sources: {}
# Products: quell connector add
connectors: {}
`

// firstAdmin makes the store and the first admin's token in it.
func firstAdmin(ctx context.Context, conf *config.Config, admin string) (secret string, err error) {
	if err := os.MkdirAll(conf.DataDir, 0o700); err != nil {
		return "", usage("%v", err)
	}
	db, err := store.Open(ctx, store.Options{Dir: conf.DataDir, Log: zerolog.Nop()})
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	if err := db.Migrate(ctx, ledger.Schema(), auth.Schema()); err != nil {
		return "", err
	}
	key, err := ledger.LoadKey(conf.Keys.Ledger)
	if err != nil {
		return "", err
	}
	l := ledger.New(db, key, time.Now)
	door := auth.NewFirst(auth.NewTokens(db, l, conf.Tenant, time.Now))
	code, err := door.Offer(ctx)
	if err != nil {
		return "", err
	}
	if code == "" {
		return "", failed(ExitFailed, "%s belongs to an installation that had an admin; choose another --data-dir", conf.DataDir)
	}
	_, secret, err = door.Take(ctx, code, auth.Wish{Name: "first-admin", User: admin})
	if err != nil {
		return "", err
	}
	_, err = l.Sign(ctx)
	return secret, err
}

func (c *cli) initDone(file, admin, token string, f initFlags) error {
	if f.tokenFile != "" {
		if err := keepSecret(f.tokenFile, token); err != nil {
			return failed(ExitFailed, "the installation is made, and its token could not be kept (%v); make another over the socket: quell token create", err)
		}
	}
	if c.output == outputJSON {
		out := map[string]string{"config": file, "admin": admin}
		if f.tokenFile == "" {
			out["token"] = token
		}
		return printJSON(c.out, out)
	}
	c.say("%s is made. Everything observes: nothing is changed anywhere until you say so.", clean(file))
	if f.tokenFile != "" {
		c.say("The token of the admin %s is in %s.", clean(admin), clean(f.tokenFile))
	} else {
		c.say("The token of the admin %s, shown this once; on this machine the socket needs none:", clean(admin))
		c.say("\n  %s\n", token)
	}
	c.say("Next")
	c.say("  export QUELL_CONFIG=%s", clean(file))
	c.say("  quell connector add crowdstrike     connect a product; quell connector known lists them")
	c.say("  quell serve                         run it")
	return nil
}

// keepSecret writes a secret into a new file that is ours alone.
func keepSecret(file, text string) error {
	f, err := os.OpenFile(file, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text + "\n")
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		_ = os.Remove(file)
		return err
	}
	return nil
}

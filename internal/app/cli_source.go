package app

import (
	"crypto/rand"
	"os"
	"path/filepath"
	"regexp"

	"github.com/spf13/cobra"

	"github.com/quell-soar/quell/internal/config"
)

// nameForm is the form of names of instances and sources, which name files too.
var nameForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$`)

// addSource makes a sender of alerts known, with a key of its own.
func (c *cli) addSource() *cobra.Command {
	var kind string
	cmd := &cobra.Command{
		Use: "add-source NAME", Short: "Let a product send alerts, observing", Args: exactly("NAME"),
		Long: "Make a key for a sender of alerts, put it into a file of mode 0600 beside the\n" +
			"configuration, and write the sender into the configuration. What the sender signs with\n" +
			"that key is taken from the next start of the server on; its runs observe.",
		RunE: func(_ *cobra.Command, args []string) error { return c.writeSource(args[0], config.SourceKind(kind)) },
	}
	cmd.Flags().StringVar(&kind, "kind", "generic", "the form of its alerts: crowdstrike or generic")
	return cmd
}

func (c *cli) writeSource(name string, kind config.SourceKind) error {
	conf, err := c.loadConfig()
	if err != nil {
		return err
	}
	if kind != config.SourceCrowdStrike && kind != config.SourceGeneric {
		return usage("there is no kind %s of alerts; there are crowdstrike and generic", cut(string(kind), 40))
	}
	if !nameForm.MatchString(name) {
		return usage("%s is no name: it takes letters, digits, . _ and -, at most 63", cut(name, 70))
	}
	rel := filepath.Join("secrets", name+".key")
	file := filepath.Join(filepath.Dir(conf.File()), rel)
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return usage("%v", err)
	}
	if err := keepSecret(file, rand.Text()+rand.Text()); err != nil {
		return usage("%v; another source uses it, or remove it", err)
	}
	err = edit(conf.File(), func(text []byte) ([]byte, error) {
		return config.AddSource(text, name, config.NewSource{Kind: kind, Secret: "file:" + rel})
	})
	if err != nil {
		_ = os.Remove(file)
		return err
	}
	where := "http://" + conf.Listen + "/v1/alerts/" + name
	return c.show(map[string]string{"source": name, "key_file": file, "url": where}, func() error {
		c.say("%s is in %s. Its key is in %s.", clean(name), clean(conf.File()), clean(file))
		c.say("It posts to %s, signed as docs/alerts.md tells.", clean(where))
		c.say("\nNext: (re)start quell serve, then")
		c.say("  quell alert send ALERT.json --source %s --secret-file %s", clean(name), clean(file))
		return nil
	})
}

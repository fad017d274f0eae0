package cli

import (
	"runtime"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/quell-soar/quell/playbooks/diag"
)

func (c *cli) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "quell",
		Short: "Run incident-response playbooks, once and on record",
		Long: "Quell compiles playbooks and runs them against the products that they name.\n" +
			"check and audit verify work offline; the other commands ask the server.",
		SilenceErrors: true, SilenceUsage: true,
		CompletionOptions: cobra.CompletionOptions{HiddenDefaultCmd: true},
	}
	f := root.PersistentFlags()
	f.StringVarP(&c.output, "output", "o", outputText, "text or json")
	f.StringVar(&c.server, "server", "", "URL of the server (QUELL_SERVER)")
	f.StringVar(&c.socket, "socket", "", "path of the server's unix socket (QUELL_SOCKET; default that of the data directory)")
	f.StringVar(&c.tokenFile, "token-file", "", "file with the token, - for standard input (QUELL_TOKEN_FILE)")
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usage("%v; see %s --help", err, cmd.CommandPath())
	})
	root.PersistentPreRunE = func(*cobra.Command, []string) error {
		c.began = true
		if c.output != outputText && c.output != outputJSON {
			bad := c.output
			c.output = outputText
			return usage("there is no output format %s; there are text and json", cut(bad, 20))
		}
		return nil
	}
	root.AddCommand(
		c.playbookCommand(), c.runCommand(), c.approvalCommand(), c.alertCommand(), c.connectorCommand(),
		c.auditCommand(), c.tokenCommand(), c.guardCommand(), c.doctorCommand(), c.serveCommand(), c.versionCommand(),
		c.checkCommand(), c.approveCommand(), c.undoCommand(),
	)
	choose(root)
	return root
}

// group is a noun: it does nothing without a verb.
func group(noun, short string, verbs ...*cobra.Command) *cobra.Command {
	g := &cobra.Command{Use: noun, Short: short}
	g.AddCommand(verbs...)
	choose(g)
	return g
}

// choose makes a command without a verb, or with an unknown one, a wrong use.
func choose(g *cobra.Command) {
	g.Args = cobra.ArbitraryArgs
	g.RunE = func(cmd *cobra.Command, args []string) error {
		var names []string
		for _, v := range cmd.Commands() {
			if v.IsAvailableCommand() {
				names = append(names, v.Name())
			}
		}
		slices.Sort(names)
		if len(args) == 0 {
			return usage("%s needs a command: %s", cmd.CommandPath(), strings.Join(names, ", "))
		}
		next := "there are " + strings.Join(names, ", ")
		if near := diag.Near(args[0], names); near != "" {
			next = "did you mean " + near + "?"
		}
		return usage("there is no command %s; %s", cmd.CommandPath()+" "+cut(args[0], 40), next)
	}
}

// exactly demands arguments by name.
func exactly(names ...string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) == len(names) {
			return nil
		}
		if len(args) < len(names) {
			return usage("%s needs %s; see %s --help", cmd.CommandPath(), names[len(args)], cmd.CommandPath())
		}
		takes := "no argument"
		if len(names) > 0 {
			takes = strings.Join(names, " and ") + " and no more"
		}
		return usage("%s takes %s; see %s --help", cmd.CommandPath(), takes, cmd.CommandPath())
	}
}

// built says which build this is, as the toolchain stamped it.
func built() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "(devel)"
}

func (c *cli) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print the version", Args: exactly(),
		RunE: func(*cobra.Command, []string) error {
			v := built()
			return c.show(map[string]string{"version": v, "go": runtime.Version()}, func() error {
				c.say("quell %s", v)
				return nil
			})
		},
	}
}

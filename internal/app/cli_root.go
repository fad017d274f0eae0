package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/quell-soar/quell/playbooks/diag"
)

// Program is quell as it was built.
type Program struct {
	Version string
	// Serve runs the server; nil in a build without one.
	Serve ServeFunc
	// Test plays the tests of playbooks; nil in a build without the interpreter.
	Test TestFunc
	// Plan makes previews offline; nil in a build without the interpreter.
	Plan PlanFunc
}

// Env is what a command gets from around it.
type Env struct {
	// Args are the arguments after the program's name.
	Args           []string
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	// Getenv reads the environment; nil reads that of the process.
	Getenv func(string) string
	// Screen tells the size of the terminal at Stdout; nil finds out. ok is false
	// where there is none.
	Screen func() (width, height int, ok bool)
	// Now tells the time; nil means time.Now.
	Now func() time.Time
}

// cli is one invocation.
type cli struct {
	Program
	in            io.Reader
	out, err      io.Writer
	getenv        func(string) string
	screen        func() (width, height int, ok bool)
	now           func() time.Time
	output        string
	server        string
	tokenFile     string
	config        string
	began, inUsed bool
}

// Run runs one command and returns its exit code.
func (p Program) Run(ctx context.Context, e Env) int {
	c := &cli{Program: p, in: e.Stdin, out: e.Stdout, err: e.Stderr, getenv: e.Getenv, screen: e.Screen, now: e.Now, output: outputText}
	if c.getenv == nil {
		c.getenv = os.Getenv
	}
	if c.now == nil {
		c.now = time.Now
	}
	if c.screen == nil {
		c.screen = func() (int, int, bool) { return screenOf(e.Stdout) }
	}
	root := c.root()
	root.SetArgs(e.Args)
	root.SetIn(e.Stdin)
	root.SetOut(e.Stdout)
	root.SetErr(e.Stderr)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return ExitOK
	}
	var own *Error
	if !c.began && !errors.As(err, &own) {
		err = usage("%v; quell --help lists the commands", err) // cobra's own words
	}
	report(e.Stderr, c.output, err)
	return exitCode(err)
}

// screenOf is the size of the terminal that w is, if it is one.
func screenOf(w io.Writer) (width, height int, ok bool) {
	f, isFile := w.(*os.File)
	if !isFile || !term.IsTerminal(int(f.Fd())) {
		return 0, 0, false
	}
	width, height, err := term.GetSize(int(f.Fd()))
	if err == nil && (width <= 0 || height <= 0) {
		width, height = 80, 24 // serial lines and some wrappers do not tell theirs
	}
	return width, height, err == nil
}

func (c *cli) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "quell",
		Short: "Run incident-response playbooks, once and on record",
		Long: "Quell compiles playbooks and runs them against the products that they name.\n" +
			"Writing playbooks, audit verify and config check work offline; the rest asks the server.",
		SilenceErrors: true, SilenceUsage: true,
		CompletionOptions: cobra.CompletionOptions{HiddenDefaultCmd: true},
	}
	f := root.PersistentFlags()
	f.StringVarP(&c.output, "output", "o", outputText, "text or json")
	f.StringVar(&c.server, "server", "", "URL of the server, or path of its unix socket (QUELL_SERVER)")
	f.StringVar(&c.tokenFile, "token-file", "", "file with the token, - for standard input (QUELL_TOKEN_FILE)")
	f.StringVar(&c.config, "config", "", "configuration (QUELL_CONFIG; default /etc/quell/quell.yaml)")
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usage("%s; see %s --help", flagProblem(err), cmd.CommandPath())
	})
	root.PersistentPreRunE = func(cmd *cobra.Command, _ []string) error {
		c.began = true
		if c.output == outputSARIF && cmd.Annotations[checkNote] != "" {
			return nil
		}
		if c.output != outputText && c.output != outputJSON {
			bad := c.output
			c.output = outputText
			return usage("there is no output format %s; there are text and json", cut(bad, 20))
		}
		return nil
	}
	section(root, "Begin:", c.demoCommand(), c.initCommand(), c.doctorCommand())
	section(root, "Write playbooks:", c.playbookCommand(), c.checkCommand(), c.planCommand(), c.backtestCommand(), c.testCommand(), c.fmtCommand(), c.graphCommand(), c.schemaCommand(), c.lspCommand())
	section(root, "Respond:", c.alertCommand(), c.runCommand(), c.approvalCommand(), c.approveCommand(), c.undoCommand(), c.effectCommand(), c.observeCommand())
	section(root, "Operate:", c.serveCommand(), c.connectorCommand(), c.guardCommand(), c.auditCommand(), c.tokenCommand(), c.configCommand(), c.backupCommand(), c.restoreCommand())
	root.AddCommand(c.versionCommand())
	choose(root)
	return root
}

// section adds commands to the root under a heading of its help.
func section(root *cobra.Command, title string, commands ...*cobra.Command) {
	root.AddGroup(&cobra.Group{ID: title, Title: title})
	for _, cmd := range commands {
		cmd.GroupID = title
	}
	root.AddCommand(commands...)
}

// group is a noun: it does nothing without a verb.
// parsed is how pflag words a value that it cannot read, with the words of strconv
// and time in it.
var parsed = regexp.MustCompile(`^invalid argument ("(?:[^"\\]|\\.)*") for "([^"]+)" flag: (strconv|time)`)

// flagProblem words an error of a flag for people.
func flagProblem(err error) string {
	m := parsed.FindStringSubmatch(err.Error())
	switch {
	case m == nil:
		return err.Error()
	case m[3] == "time":
		return m[2] + " takes a duration such as 90s, not " + m[1]
	case strings.Contains(err.Error(), "ParseBool"):
		return m[2] + " is true or false, not " + m[1]
	}
	return m[2] + " takes a whole number, not " + m[1]
}

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
		return usage("there is no command %s; %s", clean(cmd.CommandPath()+" "+cut(args[0], 40)), next)
	}
}

// exactly demands arguments by name.
func exactly(names ...string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if at := slices.Index(args, ""); at >= 0 && at < len(names) {
			return usage("%s: %s is empty", cmd.CommandPath(), names[at])
		}
		if len(args) == len(names) {
			return nil
		}
		if len(args) < len(names) {
			return usage("%s needs %s; see %s --help", cmd.CommandPath(), names[len(args)], cmd.CommandPath())
		}
		return usage("%s takes %s and no more; see %s --help", cmd.CommandPath(), counted(names), cmd.CommandPath())
	}
}

func counted(names []string) string {
	if len(names) == 0 {
		return "no argument"
	}
	return strings.Join(names, " and ")
}

// show writes a value as JSON, or by text.
func (c *cli) show(v any, text func() error) error {
	if c.output == outputJSON {
		return printJSON(c.out, v)
	}
	return text()
}

// say writes a line of text output.
func (c *cli) say(format string, args ...any) {
	_, _ = fmt.Fprintf(c.out, format+"\n", args...)
}

func (c *cli) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print the version", Args: exactly(),
		RunE: func(*cobra.Command, []string) error {
			return c.show(map[string]string{"version": c.Version}, func() error {
				c.say("quell %s", c.Version)
				return nil
			})
		},
	}
}

package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"
)

// ServeFunc runs the server of a configuration until ctx is done; then it ends in
// order and returns nil.
type ServeFunc func(ctx context.Context, configFile string, stdout, stderr io.Writer) error

// world is what a command gets from around it.
type world struct {
	in       io.Reader
	out, err io.Writer
	getenv   func(string) string
	now      func() time.Time
	// screen tells the size of the terminal at out; ok is false where there is
	// none.
	screen func() (width, height int, ok bool)
	// asking says that a person sits at in and out.
	asking bool
	// dir is where relative names of files begin; empty means where the process
	// is.
	dir string
}

// cli is one invocation.
type cli struct {
	world
	serve     ServeFunc
	output    string
	server    string
	socket    string
	tokenFile string
	// began says that cobra understood the command line.
	began bool
	// inUsed says that standard input was read.
	inUsed bool
}

// Main runs one command and returns its exit code. args are the arguments after
// the program's name.
func Main(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer, serve ServeFunc) (exitCode int) {
	w := world{in: stdin, out: stdout, err: stderr, getenv: os.Getenv, now: time.Now}
	w.screen = func() (int, int, bool) { return screenOf(stdout) }
	w.asking = isTerminal(stdin) && isTerminal(stdout)
	return w.run(ctx, args, serve)
}

func (w world) run(ctx context.Context, args []string, serve ServeFunc) int {
	c := &cli{world: w, serve: serve, output: outputText}
	root := c.root()
	root.SetArgs(args)
	root.SetIn(w.in)
	root.SetOut(w.out)
	root.SetErr(w.err)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return ExitOK
	}
	var own *Error
	if !c.began && !errors.As(err, &own) {
		err = usage("%v; quell --help lists the commands", err) // cobra's own words
	}
	report(w.err, c.output, err)
	return exitCode(err)
}

// isTerminal takes any stream: a test's buffer is no terminal.
func isTerminal(stream any) bool {
	f, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// screenOf is the size of the terminal that w is, if it is one.
func screenOf(w io.Writer) (width, height int, ok bool) {
	f, isFile := w.(*os.File)
	if !isFile || !isTerminal(w) {
		return 0, 0, false
	}
	width, height, err := term.GetSize(int(f.Fd()))
	return width, height, err == nil && width > 0 && height > 0
}

// path is a file's name as the process must open it.
func (w world) path(name string) string {
	if w.dir == "" || filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(w.dir, name)
}

// show writes a value as JSON, or by text.
func (c *cli) show(v any, text func() error) error {
	if c.output == outputJSON {
		return printJSON(c.out, v)
	}
	return text()
}

// say writes a line of text output. Arguments that came from elsewhere are
// cleaned by the caller.
func (c *cli) say(format string, args ...any) {
	_, _ = fmt.Fprintf(c.out, format+"\n", args...)
}

func (c *cli) serveCommand() *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use: "serve --config FILE", Short: "Run the server", Args: exactly(),
		Long: "Run the server: API, engine, connectors and alert intake in one process.\n" +
			"It runs until it gets SIGINT or SIGTERM.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			switch {
			case file == "":
				return usage("serve needs --config FILE")
			case c.serve == nil:
				return failed(ExitFailed, "this build has no server; use the released quell program")
			}
			return c.serve(cmd.Context(), c.path(file), c.out, c.err)
		},
	}
	cmd.Flags().StringVar(&file, "config", "", "configuration of the server")
	return cmd
}

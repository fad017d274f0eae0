package app

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"strings"

	"github.com/spf13/cobra"
)

// TestOptions are what quell test was asked for.
type TestOptions struct {
	// Paths are test files, playbooks with tests beside them, and folders.
	Paths                []string
	Cover, Mutate, Sweep bool
	// JUnit is the file for the JUnit report, "" for none.
	JUnit string
	// JSON says that the output is for programs.
	JSON   bool
	Stdout io.Writer
}

// TestFunc plays tests of playbooks. ok is false where one fails, or a proof that
// was asked for does not hold; an error is that something could not be read.
type TestFunc func(ctx context.Context, o TestOptions) (ok bool, err error)

// testFile is shown to who asks for help.
const testFile = `  # lost-laptop.test.yaml, beside lost-laptop.yaml
  tests:
    - name: a person says no
      inputs: { hostname: ws-42, owner: alice }
      answers:                       # by action; an effect without one is done
        edr.find_host: { value: { device: WS-42, hostname: ws-42, state: normal, os: macOS } }
        iam.find_user: { value: { user: alice, privileged: true } }
        search.sign_ins: { value: { rows: [] } }
      people:                        # by step; who is not mentioned is silent
        - { step: cut_off, says: deny }
      expect:
        closing: denied
        effects: []                  # or [{ edr.isolate_host: WS-42 }]
        asked: [{ step: cut_off }]   # who was asked, in order`

// withExample shows a test file to who has none.
func withExample(err error) error {
	if errors.Is(err, fs.ErrNotExist) && strings.Contains(err.Error(), ".test.yaml") {
		return usage("%v; such a file looks like this:\n\n%s\n", err, testFile)
	}
	return usage("%v", err)
}

func (c *cli) testCommand() *cobra.Command {
	var o TestOptions
	cmd := &cobra.Command{
		Use: "test PATH…", Short: "Play the tests of playbooks, offline",
		Long: "Play NAME.test.yaml beside each playbook through the real compiler and interpreter,\n" +
			"with scripted connectors and people and with skipped time. No connector is called.\n" +
			"Exits with 1 where a test fails, or where what a flag asks for does not hold.\n" +
			"docs/testing.md describes the test files.",
		Example: testFile,
		Args:    cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usage("test needs a PATH; see quell test --help")
			}
			if c.Test == nil {
				return failed(ExitUnknown, "this build plays no tests")
			}
			o.Paths, o.JSON, o.Stdout = args, c.output == outputJSON, c.out
			ok, err := c.Test(cmd.Context(), o)
			switch {
			case err != nil:
				return withExample(err)
			case !ok:
				return quiet(ExitFailed)
			}
			return nil
		},
	}
	f := cmd.Flags()
	f.BoolVar(&o.Cover, "cover", false, "demand that the tests take every way, and show those that none takes")
	f.BoolVar(&o.Mutate, "mutate", false, "delete or weaken each step in turn; some test must notice")
	f.BoolVar(&o.Sweep, "sweep", false, "fail every call in every kind; the run must end in a declared way")
	f.StringVar(&o.JUnit, "junit", "", "also write a JUnit report to this file")
	return cmd
}

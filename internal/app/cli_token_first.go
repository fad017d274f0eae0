package app

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/quell-soar/quell/server/api"
)

// tokenFirst uses up the code for the first admin. The code is read from the
// terminal or from standard input: an argument would stand in the shell's history
// and in the list of processes.
func (c *cli) tokenFirst() *cobra.Command {
	in := api.FirstAdmin{Name: "first"}
	var file string
	cmd := &cobra.Command{
		Use: "first-admin", Short: "Become the first admin with the code of the server's start", Args: exactly(),
		Long: "Become the first admin. The server shows a code at its start while there never was\n" +
			"an admin: on its terminal, else in DATA_DIR/first-admin. The code is asked for, or\n" +
			"read from standard input. With --out the token goes into a new file of mode 0600.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if in.User == "" {
				return usage("token first-admin needs --user, your name")
			}
			var err error
			if in.Code, err = c.readCode(cmd.InOrStdin()); err != nil {
				return err
			}
			ctx := cmd.Context()
			return c.makeToken(ctx, file, func(cl *api.Client) (api.CreatedToken, error) { return cl.FirstAdmin(ctx, in) })
		},
	}
	cmd.Flags().StringVar(&in.User, "user", "", "the admin's name")
	cmd.Flags().StringVar(&in.Name, "name", in.Name, "what the token is for")
	cmd.Flags().StringVar(&file, "out", "", "new file for the secret")
	return cmd
}

func (c *cli) readCode(from io.Reader) (string, error) {
	if f, isFile := from.(*os.File); isFile && term.IsTerminal(int(f.Fd())) {
		_, _ = fmt.Fprint(c.err, "Code: ")
		raw, err := term.ReadPassword(int(f.Fd()))
		_, _ = fmt.Fprintln(c.err)
		if err != nil {
			return "", usage("the code cannot be read: %v", err)
		}
		return strings.TrimSpace(string(raw)), nil
	}
	line, err := bufio.NewReader(io.LimitReader(from, 1024)).ReadString('\n')
	if err != nil && err != io.EOF {
		return "", usage("the code cannot be read: %v", err)
	}
	if line = strings.TrimSpace(line); line == "" {
		return "", usage("no code on standard input; quell token first-admin --user YOU < DATA_DIR/first-admin")
	}
	return line, nil
}

// tokenRotate gives a token another secret.
func (c *cli) tokenRotate() *cobra.Command {
	var overlap, file string
	cmd := &cobra.Command{
		Use: "rotate ID", Short: "Give a token another secret", Args: exactly("ID"),
		Long: "Give a token another secret, with the same name, person, roles and scopes. The old\n" +
			"one ends at once, or stays good for --overlap (at most 24h).",
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			return c.makeToken(ctx, file, func(cl *api.Client) (api.CreatedToken, error) { return cl.RotateToken(ctx, args[0], overlap) })
		},
	}
	cmd.Flags().StringVar(&overlap, "overlap", "", "how long the old secret stays good, such as 10m")
	cmd.Flags().StringVar(&file, "out", "", "new file for the secret")
	return cmd
}

package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/quell-soar/quell/server/api"
)

func (c *cli) tokenCommand() *cobra.Command {
	list := &cobra.Command{
		Use: "list", Short: "List tokens, without their secrets", Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.asker(cmd.Context(), func(cl *api.Client) error {
				got, err := cl.Tokens(cmd.Context())
				if err != nil {
					return err
				}
				return c.show(got, func() error { return c.tokenTable(got.Tokens) })
			})
		},
	}
	revoke := &cobra.Command{
		Use: "revoke TOKEN", Short: "End a token at once; TOKEN is its id", Args: exactly("TOKEN"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.asker(cmd.Context(), func(cl *api.Client) error {
				if err := cl.RevokeToken(cmd.Context(), args[0]); err != nil {
					return uncertain(err, "quell token list tells; revoking twice does no harm")
				}
				return c.show(map[string]any{"token": args[0], "revoked": true}, func() error {
					c.say("%s is revoked", clean(args[0]))
					return nil
				})
			})
		},
	}
	return group("token", "Make and end tokens", c.tokenCreate(), list, revoke)
}

func (c *cli) tokenCreate() *cobra.Command {
	var in api.NewToken
	cmd := &cobra.Command{
		Use: "create", Short: "Make a token and print it, this once", Args: exactly(),
		Long: "Make a token. The token alone goes to standard output, this once, so that it can\n" +
			"go to a file: (umask 077; quell token create … > FILE). Everything else goes to\n" +
			"standard error.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			for _, need := range []struct{ flag, what, value string }{
				{"--name", "what the token is for", in.Name},
				{"--user", "whom it speaks for", in.User},
				{"--scopes", "what it may do, such as read,launch", strings.Join(in.Scopes, "")},
			} {
				if need.value == "" {
					return usage("token create needs %s: %s", need.flag, need.what)
				}
			}
			return c.asker(cmd.Context(), func(cl *api.Client) error {
				got, err := cl.CreateToken(cmd.Context(), in)
				if err != nil {
					return uncertain(err, "quell token list tells; revoke a token of this name that you did not see")
				}
				return c.show(got, func() error {
					c.say("%s", clean(got.Secret))
					_, _ = fmt.Fprintf(c.err, "token %s for %s, good until %s; it is shown this once\n", clean(got.ID), clean(got.User), stamp(got.Expires))
					return nil
				})
			})
		},
	}
	f := cmd.Flags()
	f.StringVar(&in.Name, "name", "", "what it is for; unique among live tokens")
	f.StringVar(&in.User, "user", "", "person or program that it speaks for")
	f.StringSliceVar(&in.Roles, "roles", nil, "roles, with commas between them")
	f.StringSliceVar(&in.Scopes, "scopes", nil, "scopes, with commas between them")
	f.StringVar(&in.Expires, "expires", "", "how long it is good, such as 12h or 30d; default 90d")
	return cmd
}

func (c *cli) tokenTable(list []api.Token) error {
	t := newTable(c.out, "TOKEN", "NAME", "USER", "ROLES", "SCOPES", "STATE", "LAST USED")
	for _, k := range list {
		state := "until " + stamp(k.Expires)
		switch {
		case !k.Revoked.IsZero():
			state = "revoked"
		case c.now().After(k.Expires):
			state = "expired"
		}
		t.row(k.ID, k.Name, k.User, strings.Join(k.Roles, ","), strings.Join(k.Scopes, ","), state, c.ago(k.LastUsed))
	}
	return t.flush()
}

package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/quell-soar/quell/server/api"
)

func (c *cli) tokenCommand() *cobra.Command {
	list := &cobra.Command{
		Use: "list", Short: "List tokens, without their secrets", Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			cl, err := c.client(cmd.Context())
			if err != nil {
				return err
			}
			got, err := cl.Tokens(cmd.Context())
			if err != nil {
				return err
			}
			return c.show(got, func() error {
				t := newTable(c.out, "ID", "NAME", "USER", "ROLES", "SCOPES", "EXPIRES", "LAST USED", "REVOKED")
				for _, k := range got.Tokens {
					t.row(k.ID, k.Name, k.User, strings.Join(k.Roles, " "), strings.Join(k.Scopes, " "), stamp(k.Expires), c.ago(k.LastUsed), stamp(k.Revoked))
				}
				return t.flush()
			})
		},
	}
	revoke := &cobra.Command{
		Use: "revoke ID", Short: "End a token at once", Args: exactly("ID"),
		RunE: func(cmd *cobra.Command, args []string) error {
			cl, err := c.client(cmd.Context())
			if err != nil {
				return err
			}
			if err := cl.RevokeToken(cmd.Context(), args[0]); err != nil {
				return uncertain(err, "quell token list tells")
			}
			return c.show(map[string]any{"id": args[0], "revoked": true}, func() error {
				c.say("%s is revoked", clean(args[0]))
				return nil
			})
		},
	}
	who := &cobra.Command{
		Use: "whoami", Short: "Tell whom the server takes you for", Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			cl, err := c.client(cmd.Context())
			if err != nil {
				return err
			}
			got, err := cl.Whoami(cmd.Context())
			if err != nil {
				return err
			}
			return c.show(got, func() error {
				return pairs(c.out, "actor", got.Actor, "roles", strings.Join(got.Roles, " "), "scopes", strings.Join(got.Scopes, " "),
					"on call", strings.Join(got.OnCall, " "), "token", got.Token)
			})
		},
	}
	return group("token", "Make, list and revoke tokens", c.tokenCreate(), c.tokenFirst(), c.tokenRotate(), list, revoke, who)
}

func (c *cli) tokenCreate() *cobra.Command {
	var in api.NewToken
	var file string
	cmd := &cobra.Command{
		Use: "create NAME", Short: "Make a token", Args: exactly("NAME"),
		Long: "Make a token and show its secret, this once. With --out the secret goes into a new\n" +
			"file of mode 0600 and not to the output. Scopes: metrics, read, launch, respond,\n" +
			"approve, audit, admin.",
		RunE: func(cmd *cobra.Command, args []string) error {
			if in.User == "" || len(in.Scopes) == 0 {
				return usage("token create needs --user and at least one --scope")
			}
			in.Name = args[0]
			return c.createToken(cmd.Context(), in, file)
		},
	}
	cmd.Flags().StringVar(&in.User, "user", "", "person or program that it speaks for")
	cmd.Flags().StringArrayVar(&in.Roles, "role", nil, "role, such as analyst; may be repeated")
	cmd.Flags().StringArrayVar(&in.Scopes, "scope", nil, "scope; may be repeated")
	cmd.Flags().StringVar(&in.Expires, "expires", "", "how long it is good, such as 12h or 30d; default 90d, at most 366d")
	cmd.Flags().StringVar(&file, "out", "", "new file for the secret")
	return cmd
}

func (c *cli) createToken(ctx context.Context, in api.NewToken, file string) error {
	return c.makeToken(ctx, file, func(cl *api.Client) (api.CreatedToken, error) { return cl.CreateToken(ctx, in) })
}

// makeToken has a token made and shows its secret or keeps it in a new file.
func (c *cli) makeToken(ctx context.Context, file string, ask func(*api.Client) (api.CreatedToken, error)) error {
	cl, err := c.client(ctx)
	if err != nil {
		return err
	}
	var out *os.File
	if file != "" {
		// Before the token exists: a secret that cannot be kept must not be made.
		out, err = os.OpenFile(file, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
		if errors.Is(err, fs.ErrExist) {
			return usage("%s is there already; name a new file", file)
		}
		if err != nil {
			return usage("%v", err)
		}
	}
	got, err := ask(cl)
	if err != nil {
		if out != nil {
			_ = out.Close()
			_ = os.Remove(file)
		}
		return uncertain(err, "quell token list tells; revoke a token whose secret nobody has")
	}
	if out == nil {
		return c.show(got, func() error {
			_, _ = fmt.Fprintf(c.err, "token %s of %s, good until %s; its secret is shown this once:\n", clean(got.ID), clean(got.User), stamp(got.Expires))
			c.say("%s", clean(got.Secret))
			return nil
		})
	}
	if _, err := out.WriteString(got.Secret + "\n"); err != nil {
		_ = out.Close()
		return failed(ExitFailed, "the token %s was made and its secret could not be kept (%v); revoke it: quell token revoke %s", got.ID, err, got.ID)
	}
	if err := out.Close(); err != nil {
		return failed(ExitFailed, "the token %s was made and its secret could not be kept (%v); revoke it: quell token revoke %s", got.ID, err, got.ID)
	}
	return c.show(got.Token, func() error {
		c.say("token %s of %s, good until %s; its secret is in %s", clean(got.ID), clean(got.User), stamp(got.Expires), clean(file))
		return nil
	})
}

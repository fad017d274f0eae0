package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/quell-soar/quell/internal/secrets"
	"github.com/quell-soar/quell/server/api"
)

// maxInput bounds what is read from standard input and from files that are sent.
const maxInput = 4 << 20

// client makes a client of the server that flags or environment name, in this
// order.
func (c *cli) client(ctx context.Context) (*api.Client, error) {
	o, err := c.where()
	if err != nil {
		return nil, err
	}
	if o.Token, err = c.token(ctx, o.Socket != ""); err != nil {
		return nil, err
	}
	cl, err := api.Dial(o)
	if err != nil {
		return nil, usage("%v", err)
	}
	return cl, nil
}

// where is the server's URL or the path of its socket.
func (c *cli) where() (api.Options, error) {
	for _, place := range []struct{ server, socket, names string }{
		{c.server, c.socket, "--server and --socket"},
		{c.getenv("QUELL_SERVER"), c.getenv("QUELL_SOCKET"), "QUELL_SERVER and QUELL_SOCKET"},
	} {
		switch {
		case place.server != "" && place.socket != "":
			return api.Options{}, usage("%s name two servers; keep one of them", place.names)
		case place.server != "":
			return api.Options{Server: place.server}, nil
		case place.socket != "":
			return api.Options{Socket: c.path(place.socket)}, nil
		}
	}
	if dir := c.getenv("QUELL_DATA"); dir != "" {
		return api.Options{Socket: filepath.Join(c.path(dir), "run", "quell.sock")}, nil
	}
	if dir := c.getenv("XDG_RUNTIME_DIR"); dir != "" {
		return api.Options{Socket: filepath.Join(dir, "quell", "quell.sock")}, nil
	}
	return api.Options{}, usage("no server is named; use --server or --socket, or set QUELL_SERVER, QUELL_SOCKET or QUELL_DATA")
}

// token reads the token. It never stands in an argument or a variable, where
// other processes could read it. On a socket only a flag asks for one: the kernel
// tells the server who calls.
func (c *cli) token(ctx context.Context, socket bool) (string, error) {
	file := c.tokenFile
	if file == "" && !socket {
		file = c.getenv("QUELL_TOKEN_FILE")
	}
	switch file {
	case "":
		return "", nil
	case "-":
		raw, err := c.stdin()
		if err != nil {
			return "", err
		}
		return strings.TrimSpace(string(raw)), nil
	}
	return c.secret(ctx, file)
}

// secret reads a secret's file as the server would: it must be ours alone.
func (c *cli) secret(ctx context.Context, file string) (string, error) {
	abs, err := filepath.Abs(c.path(file))
	if err != nil {
		return "", usage("%s: %v", file, err)
	}
	ref, err := secrets.Parse("file:" + abs)
	if err != nil {
		return "", usage("%s: %v", file, err)
	}
	v, err := ref.Resolve(ctx)
	if err != nil {
		return "", usage("%v", err)
	}
	return strings.TrimSpace(v.Reveal()), nil
}

// stdin reads all of standard input, once.
func (c *cli) stdin() ([]byte, error) {
	if c.inUsed {
		return nil, usage("standard input can be read for one thing only: token, file or answer")
	}
	c.inUsed = true
	raw, err := io.ReadAll(io.LimitReader(c.in, maxInput+1))
	if err != nil {
		return nil, fmt.Errorf("read standard input: %w", err)
	}
	if len(raw) > maxInput {
		return nil, usage("standard input is longer than %d bytes", maxInput)
	}
	return raw, nil
}

// readFile reads a file, or standard input for "-".
func (c *cli) readFile(name string, most int) ([]byte, error) {
	if name == "-" {
		return c.stdin()
	}
	f, err := os.Open(c.path(name))
	if err != nil {
		return nil, usage("%v", err)
	}
	defer func() { _ = f.Close() }()
	raw, err := io.ReadAll(io.LimitReader(f, int64(most)+1))
	if err != nil {
		return nil, usage("%v", err)
	}
	if len(raw) > most {
		return nil, usage("%s is longer than %d bytes", name, most)
	}
	return raw, nil
}

// asker is a call that gets a client first.
func (c *cli) asker(ctx context.Context, call func(*api.Client) error) error {
	cl, err := c.client(ctx)
	if err != nil {
		return err
	}
	return call(cl)
}

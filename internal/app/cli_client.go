package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/quell-soar/quell/internal/config"
	"github.com/quell-soar/quell/internal/secrets"
	"github.com/quell-soar/quell/server/api"
)

// maxInput bounds what is read from standard input and from files that are sent.
const maxInput = 4 << 20

// defaultSocket is the socket of a server with the default configuration.
const defaultSocket = "/var/lib/quell/run/quell.sock"

// client makes a client of the server that flags, environment or configuration
// name, in this order.
func (c *cli) client(ctx context.Context) (*api.Client, error) {
	where, err := c.where()
	if err != nil {
		return nil, err
	}
	return c.clientOf(ctx, where)
}

// clientOf makes a client of the server at a socket's path or a URL.
func (c *cli) clientOf(ctx context.Context, where string) (*api.Client, error) {
	o := api.Options{}
	var err error
	if path, ok := strings.CutPrefix(where, "unix:"); ok {
		o.Socket = path
	} else if filepath.IsAbs(where) {
		o.Socket = where
	} else {
		o.Server = where
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

// where is a socket's path or a URL.
func (c *cli) where() (string, error) {
	if c.server != "" {
		return c.server, nil
	}
	if s := c.getenv("QUELL_SERVER"); s != "" {
		return s, nil
	}
	path, named := c.configPath()
	conf, err := config.Load(path)
	if err == nil {
		return conf.Socket, nil
	}
	// A client needs no configuration: without one the default socket is asked.
	if !named && (errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission)) {
		return defaultSocket, nil
	}
	return "", configError(err)
}

// configPath is the configuration to read, and whether somebody named it.
func (c *cli) configPath() (path string, named bool) {
	if c.config != "" {
		return inFolder(c.config), true
	}
	if p := c.getenv("QUELL_CONFIG"); p != "" {
		return inFolder(p), true
	}
	return config.DefaultFile, false
}

// inFolder is the configuration in a folder, where one is named.
func inFolder(path string) string {
	if st, err := os.Stat(path); err == nil && st.IsDir() {
		return filepath.Join(path, filepath.Base(config.DefaultFile))
	}
	return path
}

// loadConfig reads the configuration, which must be there.
func (c *cli) loadConfig() (*config.Config, error) {
	path, _ := c.configPath()
	conf, err := config.Load(path)
	if err != nil {
		return nil, configError(err)
	}
	return conf, nil
}

// configError makes problems of a configuration findings, and a file that is not
// there wrong use. more is added to what one can do about that.
func configError(err error, more ...string) error {
	var problems *config.Error
	if errors.As(err, &problems) {
		return &Error{Code: ExitFailed, Message: fmt.Sprintf("the configuration has %s:\n%s", count(len(problems.Problems), "problem"), problems)}
	}
	return &Error{Code: ExitUsage, Message: err.Error() + "; name the file with --config or QUELL_CONFIG" + strings.Join(more, "")}
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// token reads the token. It never stands in an argument, where every user of the
// machine could read it.
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
	text, err := readSecret(ctx, file)
	return strings.TrimSpace(text), err
}

// readSecret reads a secret's file as secrets does: it must be ours alone.
func readSecret(ctx context.Context, file string) (string, error) {
	abs, err := filepath.Abs(file)
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
	return v.Reveal(), nil
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

package launch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/hashicorp/go-plugin/runner"
)

// drain is how long output is read on after the process has ended. A grandchild
// that holds the pipe must not keep go-plugin waiting for its end.
const drain = 250 * time.Millisecond

// child runs one image for go-plugin. go-plugin's own runner inherits stdin and
// starts from any thread; this one does neither.
type child struct {
	launcher *Launcher
	image    *image
	argv     []string
	env      []string
	// sockets is the directory that go-plugin made for this child.
	sockets string

	stdout, stderr *os.File
	addr           string

	mu   sync.Mutex
	proc *os.Process
	pid  int
	// reaped: the number may belong to somebody else now.
	reaped bool
	// exited is closed when the process is gone.
	exited chan struct{}
	state  *os.ProcessState
	shut   sync.Once
}

var _ runner.Runner = (*child)(nil)

// Start starts the process on the launcher's thread.
func (c *child) Start(ctx context.Context) error {
	null, err := os.Open(os.DevNull)
	if err != nil {
		return err
	}
	defer func() { _ = null.Close() }()
	outR, outW, err := os.Pipe()
	if err != nil {
		return err
	}
	defer func() { _ = outW.Close() }()
	errR, errW, err := os.Pipe()
	if err != nil {
		_ = outR.Close()
		return err
	}
	defer func() { _ = errW.Close() }()
	c.stdout, c.stderr = outR, errR
	attr := &os.ProcAttr{Dir: "/", Env: c.env, Files: []*os.File{null, outW, errW}, Sys: sysProcAttr()}
	var proc *os.Process
	onErr := c.launcher.on(ctx, func() { proc, err = os.StartProcess(c.image.path, c.argv, attr) })
	if err := errors.Join(onErr, err); err != nil {
		c.closePipes()
		return fmt.Errorf("starting the connector: %w", err)
	}
	c.mu.Lock()
	c.proc, c.pid = proc, proc.Pid
	c.mu.Unlock()
	limitErr := limit(proc.Pid, c.launcher.opts)
	go c.reap()
	if limitErr != nil {
		c.kill()
		return limitErr
	}
	return nil
}

// reap waits for the end of the process, ends what is left of its group while
// the number is still its own, and takes it from the kernel.
func (c *child) reap() {
	waitExit(c.proc)
	c.mu.Lock()
	_ = syscall.Kill(-c.pid, syscall.SIGKILL)
	c.reaped = true
	c.state, _ = c.proc.Wait()
	c.mu.Unlock()
	close(c.exited)
	time.AfterFunc(drain, c.closePipes)
}

// kill ends the process and its group at once. It may be called at any time and
// more than once.
func (c *child) kill() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.proc == nil || c.reaped {
		return
	}
	_ = syscall.Kill(-c.pid, syscall.SIGKILL)
	_ = c.proc.Kill()
}

func (c *child) closePipes() {
	c.shut.Do(func() {
		_ = c.stdout.Close()
		_ = c.stderr.Close()
	})
}

// Wait is called by go-plugin when both pipes have ended.
func (c *child) Wait(context.Context) error {
	<-c.exited
	c.closePipes()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state != nil && !c.state.Success() {
		return errors.New(c.state.String())
	}
	return nil
}

// Kill is kill.
func (c *child) Kill(context.Context) error { c.kill(); return nil }

// Stdout is read by go-plugin, for the handshake and then for nothing.
func (c *child) Stdout() io.ReadCloser { return c.stdout }

// Stderr is read by go-plugin, which hands it to output.
func (c *child) Stderr() io.ReadCloser { return c.stderr }

// Name is the program's name.
func (c *child) Name() string { return filepath.Base(c.argv[0]) }

// ID is the process id, empty before the start.
func (c *child) ID() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.proc == nil {
		return ""
	}
	return strconv.Itoa(c.pid)
}

// Diagnose adds nothing: go-plugin's guesses do not fit here.
func (c *child) Diagnose(context.Context) string { return "" }

// PluginToHost takes the address of the handshake. The connector chose it, and
// the host dials it: it must be a socket in the directory made for this child.
func (c *child) PluginToHost(network, addr string) (string, string, error) {
	if network != "unix" || filepath.Dir(filepath.Clean(addr)) != filepath.Clean(c.sockets) {
		return "", "", fmt.Errorf("%w: it asks to be dialled at %s %q, which is not its own socket", ErrRefused, CleanText(network, 16), CleanText(addr, 128))
	}
	c.addr = addr
	return network, addr, nil
}

// HostToPlugin would serve the broker, which is cut off.
func (c *child) HostToPlugin(network, addr string) (string, string, error) {
	return network, addr, nil
}

// exit says how the process ended, for the log.
func (c *child) exit() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state == nil {
		return "running"
	}
	return c.state.String()
}

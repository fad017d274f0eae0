package app

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"
)

// children are the processes of a demo. They are started from one thread that
// lives as long as they do: a process that asks for its parent's death is told of
// its thread's.
type children struct {
	dir    string
	starts chan func()
	list   []*child
}

// child is one process, in a group of its own, so that Ctrl-C reaches the demo
// alone and the demo ends the others in order.
type child struct {
	name string
	cmd  *exec.Cmd
	log  string
	// over is closed once it has ended; err is then how.
	over chan struct{}
	err  error
}

func newChildren(dir string) *children {
	c := &children{dir: dir, starts: make(chan func())}
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		for f := range c.starts {
			f()
		}
	}()
	return c
}

// program finds a program beside this one.
func program(name string) (string, error) {
	self, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("find the programs of the demo: %w", err)
	}
	path := filepath.Join(filepath.Dir(self), name)
	if _, err := os.Stat(path); err != nil {
		return "", failed(ExitFailed, "%s is not beside this program (%v); make build makes all of them", name, err)
	}
	return path, nil
}

// start starts a program and reads the line of JSON with which it says that it is
// ready into ready.
func (c *children) start(ctx context.Context, name, path string, ready any, args ...string) error {
	p := &child{name: name, cmd: exec.Command(path, args...), log: filepath.Join(c.dir, name+".log"), over: make(chan struct{})} //nolint:gosec,noctx // our own program; it is ended in order, not killed by a context
	p.cmd.Dir, p.cmd.SysProcAttr = c.dir, ownGroup()
	p.cmd.Env = append(os.Environ(), "TMPDIR="+shortTemp())
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return fmt.Errorf("start %s: %w", name, err)
	}
	log, err := os.OpenFile(p.log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("start %s: %w", name, err)
	}
	p.cmd.Stderr = log
	began := make(chan error, 1)
	c.starts <- func() { began <- p.cmd.Start() }
	err = <-began
	_ = log.Close()
	if err != nil {
		return fmt.Errorf("start %s: %w", name, err)
	}
	c.list = append(c.list, p)
	line := make(chan []byte, 1)
	go func() {
		r := bufio.NewReader(out)
		first, _ := r.ReadBytes('\n')
		line <- first
		_, _ = io.Copy(io.Discard, r)
		p.err = p.cmd.Wait()
		close(p.over)
	}()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case first := <-line:
		if json.Unmarshal(first, ready) != nil {
			return failed(ExitFailed, "%s did not start:\n%s", name, p.lastWords())
		}
	case <-time.After(60 * time.Second):
		return failed(ExitFailed, "%s was not ready within a minute:\n%s", name, p.lastWords())
	}
	return nil
}

// shortTemp is a directory for sockets: the system's, or /tmp where that one's
// path is too long.
func shortTemp() string {
	if dir := os.TempDir(); len(dir) <= 32 {
		return dir
	}
	return "/tmp"
}

// lastWords is the end of a process's log.
func (p *child) lastWords() string {
	raw, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	list := strings.Split(string(bytes.TrimSpace(raw)), "\n")
	return strings.Join(list[max(0, len(list)-8):], "\n")
}

// died says which process ended though nobody asked it to.
func (c *children) died() error {
	for _, p := range c.list {
		select {
		case <-p.over:
			return failed(ExitFailed, "%s ended by itself (%v):\n%s", p.name, p.err, p.lastWords())
		default:
		}
	}
	return nil
}

// stop ends all, the last first: by asking, and by force where that takes long.
func (c *children) stop() error {
	var errs []error
	for _, p := range slices.Backward(c.list) {
		select {
		case <-p.over:
			continue
		default:
		}
		_ = p.cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-p.over:
		case <-time.After(15 * time.Second):
			_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
			<-p.over
			errs = append(errs, fmt.Errorf("%s did not end by itself and was killed", p.name))
		}
	}
	c.list = nil
	close(c.starts)
	return errors.Join(errs...)
}

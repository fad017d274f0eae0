package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"

	"github.com/quell-soar/quell/server/api"
)

// The exit codes; the package comment tells them.
const (
	ExitOK          = 0
	ExitFailed      = 1
	ExitUsage       = 2
	ExitRefused     = 3
	ExitUnreachable = 4
	ExitUnknown     = 5
	ExitInterrupted = 130
)

// Error is a command's failure with the exit code that it asks for.
type Error struct {
	Code int
	// Message says what was wrong, where, and what to do next. Empty where the
	// command has said everything on its output.
	Message string
	Err     error
}

func (e *Error) Error() string {
	if e.Err == nil || e.Message == "" {
		return e.Message
	}
	return e.Message + ": " + e.Err.Error()
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

// usage is a failure by wrong use.
func usage(format string, args ...any) error {
	return &Error{Code: ExitUsage, Message: fmt.Sprintf(format, args...)}
}

// failed is a failure that the command explains.
func failed(code int, format string, args ...any) error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

// quiet ends with a code after everything was said.
func quiet(code int) error { return &Error{Code: code} }

// exitCode is the code that an error asks for.
func exitCode(err error) int {
	var own *Error
	var problem *api.Error
	var away *api.Unreachable
	switch {
	case err == nil:
		return ExitOK
	case errors.As(err, &own):
		return own.Code
	case errors.Is(err, context.Canceled):
		return ExitInterrupted
	case errors.As(err, &problem):
		return problemCode(problem)
	case errors.As(err, &away), errors.Is(err, context.DeadlineExceeded):
		return ExitUnreachable
	}
	return ExitFailed
}

func problemCode(p *api.Error) int {
	switch {
	case p.Refused():
		return ExitRefused
	case p.Temporary():
		return ExitUnreachable
	case p.Code == api.CodeInvalid, p.Code == api.CodeNotFound, p.Code == api.CodeTooLarge:
		return ExitUsage
	}
	return ExitFailed
}

// uncertain marks a failed call that changes something: where the request may
// have arrived, it is not known whether it was done. next says how to find out.
func uncertain(err error, next string) error {
	var away *api.Unreachable
	if !errors.As(err, &away) {
		return err
	}
	var op *net.OpError
	if errors.As(away.Err, &op) && op.Op == "dial" {
		return err // it never left
	}
	return &Error{Code: ExitUnknown, Message: "it is not known whether this was done; " + next, Err: err}
}

// lists are the commands that show what there is, by how the server's words begin
// where one thing was not found.
var lists = [][2]string{{"run ", "quell run list"}, {"alert ", "quell alert list"}, {"there is no connector instance", "quell connector list"}}

// report prints an error as the output format wants it.
func report(w io.Writer, format string, err error) {
	code := exitCode(err)
	text := err.Error()
	if code == ExitInterrupted {
		text = "interrupted"
	}
	var problem *api.Error
	errors.As(err, &problem)
	if format == outputJSON {
		out := struct {
			Error   string   `json:"error"`
			Exit    int      `json:"exit"`
			Code    api.Code `json:"code,omitempty"`
			Request string   `json:"request,omitempty"`
		}{Error: text, Exit: code}
		if problem != nil {
			out.Code, out.Request = problem.Code, problem.Request
		}
		enc := json.NewEncoder(w)
		_ = enc.Encode(out)
		return
	}
	if text == "" {
		return
	}
	_, _ = fmt.Fprintf(w, "quell: %s\n", lines(text))
	if problem == nil {
		return
	}
	if problem.Code == api.CodeUnauthenticated {
		_, _ = fmt.Fprintln(w, "  next: name the file of a token with --token-file or QUELL_TOKEN_FILE, or use the unix socket")
	}
	if problem.Code == api.CodeNotFound {
		for _, known := range lists {
			if strings.HasPrefix(problem.Detail, known[0]) {
				_, _ = fmt.Fprintf(w, "  next: %s shows those that there are\n", known[1])
			}
		}
	}
	if problem.RetryAfter > 0 {
		_, _ = fmt.Fprintf(w, "  next: try again in %s\n", problem.RetryAfter)
	}
	if problem.Request != "" {
		_, _ = fmt.Fprintf(w, "  request: %s\n", clean(problem.Request))
	}
}

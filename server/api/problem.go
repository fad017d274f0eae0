package api

import (
	"fmt"
	"net/http"
	"time"
)

// Code says what went wrong, for programs. It is stable; Title and Detail are
// for people and may change.
type Code string

// The codes of problems.
const (
	// CodeInvalid: the request has not the form that the route asks for.
	CodeInvalid Code = "invalid"
	// CodeUnauthenticated: no token, an unknown, expired or revoked one, or a
	// signature that does not hold.
	CodeUnauthenticated Code = "unauthenticated"
	// CodeForbidden: the token is good and may not do this.
	CodeForbidden Code = "forbidden"
	// CodeSelfApproval: who asked for a thing cannot approve it.
	CodeSelfApproval Code = "self_approval"
	// CodeSignInAgain: the sign-in is too old for this decision; sign in again.
	CodeSignInAgain Code = "sign_in_again"
	// CodeSealChanged: what would be done changed since it was shown; look again.
	CodeSealChanged Code = "seal_changed"
	// CodeDenied: a guard, a mode or a limit says no.
	CodeDenied Code = "denied"
	// CodeNotFound: there is no such thing, or not for this token.
	CodeNotFound Code = "not_found"
	// CodeConflict: the thing is in a state that excludes this.
	CodeConflict Code = "conflict"
	// CodeTooLarge: the body is longer than the route takes.
	CodeTooLarge Code = "too_large"
	// CodeRateLimited: come back after Retry-After. Nothing was stored.
	CodeRateLimited Code = "rate_limited"
	// CodeNotReady: a part that the request needs is down. Trying again may work.
	CodeNotReady Code = "not_ready"
	// CodeInternal: a fault of Quell; the request id finds it in the log.
	CodeInternal Code = "internal"
)

// ProblemType is the media type of an error's body.
const ProblemType = "application/problem+json"

// Error is a problem as RFC 9457 has it. It is the body of every answer that is
// not a success, and the error that the client returns for it.
type Error struct {
	// Type is a URI that names the problem: "urn:quell:problem:" and the code.
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	// Detail says what was wrong, where, and what to do next.
	Detail string `json:"detail,omitempty"`
	Code   Code   `json:"code"`
	// Request is the request's id, as it stands in the log and the ledger.
	Request string `json:"request,omitempty"`
	// RetryAfter is what the header of that name said, 0 without one.
	RetryAfter time.Duration `json:"-"`
}

func (e *Error) Error() string {
	if e.Detail == "" {
		return fmt.Sprintf("%s (%s)", e.Title, e.Code)
	}
	return e.Detail
}

// GetStatus is the HTTP status, for the library that writes answers.
func (e *Error) GetStatus() int { return e.Status }

// ContentType is the media type of a problem whatever was asked for.
func (e *Error) ContentType(string) string { return ProblemType }

// Refused reports whether the server understood and said no: a missing right,
// a guard, one's own request. The command line exits with 3 for it.
func (e *Error) Refused() bool {
	switch e.Code {
	case CodeUnauthenticated, CodeForbidden, CodeSelfApproval, CodeSealChanged, CodeDenied, CodeSignInAgain:
		return true
	}
	return false
}

// Temporary reports whether the same request may succeed later.
func (e *Error) Temporary() bool { return e.Code == CodeRateLimited || e.Code == CodeNotReady }

// Problem builds an Error for a code; detail says what, where, what next.
func Problem(code Code, detail string) *Error {
	s := statusOf(code)
	return &Error{Type: "urn:quell:problem:" + string(code), Title: http.StatusText(s), Status: s, Detail: detail, Code: code}
}

func statusOf(code Code) int {
	switch code {
	case CodeInvalid:
		return http.StatusBadRequest
	case CodeUnauthenticated:
		return http.StatusUnauthorized
	case CodeForbidden, CodeSelfApproval, CodeDenied, CodeSignInAgain:
		return http.StatusForbidden
	case CodeNotFound:
		return http.StatusNotFound
	case CodeConflict, CodeSealChanged:
		return http.StatusConflict
	case CodeTooLarge:
		return http.StatusRequestEntityTooLarge
	case CodeRateLimited:
		return http.StatusTooManyRequests
	case CodeNotReady:
		return http.StatusServiceUnavailable
	}
	return http.StatusInternalServerError
}

// Unreachable says that no answer came. The command line exits with 4 for it.
type Unreachable struct {
	// Where is the socket's path or the server's URL.
	Where string
	Err   error
}

func (e *Unreachable) Error() string {
	return fmt.Sprintf("no answer from %s: %v; is quell serve running there?", e.Where, e.Err)
}

// Unwrap gives the cause.
func (e *Unreachable) Unwrap() error { return e.Err }

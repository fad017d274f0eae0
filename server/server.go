package server

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"log"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/rs/zerolog"

	"github.com/quell-soar/quell/internal/answers"
	"github.com/quell-soar/quell/internal/auth"
	"github.com/quell-soar/quell/internal/signin"
)

// Config is what the installation says about the API.
type Config struct {
	// Tenant is whose runs these are.
	Tenant string
	// Socket is the path of the unix socket, empty for none. Its directory is
	// made with mode 0700 and must belong to the server's uid.
	Socket string
	// Listen is an address such as 127.0.0.1:7878, empty for none. One that is
	// not loopback needs TLS.
	Listen string
	// TLS serves TCP with certificates; nil serves it plain.
	TLS *tls.Config
	// Hosts are further names under which a proxy reaches us.
	Hosts []string
	// Origins are the origins whose browsers may call.
	Origins []string
	// MaxAlert bounds the body of an alert; 0 means 1 MiB.
	MaxAlert int64
	// BodyTime is how long a request may take to arrive; 0 means 15 s.
	BodyTime time.Duration
	// AnswerTime is how long an answer may take; 0 means 30 s. Streams renew
	// it with each piece.
	AnswerTime time.Duration
	// Version is what health answers.
	Version string
}

// Access says who may come in. Tokens is needed; what else is nil is not served.
type Access struct {
	Tokens *auth.Tokens
	// Duties lists the duties that an actor has now, as oncall.NAME; nil gives none.
	Duties interface{ Of(actor string) []string }
	// LocalRoles are the roles of a person at the unix socket.
	LocalRoles []string
	// Rights narrow who launches and decides; nil leaves it to the playbooks.
	Rights *auth.Rights
	// People links the ways in which one person comes; nil links none.
	People *auth.People
	// Sessions and SignIn let people in with a browser; both or neither.
	Sessions *auth.Sessions
	SignIn   SignIn
	// Fresh is how old a sign-in may be for approving effects; 0 means 15 min.
	Fresh time.Duration
	// Landing is where a browser goes after a sign-in, a path; default /v1/whoami.
	Landing string
	// First is the door for the first admin; nil keeps it shut.
	First *auth.First
}

// SignIn is an identity provider; signin.Provider is one.
type SignIn interface {
	Begin(ctx context.Context, again bool) (location, ticket string, err error)
	Finish(ctx context.Context, ticket, state, code string) (signin.Identity, error)
	Recheck(ctx context.Context, was signin.Identity) (signin.Identity, error)
}

// Server answers the API.
type Server struct {
	cfg       Config
	access    Access
	log       zerolog.Logger
	runs      *runsAPI
	people    *peopleAPI
	operate   *operateAPI
	alerts    *alertsAPI
	guard     *guardAPI
	playbooks *playbookAPI
	plans     *plansAPI
	sessions  *sessionAPI
	refusals  *refusals
	limits    *limits
	answers   *answers.Answers
	failures  *auth.Failures
	huma      huma.API
	gate      *gate
}

// withDefaults fills what the configuration leaves open.
func (c Config) withDefaults() Config {
	if c.MaxAlert == 0 {
		c.MaxAlert = 1 << 20
	}
	if c.BodyTime == 0 {
		c.BodyTime = 15 * time.Second
	}
	if c.AnswerTime == 0 {
		c.AnswerTime = 30 * time.Second
	}
	return c
}

// Handler gives the API without listeners, for tests and for an own listener.
// Over TCP it must be served by [Server.Serve]'s http.Server for its deadlines.
func (s *Server) Handler() http.Handler { return s.gate }

// Serve listens and answers until ctx is done, then lets requests in hand end
// within five seconds. ready, which may be nil, is called once both listeners
// are open, with the address of TCP or "".
func (s *Server) Serve(ctx context.Context, ready func(tcp string)) error {
	listeners, err := s.listen(ctx)
	if err != nil {
		return err
	}
	srv := s.httpServer(ctx)
	failed := make(chan error, len(listeners))
	var wg sync.WaitGroup
	tcp := ""
	for _, l := range listeners {
		if a, ok := l.Addr().(*net.TCPAddr); ok {
			tcp = a.String()
		}
		wg.Go(func() {
			if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
				failed <- fmt.Errorf("serve %s: %w", l.Addr(), err)
			}
		})
	}
	if ready != nil {
		ready(tcp)
	}
	select {
	case <-ctx.Done():
	case err = <-failed:
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if srv.Shutdown(last) != nil {
		_ = srv.Close()
	}
	wg.Wait()
	return err
}

func (s *Server) httpServer(ctx context.Context) *http.Server {
	return &http.Server{
		Handler: s.gate, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: s.cfg.BodyTime, WriteTimeout: s.cfg.AnswerTime,
		IdleTimeout: time.Minute, MaxHeaderBytes: 16 << 10,
		ErrorLog: log.New(httpErrors{s.log}, "", 0), //nolint:forbidigo // net/http takes no other; it writes into s.log
		// Streams end with the server: Shutdown alone would wait for them.
		BaseContext: func(net.Listener) context.Context { return ctx },
		ConnContext: func(ctx context.Context, c net.Conn) context.Context { return context.WithValue(ctx, connKey{}, c) },
	}
}

// httpErrors takes what net/http says of connections, such as a handshake that
// failed, into our log. Whoever can connect can write it, so it is no warning.
type httpErrors struct{ log zerolog.Logger }

// Write implements io.Writer, a line at a time.
func (e httpErrors) Write(line []byte) (int, error) {
	e.log.Debug().Str("part", "http").Msg(strings.TrimSpace(string(line)))
	return len(line), nil
}

func (s *Server) listen(ctx context.Context) ([]net.Listener, error) {
	var out []net.Listener
	closeAll := func() {
		for _, l := range out {
			_ = l.Close()
		}
	}
	var lc net.ListenConfig
	if s.cfg.Socket != "" {
		l, err := listenUnix(ctx, s.cfg.Socket)
		if err != nil {
			return nil, err
		}
		out = append(out, l)
	}
	if s.cfg.Listen != "" {
		a, err := netip.ParseAddrPort(s.cfg.Listen)
		if err != nil || (!a.Addr().IsLoopback() && s.cfg.TLS == nil) {
			closeAll()
			return nil, fmt.Errorf("listen %s: not a loopback address with a port such as 127.0.0.1:7878; access.tls with a certificate serves others", s.cfg.Listen)
		}
		l, err := lc.Listen(ctx, "tcp", s.cfg.Listen)
		if err != nil {
			closeAll()
			return nil, fmt.Errorf("listen: %w", err)
		}
		if s.cfg.TLS != nil {
			l = tls.NewListener(l, s.cfg.TLS)
		}
		out = append(out, l)
	}
	if len(out) == 0 {
		return nil, errors.New("server: neither a socket nor an address to listen on is configured")
	}
	return out, nil
}

// listenUnix opens the socket so that at no moment another user can reach it:
// the directory is closed to others before the socket exists.
func listenUnix(ctx context.Context, path string) (net.Listener, error) {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("socket: %w", err)
	}
	st, err := os.Lstat(dir)
	if err != nil {
		return nil, fmt.Errorf("socket: %w", err)
	}
	if !st.IsDir() || st.Mode().Perm() != 0o700 {
		return nil, fmt.Errorf("socket: %s has mode %#o; it must be a directory with mode 0700 (chmod 700 %s)", dir, st.Mode().Perm(), dir)
	}
	if err := removeStale(ctx, path); err != nil {
		return nil, err
	}
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "unix", path)
	if err != nil {
		return nil, fmt.Errorf("socket: %w", err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		_ = l.Close()
		return nil, fmt.Errorf("socket: %w", err)
	}
	return l, nil
}

// removeStale removes the socket of a server that is gone, and nothing else.
func removeStale(ctx context.Context, path string) error {
	st, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("socket: %w", err)
	}
	if st.Mode().Type() != fs.ModeSocket {
		return fmt.Errorf("socket: %s is there and is no socket; name another path", path)
	}
	d := net.Dialer{Timeout: time.Second}
	if c, err := d.DialContext(ctx, "unix", path); err == nil {
		_ = c.Close()
		return fmt.Errorf("socket: another server answers on %s", path)
	}
	if err := os.Remove(path); err != nil {
		return fmt.Errorf("socket: %w", err)
	}
	return nil
}

func itoa(n int) string { return strconv.Itoa(n) }

package serve

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"maps"
	"net"
	"net/url"
	"os"
	"slices"
	"time"

	"github.com/quell-soar/quell/connectors/sdk/reach"
	"github.com/quell-soar/quell/connectors/sdk/secret"
	"github.com/quell-soar/quell/internal/auth"
	"github.com/quell-soar/quell/internal/config"
	"github.com/quell-soar/quell/internal/egress"
	"github.com/quell-soar/quell/internal/signin"
	"github.com/quell-soar/quell/server"
)

// accessOf turns what the configuration says about people into the doors of the
// API.
func accessOf(ctx context.Context, cfg *config.Config, r *rooms) (server.Access, error) {
	tokens := auth.NewTokens(r.db, r.ledger, cfg.Tenant, time.Now)
	onDuty, err := dutiesOf(cfg)
	if err != nil {
		return server.Access{}, err
	}
	a := server.Access{
		Tokens: tokens, Duties: onDuty, LocalRoles: cfg.Access.LocalRoles,
		First: auth.NewFirst(tokens), Fresh: time.Duration(cfg.Access.OIDC.Fresh),
	}
	playbooks := map[string]auth.PlaybookRights{}
	for name, p := range cfg.Access.Playbooks {
		playbooks[name] = auth.PlaybookRights{Launch: p.Launch, Approve: p.Approve}
	}
	if a.Rights, err = auth.NewRights(cfg.Access.Roles, playbooks); err != nil {
		return a, fmt.Errorf("access.roles: %w", err)
	}
	var people []auth.Person
	for _, name := range slices.Sorted(maps.Keys(cfg.Access.People)) {
		p := cfg.Access.People[name]
		people = append(people, auth.Person{Name: name, Subject: p.Subject, UID: p.UID, Certificate: p.Certificate, Roles: p.Roles})
	}
	if a.People, err = auth.NewPeople(people); err != nil {
		return a, fmt.Errorf("access.people: %w", err)
	}
	if cfg.Access.OIDC.Issuer == "" {
		return a, nil
	}
	a.Sessions = auth.NewSessions(r.db, r.ledger, cfg.Tenant, auth.SessionLimits{Idle: time.Duration(cfg.Access.Sessions.Idle), Life: time.Duration(cfg.Access.Sessions.Life)}, time.Now)
	if a.SignIn, err = signInOf(ctx, cfg.Access.OIDC); err != nil {
		return a, fmt.Errorf("access.oidc: %w", err)
	}
	return a, nil
}

func signInOf(ctx context.Context, o config.OIDC) (*signin.Provider, error) {
	dial, err := reachOf(o)
	if err != nil {
		return nil, err
	}
	var key secret.Value
	if !o.ClientSecret.IsZero() {
		if key, err = o.ClientSecret.Resolve(ctx); err != nil {
			return nil, fmt.Errorf("client_secret: %w", err)
		}
	}
	return signin.New(signin.Options{
		Issuer: o.Issuer, ClientID: o.ClientID, Secret: key, Redirect: o.Redirect, GroupsClaim: o.GroupsClaim, Scopes: o.Scopes, Roles: o.Roles, Dial: dial,
	})
}

// reachOf dials the issuer and the endpoints that the configuration names, and
// nothing else, whatever the provider's discovery document says.
func reachOf(o config.OIDC) (func(context.Context, string, string) (net.Conn, error), error) {
	issuer, err := url.Parse(o.Issuer)
	if err != nil {
		return nil, err
	}
	port := issuer.Port()
	if port == "" {
		port = map[string]string{"https": "443", "http": "80"}[issuer.Scheme]
	}
	places := append([]string{net.JoinHostPort(issuer.Hostname(), port)}, o.Endpoints...)
	var list []egress.Destination
	for _, p := range places {
		host, _, err := reach.Split(p)
		if err != nil {
			return nil, fmt.Errorf("access.oidc: %w", err)
		}
		list = append(list, egress.Destination{Name: "oidc " + p, Address: p, Reach: reach.Named(host)})
	}
	d, err := egress.New(egress.Options{}, list...)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context, _, address string) (net.Conn, error) { return d.Dial(ctx, "oidc "+address) }, nil
}

// tlsOf reads the certificates that TCP is served with, nil for none.
func tlsOf(t config.ServerTLS) (*tls.Config, error) {
	if t.Cert == "" {
		return nil, nil
	}
	pair, err := tls.LoadX509KeyPair(t.Cert, t.Key)
	if err != nil {
		return nil, fmt.Errorf("access.tls: %w", err)
	}
	out := &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"}}
	if t.Clients != "" {
		raw, err := os.ReadFile(t.Clients)
		if err != nil {
			return nil, fmt.Errorf("access.tls.clients: %w", err)
		}
		out.ClientCAs = x509.NewCertPool()
		if !out.ClientCAs.AppendCertsFromPEM(raw) {
			return nil, fmt.Errorf("access.tls.clients: %s holds no certificate in PEM", t.Clients)
		}
		out.ClientAuth = tls.VerifyClientCertIfGiven
	}
	return out, nil
}

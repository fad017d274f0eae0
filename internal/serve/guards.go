package serve

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/quell-soar/quell/activities"
	"github.com/quell-soar/quell/connectors/host"
	"github.com/quell-soar/quell/internal/config"
	"github.com/quell-soar/quell/internal/guard"
	"github.com/quell-soar/quell/internal/guard/subject"
	"github.com/quell-soar/quell/internal/own"
	"github.com/quell-soar/quell/internal/runs"
	"github.com/quell-soar/quell/internal/store"
)

// rulesOf turns the configuration into guards. dsn is the database's, or empty.
func rulesOf(ctx context.Context, cfg *config.Config, dsn string, log zerolog.Logger) (guard.Rules, error) {
	g := cfg.Guards
	r := guard.Rules{
		Protected: g.Protected.All(), Own: ownOf(ctx, cfg, dsn, log), Tags: g.Protected.Tags, Groups: g.Protected.Groups,
		Domains: g.NeverBlock.Domains, URLs: g.NeverBlock.URLs, Senders: g.NeverBlock.Senders,
		Sources: map[string][]string{},
	}
	for _, c := range g.Rules {
		r.Conditions = append(r.Conditions, guard.Condition{Name: c.Name, When: c.When, Reason: c.Reason, Actions: c.Actions, Then: thenOf(c.Then)})
	}
	for _, name := range sorted(g.Budgets) {
		b := g.Budgets[name]
		r.Budgets = append(r.Budgets, guard.Budget{
			Name: name, Actions: b.Actions, Criticality: b.Criticality, Tags: b.Tags, Targets: b.Targets, Per: time.Duration(b.Per), Then: thenOf(b.Then),
		})
	}
	for i, f := range g.Freezes {
		freeze := guard.Freeze{From: f.From, To: f.To, Reason: f.Reason, Actions: f.Actions, Then: thenOf(f.Then)}
		if f.Weekly != "" {
			zone, err := time.LoadLocation(f.Zone)
			if err != nil {
				return r, fmt.Errorf("guards.freezes.%d.zone: %w", i, err)
			}
			if freeze.Weekly, err = subject.ParseWeek(f.Weekly, zone); err != nil {
				return r, fmt.Errorf("guards.freezes.%d.weekly: %w", i, err)
			}
		}
		r.Freezes = append(r.Freezes, freeze)
	}
	for name, s := range cfg.Sources {
		if s.Ceiling.Actions != nil {
			r.Sources[name] = s.Ceiling.Actions
		}
	}
	return r, nil
}

func thenOf(t config.Then) guard.Then {
	if t == config.AskFirst {
		return guard.AskFirst
	}
	return guard.Refuse
}

// accounts are the settings of connectors that name the account which Quell uses.
var accounts = []string{
	"account", "app_id", "application_id", "client_id", "email", "from", "login", "mail_from", "mailbox", "principal",
	"relay_from", "relay_user", "sender", "user", "username",
}

// ownOf lists the names and addresses of what Quell itself needs: this machine,
// the names under which it is reached, its database and Temporal cluster, the
// vendors' addresses, and the accounts of its connectors. Names that do not
// resolve protect by name alone.
func ownOf(ctx context.Context, cfg *config.Config, dsn string, log zerolog.Logger) []string {
	us := &ourselves{ctx: ctx, log: log}
	if name, err := os.Hostname(); err == nil {
		us.add(name)
	}
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		log.Warn().Err(err).Msg("this machine's addresses are not known; guards protect it by name only")
	}
	for _, a := range addrs {
		if n, ok := a.(*net.IPNet); ok {
			us.add(n.IP.String())
		}
	}
	for _, h := range cfg.Access.Hosts {
		us.host(h)
	}
	for _, o := range cfg.Access.Origins {
		us.url(o)
	}
	us.host(cfg.Listen)
	us.host(cfg.Temporal.Address)
	if dsn != "" {
		hosts, err := store.Hosts(dsn)
		if err != nil {
			log.Warn().Msg("the database's host is not known; guards do not protect it") // the error may quote the password
		}
		for _, h := range hosts {
			us.host(h)
		}
	}
	for _, name := range sorted(cfg.Connectors) {
		for key, v := range cfg.Connectors[name].Settings {
			if slices.Contains(accounts, key) && v != "" {
				us.add(v)
			}
			us.url(v)
		}
	}
	slices.Sort(us.list)
	return slices.Compact(us.list)
}

// ownNames collects names and addresses.
type ourselves struct {
	ctx  context.Context
	log  zerolog.Logger
	list []string
}

func (o *ourselves) add(text string) {
	if strings.TrimSpace(text) != "" {
		o.list = append(o.list, strings.TrimSpace(text))
	}
}

// host adds a host, which may stand with a port, and what it resolves to.
func (o *ourselves) host(text string) {
	if h, _, err := net.SplitHostPort(text); err == nil {
		text = h
	}
	text = strings.Trim(text, "[]")
	if text == "" || strings.ContainsAny(text, "/ ") {
		return
	}
	o.add(text)
	if net.ParseIP(text) == nil {
		o.resolve(text)
	}
}

// url adds the host of a URL; any other text is none.
func (o *ourselves) url(text string) {
	if u, err := url.Parse(text); err == nil && (u.Scheme == "http" || u.Scheme == "https") {
		o.host(u.Hostname())
	}
}

func (o *ourselves) resolve(name string) {
	ctx, cancel := context.WithTimeout(o.ctx, time.Second)
	defer cancel()
	addrs, err := net.DefaultResolver.LookupHost(ctx, name)
	if err != nil {
		o.log.Debug().Err(err).Str("host", name).Msg("does not resolve; guards protect it by name only")
		return
	}
	o.list = append(o.list, addrs...)
}

// charters tells what runs may do: as they were claimed, and as the configuration
// has it now. A run never changes what started it, so an answer is kept.
type charters struct {
	runs *runs.Runs
	book *book

	mu    sync.Mutex
	known map[string]chartered
}

// chartered is what never changes of a run.
type chartered struct {
	activities.Charter
	playbook string
}

// charter answers for one run on one instance. A run that is not in the store
// observes.
func (c *charters) charter(ctx context.Context, runID, instance string) (activities.Charter, error) {
	c.mu.Lock()
	ch, ok := c.known[runID]
	c.mu.Unlock()
	if !ok {
		rec, err := c.runs.Get(ctx, runID)
		if errors.Is(err, runs.ErrNotFound) {
			return activities.Charter{Mode: guard.Observe}, nil
		}
		if err != nil {
			return activities.Charter{}, err
		}
		ch = chartered{playbook: rec.Playbook, Charter: activities.Charter{
			Mode: guard.Mode(rec.Mode), Trigger: rec.Trigger.Kind, Source: rec.Trigger.Source, Severity: rec.Severity,
		}}
		c.keep(runID, ch)
	}
	ch.Mode = guard.Lowest(ch.Mode, c.book.mode(ch.playbook, ch.Trigger, ch.Source), instanceMode(c.book.cfg, instance))
	return ch.Charter, nil
}

// mostCharters bounds what is kept; it is soon read again.
const mostCharters = 4096

func (c *charters) keep(runID string, ch chartered) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.known == nil || len(c.known) >= mostCharters {
		c.known = map[string]chartered{}
	}
	c.known[runID] = ch
}

// instanceMode is the configured mode of an instance. Quell's own record is
// changed whatever the products may be told; the run's mode bounds it still.
func instanceMode(cfg *config.Config, instance string) guard.Mode {
	if instance == own.Instance {
		return guard.Act
	}
	if c, ok := cfg.Connectors[instance]; ok {
		return guard.Mode(c.Mode)
	}
	return guard.Observe
}

// factsFor reads what guards ask, through the connectors that the bindings name.
func factsFor(cfg *config.Config, h *host.Host, g *guard.Guard) *activities.Facts {
	return &activities.Facts{Needs: g, Host: h, Serving: func(action string) string {
		if instance, ok := cfg.Bound(action); ok {
			return instance
		}
		if served := h.Catalogue().Serving(action); len(served) == 1 {
			return served[0].Instance
		}
		return ""
	}}
}

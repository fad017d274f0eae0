package config

import (
	"maps"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/quell-soar/quell/connectors/spec/kind"
	"github.com/quell-soar/quell/internal/guard/subject"
	"github.com/quell-soar/quell/playbooks/expr"
)

// guardName is the form of the names of rules and budgets; they stand in the
// record.
var guardName = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,62}$`)

// fieldNames are the parts of an alert that can name targets.
var fieldNames = []string{"emails", "files", "hosts", "ips", "urls", "users"}

func (k *checker) guards(c *Config) {
	g := c.Guards
	k.protected(g.Protected)
	k.neverBlock(g.NeverBlock)
	k.rules(g.Rules)
	for _, name := range slices.Sorted(maps.Keys(g.Budgets)) {
		k.budget("guards.budgets."+name, name, g.Budgets[name])
	}
	for i, f := range g.Freezes {
		k.freeze("guards.freezes."+strconv.Itoa(i), f)
	}
}

func (k *checker) protected(p Protected) {
	for i, a := range p.Addresses {
		_, aerr := netip.ParseAddr(a)
		_, perr := netip.ParsePrefix(a)
		if aerr != nil && perr != nil {
			k.bad("guards.protected.addresses."+strconv.Itoa(i), "such as 192.0.2.1 or 10.0.0.0/8", "%s is neither an address nor a block", short(a))
		}
	}
	for _, l := range []struct {
		key  string
		list []string
	}{{"hosts", p.Hosts}, {"users", p.Users}, {"tags", p.Tags}, {"groups", p.Groups}} {
		for i, v := range l.list {
			if strings.TrimSpace(v) == "" || l.key == "hosts" && strings.Contains(v, "/") {
				help := ""
				if l.key == "hosts" {
					help = "addresses and blocks stand under addresses"
				}
				k.bad("guards.protected."+l.key+"."+strconv.Itoa(i), help, "%s is no name", short(v))
			}
		}
	}
}

func (k *checker) neverBlock(n NeverBlock) {
	for i, d := range n.Domains {
		if strings.TrimSpace(d) == "" || strings.ContainsAny(d, "/@: *") {
			k.bad("guards.never_block.domains."+strconv.Itoa(i), "such as partner.example; it stands for what is under it too", "%s is no domain", short(d))
		}
	}
	for i, t := range n.URLs {
		if u, err := url.Parse(t); err != nil || u.Hostname() == "" {
			k.bad("guards.never_block.urls."+strconv.Itoa(i), "such as https://partner.example/portal", "%s is no URL", short(t))
		}
	}
	for i, s := range n.Senders {
		if _, domain, ok := strings.Cut(s, "@"); !ok || domain == "" || strings.ContainsAny(domain, "@ ") {
			k.bad("guards.never_block.senders."+strconv.Itoa(i), "such as billing@partner.example, or @partner.example for all", "%s is no sender", short(s))
		}
	}
}

func (k *checker) rules(list []GuardRule) {
	seen := map[string]bool{}
	for i, r := range list {
		path := "guards.rules." + strconv.Itoa(i)
		if !guardName.MatchString(r.Name) || seen[r.Name] {
			k.bad(path, "a rule has a name of its own, such as tier-0; it stands in the record", "%s does not name the rule", short(r.Name))
		}
		seen[r.Name] = true
		_, bad := expr.NewRule(r.When, subject.Names())
		for _, b := range bad {
			if strings.HasPrefix(b.Message, "alert can be read") { // that is about playbooks
				b.Message, b.Help = "a guard cannot read the alert", "it knows the action, the target, and what started the run: source, trigger"
			}
			k.bad(path+".when", b.Help, "%s", b.Message)
		}
		k.patterns(path+".actions", r.Actions)
		k.then(path+".then", r.Then)
	}
}

func (k *checker) budget(path, name string, b Budget) {
	if !guardName.MatchString(name) {
		k.bad(path, "such as isolations", "%s is no budget's name", short(name))
	}
	if len(b.Actions) == 0 {
		k.bad(path+".actions", "such as [edr.isolate_host]", "say which actions it counts")
	}
	k.patterns(path+".actions", b.Actions)
	if b.Targets < 0 || b.Per <= 0 {
		k.bad(path, "such as targets: 5 and per: 1h", "a budget has a number of targets and a time")
	}
	for i, c := range b.Criticality {
		names, _ := kind.Of(kind.Criticality).Enum()
		k.oneOf(path+".criticality."+strconv.Itoa(i), c, names...)
	}
	k.then(path+".then", b.Then)
}

func (k *checker) freeze(path string, f Freeze) {
	k.patterns(path+".actions", f.Actions)
	k.then(path+".then", f.Then)
	zone, err := time.LoadLocation(f.Zone)
	if err != nil {
		k.bad(path+".zone", "such as Europe/Berlin", "there is no time zone %s", short(f.Zone))
		return
	}
	switch {
	case f.Weekly == "" && f.Zone != "":
		k.bad(path+".zone", "from and to carry their own offset", "only a weekly freeze has a zone")
	case f.Weekly == "" && !f.From.Before(f.To):
		k.bad(path, "", "a freeze needs from and to, and begins before it ends, or weekly")
	case f.Weekly != "" && (!f.From.IsZero() || !f.To.IsZero()):
		k.bad(path, "make two of it", "a weekly freeze has no from and to")
	case f.Weekly != "":
		if _, err := subject.ParseWeek(f.Weekly, zone); err != nil {
			k.bad(path+".weekly", `such as "Fri 18:00 - Mon 06:00"`, "%v", err)
		}
	}
}

// patterns checks what names actions: one, a domain, or all.
func (k *checker) patterns(path string, list []string) {
	for i, a := range list {
		if a != "*" && !actionForm.MatchString(a) {
			k.bad(path+"."+strconv.Itoa(i), "such as edr.isolate_host, edr or *", "%s is neither an action nor a domain", short(a))
		}
	}
}

func (k *checker) then(path string, t Then) {
	if t != "" {
		k.oneOf(path, string(t), string(Refuse), string(AskFirst))
	}
}

func (k *checker) ceiling(path string, c Ceiling) {
	if c.Severity != "" {
		names, _ := kind.Of(kind.Severity).Enum()
		k.oneOf(path+".severity", c.Severity, names...)
	}
	for i, f := range c.Fields {
		k.oneOf(path+".fields."+strconv.Itoa(i), f, fieldNames...)
	}
	for i, p := range c.Playbooks {
		k.playbook(path+".playbooks."+strconv.Itoa(i), p)
	}
	k.patterns(path+".actions", c.Actions)
}

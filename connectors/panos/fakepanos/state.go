package fakepanos

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/quell-soar/quell/connectors/fake"
)

// Admin is the administrator whose password the fake knows.
const Admin = "quell"

// Panos is the fake.
type Panos struct {
	world    *fake.World
	vendor   *fake.Vendor
	password string

	keys   map[string]bool
	serial int
	// tags are the addresses by tag.
	tags map[string]map[string]bool
	// groups are dynamic address groups with their match.
	groups map[string]string
	// running are the members of URL categories; staged are changes that wait for
	// a commit.
	running map[string][]string
	staged  []edit
	jobs    []*job
	// locked is who holds the lock on the configuration, if anybody.
	locked string
	// fails is what is wrong with the candidate, so that commits fail.
	fails string
}

// edit is one change of the candidate configuration.
type edit struct {
	admin, category, member string
	gone                    bool
}

type job struct {
	id      int
	until   time.Time
	failed  string
	carries []edit
	applied bool
}

// New makes a firewall with one administrator, a dynamic address group and an
// empty URL category, both named quell-block.
func New(w *fake.World, password string) *Panos {
	p := &Panos{
		world: w, password: password, keys: map[string]bool{}, tags: map[string]map[string]bool{},
		groups: map[string]string{"quell-blocked": "'quell-block'"}, running: map[string][]string{"quell-block": nil},
	}
	p.vendor = &fake.Vendor{
		Name: "panos", Authorize: p.authorize, Refused: refused, Dump: p.dump,
		Expire: func() { clear(p.keys) },
		Soft: func(*fake.Call) fake.Answer {
			return failure(http.StatusOK, "12", "the request was not carried out")
		},
	}
	w.Lag("panos.commit", 200*time.Millisecond)
	w.Lag("panos.latency", 0)
	w.Add(p.vendor)
	return p
}

// Tag gives an address a tag.
func (p *Panos) Tag(address, tag string) { p.world.Do(func() { p.setTag(address, tag, true) }) }

// List puts an entry into a URL category of the running configuration; an empty
// entry only makes the category.
func (p *Panos) List(category, entry string) {
	p.world.Do(func() {
		if entry != "" && !slices.Contains(p.running[category], entry) {
			p.running[category] = append(p.running[category], entry)
		} else if p.running[category] == nil {
			p.running[category] = nil
		}
	})
}

// Stage lets another administrator put an entry into the candidate
// configuration, without a commit.
func (p *Panos) Stage(admin, category, entry string) {
	p.world.Do(func() { p.staged = append(p.staged, edit{admin: admin, category: category, member: entry}) })
}

// Lock lets another administrator lock the configuration; "" unlocks it.
func (p *Panos) Lock(admin string) { p.world.Do(func() { p.locked = admin }) }

// Break makes commits fail with a reason; "" mends that.
func (p *Panos) Break(reason string) { p.world.Do(func() { p.fails = reason }) }

// Remove takes a URL category and all groups away.
func (p *Panos) Remove(category string) {
	p.world.Do(func() {
		delete(p.running, category)
		clear(p.groups)
	})
}

func (p *Panos) setTag(address, tag string, on bool) {
	if p.tags[tag] == nil {
		p.tags[tag] = map[string]bool{}
	}
	if on {
		p.tags[tag][address] = true
	} else {
		delete(p.tags[tag], address)
	}
}

// advance does what commits that have ended do.
func (p *Panos) advance() {
	now := p.world.Clock().Now()
	for _, j := range p.jobs {
		if j.applied || now.Before(j.until) {
			continue
		}
		j.applied = true
		if j.failed == "" {
			for _, e := range j.carries {
				p.running[e.category] = apply(p.running[e.category], e)
				p.staged = slices.DeleteFunc(p.staged, func(s edit) bool { return s == e })
			}
		}
	}
}

// busy reports whether a commit is under way.
func (p *Panos) busy() bool {
	return slices.ContainsFunc(p.jobs, func(j *job) bool { return !j.applied })
}

func apply(members []string, e edit) []string {
	out := slices.DeleteFunc(slices.Clone(members), func(m string) bool { return m == e.member })
	if !e.gone {
		out = append(out, e.member)
	}
	return out
}

// candidate are a category's members with all that is staged.
func (p *Panos) candidate(category string) []string {
	out := p.running[category]
	for _, e := range p.staged {
		if e.category == category {
			out = apply(out, e)
		}
	}
	return out
}

// dump lists what is configured, sorted; what is staged too, so that a change
// that was left lying is seen.
func (p *Panos) dump() any {
	p.advance()
	tags, urls, staged := map[string][]string{}, map[string][]string{}, []string{}
	for tag, addresses := range p.tags {
		if len(addresses) > 0 {
			tags[tag] = slices.Sorted(maps.Keys(addresses))
		}
	}
	for category, members := range p.running {
		urls[category] = slices.Sorted(slices.Values(members))
	}
	for _, e := range p.staged {
		staged = append(staged, fmt.Sprintf("%s %s %s gone=%s", e.admin, e.category, e.member, strconv.FormatBool(e.gone)))
	}
	return map[string]any{"tags": tags, "url_categories": urls, "staged": staged}
}

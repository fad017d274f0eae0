package fakeasset

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/quell-soar/quell/connectors/fake"
)

// Entry is a host or a user to seed.
type Entry struct {
	// Kind is host or user.
	Kind        string   `json:"kind"`
	Name        string   `json:"name"`
	Aliases     []string `json:"aliases,omitempty"`
	Criticality string   `json:"criticality,omitempty"`
	Owner       string   `json:"owner,omitempty"`
	Tags        []string `json:"tags,omitempty"`
	VIP         bool     `json:"vip,omitempty"`
}

// Inventory is the fake.
type Inventory struct {
	world   *fake.World
	vendor  *fake.Vendor
	token   string
	page    int
	entries []Entry
}

// New makes an empty inventory that accepts one token.
func New(w *fake.World, token string) *Inventory {
	i := &Inventory{world: w, token: token, page: 50}
	i.vendor = &fake.Vendor{
		Name: "asset", Authorize: i.authorize, Refused: refused, Dump: i.dump,
		Expire: func() {}, // the token is valid for years
		Soft: func(*fake.Call) fake.Answer {
			return fake.Answer{Status: http.StatusOK, Body: map[string]any{"error": "the database is away"}}
		},
	}
	w.Lag("asset.latency", 0)
	w.Add(i.vendor)
	return i
}

// Seed adds entries. Two of one name are two.
func (i *Inventory) Seed(entries ...Entry) error {
	for _, e := range entries {
		if e.Name == "" || e.Kind != "host" && e.Kind != "user" {
			return fmt.Errorf("an entry needs a name and a kind, host or user: %+v", e)
		}
	}
	i.world.Do(func() { i.entries = append(i.entries, entries...) })
	return nil
}

// Page sets how many entries one answer has at most.
func (i *Inventory) Page(n int) { i.world.Do(func() { i.page = n }) }

// Control serves the fake's side of the lab's control API:
//
//	POST /_lab/assets {"entries": [{"kind": "host", "name": "web-01", "criticality": "critical", "tags": ["pci"]}]}
func (i *Inventory) Control(mux *http.ServeMux) {
	mux.HandleFunc("POST /_lab/assets", func(w http.ResponseWriter, r *http.Request) {
		var in struct {
			Entries []Entry `json:"entries"`
		}
		err := fake.Read(w, r, &in)
		if err == nil {
			err = i.Seed(in.Entries...)
		}
		var n int
		i.world.Do(func() { n = len(i.entries) })
		fake.Reply(w, map[string]int{"entries": n}, err, http.StatusBadRequest)
	})
}

// Handler serves the inventory.
func (i *Inventory) Handler() http.Handler {
	mux := http.NewServeMux()
	for kind, path := range map[string]string{"host": "hosts", "user": "users"} {
		mux.Handle("GET /"+path, i.world.Handler(i.vendor, fake.Operation{
			Name: "find-" + path, Prepare: func(c *fake.Call) fake.Act { return i.find(kind, c) },
		}))
	}
	return mux
}

func refused(_ *fake.Call, status int, retry time.Duration) fake.Answer {
	a := fake.Answer{Status: status, Body: map[string]any{"error": strings.ToLower(http.StatusText(status))}}
	if status == http.StatusTooManyRequests {
		a.Header = map[string]string{"Retry-After": strconv.Itoa(int(max(retry, time.Second) / time.Second))}
	}
	return a
}

func (i *Inventory) authorize(c *fake.Call) *fake.Answer {
	if c.Header.Get("Authorization") == "Bearer "+i.token {
		return nil
	}
	a := refused(c, http.StatusUnauthorized, 0)
	return &a
}

// find answers the entries whose name or alias has the text in it, as inventories
// do.
func (i *Inventory) find(kind string, c *fake.Call) fake.Act {
	name := strings.ToLower(c.URL.Query().Get("name"))
	from, err := strconv.Atoi(c.URL.Query().Get("cursor"))
	if err != nil || from < 0 {
		from = 0
	}
	return fake.Act{Object: name, Run: func() fake.Done {
		hits := []Entry{}
		for _, e := range i.entries {
			has := func(s string) bool { return strings.Contains(strings.ToLower(s), name) }
			if e.Kind == kind && (has(e.Name) || slices.ContainsFunc(e.Aliases, has)) {
				hits = append(hits, e)
			}
		}
		from := min(from, len(hits))
		to := min(from+i.page, len(hits))
		body := map[string]any{"items": hits[from:to]}
		if to < len(hits) {
			body["next"] = strconv.Itoa(to)
		}
		return fake.Done{Answer: fake.Answer{Status: http.StatusOK, Body: body}}
	}}
}

func (i *Inventory) dump() any { return map[string]any{"entries": slices.Clone(i.entries)} }

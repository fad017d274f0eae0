package reference

import (
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"time"
)

// Secret is the credential that the vendor accepts.
const Secret = "reference-secret-0123456789"

// host is one machine of the vendor.
type host struct {
	ID       string `json:"id"`
	Name     string `json:"name"`
	Isolated bool   `json:"isolated"`
}

// Vendor is a stateful fake of a product that isolates hosts and rings a bell.
type Vendor struct {
	mu    sync.Mutex
	hosts []*host
	bells int
	token int
	// serial makes each token another.
	serial int
	fault  string
}

// NewVendor returns a vendor with three hosts, two of the same name.
func NewVendor() *Vendor {
	return &Vendor{hosts: []*host{{ID: "1", Name: "ws-1"}, {ID: "2", Name: "twin"}, {ID: "3", Name: "twin"}}}
}

// Fault makes the vendor misbehave: limit, expire, deny, soft, lost, slow; ""
// ends that.
func (v *Vendor) Fault(script string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.fault = script
	if script == "expire" {
		v.token, v.fault = -1, ""
	}
}

// World writes the state that effects change.
func (v *Vendor) World() string {
	v.mu.Lock()
	defer v.mu.Unlock()
	out := fmt.Sprintf("bells %d", v.bells)
	for _, h := range v.hosts {
		out += fmt.Sprintf("; %s isolated %v", h.ID, h.Isolated)
	}
	return out
}

// ServeHTTP is the vendor's API.
func (v *Vendor) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.fault == "slow" {
		// Without the lock: a slow vendor serves others.
		v.mu.Unlock()
		select {
		case <-time.After(3 * time.Second):
		case <-r.Context().Done():
		}
		v.mu.Lock()
	}
	if v.fault == "limit" {
		w.Header().Set("Retry-After", "2")
		http.Error(w, "slow down", http.StatusTooManyRequests)
		return
	}
	if r.URL.Path == "/token" {
		v.giveToken(w, r)
		return
	}
	if v.fault == "deny" || r.Header.Get("Authorization") != fmt.Sprintf("token %d", v.token) {
		http.Error(w, "no", http.StatusUnauthorized)
		return
	}
	v.serve(w, r)
}

func (v *Vendor) giveToken(w http.ResponseWriter, r *http.Request) {
	if v.fault == "deny" || r.Header.Get("Authorization") != Secret {
		http.Error(w, "no", http.StatusUnauthorized)
		return
	}
	v.serial++
	v.token = v.serial
	_ = json.NewEncoder(w).Encode(map[string]int{"token": v.token})
}

func (v *Vendor) serve(w http.ResponseWriter, r *http.Request) {
	change := r.Method != http.MethodGet
	if change && v.fault == "soft" {
		_ = json.NewEncoder(w).Encode(map[string]any{"error": "quota of isolations used up"})
		return
	}
	switch r.URL.Path {
	case "/bell":
		v.bells++
	case "/hosts":
		found := []*host{}
		for _, h := range v.hosts {
			if h.Name == r.URL.Query().Get("name") || h.ID == r.URL.Query().Get("id") {
				if change {
					h.Isolated = r.URL.Query().Get("isolated") == "true"
				}
				found = append(found, h)
			}
		}
		defer func() { _ = json.NewEncoder(w).Encode(map[string]any{"hosts": found}) }()
	}
	if change && v.fault == "lost" {
		panic(http.ErrAbortHandler) // the connection breaks without an answer
	}
}

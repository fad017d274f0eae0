package auth

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/quell-soar/quell/internal/ledger"
	"github.com/quell-soar/quell/internal/store"
	"github.com/quell-soar/quell/internal/store/storetest"
)

var admin = Actor{Name: "local:0", Scopes: []Scope{Admin}}

type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time { c.mu.Lock(); defer c.mu.Unlock(); return c.at }
func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

func TestTokenLife(t *testing.T) {
	storetest.Each(t, []store.Schema{Schema(), ledger.Schema()}, testTokenLife)
}

func testTokenLife(t *testing.T, db *store.DB) {
	l := openLedger(t, db)
	clk := &clock{at: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
	tk := NewTokens(db, l, "t", clk.now)
	tok, secret, err := tk.Create(t.Context(), admin, Wish{Name: "ci", User: "alice", Roles: []string{"analyst"}, Scopes: []Scope{Read, Launch}, Life: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(secret, Prefix) || len(secret) < len(Prefix)+52 {
		t.Errorf("the secret has the form %d characters", len(secret))
	}
	a, err := tk.Authenticate(t.Context(), secret)
	if err != nil || a.Name != "user:alice" || !a.Can(Read) || !a.Can(Launch) || a.Can(Approve) || a.Can(Admin) || !a.Has([]string{"x", "analyst"}) || a.Token != tok.ID {
		t.Fatalf("%+v, %v", a, err)
	}
	for _, bad := range []string{"", "quell_", secret + "x", secret[:len(secret)-1], strings.ToUpper(secret), strings.TrimPrefix(secret, Prefix), Prefix + strings.Repeat("a", 1<<20), tok.ID} {
		if _, err := tk.Authenticate(t.Context(), bad); !errors.Is(err, ErrToken) {
			t.Errorf("%.20q: %v", bad, err)
		}
	}
	if other := NewTokens(db, l, "t2", clk.now); true {
		if _, err := other.Authenticate(t.Context(), secret); !errors.Is(err, ErrToken) {
			t.Errorf("another tenant: %v", err)
		}
	}
	list, err := tk.List(t.Context())
	if err != nil || len(list) != 1 || !list[0].LastUsed.Equal(clk.now()) {
		t.Fatalf("%+v, %v", list, err)
	}
	clk.pass(30 * time.Second)
	used := list[0].LastUsed
	if _, err := tk.Authenticate(t.Context(), secret); err != nil {
		t.Fatal(err)
	}
	if list, _ = tk.List(t.Context()); !list[0].LastUsed.Equal(used) {
		t.Error("the last use is written more than once a minute")
	}
	clk.pass(time.Hour)
	if _, err := tk.Authenticate(t.Context(), secret); !errors.Is(err, ErrToken) {
		t.Errorf("expired: %v", err)
	}
}

func TestRevoke(t *testing.T) {
	db, l := openStore(t)
	tk := NewTokens(db, l, "t", time.Now)
	tok, secret, err := tk.Create(t.Context(), admin, Wish{Name: "a", User: "bob", Scopes: []Scope{Read}})
	if err != nil {
		t.Fatal(err)
	}
	var refused *RefusedError
	if err := tk.Revoke(t.Context(), Actor{Name: "user:bob", Scopes: []Scope{Read}}, tok.ID); !errors.As(err, &refused) {
		t.Errorf("%v", err)
	}
	if err := tk.Revoke(t.Context(), admin, tok.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := tk.Authenticate(t.Context(), secret); !errors.Is(err, ErrToken) {
		t.Errorf("revoked: %v", err)
	}
	if err := tk.Revoke(t.Context(), admin, tok.ID); !errors.Is(err, ErrNoToken) {
		t.Errorf("again: %v", err)
	}
	if _, _, err := tk.Create(t.Context(), admin, Wish{Name: "a", User: "bob", Scopes: []Scope{Read}}); err != nil {
		t.Errorf("the name of a revoked token: %v", err)
	}
}

func TestWishes(t *testing.T) {
	db, l := openStore(t)
	tk := NewTokens(db, l, "t", time.Now)
	good := Wish{Name: "a", User: "bob", Scopes: []Scope{Read}}
	for name, f := range map[string]func(*Wish){
		"no name": func(w *Wish) { w.Name = "" }, "control": func(w *Wish) { w.User = "a\nb" }, "colon": func(w *Wish) { w.User = "local:0" },
		"no scope": func(w *Wish) { w.Scopes = nil }, "too long": func(w *Wish) { w.Life = maxLife + 1 }, "before": func(w *Wish) { w.Life = -1 },
		"a duty as a role": func(w *Wish) { w.Roles = []string{"oncall.soc"} }, "empty role": func(w *Wish) { w.Roles = []string{""} },
	} {
		w := good
		f(&w)
		var bad *InvalidError
		if _, _, err := tk.Create(t.Context(), admin, w); !errors.As(err, &bad) {
			t.Errorf("%s: %v", name, err)
		}
	}
	var refused *RefusedError
	if _, _, err := tk.Create(t.Context(), Actor{Name: "user:eve", Scopes: []Scope{Read, Launch, Respond, Approve, Audit}}, good); !errors.As(err, &refused) {
		t.Errorf("without admin: %v", err)
	}
	if _, _, err := tk.Create(t.Context(), admin, good); err != nil {
		t.Fatal(err)
	}
	var bad *InvalidError
	if _, _, err := tk.Create(t.Context(), admin, good); !errors.As(err, &bad) {
		t.Errorf("the name of a live token: %v", err)
	}
}

// No secret stands anywhere in the store's files.
func TestSecretIsNotKept(t *testing.T) {
	dir := t.TempDir()
	db, l := openStoreIn(t, dir)
	tk := NewTokens(db, l, "t", time.Now)
	_, secret, err := tk.Create(t.Context(), admin, Wish{Name: "a", User: "bob", Scopes: []Scope{Read}})
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, f := range files {
		raw, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(raw), strings.TrimPrefix(secret, Prefix)) {
			t.Errorf("%s has the secret", filepath.Base(f))
		}
	}
}

func TestPeer(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	c, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	s, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	name := "local:" + strconv.Itoa(os.Getuid())
	a, uid, err := Peer(s, []string{"lead"})
	a.OnCall = Duties{"soc": {name}, "net": {"carol"}}.Of(a.Name)
	if err != nil || uid != os.Getuid() || a.Name != name || !a.Can(Admin) || !a.Can(Approve) || !slices.Equal(a.Names(), []string{"lead", "oncall.soc"}) {
		t.Errorf("%+v, %v", a, err)
	}
	if _, err := local(4711, 1000, nil); err == nil {
		t.Error("a stranger's uid comes in")
	}
	if a, err := local(0, 1000, nil); err != nil || a.Name != "local:0" {
		t.Errorf("root: %+v, %v", a, err)
	}
	if _, _, err := Peer(nil, nil); err == nil {
		t.Error("no socket is a peer")
	}
}

func TestDuties(t *testing.T) {
	d := Duties{"soc": {"alice", "local:7"}, "lead": {"user:alice"}, "net": {"bob"}}
	if got := d.Of("user:alice"); !slices.Equal(got, []string{"oncall.lead", "oncall.soc"}) {
		t.Errorf("%v", got)
	}
	if got := d.Of("local:7"); !slices.Equal(got, []string{"oncall.soc"}) {
		t.Errorf("%v", got)
	}
	// The short form names users only.
	if got := (Duties{"soc": {"7"}}).Of("local:7"); len(got) != 0 {
		t.Errorf("%v", got)
	}
}

func TestParseScopes(t *testing.T) {
	if got, err := ParseScopes([]string{"read", "launch", "read"}); err != nil || !slices.Equal(got, []Scope{Launch, Read}) {
		t.Errorf("%v, %v", got, err)
	}
	if _, err := ParseScopes([]string{"root"}); err == nil {
		t.Error("an unknown scope passes")
	}
}

package auth

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/quell-soar/quell/internal/ledger"
	"github.com/quell-soar/quell/internal/store"
	"github.com/quell-soar/quell/internal/store/storetest"
)

func TestSessions(t *testing.T) {
	storetest.Each(t, []store.Schema{Schema(), ledger.Schema()}, testSessions)
}

func testSessions(t *testing.T, db *store.DB) {
	clk := &clock{at: time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)}
	s := NewSessions(db, openLedger(t, db), "t", SessionLimits{Idle: 10 * time.Minute, Life: time.Hour, Each: 2}, clk.now)
	alice := SignedIn{Actor: "user:alice", Issuer: "https://idp", Subject: "00u1", Shown: "Alice", Roles: []string{"analyst"}, At: clk.now()}
	cookie, csrf, err := s.Begin(t.Context(), alice, "192.0.2.7", "")
	if err != nil {
		t.Fatal(err)
	}
	got, err := s.Resume(t.Context(), cookie, "", false)
	if err != nil || got.Who.Actor != "user:alice" || got.Who.Subject != "00u1" || !got.Who.At.Equal(alice.At) || got.Address != "192.0.2.7" {
		t.Fatalf("%+v, %v", got, err)
	}
	t.Run("a change needs the token of this session", func(t *testing.T) {
		if _, err := s.Resume(t.Context(), cookie, csrf, true); err != nil {
			t.Error(err)
		}
		_, other, err := s.Begin(t.Context(), SignedIn{Actor: "user:bob", Subject: "00u2", At: clk.now()}, "", "")
		if err != nil {
			t.Fatal(err)
		}
		for _, bad := range []string{"", other, cookie, csrf + "x", strings.ToUpper(csrf)} {
			if _, err := s.Resume(t.Context(), cookie, bad, true); !errors.Is(err, ErrCSRF) {
				t.Errorf("%.12q: %v", bad, err)
			}
		}
	})
	t.Run("guesses", func(t *testing.T) {
		for _, bad := range []string{"", "x", cookie + "x", cookie[1:], csrf, strings.Repeat("a", 52), got.ID} {
			if _, err := s.Resume(t.Context(), bad, "", false); !errors.Is(err, ErrSession) {
				t.Errorf("%.12q: %v", bad, err)
			}
		}
	})
	t.Run("signing in ends what the browser had", func(t *testing.T) {
		// Fixation: a cookie that an attacker planted before the sign-in.
		fresh, _, err := s.Begin(t.Context(), alice, "", cookie)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Resume(t.Context(), cookie, "", false); !errors.Is(err, ErrSession) {
			t.Errorf("the planted cookie: %v", err)
		}
		cookie = fresh
	})
	t.Run("a third session ends the first", func(t *testing.T) {
		for range 2 {
			clk.pass(time.Second)
			if _, _, err := s.Begin(t.Context(), alice, "", ""); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := s.Resume(t.Context(), cookie, "", false); !errors.Is(err, ErrSession) {
			t.Errorf("%v", err)
		}
	})
	t.Run("idle and over", func(t *testing.T) {
		c, _, err := s.Begin(t.Context(), alice, "", "")
		if err != nil {
			t.Fatal(err)
		}
		for range 7 { // used every nine minutes it lives to its end
			clk.pass(9 * time.Minute)
			_, err = s.Resume(t.Context(), c, "", false)
		}
		if !errors.Is(err, ErrSession) {
			t.Errorf("after 63 minutes: %v", err)
		}
		if c, _, err = s.Begin(t.Context(), alice, "", ""); err != nil {
			t.Fatal(err)
		}
		clk.pass(10 * time.Minute)
		if _, err = s.Resume(t.Context(), c, "", false); !errors.Is(err, ErrSession) {
			t.Errorf("idle: %v", err)
		}
	})
	t.Run("ended at once", func(t *testing.T) {
		c, _, err := s.Begin(t.Context(), alice, "", "")
		if err != nil {
			t.Fatal(err)
		}
		if list, err := s.List(t.Context()); err != nil || len(list) != 1 {
			t.Errorf("%+v, %v", list, err)
		}
		if err := s.EndAll(t.Context(), "user:root", "user:alice"); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Resume(t.Context(), c, "", false); !errors.Is(err, ErrSession) {
			t.Errorf("%v", err)
		}
		if err := s.End(t.Context(), "user:root", "s-none"); !errors.Is(err, ErrSession) {
			t.Errorf("%v", err)
		}
	})
}

func TestFirstAdmin(t *testing.T) {
	storetest.Each(t, []store.Schema{Schema(), ledger.Schema()}, testFirstAdmin)
}

func testFirstAdmin(t *testing.T, db *store.DB) {
	clk := &clock{at: time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)}
	tk := NewTokens(db, openLedger(t, db), "t", clk.now)
	f := NewFirst(tk)
	offer := func() string {
		t.Helper()
		code, err := f.Offer(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return code
	}
	wish := Wish{Name: "laptop", User: "alice", Life: time.Hour}
	take := func(code string) error {
		_, _, err := f.Take(t.Context(), code, wish)
		return err
	}
	if err := take(FirstPrefix + strings.Repeat("a", 52)); !errors.Is(err, ErrFirst) {
		t.Errorf("without an offer: %v", err)
	}
	old := offer()
	clk.pass(FirstLife)
	if err := take(old); !errors.Is(err, ErrFirst) {
		t.Errorf("after 15 minutes: %v", err)
	}
	replaced, code := offer(), offer()
	if err := take(replaced); !errors.Is(err, ErrFirst) {
		t.Errorf("a replaced code: %v", err)
	}
	var bad *InvalidError
	if _, _, err := f.Take(t.Context(), code, Wish{Name: "a b", User: "alice"}); !errors.As(err, &bad) {
		t.Errorf("a bad wish: %v", err)
	}
	_, secret, err := f.Take(t.Context(), code, wish)
	if err != nil {
		t.Fatalf("a bad wish used the code up: %v", err)
	}
	if a, err := tk.Authenticate(t.Context(), secret); err != nil || !a.Can(Admin) || a.Name != "user:alice" {
		t.Errorf("%+v, %v", a, err)
	}
	if err := take(code); !errors.Is(err, ErrFirst) {
		t.Errorf("a second time: %v", err)
	}
	// Never again, though the only admin's token is over.
	clk.pass(24 * time.Hour)
	if code := offer(); code != "" {
		t.Error("a second first admin was offered")
	}
}

func TestRotate(t *testing.T) {
	storetest.Each(t, []store.Schema{Schema(), ledger.Schema()}, func(t *testing.T, db *store.DB) {
		clk := &clock{at: time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)}
		tk := NewTokens(db, openLedger(t, db), "t", clk.now)
		old, before, err := tk.Create(t.Context(), admin, Wish{Name: "ci", User: "robot", Scopes: []Scope{Launch}, Life: 48 * time.Hour})
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := tk.Rotate(t.Context(), Actor{Name: "user:eve", Scopes: []Scope{Approve}}, old.ID, 0); err == nil {
			t.Error("rotated by nobody")
		}
		fresh, after, err := tk.Rotate(t.Context(), admin, old.ID, time.Hour)
		if err != nil || fresh.Name != "ci" || fresh.ID == old.ID {
			t.Fatalf("%+v, %v", fresh, err)
		}
		for _, secret := range []string{before, after} {
			if a, err := tk.Authenticate(t.Context(), secret); err != nil || a.Name != "user:robot" || !a.Can(Launch) {
				t.Errorf("%+v, %v", a, err)
			}
		}
		clk.pass(time.Hour)
		if _, err := tk.Authenticate(t.Context(), before); !errors.Is(err, ErrToken) {
			t.Errorf("the old secret after its overlap: %v", err)
		}
		if _, err := tk.Authenticate(t.Context(), after); err != nil {
			t.Error(err)
		}
		if _, _, err := tk.Rotate(t.Context(), admin, old.ID, 0); !errors.Is(err, ErrNoToken) {
			t.Errorf("an expired token: %v", err)
		}
	})
}

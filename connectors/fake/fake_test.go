package fake_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/quell-soar/quell/connectors/fake"
)

func TestScriptDecidesInTurn(t *testing.T) {
	s, err := fake.ParseScript(`
# two refusals, then a lost answer
edr contain: 2x 429 retry=1s; then lost; ok; slow 3s   # the end
edr contain web-2: 500
edr * : always hold 2s
`, 1)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, call := range [][2]string{
		{"contain", "web-1"},
		{"contain", "web-1"},
		{"contain", "web-2"},
		{"contain", "web-1"},
		{"contain", "web-1"},
		{"contain", "WEB-2"},
		{"contain", "web-2"},
		{"lift", "x"},
	} {
		f := s.Next("edr", call[0], call[1])
		got = append(got, fmt.Sprint(f.Kind, f.Status, f.For))
	}
	want := []string{"refuse4291s", "refuse4291s", "lost00s", "ok00s", "slow03s", "refuse5001s", "hold02s", "hold02s"}
	for i := range got {
		got[i] = strings.ReplaceAll(got[i], " ", "")
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("faults differ (-want +got):\n%s", d)
	}
}

func TestChancesRepeatBySeed(t *testing.T) {
	draw := func(seed uint64) (out []fake.FaultKind) {
		s, err := fake.ParseScript("* *: 30% drop", seed)
		if err != nil {
			t.Fatal(err)
		}
		for range 100 {
			out = append(out, s.Next("a", "b", "").Kind)
		}
		return out
	}
	if !cmp.Equal(draw(7), draw(7)) {
		t.Error("the same seed gave different faults")
	}
	hits := 0
	for _, k := range draw(7) {
		if k == fake.Drop {
			hits++
		}
	}
	if hits < 15 || hits > 45 {
		t.Errorf("30%% of 100 gave %d", hits)
	}
}

func TestScriptErrorsTellTheLine(t *testing.T) {
	for text, want := range map[string]string{
		"edr contain 500":              "line 1",
		"\nedr: 500":                   "line 2",
		"edr contain: explode":         "no fault \"explode\"",
		"edr contain: slow":            "a time such as 3s",
		"edr contain: 0x 500":          "no count",
		"edr contain: 200% 500":        "no chance",
		"edr contain: 503 retry=1s":    "only 429",
		"edr contain: 5% 500; 500":     "never reached",
		"edr contain: lost status=abc": "status=502",
		"edr contain:":                 "names no fault",
		"edr contain: late -1s":        "a time such as 3s",
	} {
		if _, err := fake.ParseScript(text, 1); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want an error with %q", text, err, want)
		}
	}
}

// shop is the smallest vendor: POST /sell adds one to what was sold.
func shop(t *testing.T, w *fake.World) string {
	t.Helper()
	sold := 0
	v := &fake.Vendor{
		Name:      "shop",
		Authorize: func(*fake.Call) *fake.Answer { return nil },
		Refused: func(_ *fake.Call, status int, _ time.Duration) fake.Answer {
			return fake.Answer{Status: status}
		},
		Expire: func() {},
		Dump:   func() any { return sold },
	}
	w.Add(v)
	srv := httptest.NewServer(w.Handler(v, fake.Operation{Name: "sell", Prepare: func(*fake.Call) fake.Act {
		return fake.Act{Object: "tea", Run: func() fake.Done {
			sold++
			return fake.Done{
				Answer:  fake.Answer{Status: 201, Body: map[string]int{"sold": sold}},
				Effects: []fake.Change{{Object: "tea", Key: "k", After: fmt.Sprint(sold)}},
			}
		}}
	}}))
	t.Cleanup(srv.Close)
	return srv.URL
}

// sell returns the status, 0 where the connection broke.
func sell(ctx context.Context, t *testing.T, url string) int {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url+"/sell", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0
	}
	defer func() { _ = resp.Body.Close() }()
	_, _ = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode
}

func TestFaults(t *testing.T) {
	clock := fake.NewManual(time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC))
	for _, tt := range []struct {
		script   string
		status   int
		sold     int
		answered bool
	}{
		{"", 201, 1, true},
		{"shop sell: 429", 429, 0, false},
		{"shop sell: 503", 503, 0, false},
		{"shop sell: drop", 0, 0, false},
		{"shop sell: lost", 0, 1, false},
		{"shop sell: lost status=502", 502, 1, true},
		{"shop sell: late 8s", 0, 0, false},
	} {
		t.Run(tt.script, func(t *testing.T) {
			w := fake.NewWorld(clock, fake.NewJournal(), 1)
			url := shop(t, w)
			if err := w.SetScript(tt.script); err != nil {
				t.Fatal(err)
			}
			if got := sell(t.Context(), t, url); got != tt.status {
				t.Errorf("status %d, want %d", got, tt.status)
			}
			effects, err := w.Effects(fake.Filter{Vendor: "shop"})
			if err != nil || len(effects) != tt.sold || (tt.sold > 0 && effects[0].Answered != tt.answered) {
				t.Errorf("effects %+v, want %d, answered %v (%v)", effects, tt.sold, tt.answered, err)
			}
			clock.Advance(8 * time.Second)
			if effects, _ = w.Effects(fake.Filter{}); strings.Contains(tt.script, "late") && len(effects) != 1 {
				t.Errorf("the late effect did not come: %+v", effects)
			}
		})
	}
}

func TestHoldKeepsTheAnswerBack(t *testing.T) {
	w := fake.NewWorld(fake.Real{}, fake.NewJournal(), 1)
	url := shop(t, w)
	if err := w.SetScript("shop sell: hold 1h"); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	over := make(chan int)
	go func() { over <- sell(ctx, t, url) }()
	for end := time.Now().Add(5 * time.Second); ; {
		if e, _ := w.Effects(fake.Filter{}); len(e) == 1 {
			break
		}
		if time.Now().After(end) {
			t.Fatal("the effect was not committed before the answer")
		}
		time.Sleep(time.Millisecond)
	}
	cancel()
	if status := <-over; status != 0 {
		t.Errorf("an answer came: %d", status)
	}
	if e, _ := w.Effects(fake.Filter{}); e[0].Answered || e[0].Fault != "hold" {
		t.Errorf("journal says %+v", e[0])
	}
}

func TestJournalIsReadAgain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "effects.jsonl")
	open := func() *fake.World {
		t.Helper()
		j, err := fake.OpenJournal(path)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = j.Close() })
		return fake.NewWorld(fake.Real{}, j, 1)
	}
	w := open()
	url := shop(t, w)
	for range 2 {
		sell(t.Context(), t, url)
	}
	want, _ := w.Effects(fake.Filter{})
	got, _ := open().Effects(fake.Filter{})
	if d := cmp.Diff(want, got, cmpopts.EquateApproxTime(0)); d != "" || len(got) != 2 || !got[1].Answered {
		t.Errorf("the journal came back differently (-want +got):\n%s", d)
	}
	if after, _ := w.Effects(fake.Filter{After: 1, Operation: "SELL"}); len(after) != 1 || after[0].Seq != 2 {
		t.Errorf("filter gave %+v", after)
	}
}

func TestControl(t *testing.T) {
	w := fake.NewWorld(fake.Real{}, fake.NewJournal(), 1)
	w.Lag("shop.stock", time.Second)
	shop(t, w)
	mux := http.NewServeMux()
	w.Control(mux)
	call := func(method, path, body string) (int, string) {
		rec := httptest.NewRecorder()
		mux.ServeHTTP(rec, httptest.NewRequest(method, path, strings.NewReader(body)))
		return rec.Code, strings.TrimSpace(rec.Body.String())
	}
	for _, tt := range []struct {
		method, path, body string
		status             int
		want               string
	}{
		{"GET", "/_lab/world", "", 200, `{"shop":0}`},
		{"GET", "/_lab/effects?vendor=shop", "", 200, `[]`},
		{"PUT", "/_lab/script", "shop sell: 500", 200, `{"ok":true}`},
		{"GET", "/_lab/script", "", 200, "shop sell: 500"},
		{"PUT", "/_lab/script", "nonsense", 400, "line 1"},
		{"PUT", "/_lab/lag", `{"shop.stock":"2s"}`, 200, `{"shop.stock":"2s"}`},
		{"PUT", "/_lab/lag", `{"shop.what":"2s"}`, 400, "no lag"},
		{"PUT", "/_lab/lag", `{"shop.stock":"soon"}`, 400, "duration"},
	} {
		if status, got := call(tt.method, tt.path, tt.body); status != tt.status || !strings.Contains(got, tt.want) {
			t.Errorf("%s %s: %d %s, want %d %s", tt.method, tt.path, status, got, tt.status, tt.want)
		}
	}
}

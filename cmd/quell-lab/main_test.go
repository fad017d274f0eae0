package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/quell-soar/quell/connectors/fake/lab"
)

func TestItTellsItsURLsAndEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	script := filepath.Join(t.TempDir(), "faults")
	if err := os.WriteFile(script, []byte("crowdstrike *: 5% 503\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	r, w := io.Pipe()
	over := make(chan int, 1)
	go func() { over <- run(ctx, []string{"--script", script, "--hosts", "10", "--seed", "3"}, w, io.Discard) }()
	line, err := bufio.NewReader(r).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	var urls lab.URLs
	if err := json.Unmarshal([]byte(line), &urls); err != nil {
		t.Fatalf("%s: %v", line, err)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, urls.Control+"/script", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	if err != nil || !strings.Contains(string(raw), "5% 503") {
		t.Errorf("script is %s, %v", raw, err)
	}
	cancel()
	if code := <-over; code != 0 {
		t.Errorf("exit code %d", code)
	}
}

// A world from a file is there from the beginning; a wrong one is refused.
func TestWorld(t *testing.T) {
	dir := t.TempDir()
	world := filepath.Join(dir, "world.json")
	for text, want := range map[string]int{
		`{"hosts":[{"hostname":"lt-0471"}],"files":[{"hostname":"lt-0471","path":"C:\\a.exe","state":"released"}]}`: 0,
		`{"hosts":[{"hostnme":"lt-0471"}]}`:                     1,
		`{"files":[{"hostname":"nowhere","path":"C:\\a.exe"}]}`: 1,
	} {
		if err := os.WriteFile(world, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		r, w := io.Pipe()
		over := make(chan int, 1)
		var stderr bytes.Buffer
		go func() { over <- run(ctx, []string{"--world", world}, w, &stderr); _ = w.Close() }()
		_, _ = bufio.NewReader(r).ReadString('\n')
		cancel()
		if got := <-over; got != want {
			t.Errorf("%s: exit code %d, want %d (%s)", text, got, want, &stderr)
		}
	}
}

func TestExitCodes(t *testing.T) {
	for args, want := range map[string]int{
		"--listen 0.0.0.0:0": 1, "--script /does/not/exist": 1, "--world /does/not/exist": 1, "--what": 2, "surplus": 2,
	} {
		var stderr bytes.Buffer
		if got := run(t.Context(), strings.Fields(args), io.Discard, &stderr); got != want {
			t.Errorf("%s: exit code %d, want %d (%s)", args, got, want, &stderr)
		}
	}
}

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

func TestExitCodes(t *testing.T) {
	for args, want := range map[string]int{
		"--listen 0.0.0.0:0": 1, "--script /does/not/exist": 1, "--what": 2, "surplus": 2,
	} {
		var stderr bytes.Buffer
		if got := run(t.Context(), strings.Fields(args), io.Discard, &stderr); got != want {
			t.Errorf("%s: exit code %d, want %d (%s)", args, got, want, &stderr)
		}
	}
}

package lsp_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.lsp.dev/jsonrpc2"
	"go.lsp.dev/protocol"
	"go.lsp.dev/uri"

	"github.com/quell-soar/quell/connectors/spec"
	"github.com/quell-soar/quell/connectors/vocabulary"
	"github.com/quell-soar/quell/internal/lsp"
)

type generic struct{}

func (generic) Action(name string) (spec.Action, bool) { return vocabulary.Lookup(name) }

func (generic) Names() (names []string) {
	for _, a := range vocabulary.All() {
		names = append(names, a.Name)
	}
	return names
}

type pipes struct {
	io.Reader
	io.WriteCloser
}

// TestMain serves over standard input and output where a test started this
// program for that.
func TestMain(m *testing.M) {
	if os.Getenv("QUELL_TEST_LSP") != "" {
		if err := lsp.Serve(context.Background(), pipes{os.Stdin, os.Stdout}, lsp.House{Actions: generic{}, Name: "the vocabulary of a test"}); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// editor is the other end: a client of a server in a process of its own.
type editor struct {
	*testing.T
	conn  jsonrpc2.Conn
	found chan protocol.PublishDiagnosticsParams
	log   chan string
	uri   protocol.DocumentURI
	text  string
	n     int32
}

func start(t *testing.T, dir, text string) *editor {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env, cmd.Stderr = append(os.Environ(), "QUELL_TEST_LSP=1"), os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	e := &editor{T: t, conn: jsonrpc2.NewConn(jsonrpc2.NewStream(pipes{out, in})), found: make(chan protocol.PublishDiagnosticsParams, 8), log: make(chan string, 8)}
	e.conn.Go(context.Background(), func(ctx context.Context, reply jsonrpc2.Replier, req jsonrpc2.Request) error {
		var p protocol.PublishDiagnosticsParams
		if req.Method() == protocol.MethodTextDocumentPublishDiagnostics && json.Unmarshal(req.Params(), &p) == nil {
			e.found <- p
		}
		var said protocol.LogMessageParams
		if req.Method() == protocol.MethodWindowLogMessage && json.Unmarshal(req.Params(), &said) == nil {
			e.log <- said.Message
		}
		return reply(ctx, nil, nil)
	})
	e.call(protocol.MethodInitialize, &protocol.InitializeParams{}, &struct{}{})
	e.uri = uri.File(filepath.Join(dir, "p.yaml"))
	t.Cleanup(func() {
		e.call(protocol.MethodShutdown, nil, nil)
		_ = e.conn.Notify(context.Background(), protocol.MethodExit, nil)
		if err := cmd.Wait(); err != nil {
			t.Errorf("the server ended with %v", err)
		}
	})
	e.text = text
	if err := e.conn.Notify(t.Context(), protocol.MethodTextDocumentDidOpen, &protocol.DidOpenTextDocumentParams{
		TextDocument: protocol.TextDocumentItem{URI: e.uri, Text: text},
	}); err != nil {
		t.Fatal(err)
	}
	return e
}

func (e *editor) call(method string, params, result any) {
	e.Helper()
	ctx, stop := context.WithTimeout(context.Background(), 20*time.Second)
	defer stop()
	if _, err := e.conn.Call(ctx, method, params, result); err != nil {
		e.Fatalf("%s: %v", method, err)
	}
}

func (e *editor) diagnostics() []protocol.Diagnostic {
	e.Helper()
	select {
	case p := <-e.found:
		return p.Diagnostics
	case <-time.After(20 * time.Second):
		e.Fatal("no diagnostics")
		return nil
	}
}

// change writes a whole text and returns what is said of it.
func (e *editor) change(text string) []protocol.Diagnostic {
	e.Helper()
	e.text, e.n = text, e.n+1
	if err := e.conn.Notify(context.Background(), protocol.MethodTextDocumentDidChange, map[string]any{
		"textDocument": map[string]any{"uri": e.uri, "version": e.n}, "contentChanges": []any{map[string]any{"text": text}},
	}); err != nil {
		e.Fatal(err)
	}
	return e.diagnostics()
}

// at is the place behind a text's first occurrence.
func (e *editor) at(mark string) protocol.TextDocumentPositionParams {
	e.Helper()
	i := strings.Index(e.text, mark)
	if i < 0 {
		e.Fatalf("no %q", mark)
	}
	head := e.text[:i+len(mark)]
	line := strings.Count(head, "\n")
	return protocol.TextDocumentPositionParams{
		TextDocument: protocol.TextDocumentIdentifier{URI: e.uri},
		Position:     protocol.Position{Line: uint32(line), Character: uint32(len([]rune(head[strings.LastIndex(head, "\n")+1:])))},
	}
}

func (e *editor) completions(mark string) []string {
	e.Helper()
	var list protocol.CompletionList
	e.call(protocol.MethodTextDocumentCompletion, &protocol.CompletionParams{TextDocumentPositionParams: e.at(mark)}, &list)
	var out []string
	for _, i := range list.Items {
		out = append(out, i.Label)
	}
	return out
}

const text = `quell: 1
playbook: p
inputs:
  hostname: { type: hostname }
on:
  manual: { roles: [analyst] }
triage:
  - id: host
    uses: edr.find_host
    with:
      hostname: ${{ inputs.hostname }}
  - call: child
    with: { hostname: web1 }
review:
  - id: seen
    if: "steps.host."
    report: ü ${{ steps.host.hostname }}
    on_error: 
    ti
  - uses: ticket.add_comment
    with:
      bo
  - uses: 
  - report: ${{ 
`

func TestServer(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "child.yaml"), []byte("quell: 1\nplaybook: child\nreview:\n  - report: x\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	e := start(t, dir, text)
	if got := e.diagnostics(); len(got) == 0 || got[0].Code == nil {
		t.Errorf("diagnostics %v", got)
	}
	for mark, want := range map[string][]string{
		"uses: edr.find": {"edr.find_host", "edr.isolate_host"}, "steps.host.": {"device", "hostname", "size"}, "${{ steps.": {"host", "seen"},
		"${{ inputs.": {"hostname"}, "\n    ti": {"timeout", "title", "approve"}, "on_error: ": {"continue", "ask"}, "\n      bo": {"body", "ticket"},
		"  - uses: \n"[:10]: {"mail.get_message"}, "call: ch": {"child"}, "report: ${{ ": {"steps", "now", "cidr.contains"}, "\n  man": {"manual", "alert", "schedule"},
		"roles: [analyst] }\ntri": {"triage", "contain", "outputs"},
	} {
		got := e.completions(mark)
		for _, w := range want {
			if !slices.Contains(got, w) {
				t.Errorf("behind %q there is no %s among %v", mark, w, got)
			}
		}
	}
	for mark, want := range map[string]string{"edr.find_h": "Find", "steps.host.hostn": "hostname", "on_err": "failure", "\n      hostn": "hostname", "quel": "language"} {
		var h protocol.Hover
		e.call(protocol.MethodTextDocumentHover, &protocol.HoverParams{TextDocumentPositionParams: e.at(mark)}, &h)
		if !strings.Contains(h.Contents.Value, want) {
			t.Errorf("hover at %q: %q has no %q", mark, h.Contents.Value, want)
		}
	}
	for mark, want := range map[string]string{"call: chi": "child.yaml", "ü ${{ steps.ho": "p.yaml"} {
		var at []protocol.Location
		e.call(protocol.MethodTextDocumentDefinition, &protocol.DefinitionParams{TextDocumentPositionParams: e.at(mark)}, &at)
		if len(at) != 1 || !strings.HasSuffix(string(at[0].URI), want) {
			t.Errorf("definition at %q: %v", mark, at)
		}
	}
	// Columns count units of UTF-16: 𝕏 takes two.
	got := e.change("quell: 1\nplaybook: p\nreview:\n  - report: 𝕏 ${{ nothing }}\n")
	if len(got) != 1 || got[0].Range.Start != (protocol.Position{Line: 3, Character: 19}) || got[0].Code != "unknown-name" {
		t.Errorf("%+v", got)
	}
	e.change("review:\n- report: x\nplaybook: p\nquell: 1\n")
	var edits []protocol.TextEdit
	e.call(protocol.MethodTextDocumentFormatting, &protocol.DocumentFormattingParams{TextDocument: protocol.TextDocumentIdentifier{URI: e.uri}}, &edits)
	if len(edits) != 1 || edits[0].NewText != "quell: 1\nplaybook: p\n\nreview:\n  - report: x\n" {
		t.Errorf("%+v", edits)
	}
}

// TestFast holds the times that are promised, on a file of 300 lines: the best
// of ten, since the machine has other work.
func TestFast(t *testing.T) {
	var b strings.Builder
	b.WriteString("quell: 1\nplaybook: long\ninputs:\n  hostname: { type: hostname }\non:\n  manual: { roles: [analyst] }\ntriage:\n")
	for i := range 60 {
		fmt.Fprintf(&b, "  - id: host%d\n    uses: edr.find_host\n    if: inputs.hostname != \"web%d\"\n    with:\n      hostname: ${{ inputs.hostname }}\n", i, i)
	}
	b.WriteString("review:\n  - report: ${{ steps.?host7.hostname.orValue(\"\") }}\n")
	e := start(t, t.TempDir(), b.String())
	e.diagnostics()
	lines := strings.Count(b.String(), "\n")
	checks, proposals := time.Hour, time.Hour
	for i := range 10 {
		began := time.Now()
		e.change(strings.Replace(b.String(), "web7", fmt.Sprintf("db%d", i), 1))
		checks = min(checks, time.Since(began))
		began = time.Now()
		if got := e.completions("${{ steps.?host7."); !slices.Contains(got, "device") {
			t.Fatal(got)
		}
		proposals = min(proposals, time.Since(began))
	}
	t.Logf("%d lines: diagnostics %v, completion %v", lines, checks, proposals)
	if checks > slower*100*time.Millisecond || proposals > slower*50*time.Millisecond {
		t.Errorf("diagnostics took %v of 100 ms, completion %v of 50 ms", checks, proposals)
	}
}

// TestBrokenText holds that a text with a mistake of YAML is checked all the same,
// and that the editor's log says against what.
func TestBrokenText(t *testing.T) {
	e := start(t, t.TempDir(), "quell: 1\nplaybook: p\ntitle: a: b\nreview:\n  - uses: edr.fnd_host\n")
	var codes []any
	for _, d := range e.diagnostics() {
		codes = append(codes, d.Code)
	}
	if want := []any{"colon-in-value", "unknown-action"}; !slices.Equal(codes, want) {
		t.Errorf("told %v, want %v", codes, want)
	}
	if err := e.conn.Notify(t.Context(), protocol.MethodInitialized, &protocol.InitializedParams{}); err != nil {
		t.Fatal(err)
	}
	select {
	case got := <-e.log:
		if got != "playbooks are checked against the vocabulary of a test" {
			t.Errorf("the log says %q", got)
		}
	case <-time.After(20 * time.Second):
		t.Error("the log says nothing")
	}
}

package lsp

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
	"unicode/utf16"

	"go.lsp.dev/jsonrpc2"
	"go.lsp.dev/protocol"

	"github.com/quell-soar/quell/playbooks/compile"
	"github.com/quell-soar/quell/playbooks/diag"
	"github.com/quell-soar/quell/playbooks/format"
	"github.com/quell-soar/quell/playbooks/source"
)

// House is what playbooks are checked against.
type House struct {
	Actions compile.Catalogue
	// Installed is where they shall run; nil where nobody knows.
	Installed *compile.Installation
	// Name is what the editor's log calls it.
	Name string
}

// Serve speaks with one editor until it says exit, closes the stream, or ctx
// ends. The first is no error.
func Serve(ctx context.Context, rw io.ReadWriteCloser, h House) error {
	s := &server{house: h, conn: jsonrpc2.NewConn(jsonrpc2.NewStream(rw)), open: map[protocol.DocumentURI]string{}}
	s.conn.Go(ctx, s.handle)
	select {
	case <-ctx.Done():
		return errors.Join(ctx.Err(), s.conn.Close())
	case <-s.conn.Done():
	}
	if err := s.conn.Err(); err != nil && !errors.Is(err, io.EOF) && !s.exited() {
		return fmt.Errorf("language server: %w", err)
	}
	return nil
}

type server struct {
	house House
	conn  jsonrpc2.Conn

	mu   sync.Mutex
	open map[protocol.DocumentURI]string
	exit bool
}

func (s *server) exited() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.exit
}

func (s *server) text(u protocol.DocumentURI) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.open[u]
}

// answer decodes the parameters of a request and replies with what f makes of
// them.
func answer[P any](ctx context.Context, reply jsonrpc2.Replier, req jsonrpc2.Request, f func(P) (any, error)) error {
	var p P
	if err := json.Unmarshal(req.Params(), &p); err != nil {
		return reply(ctx, nil, fmt.Errorf("%w: %w", jsonrpc2.ErrInvalidParams, err))
	}
	out, err := f(p)
	return reply(ctx, out, err)
}

func (s *server) handle(ctx context.Context, reply jsonrpc2.Replier, req jsonrpc2.Request) error {
	switch req.Method() {
	case protocol.MethodInitialize:
		return reply(ctx, capabilities(), nil)
	case protocol.MethodInitialized:
		return errors.Join(reply(ctx, nil, nil), s.conn.Notify(ctx, protocol.MethodWindowLogMessage, protocol.LogMessageParams{
			Type: protocol.MessageTypeInfo, Message: "playbooks are checked against " + s.house.Name,
		}))
	case protocol.MethodShutdown:
		return reply(ctx, nil, nil)
	case protocol.MethodExit:
		s.mu.Lock()
		s.exit = true
		s.mu.Unlock()
		return errors.Join(reply(ctx, nil, nil), s.conn.Close())
	case protocol.MethodTextDocumentDidOpen:
		return answer(ctx, reply, req, func(p protocol.DidOpenTextDocumentParams) (any, error) {
			return nil, s.changed(ctx, p.TextDocument.URI, p.TextDocument.Text)
		})
	case protocol.MethodTextDocumentDidChange:
		return answer(ctx, reply, req, func(p protocol.DidChangeTextDocumentParams) (any, error) {
			if len(p.ContentChanges) == 0 {
				return nil, nil
			}
			return nil, s.changed(ctx, p.TextDocument.URI, p.ContentChanges[len(p.ContentChanges)-1].Text)
		})
	case protocol.MethodTextDocumentDidClose:
		return answer(ctx, reply, req, func(p protocol.DidCloseTextDocumentParams) (any, error) {
			s.mu.Lock()
			delete(s.open, p.TextDocument.URI)
			s.mu.Unlock()
			return nil, s.publish(ctx, p.TextDocument.URI, nil, nil)
		})
	case protocol.MethodTextDocumentCompletion:
		return answer(ctx, reply, req, func(p protocol.CompletionParams) (any, error) {
			return protocol.CompletionList{Items: s.look(p.TextDocument.URI, p.Position).complete()}, nil
		})
	case protocol.MethodTextDocumentHover:
		return answer(ctx, reply, req, func(p protocol.HoverParams) (any, error) {
			text := s.look(p.TextDocument.URI, p.Position).hover()
			if text == "" {
				return nil, nil
			}
			return protocol.Hover{Contents: protocol.MarkupContent{Kind: protocol.Markdown, Value: text}}, nil
		})
	case protocol.MethodTextDocumentDefinition:
		return answer(ctx, reply, req, func(p protocol.DefinitionParams) (any, error) {
			return s.look(p.TextDocument.URI, p.Position).definition(), nil
		})
	case protocol.MethodTextDocumentFormatting:
		return answer(ctx, reply, req, func(p protocol.DocumentFormattingParams) (any, error) { return s.format(p.TextDocument.URI) })
	}
	return jsonrpc2.MethodNotFoundHandler(ctx, reply, req)
}

func capabilities() any {
	// The library's own type writes fields that some editors refuse when empty.
	return map[string]any{
		"serverInfo": map[string]any{"name": "quell"},
		"capabilities": map[string]any{
			"textDocumentSync": 1, "hoverProvider": true, "definitionProvider": true, "documentFormattingProvider": true,
			"completionProvider": map[string]any{"triggerCharacters": []string{".", " ", "{"}},
		},
	}
}

// changed keeps a document's text and tells what is wrong with it.
func (s *server) changed(ctx context.Context, u protocol.DocumentURI, text string) error {
	s.mu.Lock()
	s.open[u] = text
	s.mu.Unlock()
	f := source.NewFile(fileName(u), []byte(text))
	_, list := compile.Compile(f, compile.Options{Actions: s.house.Actions, Installed: s.house.Installed, Playbooks: shelf{folder(u)}})
	return s.publish(ctx, u, f, list)
}

func (s *server) publish(ctx context.Context, u protocol.DocumentURI, f *source.File, list diag.List) error {
	out := protocol.PublishDiagnosticsParams{URI: u, Diagnostics: []protocol.Diagnostic{}}
	for _, d := range list {
		sev := protocol.DiagnosticSeverityError
		if d.Severity == diag.Warning {
			sev = protocol.DiagnosticSeverityWarning
		}
		text := d.Message
		if d.Help != "" {
			text += "\n" + d.Help
		}
		if d.File != f { // a mistake in a playbook that is called
			out.Diagnostics = append(out.Diagnostics, protocol.Diagnostic{Severity: sev, Code: d.Code, Source: "quell", Message: d.File.Name + ": " + text})
			continue
		}
		out.Diagnostics = append(out.Diagnostics, protocol.Diagnostic{
			Range: rangeOf(f, d.Span), Severity: sev, Code: d.Code, Source: "quell", Message: text,
		})
	}
	return s.conn.Notify(ctx, protocol.MethodTextDocumentPublishDiagnostics, out)
}

func (s *server) format(u protocol.DocumentURI) (any, error) {
	f := source.NewFile(fileName(u), []byte(s.text(u)))
	out, list, err := format.Playbook(f)
	if err != nil {
		return nil, err
	}
	if list.HasErrors() || string(out) == string(f.Bytes) {
		return []protocol.TextEdit{}, nil
	}
	return []protocol.TextEdit{{Range: rangeOf(f, f.Span(0, len(f.Bytes))), NewText: string(out)}}, nil
}

// place is a position as the protocol counts: lines from 0, and within a line
// units of UTF-16.
func place(f *source.File, p source.Position) protocol.Position {
	units, line := 0, []rune(f.Line(p.Line))
	for _, r := range line[:min(max(p.Column-1, 0), len(line))] {
		units += utf16.RuneLen(r)
	}
	return protocol.Position{Line: uint32(max(p.Line-1, 0)), Character: uint32(units)} //nolint:gosec // a playbook is far smaller
}

func rangeOf(f *source.File, s source.Span) protocol.Range {
	return protocol.Range{Start: place(f, s.Start), End: place(f, s.End)}
}

// before is what stands before a position on its line, and the rest.
func before(line string, units uint32) (head, tail string) {
	n := uint32(0)
	for i, r := range line {
		if n >= units {
			return line[:i], line[i:]
		}
		n += uint32(max(utf16.RuneLen(r), 1)) //nolint:gosec // 1 or 2
	}
	return line, ""
}

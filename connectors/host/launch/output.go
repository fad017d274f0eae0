package launch

import (
	"bytes"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode"

	"github.com/hashicorp/go-hclog"
	"github.com/rs/zerolog"

	"github.com/quell-soar/quell/connectors/sdk/secret"
)

const (
	// maxLine is how much of one line of output is logged, in bytes.
	maxLine = 1 << 10
	// maxHeld is how much of a line is looked at for secrets before it is cut;
	// a secret that lies across the cut is not shown in part.
	maxHeld = 16 << 10
	// maxLines is how many lines are logged in one second.
	maxLines = 50
)

// output turns what a connector prints into log lines: cut, counted, without
// secrets and control characters. Write never fails and never blocks on the
// connector's account.
type output struct {
	log    zerolog.Logger
	stream string
	redact *atomic.Pointer[secret.Redactor]

	mu      sync.Mutex
	line    []byte
	second  time.Time
	lines   int
	dropped int
}

// Write takes the next bytes of the stream.
func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	rest := p
	for len(rest) > 0 {
		part, after, whole := bytes.Cut(rest, []byte{'\n'})
		if room := maxHeld - len(o.line); len(part) > room {
			part = part[:room]
		}
		o.line = append(o.line, part...)
		if !whole {
			break
		}
		o.emit()
		rest = after
	}
	return len(p), nil
}

// flush logs a line that was not ended.
func (o *output) flush() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.emit()
	o.report()
}

func (o *output) emit() {
	if len(o.line) == 0 {
		return
	}
	text := CleanText(o.redact.Load().Text(string(o.line)), maxLine)
	o.line = o.line[:0]
	if now := time.Now(); now.Sub(o.second) >= time.Second {
		o.report()
		o.second, o.lines = now, 0
	}
	if o.lines++; o.lines > maxLines {
		o.dropped++
		return
	}
	o.log.Info().Str("stream", o.stream).Str("line", text).Msg("connector says")
}

func (o *output) report() {
	if o.dropped > 0 {
		o.log.Warn().Str("stream", o.stream).Int("lines", o.dropped).Msg("connector prints too much: lines dropped")
		o.dropped = 0
	}
}

// CleanText makes hostile text fit for a log line or an error: valid, short, on one
// line, without escape sequences.
func CleanText(s string, most int) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == unicode.ReplacementChar {
			return ' '
		}
		return r
	}, s)
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "…"
	}
	return strings.TrimSpace(s)
}

// quiet passes go-plugin's own messages on at debug level. Those about the
// child's output are dropped: output logs it.
type quiet struct {
	hclog.Logger
	log zerolog.Logger
}

func newQuiet(log zerolog.Logger) hclog.Logger {
	return quiet{Logger: hclog.NewNullLogger(), log: log}
}

func (q quiet) say(msg string, args []any) {
	e := q.log.Debug()
	for i := 0; i+1 < len(args); i += 2 {
		name, _ := args[i].(string)
		switch v := args[i+1].(type) {
		case string:
			e = e.Str(name, CleanText(v, maxLine))
		case error:
			e = e.Str(name, CleanText(v.Error(), maxLine))
		case int:
			e = e.Int(name, v)
		}
	}
	e.Msg("go-plugin: " + CleanText(msg, maxLine))
}

// Trace drops the message.
func (q quiet) Trace(string, ...any) {}

// Debug logs at debug level; so do the others.
func (q quiet) Debug(msg string, args ...any) { q.say(msg, args) }

// Info logs at debug level.
func (q quiet) Info(msg string, args ...any) { q.say(msg, args) }

// Warn logs at debug level: what matters of it the host states itself.
func (q quiet) Warn(msg string, args ...any) { q.say(msg, args) }

// Error logs at debug level.
func (q quiet) Error(msg string, args ...any) { q.say(msg, args) }

// Named is asked for by the readers of stderr and of the stdio stream only.
func (q quiet) Named(string) hclog.Logger {
	return hclog.New(&hclog.LoggerOptions{Level: hclog.Off})
}

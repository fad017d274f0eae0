package engine

import (
	"fmt"

	"github.com/rs/zerolog"
	sdklog "go.temporal.io/sdk/log"
	serverlog "go.temporal.io/server/common/log"
	"go.temporal.io/server/common/log/tag"

	"github.com/quell-soar/quell/workflows/run"
)

// serverLogger writes the Temporal server's log into ours. A Fatal of the server
// is written as an error: it must not end the process behind our back, the
// server stops itself and start-up reports that.
type serverLogger struct{ log zerolog.Logger }

var _ serverlog.Logger = serverLogger{}

func (l serverLogger) write(e *zerolog.Event, msg string, tags []tag.Tag) {
	if e == nil { // not logged at this level; the server says much
		return
	}
	for _, t := range tags {
		if t.Key() == "wf-id" {
			e = ofRun(e, t.Value())
		}
		e = e.Interface(t.Key(), t.Value())
	}
	e.Msg(msg)
}

func (l serverLogger) Debug(msg string, tags ...tag.Tag)  { l.write(l.log.Trace(), msg, tags) }
func (l serverLogger) Info(msg string, tags ...tag.Tag)   { l.write(l.log.Trace(), msg, tags) }
func (l serverLogger) Warn(msg string, tags ...tag.Tag)   { l.write(l.log.Debug(), msg, tags) }
func (l serverLogger) Error(msg string, tags ...tag.Tag)  { l.write(l.log.Warn(), msg, tags) }
func (l serverLogger) DPanic(msg string, tags ...tag.Tag) { l.write(l.log.Error(), msg, tags) }
func (l serverLogger) Panic(msg string, tags ...tag.Tag) {
	l.write(l.log.Error(), msg, tags)
	panic("temporal server: " + msg)
}
func (l serverLogger) Fatal(msg string, tags ...tag.Tag) { l.write(l.log.Error(), msg, tags) }

// ofRun says which run a line is about, as all our lines do.
func ofRun(e *zerolog.Event, workflow any) *zerolog.Event {
	if id, ok := workflow.(string); ok {
		if r := run.RunOf(id); r != "" {
			return e.Str("run", r)
		}
	}
	return e
}

// sdkLogger writes the SDK's log into ours.
type sdkLogger struct{ log zerolog.Logger }

var _ sdklog.Logger = sdkLogger{}

func (l sdkLogger) write(e *zerolog.Event, msg string, pairs []any) {
	if e == nil {
		return
	}
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i] == "WorkflowID" {
			e = ofRun(e, pairs[i+1])
		}
		e = e.Interface(fmt.Sprint(pairs[i]), pairs[i+1])
	}
	e.Msg(msg)
}

func (l sdkLogger) Debug(msg string, kv ...any) { l.write(l.log.Trace(), msg, kv) }
func (l sdkLogger) Info(msg string, kv ...any)  { l.write(l.log.Debug(), msg, kv) }
func (l sdkLogger) Warn(msg string, kv ...any)  { l.write(l.log.Debug(), msg, kv) }
func (l sdkLogger) Error(msg string, kv ...any) { l.write(l.log.Warn(), msg, kv) }

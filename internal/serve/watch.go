package serve

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"github.com/quell-soar/quell/activities/task"
	"github.com/quell-soar/quell/connectors/host"
	"github.com/quell-soar/quell/connectors/sdk/reach"
	"github.com/quell-soar/quell/connectors/spec"
	"github.com/quell-soar/quell/connectors/vocabulary"
	"github.com/quell-soar/quell/internal/config"
	"github.com/quell-soar/quell/internal/dispatch"
	"github.com/quell-soar/quell/internal/egress"
	"github.com/quell-soar/quell/internal/engine"
	"github.com/quell-soar/quell/internal/intake"
	"github.com/quell-soar/quell/internal/own"
	"github.com/quell-soar/quell/internal/runs"
	"github.com/quell-soar/quell/internal/telemetry"
)

// watch tells metrics, traces and the log what the rooms tell it. The rooms know
// neither of the three.
type watch struct {
	metrics *telemetry.Metrics
	tracer  *telemetry.Tracer
	engine  *engine.Metrics
	log     zerolog.Logger

	// host and book are known later than the first thing that is counted.
	host atomic.Pointer[own.Host]
	book atomic.Pointer[book]
}

// newWatch opens the registry and, where the configuration wants it, the way to a
// receiver of traces.
func newWatch(ctx context.Context, cfg *config.Config, version string, log zerolog.Logger, c *stack) (*watch, error) {
	w := &watch{log: log}
	w.metrics = telemetry.NewMetrics(version, telemetry.Known{
		Source:    func(n string) bool { _, ok := cfg.Sources[n]; return ok },
		Connector: func(n string) bool { _, ok := cfg.Connectors[n]; return ok || n == own.Instance },
		Playbook:  w.knowsPlaybook, Action: w.knowsAction,
	})
	var err error
	if w.engine, err = engine.NewMetrics(w.metrics.Register); err != nil {
		return nil, err
	}
	if cfg.Telemetry.Traces.Endpoint == "" {
		return w, nil
	}
	if w.tracer, err = tracerOf(ctx, cfg.Telemetry.Traces, version, w); err != nil {
		return nil, err
	}
	c.push("traces", func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, lastSpans)
		defer cancel()
		return w.tracer.Close(ctx)
	})
	return w, nil
}

// lastSpans is how long the end of the process waits for a receiver of traces.
const lastSpans = 3 * time.Second

func tracerOf(ctx context.Context, t config.Traces, version string, w *watch) (*telemetry.Tracer, error) {
	u, err := url.Parse(t.Endpoint)
	if err != nil {
		return nil, fmt.Errorf("telemetry.traces.endpoint: %w", err)
	}
	address := u.Host
	if u.Port() == "" {
		address = net.JoinHostPort(u.Hostname(), map[string]string{"https": "443", "http": "80"}[u.Scheme])
	}
	const name = "traces"
	d, err := egress.New(egress.Options{}, egress.Destination{Name: name, Address: address, Reach: reach.Named(u.Hostname())})
	if err != nil {
		return nil, err
	}
	headers := map[string]string{}
	for _, k := range sorted(t.Headers) {
		v, err := t.Headers[k].Resolve(ctx)
		if err != nil {
			return nil, fmt.Errorf("telemetry.traces.headers.%s: %w", k, err)
		}
		headers[k] = v.Reveal()
	}
	to, err := telemetry.NewExporter(ctx, telemetry.Export{Endpoint: t.Endpoint, Headers: headers, Dial: d.Only(name)})
	if err != nil {
		return nil, err
	}
	warn := func(err error) { w.log.Warn().Err(err).Msg("the receiver of traces takes none") }
	return telemetry.NewTracer(telemetry.Told(to, w.metrics, warn), version), nil
}

func (w *watch) knowsPlaybook(name string) bool {
	b := w.book.Load()
	if b == nil {
		return false
	}
	_, ok := b.Playbook(name)
	return ok
}

func (w *watch) knowsAction(name string) bool {
	if _, ok := vocabulary.Lookup(name); ok {
		return true
	}
	h := w.host.Load()
	return h != nil && len(h.Resolve(name)) > 0
}

// transaction is told of the store's transactions.
func (w *watch) transaction(what string, took time.Duration, err error) {
	w.metrics.Transaction(what, err == nil, took)
}

// alert is told of deliveries.
func (w *watch) alert(s intake.Seen) {
	w.metrics.Alert(s.Source, s.Result)
	for _, v := range s.Verdicts {
		w.metrics.Verdict(v.Playbook, v.Verdict)
		if v.Run == "" {
			continue
		}
		w.log.Info().Str("run", v.Run).Str("playbook", v.Playbook).Str("source", s.Source).Str("verdict", v.Verdict).Msg("an alert concerns a run")
		switch v.Verdict {
		case intake.Started:
			w.tracer.Tell(telemetry.Whole{
				Run: v.Run, Part: telemetry.Alert, Start: s.Start, End: s.End,
				Attrs: []telemetry.Attr{{Key: "playbook", Value: v.Playbook}, {Key: "source", Value: s.Source}},
			})
		case intake.JoinedRun:
			_, span := w.tracer.Begin(w.tracer.Under(context.Background(), v.Run), "alert joined", false, telemetry.Attr{Key: "run", Value: v.Run}, telemetry.Attr{Key: "source", Value: s.Source})
			span.End("")
		}
	}
}

// start is told of runs that were given to the engine.
func (w *watch) start(s dispatch.Start) {
	in := s.Run
	below := telemetry.Part("")
	if in.Trigger.Kind == "alert" && in.Parent == "" {
		below = telemetry.Alert
	}
	failed := ""
	if s.Err != nil {
		failed = "the engine did not take it"
	} else if !s.Known {
		w.metrics.RunStarted(in.Playbook, in.Trigger.Kind)
		w.log.Info().Str("run", in.Run).Str("playbook", in.Playbook).Str("trigger", in.Trigger.Kind).Str("mode", in.Mode).
			Str("trace", telemetry.TraceOf(in.Run).String()).Msg("run started")
	}
	w.tracer.Tell(telemetry.Whole{
		Run: in.Run, Part: telemetry.Dispatch, Below: below, Start: s.Began, End: time.Now(), Failed: failed,
		Attrs: []telemetry.Attr{{Key: "playbook", Value: in.Playbook}, {Key: "trigger", Value: in.Trigger.Kind}, {Key: "mode", Value: in.Mode}},
	})
}

// mostReason bounds why a run ended as the log tells it, in characters.
const mostReason = 300

// short is the beginning of a text that may be long.
func short(text string) string {
	if r := []rune(text); len(r) > mostReason {
		return string(r[:mostReason]) + "…"
	}
	return text
}

// end returns what is told of runs that ended.
func (w *watch) end(r *runs.Runs) func(context.Context, task.EndRequest) {
	return func(ctx context.Context, q task.EndRequest) {
		rec, err := r.Get(ctx, q.Run)
		if err != nil {
			w.log.Warn().Err(err).Str("run", q.Run).Msg("a run that ended cannot be read")
			return
		}
		w.metrics.RunEnded(rec.Playbook, rec.Closing, rec.Ended.Sub(rec.Created))
		told := w.log.Info().Str("run", rec.ID).Str("playbook", rec.Playbook).Str("closing", rec.Closing)
		if rec.Reason != "" {
			told = told.Str("reason", short(rec.Reason))
		}
		told.Dur("took", rec.Ended.Sub(rec.Created)).Msg("run ended")
		whole := telemetry.Whole{
			Run: rec.ID, Part: telemetry.Run, Below: telemetry.Dispatch, Start: rec.Started, End: rec.Ended,
			Attrs: []telemetry.Attr{{Key: "playbook", Value: rec.Playbook}, {Key: "closing", Value: rec.Closing}, {Key: "mode", Value: rec.Mode}},
		}
		if rec.Parent != "" { // the caller's activities started it, not the dispatcher
			whole.Below, whole.Links = "", rec.Parent
		}
		if whole.Start.IsZero() {
			whole.Start = rec.Created
		}
		if rec.Closing == "failed" {
			whole.Failed = "the run failed"
		}
		w.tracer.Tell(whole)
	}
}

// request is told of what people were asked and decided.
func (w *watch) request(kind, decision string, after time.Duration) {
	if decision == "" {
		w.metrics.Asked(kind)
		return
	}
	w.metrics.Decided(kind, decision, after)
}

// took is told what a connector's process says of a call.
func (w *watch) took(ctx context.Context, instance string, r spec.Request, began time.Time, took time.Duration) {
	w.tracer.Inside(ctx, "connector "+r.Action, began, took, telemetry.Attr{Key: "connector", Value: instance}, telemetry.Attr{Key: "action", Value: r.Action})
}

// hostHooks are what the host tells.
func (w *watch) hostHooks(o host.Options) host.Options {
	o.Waited = w.metrics.Waited
	if w.tracer.On() {
		o.Took = w.took
	}
	return o
}

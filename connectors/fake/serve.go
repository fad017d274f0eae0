package fake

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"time"
)

// maxBody is the largest request that a fake reads.
const maxBody = 4 << 20

// Call is one request to a fake.
type Call struct {
	*http.Request
	// ID is the request's id, which the vendor sends back in its own header.
	ID   string
	Body []byte

	vendor, operation string
}

// JSON reads the body.
func (c *Call) JSON(out any) error { return json.Unmarshal(c.Body, out) }

// Answer is what a fake answers: Body as JSON, or as it is where it is []byte,
// with the Content-Type that Header names. A nil Body sends none.
type Answer struct {
	Status int
	Header map[string]string
	Body   any
}

// Act is a request as the fake understood it, before anything is done.
type Act struct {
	// Object is what a script and the journal call the thing.
	Object string
	// Run does it. It is called while the world is locked: at once, or late.
	Run func() Done
}

// Done is what came of an Act. Effects has one entry for each write that was
// accepted; a read has none.
type Done struct {
	Answer  Answer
	Effects []Change
}

// Change is one accepted write.
type Change struct{ Object, Key, Before, After string }

// Say makes an Act that only answers.
func Say(object string, a Answer) Act {
	return Act{Object: object, Run: func() Done { return Done{Answer: a} }}
}

// Operation is one call of a vendor's API. Prepare is called while the world is
// locked and changes nothing.
type Operation struct {
	Name string
	// Public operations need no credential: the one that gives tokens.
	Public  bool
	Prepare func(c *Call) Act
}

// Handler serves an operation with the faults that the script has for it.
func (w *World) Handler(v *Vendor, op Operation) http.Handler {
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(rw, r.Body, maxBody))
		if err != nil {
			http.Error(rw, "the lab could not read the request", http.StatusBadRequest)
			return
		}
		c := &Call{Request: r, Body: body, vendor: v.Name, operation: op.Name}
		if err := w.serve(web{rw}, v, op, c); err != nil {
			http.Error(rw, "the lab failed: "+err.Error(), http.StatusInternalServerError)
		}
	})
}

// Line is the client's end of an exchange.
type Line interface {
	// Send answers. An error means that the client has gone.
	Send(a Answer) error
	// HangUp closes the connection without an answer.
	HangUp() error
}

// Exchange serves one operation that did not come by HTTP, with the faults that
// the script has for it: body is what the client sent, ctx ends when it leaves.
func (w *World) Exchange(ctx context.Context, l Line, v *Vendor, op Operation, body []byte) error {
	r := (&http.Request{Header: http.Header{}}).WithContext(ctx)
	return w.serve(l, v, op, &Call{Request: r, Body: body, vendor: v.Name, operation: op.Name})
}

// web is a Line over HTTP.
type web struct{ http.ResponseWriter }

// Send writes the answer.
func (rw web) Send(a Answer) error { return send(rw.ResponseWriter, a) }

// HangUp closes the connection.
func (rw web) HangUp() error { return hangUp(rw.ResponseWriter) }

func (w *World) serve(rw Line, v *Vendor, op Operation, c *Call) error {
	act, fault, refusal, err := w.prepare(v, op, c)
	if err != nil {
		return err
	}
	if refusal != nil {
		_ = rw.Send(*refusal) // as below
		return nil
	}
	switch fault.Kind {
	case Drop:
		return rw.HangUp()
	case Late:
		w.Do(func() { w.late = append(w.late, lateAct{at: w.clock.Now().Add(fault.For), call: c, act: act}) })
		return rw.HangUp()
	case Slow:
		// Who waits is the vendor, who does not care whether the client left.
		if err := w.clock.Wait(w.life, fault.For); err != nil {
			return err
		}
	}
	done, seqs, err := w.run(c, act, fault.Kind)
	if err != nil {
		return err
	}
	switch {
	case fault.Kind == Lost && fault.Status == 0:
		return rw.HangUp()
	case fault.Kind == Lost:
		w.Do(func() { done.Answer = v.Refused(c, fault.Status, time.Second) })
	case fault.Kind == Hold:
		if w.clock.Wait(c.Context(), fault.For) != nil {
			return nil // the client has gone: there is nobody to answer
		}
	}
	if c.Context().Err() != nil {
		return nil
	}
	// Before the answer, so that who has it finds the journal complete.
	if err := w.journal.answer(seqs, w.clock.Now().UTC()); err != nil {
		return err
	}
	_ = rw.Send(done.Answer) // a client that left now is its own affair
	return nil
}

// prepare reads the request, draws its fault and checks its credential. It
// returns an answer where the request ends here.
func (w *World) prepare(v *Vendor, op Operation, c *Call) (Act, Fault, *Answer, error) {
	w.mu.Lock()
	if err := w.due(); err != nil {
		w.mu.Unlock()
		return Act{}, Fault{}, nil, err
	}
	c.ID = w.nextID()
	latency := w.lags[v.Name+".latency"]
	act := op.Prepare(c)
	fault := w.script.Next(v.Name, op.Name, act.Object)
	var refusal *Answer
	switch fault.Kind {
	case Refuse:
		a := v.Refused(c, fault.Status, fault.For)
		refusal = &a
	case Soft:
		if v.Soft != nil {
			a := v.Soft(c)
			refusal = &a
		}
	case ExpireToken:
		v.Expire()
	}
	if refusal == nil && !op.Public {
		refusal = v.Authorize(c)
	}
	w.mu.Unlock()
	if latency > 0 {
		return act, fault, refusal, w.clock.Wait(w.life, latency)
	}
	return act, fault, refusal, nil
}

// run does it and returns when it stands in the journal on disk.
func (w *World) run(c *Call, act Act, fault FaultKind) (Done, []int64, error) {
	w.mu.Lock()
	done := act.Run()
	seqs, err := w.write(c, done.Effects, fault)
	w.mu.Unlock()
	if err == nil && len(seqs) > 0 {
		err = w.journal.sync()
	}
	return done, seqs, err
}

func send(rw http.ResponseWriter, a Answer) error {
	for name, value := range a.Header {
		rw.Header().Set(name, value)
	}
	if a.Body == nil {
		rw.WriteHeader(a.Status)
		return http.NewResponseController(rw).Flush()
	}
	if raw, ok := a.Body.([]byte); ok {
		rw.WriteHeader(a.Status)
		if _, err := rw.Write(raw); err != nil {
			return err
		}
		return http.NewResponseController(rw).Flush()
	}
	rw.Header().Set("Content-Type", "application/json")
	rw.WriteHeader(a.Status)
	if err := json.NewEncoder(rw).Encode(a.Body); err != nil {
		return err
	}
	return http.NewResponseController(rw).Flush()
}

// hangUp closes the connection without an answer.
func hangUp(rw http.ResponseWriter) error {
	conn, _, err := http.NewResponseController(rw).Hijack()
	if err != nil {
		return err
	}
	return conn.Close()
}

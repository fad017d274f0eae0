package fake

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"
)

// Effect is one write that a fake accepted.
type Effect struct {
	Seq       int64     `json:"seq"`
	At        time.Time `json:"at"`
	Vendor    string    `json:"vendor"`
	Operation string    `json:"operation"`
	// Object is what was written to, as a person calls it: a hostname, SEC-12.
	Object string `json:"object"`
	// Key is the mark that the caller left, where the vendor has a place for it.
	Key     string `json:"key,omitempty"`
	Request string `json:"request"`
	Before  string `json:"before,omitempty"`
	After   string `json:"after,omitempty"`
	// Fault is the fault that the request met, if any.
	Fault string `json:"fault,omitempty"`
	// Answered says that the answer was sent, and that the client was still
	// there for it.
	Answered   bool       `json:"answered"`
	AnsweredAt *time.Time `json:"answered_at,omitempty"`
}

// Filter selects effects; empty fields select all.
type Filter struct {
	Vendor, Operation, Object, Key string
	// After leaves out effects up to this number.
	After int64
}

func (f Filter) fits(e Effect) bool {
	fits := func(want, got string) bool { return want == "" || strings.EqualFold(want, got) }
	return fits(f.Vendor, e.Vendor) && fits(f.Operation, e.Operation) && fits(f.Object, e.Object) && fits(f.Key, e.Key) && e.Seq > f.After
}

// Journal records effects in order: in memory, and in a file where it has one.
type Journal struct {
	mu      sync.Mutex
	effects []Effect
	file    *os.File
	syncing sync.Mutex
}

// line is one line of the file: an effect, or that one was answered.
type line struct {
	Effect   *Effect   `json:"effect,omitempty"`
	Answered *answered `json:"answered,omitempty"`
}

type answered struct {
	Seq int64     `json:"seq"`
	At  time.Time `json:"at"`
}

// NewJournal makes a journal in memory only.
func NewJournal() *Journal { return &Journal{} }

// OpenJournal opens or makes a journal file and reads what stands in it.
func OpenJournal(path string) (*Journal, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("journal of the lab: %w", err)
	}
	j := &Journal{file: f}
	if err := j.load(f); err != nil {
		return nil, errors.Join(fmt.Errorf("journal of the lab %s: %w; move it away to begin anew", path, err), f.Close())
	}
	return j, nil
}

func (j *Journal) load(r io.Reader) error {
	in := bufio.NewReader(r)
	for n := 1; ; n++ {
		raw, err := in.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			if len(raw) > 0 {
				return fmt.Errorf("line %d is cut off", n)
			}
			return nil
		}
		if err != nil {
			return err
		}
		var l line
		if err := json.Unmarshal(raw, &l); err != nil {
			return fmt.Errorf("line %d: %w", n, err)
		}
		switch {
		case l.Effect != nil:
			l.Effect.Seq = int64(len(j.effects) + 1)
			j.effects = append(j.effects, *l.Effect)
		case l.Answered != nil && l.Answered.Seq >= 1 && l.Answered.Seq <= int64(len(j.effects)):
			e := &j.effects[l.Answered.Seq-1]
			e.Answered, e.AnsweredAt = true, &l.Answered.At
		}
	}
}

// Close closes the file.
func (j *Journal) Close() error {
	if j.file == nil {
		return nil
	}
	return j.file.Close()
}

// List returns the effects that fit, oldest first.
func (j *Journal) List(f Filter) []Effect {
	j.mu.Lock()
	defer j.mu.Unlock()
	out := []Effect{}
	for _, e := range j.effects {
		if f.fits(e) {
			out = append(out, e)
		}
	}
	return out
}

func (j *Journal) append(e Effect) (int64, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	e.Seq = int64(len(j.effects) + 1)
	j.effects = append(j.effects, e)
	return e.Seq, j.put(line{Effect: &e})
}

// sync returns when all that was appended is on disk.
func (j *Journal) sync() error {
	if j.file == nil {
		return nil
	}
	j.syncing.Lock()
	defer j.syncing.Unlock()
	return j.file.Sync()
}

func (j *Journal) answer(seqs []int64, at time.Time) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, seq := range seqs {
		e := &j.effects[seq-1]
		e.Answered, e.AnsweredAt = true, &at
		if err := j.put(line{Answered: &answered{Seq: seq, At: at}}); err != nil {
			return err
		}
	}
	return nil
}

func (j *Journal) put(l line) error {
	if j.file == nil {
		return nil
	}
	raw, err := json.Marshal(l)
	if err != nil {
		return err
	}
	_, err = j.file.Write(append(raw, '\n'))
	return err
}

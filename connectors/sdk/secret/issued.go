package secret

import (
	"slices"
	"sync"
)

const (
	// keptIssued is how many values are remembered: an answer to a request with
	// the one before may come late.
	keptIssued = 4
	// longIssued is how long a value must be to be taken out of data, in bytes: a
	// shorter one may stand there by chance, and data must not be shredded.
	longIssued = 16
)

// Issued takes out of texts what a vendor gave out, such as access tokens: the
// last few, in every form in which NewRedactor knows a secret. The zero value
// knows none. It may be used from many goroutines.
type Issued struct {
	mu     sync.Mutex
	values []Value
	all    *Redactor
	long   *Redactor
}

// Add remembers one more value. Twice the same is fine.
func (i *Issued) Add(v Value) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if v.Empty() || slices.Contains(i.values, v) {
		return
	}
	i.values = append(i.values, v)
	i.values = i.values[max(0, len(i.values)-keptIssued):]
	i.all = NewRedactor(i.values...)
	i.long = NewRedactor(slices.DeleteFunc(slices.Clone(i.values), func(v Value) bool { return len(v.text) < longIssued })...)
}

// Text returns s, a text for people, with every value replaced by Mark.
func (i *Issued) Text(s string) string {
	i.mu.Lock()
	r := i.all
	i.mu.Unlock()
	return r.Text(s)
}

// Data returns s, an answer's body, with every value replaced by Mark that is
// long enough to stand there by no chance.
func (i *Issued) Data(s string) string {
	i.mu.Lock()
	r := i.long
	i.mu.Unlock()
	return r.Text(s)
}

package recall

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"sync"
)

// Mark turns a key into a short text that fits into labels, comments and
// descriptions, says nothing about the key, and is the same each time.
func Mark(key string) string {
	sum := sha256.Sum256([]byte(key))
	return "quell-" + hex.EncodeToString(sum[:12])
}

// Book remembers values by key and forgets the oldest beyond its size. It may
// be used from many goroutines.
type Book[V any] struct {
	mu    sync.Mutex
	size  int
	items map[string]V
	order []string
}

// NewBook makes a book of at most size entries.
func NewBook[V any](size int) *Book[V] {
	return &Book[V]{size: max(size, 1), items: map[string]V{}}
}

// First stores v under key unless something stands there, and returns what
// stands there then.
func (b *Book[V]) First(key string, v V) V {
	b.mu.Lock()
	defer b.mu.Unlock()
	if old, ok := b.items[key]; ok {
		return old
	}
	if len(b.order) >= b.size {
		delete(b.items, b.order[0])
		b.order = b.order[1:]
	}
	b.items[key] = v
	b.order = append(b.order, key)
	return v
}

// Forget takes away what stands under key, because it proved wrong.
func (b *Book[V]) Forget(key string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, ok := b.items[key]; ok {
		delete(b.items, key)
		b.order = slices.DeleteFunc(b.order, func(k string) bool { return k == key })
	}
}

// Get returns what stands under key.
func (b *Book[V]) Get(key string) (V, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	v, ok := b.items[key]
	return v, ok
}

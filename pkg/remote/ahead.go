package remote

import (
	"fmt"
	"io"
	"sync"
)

// Reading ahead begins with the smaller and grows to the larger as long as reads follow
// each other. A request costs some ten milliseconds, in which a network carries megabytes.
const (
	firstAhead = 512 << 10
	mostAhead  = 4 << 20
	aheadRoom  = 32 << 20 // of all objects
)

// window is a range that was read ahead, or is being read.
type window struct {
	r    *reader
	off  int64
	data []byte        // its length is known from the beginning, its content when done is closed
	done chan struct{} // closed when data or err is there
	err  error
}

// loaded says whether the window is done.
func (w *window) loaded() bool {
	select {
	case <-w.done:
		return true
	default:
		return false
	}
}

// readAhead holds the windows of all readers of a store.
type readAhead struct {
	mu      sync.Mutex
	windows []*window // the one used last is the last; guarded by mu
	room    int       // taken by them; guarded by mu
}

// find gives the window in which off lies, or nil.
func (a *readAhead) find(r *reader, off int64) *window {
	a.mu.Lock()
	defer a.mu.Unlock()
	for i, w := range a.windows {
		if w.r == r && off >= w.off && off < w.off+int64(len(w.data)) {
			a.windows = append(append(a.windows[:i], a.windows[i+1:]...), w)
			return w
		}
	}
	return nil
}

// add takes the room of a window, that of the least used ones if need be. It fails when all are
// still being read.
func (a *readAhead) add(w *window) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	for a.room+len(w.data) > aheadRoom {
		if !a.drop(func(w *window) bool { return w.loaded() }) {
			return false
		}
	}
	a.room += len(w.data)
	a.windows = append(a.windows, w)
	return true
}

// drop removes the first window of a kind. The caller holds mu.
func (a *readAhead) drop(kind func(*window) bool) bool {
	for i, w := range a.windows {
		if kind(w) {
			a.room -= len(w.data)
			a.windows = append(a.windows[:i], a.windows[i+1:]...)
			return true
		}
	}
	return false
}

// remove drops one window.
func (a *readAhead) remove(w *window) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.drop(func(other *window) bool { return other == w })
}

// forget drops the windows of a reader.
func (a *readAhead) forget(r *reader) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for a.drop(func(w *window) bool { return w.r == r }) {
	}
}

// readAhead reads n bytes from off on and some that follow, or gives nil when there is no use or no room.
func (r *reader) readAhead(n int, off int64) *window {
	r.mu.Lock()
	size := max(r.ahead, firstAhead)
	r.ahead = min(size*2, mostAhead)
	r.mu.Unlock()
	size = int(min(int64(size), r.size-off))
	if n >= size {
		return nil
	}
	w := &window{r: r, off: off, data: make([]byte, size), done: make(chan struct{})}
	if !r.s.ahead.add(w) {
		return nil
	}
	got, _, err := r.s.get(r.s.ctx, r.key, w.data, off)
	if err == nil && got != size {
		err = fmt.Errorf("%s: %w", r.name, io.ErrUnexpectedEOF)
	}
	w.err = err
	if err != nil {
		r.s.ahead.remove(w)
	}
	close(w.done)
	return w
}

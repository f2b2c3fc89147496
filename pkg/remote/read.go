package remote

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/pgincr/pgincr/pkg/repo"
)

// firstRead is what is read of an object when it is opened: headers and small documents cost no
// further request.
const firstRead = 64 << 10

// reader reads one object.
type reader struct {
	s         *Store
	name, key string
	size      int64
	head      []byte // the object's beginning

	mu    sync.Mutex
	ends  [8]int64 // where the newest reads ended; guarded by mu
	next  int      // which of them is the oldest; guarded by mu
	ahead int      // how much to read ahead the next time; guarded by mu
}

// Open reads the beginning of an object.
func (s *Store) Open(ctx context.Context, name string) (repo.ObjectReader, error) {
	key, err := s.key(ctx, name)
	if err != nil {
		return nil, err
	}
	r := &reader{s: s, name: name, key: key, head: make([]byte, firstRead)}
	var n int
	err = s.present(ctx, key, func(ctx context.Context) (err error) {
		n, r.size, err = s.get(ctx, key, r.head, 0)
		return err
	})
	if err != nil {
		return nil, wrap("open", name, err)
	}
	r.head = r.head[:n:n]
	r.note(int64(n))
	return r, nil
}

// get is one ranged read.
func (s *Store) get(ctx context.Context, key string, p []byte, off int64) (n int, size int64, err error) {
	err = s.try(ctx, &s.usage.get, func(ctx context.Context) (err error) {
		n, size, err = s.sv.Get(ctx, key, p, off)
		if err == nil && int64(n) != min(int64(len(p)), max(0, size-off)) {
			err = fmt.Errorf("%s: %d bytes at %d of %d: %w", key, n, off, size, io.ErrUnexpectedEOF)
		}
		return err
	})
	s.usage.read.Add(int64(n))
	return n, size, err
}

// Size is that of the object.
func (r *reader) Size() int64 { return r.size }

// ReadAt reads any range. Reads that follow each other are served from what was read ahead.
func (r *reader) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, fmt.Errorf("%s: read at %d", r.name, off)
	}
	if off >= r.size {
		return 0, io.EOF
	}
	want := p[:min(int64(len(p)), r.size-off)]
	follows := r.follows(off, off+int64(len(want)))
	for n := 0; n < len(want); {
		k, err := r.some(want[n:], off+int64(n), follows)
		n += k
		if err != nil {
			return n, err
		}
	}
	if len(want) < len(p) {
		return len(want), io.EOF
	}
	return len(want), nil
}

// some reads at least one byte into p.
func (r *reader) some(p []byte, off int64, follows bool) (int, error) {
	if off < int64(len(r.head)) {
		return copy(p, r.head[off:]), nil
	}
	w := r.s.ahead.find(r, off)
	if w == nil && follows {
		w = r.readAhead(len(p), off)
	}
	if w == nil {
		n, _, err := r.s.get(r.s.ctx, r.key, p, off)
		if errors.Is(err, repo.ErrNotFound) {
			err = wrap("read", r.name, err)
		}
		if err == nil && n == 0 {
			err = io.ErrUnexpectedEOF
		}
		return n, err
	}
	select {
	case <-w.done:
	case <-r.s.ctx.Done():
		return 0, context.Cause(r.s.ctx)
	}
	if w.err != nil {
		return 0, w.err
	}
	return copy(p, w.data[off-w.off:]), nil
}

// follows says whether a read begins where one of the newest ended, and remembers it.
func (r *reader) follows(off, end int64) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	found := false
	for _, e := range r.ends {
		found = found || e > 0 && off >= e && off-e <= firstRead
	}
	r.ends[r.next%len(r.ends)] = end
	r.next++
	return found
}

// note remembers where a read ended.
func (r *reader) note(end int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ends[0], r.next = end, 1
}

// Close forgets what was read ahead.
func (r *reader) Close() error {
	r.s.ahead.forget(r)
	return nil
}

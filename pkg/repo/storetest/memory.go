package storetest

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/pgincr/pgincr/pkg/repo"
)

// Memory is a Store in memory, for tests that use many or damage them. Opened twice it is
// the same pointer.
type Memory struct {
	mu      sync.Mutex
	objects map[string][]byte      // guarded by mu; the slices are never changed
	locks   map[string]*memoryLock // guarded by mu
}

// memoryLock is one that is held. It has an identity of its own: after DropLocks another may have its name.
type memoryLock struct{ owner string }

// NewMemory gives an empty one.
func NewMemory() *Memory {
	return &Memory{objects: map[string][]byte{}, locks: map[string]*memoryLock{}}
}

// String names it.
func (s *Memory) String() string { return "memory" }

// Names gives the names of all objects, sorted.
func (s *Memory) Names() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Sorted(maps.Keys(s.objects))
}

// Bytes gives an object's bytes, which must not be changed.
func (s *Memory) Bytes(name string) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.objects[name]
}

// Damage puts other bytes in the place of an object's, or, with nil, removes it.
func (s *Memory) Damage(name string, data []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if data == nil {
		delete(s.objects, name)
		return
	}
	s.objects[name] = data
}

// verifyName refuses what dirStore refuses.
func verifyName(ctx context.Context, name string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	odd := func(r rune) bool { return r <= ' ' || r > '~' || r == '\\' }
	if len(name) > 900 || !fs.ValidPath(name) || strings.ContainsFunc(name, odd) {
		return fmt.Errorf("object %q: bad name", name)
	}
	for e := range strings.SplitSeq(name, "/") {
		if e[0] == '.' || len(e) > 200 {
			return fmt.Errorf("object %q: bad name", name)
		}
	}
	return nil
}

// Create begins an object.
func (s *Memory) Create(ctx context.Context, name string) (repo.ObjectWriter, error) {
	if err := verifyName(ctx, name); err != nil {
		return nil, err
	}
	return &memoryWriter{s: s, name: name}, nil
}

// Open gives an object as it is now.
func (s *Memory) Open(ctx context.Context, name string) (repo.ObjectReader, error) {
	if err := verifyName(ctx, name); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	data, ok := s.objects[name]
	if !ok {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	return memoryReader{bytes.NewReader(data)}, nil
}

// Stat gives an object's size.
func (s *Memory) Stat(ctx context.Context, name string) (int64, error) {
	o, err := s.Open(ctx, name)
	if err != nil {
		return 0, err
	}
	return o.Size(), o.Close()
}

// List gives what lies below prefix.
func (s *Memory) List(ctx context.Context, prefix string, recursive bool) ([]repo.ObjectInfo, error) {
	if dir, ok := strings.CutSuffix(prefix, "/"); prefix != "" && (!ok || verifyName(ctx, dir) != nil) {
		return nil, fmt.Errorf("list %q: not a prefix", prefix)
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var found []repo.ObjectInfo
	for _, name := range slices.Sorted(maps.Keys(s.objects)) {
		rel, ok := strings.CutPrefix(name, prefix)
		if !ok {
			continue
		}
		o := repo.ObjectInfo{Name: rel, Size: int64(len(s.objects[name]))}
		if dir, _, below := strings.Cut(rel, "/"); below && !recursive {
			o = repo.ObjectInfo{Name: dir + "/"}
		}
		if len(found) == 0 || found[len(found)-1] != o {
			found = append(found, o)
		}
	}
	slices.SortFunc(found, func(a, b repo.ObjectInfo) int { return strings.Compare(a.Name, b.Name) })
	return found, nil
}

// Delete removes objects.
func (s *Memory) Delete(ctx context.Context, names ...string) error {
	for _, name := range names {
		if err := verifyName(ctx, name); err != nil {
			return err
		}
		s.Damage(name, nil)
	}
	return ctx.Err()
}

// Lock takes a lock of this Memory.
func (s *Memory) Lock(ctx context.Context, name, owner string) (func() error, error) {
	if err := verifyName(ctx, name); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if holder, ok := s.locks[name]; ok {
		return nil, fmt.Errorf("%s: %w by %s", name, repo.ErrLocked, holder.owner)
	}
	mine := &memoryLock{owner}
	s.locks[name] = mine
	var once sync.Once
	return func() error {
		once.Do(func() {
			s.mu.Lock()
			defer s.mu.Unlock()
			if s.locks[name] == mine {
				delete(s.locks, name)
			}
		})
		return nil
	}, nil
}

// Locks gives the locks that are held.
func (s *Memory) Locks(ctx context.Context, prefix string, want func(name string) bool) ([]repo.LockInfo, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var held []repo.LockInfo
	for _, name := range slices.Sorted(maps.Keys(s.locks)) {
		if rel, ok := strings.CutPrefix(name, prefix); ok && (want == nil || want(rel)) {
			held = append(held, repo.LockInfo{Name: rel, Owner: strings.TrimSpace(s.locks[name].owner)})
		}
	}
	return held, nil
}

// DropLocks ends all locks, as the death of the processes that hold them does.
func (s *Memory) DropLocks() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.locks)
}

// memoryWriter fills an object.
type memoryWriter struct {
	s    *Memory
	name string
	buf  bytes.Buffer
	done bool
}

func (w *memoryWriter) Write(p []byte) (int, error) {
	if w.done {
		return 0, fs.ErrClosed
	}
	return w.buf.Write(p)
}

func (w *memoryWriter) Commit(ctx context.Context) error {
	if w.done {
		return fs.ErrClosed
	}
	w.done = true
	if err := ctx.Err(); err != nil {
		return err
	}
	w.s.mu.Lock()
	defer w.s.mu.Unlock()
	if _, ok := w.s.objects[w.name]; ok {
		return &fs.PathError{Op: "create", Path: w.name, Err: fs.ErrExist}
	}
	w.s.objects[w.name] = append([]byte{}, w.buf.Bytes()...)
	return nil
}

func (w *memoryWriter) Abort() error {
	w.done = true
	return nil
}

// memoryReader reads an object.
type memoryReader struct{ *bytes.Reader }

func (memoryReader) Close() error { return nil }

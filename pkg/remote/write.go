package remote

import (
	"context"
	"crypto/rand"
	"fmt"
	"io/fs"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/pgincr/pgincr/pkg/repo"
)

// smallPart is up to where the memory of a part grows as it is filled; then it has PartSize.
const smallPart = 1 << 20

// abortPatience is how long the removal of what an abandoned object has left may take.
const abortPatience = 30 * time.Second

// buffers keeps the memory of parts for the next ones.
type buffers struct{ pool sync.Pool }

func (b *buffers) get() []byte {
	if p, ok := b.pool.Get().(*[]byte); ok {
		return (*p)[:0]
	}
	return make([]byte, 0, PartSize)
}

func (b *buffers) put(p []byte) {
	if cap(p) == PartSize {
		b.pool.Put(&p)
	}
}

// writer sends an object in parts while it is written. What fits in one part is sent by Commit
// in one request.
type writer struct {
	s         *Store
	name, key string
	token     string

	ctx    context.Context // of Create, since io.Writer has none; ends with the first part that fails
	cancel context.CancelCauseFunc
	g      *errgroup.Group // parts under way
	buf    []byte          // the part being filled
	off    int64           // where it begins
	number int             // of parts begun before it
	up     Upload          // nil: nothing was sent yet
	err    error           // sticky
}

// Create begins an object.
func (s *Store) Create(ctx context.Context, name string) (repo.ObjectWriter, error) {
	key, err := s.key(ctx, name)
	if err != nil {
		return nil, err
	}
	w := &writer{s: s, name: name, key: key, token: newToken(), g: new(errgroup.Group)}
	w.ctx, w.cancel = context.WithCancelCause(ctx)
	return w, nil
}

// newToken gives 16 random digits.
func newToken() string {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails
	return fmt.Sprintf("%016x", b)
}

// Write fills parts and sends those that are full.
func (w *writer) Write(p []byte) (n int, err error) {
	for len(p) > 0 && w.err == nil {
		if len(w.buf) == PartSize {
			w.err = w.send()
			continue
		}
		w.grow(len(p))
		k := min(len(p), PartSize-len(w.buf))
		w.buf = append(w.buf, p[:k]...)
		p = p[k:]
		n += k
	}
	return n, w.err
}

// grow makes room for n more bytes, or the rest of the part.
func (w *writer) grow(n int) {
	if need := len(w.buf) + n; need > smallPart && cap(w.buf) < PartSize {
		w.buf = append(w.s.buffers.get(), w.buf...)
	}
}

// send hands the full part over. It waits while too many are under way.
func (w *writer) send() error {
	if err := w.begin(); err != nil {
		return err
	}
	if w.s.limits.Ordered {
		if err := w.wait(); err != nil {
			return err
		}
	}
	if err := w.s.parts.Acquire(w.ctx, 1); err != nil {
		return w.cause(err)
	}
	w.number++
	number, off, data := w.number, w.off, w.buf
	w.off += int64(len(data))
	w.buf = nil
	w.g.Go(func() error {
		defer w.s.parts.Release(1)
		err := w.s.try(w.ctx, &w.s.usage.part, func(ctx context.Context) error {
			return w.up.Part(ctx, number, off, data)
		})
		if err != nil {
			w.cancel(err)
			return err
		}
		w.s.usage.written.Add(int64(len(data)))
		w.s.buffers.put(data)
		return nil
	})
	return nil
}

// begin starts the upload before its first part.
func (w *writer) begin() error {
	if limit := w.s.limits.Parts; limit > 0 && w.number+1 >= limit {
		return &Error{w.s.String(), Refused, fmt.Errorf("%s: larger than %d MiB", w.name, limit*(PartSize>>20))}
	}
	if w.up != nil {
		return nil
	}
	return w.s.try(w.ctx, &w.s.usage.put, func(ctx context.Context) (err error) {
		w.up, err = w.s.sv.Begin(ctx, w.key, w.token)
		return err
	})
}

// wait waits for the parts under way.
func (w *writer) wait() error { return w.cause(w.g.Wait()) }

// cause makes of an error what the first failed part said.
func (w *writer) cause(err error) error {
	if c := context.Cause(w.ctx); err != nil && c != nil {
		return c
	}
	return err
}

// Commit sends what is left and names the object.
func (w *writer) Commit(ctx context.Context) error {
	err := w.err
	if err == nil {
		err = ctx.Err()
	}
	if err == nil && w.up == nil {
		err = w.commitSmall(ctx)
	} else if err == nil {
		err = w.commitParts(ctx)
	}
	if err != nil {
		return leftover(wrap("create", w.name, err), w.abort(ctx))
	}
	w.up = nil
	w.done()
	return nil
}

// leftover adds to an error that what was sent could not be dropped. What that means is the first one's to say: who
// takes the object for missing, or the service for away, must not do so because of this.
func leftover(err, abort error) error {
	if abort == nil {
		return err
	}
	return fmt.Errorf("%w (what was sent is left: %s)", err, abort.Error())
}

// commitSmall stores an object that fits in one part.
func (w *writer) commitSmall(ctx context.Context) error {
	_, err := w.s.put(ctx, w.key, w.token, w.buf)
	if err == nil {
		w.s.usage.written.Add(int64(len(w.buf)))
	}
	return err
}

// commitParts completes the upload.
func (w *writer) commitParts(ctx context.Context) error {
	if len(w.buf) > 0 && !w.s.limits.Ordered {
		if err := w.send(); err != nil {
			return err
		}
	}
	if err := w.wait(); err != nil {
		return err
	}
	_, err := w.s.publish(ctx, w.key, w.token, func(ctx context.Context) (string, error) {
		return "", w.up.Complete(ctx, w.number+1, w.off, w.buf)
	})
	if err == nil {
		w.s.usage.written.Add(int64(len(w.buf)))
	}
	return err
}

// put makes an object with one request, and gives its version.
func (s *Store) put(ctx context.Context, key, token string, data []byte) (version string, err error) {
	return s.publish(ctx, key, token, func(ctx context.Context) (string, error) {
		return s.sv.Put(ctx, key, data, PutOptions{Token: token})
	})
}

// publish carries out the request that makes an object, and gives the version that the request does. When an
// answer was lost, the repetition fails because of what the first one did: then the token tells whose object it is
// that is there.
func (s *Store) publish(
	ctx context.Context, key, token string, request func(context.Context) (string, error),
) (version string, err error) {
	err = s.try(ctx, &s.usage.put, func(ctx context.Context) (err error) {
		version, err = request(ctx)
		return err
	})
	if err == nil || isUnreachable(err) || ctx.Err() != nil {
		return version, err
	}
	var o Object
	statErr := s.try(ctx, &s.usage.stat, func(ctx context.Context) (err error) {
		o, err = s.sv.Stat(ctx, key)
		return err
	})
	if statErr == nil && o.Token == token {
		return o.Version, nil
	}
	return "", err
}

// Abort drops what was written.
func (w *writer) Abort() error { return w.abort(w.ctx) }

// abort is Abort, also when ctx has ended.
func (w *writer) abort(ctx context.Context) error {
	w.cancel(fs.ErrClosed)
	_ = w.g.Wait() // who aborts knows why, or does not care
	up := w.up
	w.up = nil
	w.done()
	if up == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), abortPatience)
	defer cancel()
	return w.s.try(ctx, &w.s.usage.remove, up.Abort)
}

// done ends the use of the writer.
func (w *writer) done() {
	w.cancel(fs.ErrClosed)
	w.s.buffers.put(w.buf)
	w.buf = nil
	w.err = fs.ErrClosed
}

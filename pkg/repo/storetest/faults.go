package storetest

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/pgincr/pgincr/pkg/repo"
)

// ErrInjected is what an operation fails with that was made to fail.
var ErrInjected = errors.New("injected fault")

// FaultMode is how a planted fault shows.
type FaultMode int

const (
	// FailOnce: the operation fails and has done nothing. Those after it work.
	FailOnce FaultMode = iota
	// FailLate: the operation is carried out and fails nevertheless, as when the answer is
	// lost. Those after it work.
	FailLate
	// Die: the operation and all after it fail and do nothing, as when the process was killed.
	Die
)

// String names the mode.
func (m FaultMode) String() string {
	return [...]string{"fails once", "fails late", "dies"}[m]
}

// Faults is a store on another one in which the n-th operation fails. Operations are the
// calls of Store, ObjectWriter and ObjectReader but for Close and Size.
type Faults struct {
	repo.Store
	mode  FaultMode
	left  atomic.Int64
	fired atomic.Bool
}

// NewFaults makes operation n of st fail, counted from 1.
func NewFaults(st repo.Store, mode FaultMode, n int) *Faults {
	f := &Faults{Store: st, mode: mode}
	f.left.Store(int64(n))
	return f
}

// Fired says whether the fault was met. A loop over n is complete when it was not.
func (f *Faults) Fired() bool { return f.fired.Load() }

// do carries out an operation, or lets it fail.
func (f *Faults) do(name string, op func() error) error {
	left := f.left.Add(-1)
	if left > 0 || left < 0 && f.mode != Die {
		return op()
	}
	f.fired.Store(true)
	err := fmt.Errorf("%s: %w", name, ErrInjected)
	if f.mode == FailLate {
		return errors.Join(err, op())
	}
	return err
}

// Create counts.
func (f *Faults) Create(ctx context.Context, name string) (w repo.ObjectWriter, err error) {
	err = f.do("create "+name, func() (err error) {
		w, err = f.Store.Create(ctx, name)
		return err
	})
	if err != nil {
		if w != nil {
			err = errors.Join(err, w.Abort())
		}
		return nil, err
	}
	return &faultyWriter{w, f, name}, nil
}

// Open counts.
func (f *Faults) Open(ctx context.Context, name string) (o repo.ObjectReader, err error) {
	err = f.do("open "+name, func() (err error) {
		o, err = f.Store.Open(ctx, name)
		return err
	})
	if err != nil {
		if o != nil {
			err = errors.Join(err, o.Close())
		}
		return nil, err
	}
	return &faultyReader{o, f, name}, nil
}

// Stat counts.
func (f *Faults) Stat(ctx context.Context, name string) (size int64, err error) {
	err = f.do("stat "+name, func() (err error) {
		size, err = f.Store.Stat(ctx, name)
		return err
	})
	return size, err
}

// List counts.
func (f *Faults) List(ctx context.Context, prefix string, recursive bool) (found []repo.ObjectInfo, err error) {
	err = f.do("list "+prefix, func() (err error) {
		found, err = f.Store.List(ctx, prefix, recursive)
		return err
	})
	return found, err
}

// Delete counts.
func (f *Faults) Delete(ctx context.Context, names ...string) error {
	return f.do("delete", func() error { return f.Store.Delete(ctx, names...) })
}

// Lock counts. One whose answer is lost is not held.
func (f *Faults) Lock(ctx context.Context, name, owner string) (unlock func() error, err error) {
	err = f.do("lock "+name, func() (err error) {
		unlock, err = f.Store.Lock(ctx, name, owner)
		return err
	})
	if err != nil {
		if unlock != nil {
			err = errors.Join(err, unlock())
		}
		return nil, err
	}
	return unlock, nil
}

// Locks counts.
func (f *Faults) Locks(
	ctx context.Context, prefix string, want func(name string) bool,
) (held []repo.LockInfo, err error) {
	err = f.do("locks "+prefix, func() (err error) {
		held, err = f.Store.Locks(ctx, prefix, want)
		return err
	})
	return held, err
}

// faultyWriter counts the operations of a writer.
type faultyWriter struct {
	repo.ObjectWriter
	f    *Faults
	name string
}

func (w *faultyWriter) Write(p []byte) (n int, err error) {
	err = w.f.do("write "+w.name, func() (err error) {
		n, err = w.ObjectWriter.Write(p)
		return err
	})
	return n, err
}

func (w *faultyWriter) Commit(ctx context.Context) error {
	return w.f.do("commit "+w.name, func() error { return w.ObjectWriter.Commit(ctx) })
}

func (w *faultyWriter) Abort() error {
	return w.f.do("abort "+w.name, w.ObjectWriter.Abort)
}

// faultyReader counts the operations of a reader.
type faultyReader struct {
	repo.ObjectReader
	f    *Faults
	name string
}

func (o *faultyReader) ReadAt(p []byte, off int64) (n int, err error) {
	err = o.f.do("read "+o.name, func() (err error) {
		n, err = o.ObjectReader.ReadAt(p, off)
		return err
	})
	return n, err
}

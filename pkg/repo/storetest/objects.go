package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"testing"

	"golang.org/x/sync/errgroup"

	"github.com/pgincr/pgincr/pkg/repo"
)

// Everybody sees an object as soon as Commit returned, and nobody sees any of it before.
func commitPublishes(t *testing.T, open func() repo.Store) {
	st, other := open(), open()
	w, err := st.Create(t.Context(), "a/b/object")
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{"one ", "two ", "three"} {
		if _, err := w.Write([]byte(part)); err != nil {
			t.Fatal(err)
		}
		wantAbsent(t, other, "a/b/object")
	}
	if err := w.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, s := range []repo.Store{st, other, open()} {
		want(t, s, "a/b/object", []byte("one two three"))
	}
}

// Abort leaves nothing, and the name stays free.
func abortLeavesNothing(t *testing.T, open func() repo.Store) {
	st := open()
	w, err := st.Create(t.Context(), "dir/object")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(make([]byte, 300<<10)); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := w.Abort(); err != nil {
			t.Fatal(err)
		}
	}
	wantAbsent(t, open(), "dir/object")
	put(t, st, "dir/object", []byte("x"))
	want(t, open(), "dir/object", []byte("x"))
}

// A second commit of a name is ErrExists and changes nothing, whoever makes it.
func createOnly(t *testing.T, open func() repo.Store) {
	st := open()
	late, err := st.Create(t.Context(), "dir/object")
	if err != nil {
		t.Fatal(err)
	}
	put(t, st, "dir/object", []byte("first"))
	if _, err := late.Write([]byte("began earlier")); err != nil {
		t.Fatal(err)
	}
	if err := late.Commit(t.Context()); !errors.Is(err, repo.ErrExists) {
		t.Fatalf("commit of a name that is taken: %v", err)
	}
	if err := late.Abort(); err != nil {
		t.Fatalf("abort after that: %v", err)
	}
	for _, s := range []repo.Store{st, open()} {
		w, err := s.Create(t.Context(), "dir/object")
		if err == nil {
			_, err = w.Write([]byte("other"))
			if err == nil {
				err = w.Commit(t.Context())
			}
		}
		if !errors.Is(err, repo.ErrExists) {
			t.Fatalf("second object of one name: %v", err)
		}
	}
	want(t, open(), "dir/object", []byte("first"))
	if got := list(t, open(), "", true); len(got) != 1 {
		t.Fatalf("left over: %q", got)
	}
}

// Of writers that race for a name exactly one wins; its content is the object.
func createRace(t *testing.T, open func() repo.Store) {
	var winner atomic.Int64
	var g errgroup.Group
	for i := range 8 {
		st := open()
		g.Go(func() error {
			w, err := st.Create(t.Context(), "race/object")
			if err != nil {
				return err
			}
			if _, err := w.Write(bytes.Repeat([]byte{byte('A' + i)}, 100_000)); err != nil {
				return errors.Join(err, w.Abort())
			}
			err = w.Commit(t.Context())
			if err == nil && !winner.CompareAndSwap(0, int64('A'+i)) {
				return errors.New("two writers won")
			}
			if err != nil && !errors.Is(err, repo.ErrExists) {
				return err
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	want(t, open(), "race/object", bytes.Repeat([]byte{byte(winner.Load())}, 100_000))
}

// Objects have any size, written in pieces of any size.
func sizes(t *testing.T, open func() repo.Store) {
	st := open()
	rnd := rand.NewChaCha8([32]byte{1})
	for _, size := range []int{0, 1, 4095, 4096, 128<<10 - 1, 128 << 10, 1<<20 + 7, 20 << 20} {
		data := make([]byte, size)
		_, _ = rnd.Read(data) // never fails
		name := fmt.Sprintf("sizes/%d", size)
		w, err := st.Create(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		for rest, n := data, 1; len(rest) > 0; n = n*3 + 1 {
			n = min(n, len(rest))
			if _, err := w.Write(rest[:n]); err != nil {
				t.Fatal(err)
			}
			rest = rest[n:]
		}
		if err := w.Commit(t.Context()); err != nil {
			t.Fatal(err)
		}
		want(t, open(), name, data)
	}
}

// ReadAt gives any range, from many goroutines, and io.EOF behind the end as io.ReaderAt says.
func randomAccess(t *testing.T, open func() repo.Store) {
	st := open()
	data := make([]byte, 3<<20+17)
	_, _ = rand.NewChaCha8([32]byte{2}).Read(data) // never fails
	put(t, st, "dir/object", data)
	o, err := open().Open(t.Context(), "dir/object")
	if err != nil {
		t.Fatal(err)
	}
	var g errgroup.Group
	for seed := range uint64(8) {
		g.Go(func() error {
			rnd := rand.New(rand.NewPCG(seed, 0))
			for range 50 {
				off := rnd.Int64N(int64(len(data)))
				n := rnd.IntN(min(300_000, len(data)-int(off))) + 1
				b := make([]byte, n)
				if got, err := o.ReadAt(b, off); got != n || err != nil && !errors.Is(err, io.EOF) {
					return fmt.Errorf("%d bytes at %d: %d, %w", n, off, got, err)
				}
				if !bytes.Equal(b, data[off:][:n]) {
					return fmt.Errorf("%d bytes at %d are not those stored", n, off)
				}
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	size := int64(len(data))
	b := make([]byte, 100)
	if n, err := o.ReadAt(b, size-10); n != 10 || !errors.Is(err, io.EOF) || !bytes.Equal(b[:10], data[size-10:]) {
		t.Errorf("read over the end: %d, %v", n, err)
	}
	if n, err := o.ReadAt(b, size); n != 0 || !errors.Is(err, io.EOF) {
		t.Errorf("read at the end: %d, %v", n, err)
	}
	if err := o.Close(); err != nil {
		t.Error(err)
	}
}

// What is not there is ErrNotFound, also where other objects lie below the name.
func absent(t *testing.T, open func() repo.Store) {
	st := open()
	for _, name := range []string{"nothing", "no/such/object"} {
		wantAbsent(t, st, name)
	}
	put(t, st, "dir/sub/object", []byte("x"))
	for _, name := range []string{"dir", "dir/sub", "dir/sub/other", "other/object"} {
		wantAbsent(t, st, name)
	}
}

// After ctx was cancelled nothing appears.
func cancelled(t *testing.T, open func() repo.Store) {
	st := open()
	ctx, cancel := context.WithCancel(t.Context())
	w, err := st.Create(ctx, "dir/object")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := w.Commit(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("commit: %v", err)
	}
	wantAbsent(t, open(), "dir/object")
	if _, err := st.Create(ctx, "dir/other"); !errors.Is(err, context.Canceled) {
		t.Errorf("create: %v", err)
	}
	put(t, open(), "third", []byte("x"))
	if _, err := st.Open(ctx, "third"); !errors.Is(err, context.Canceled) {
		t.Errorf("open: %v", err)
	}
	if _, err := st.Stat(ctx, "third"); !errors.Is(err, context.Canceled) {
		t.Errorf("stat: %v", err)
	}
	if _, err := st.List(ctx, "", true); !errors.Is(err, context.Canceled) {
		t.Errorf("list: %v", err)
	}
	if err := st.Delete(ctx, "third"); !errors.Is(err, context.Canceled) {
		t.Errorf("delete: %v", err)
	}
	want(t, open(), "third", []byte("x"))
}

// Names that would leave the space, hide, or differ from store to store are refused.
func badNames(t *testing.T, open func() repo.Store) {
	st := open()
	for _, name := range []string{
		"", "/", "/etc/passwd", "a//b", "a/", "../a", "a/../../b", ".", "..", "a/.", ".hidden", "a/.hidden",
		"a b", "tab\t", "nul\x00", "ä", `a\b`, strings.Repeat("x", 256), strings.Repeat("x/", 500) + "x",
	} {
		if w, err := st.Create(t.Context(), name); err == nil {
			t.Errorf("create %q: accepted", name)
			_ = w.Abort()
		}
		if _, err := st.Open(t.Context(), name); err == nil || errors.Is(err, repo.ErrNotFound) {
			t.Errorf("open %q: %v", name, err)
		}
		if _, err := st.Stat(t.Context(), name); err == nil || errors.Is(err, repo.ErrNotFound) {
			t.Errorf("stat %q: %v", name, err)
		}
		if err := st.Delete(t.Context(), name); err == nil {
			t.Errorf("delete %q: accepted", name)
		}
	}
	for _, prefix := range []string{"/", "a", "../", "a/../", ".hidden/"} {
		if _, err := st.List(t.Context(), prefix, true); err == nil {
			t.Errorf("list %q: accepted", prefix)
		}
	}
}

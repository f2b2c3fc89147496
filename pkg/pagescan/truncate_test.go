package pagescan

import (
	"runtime"
	"strings"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/pgincr/pgincr/pkg/pagemap"
	"github.com/pgincr/pgincr/pkg/pg"
)

// L16: a file that is truncated and extended again while it is scanned, all the
// time, never ends the process, and blocks that were never lost are right.
func TestTruncatedUnderScan(t *testing.T) {
	rounds := 3000
	if testing.Short() {
		rounds = 300
	}
	const stay, all = 50, 400 // blocks
	pages := make([]pg.Page, all)
	for i := range pages {
		pages[i] = unchanged(byte(i))
	}
	pages[7] = page(header{lsn: since}, 1)
	for name, r := range map[string]Rules{
		"lsn":  {BlockSize: blockSize, Since: since},
		"hash": {BlockSize: blockSize, HashAll: true},
	} {
		t.Run(name, func(t *testing.T) {
			f := writeFile(t, pages...)
			parentPages := append([]pg.Page(nil), pages...)
			parentPages[7] = unchanged(7)
			parent := Parent{Blocks: all, Hashes: hashes(parentPages...)}

			var stop atomic.Bool
			done := make(chan error)
			go func() {
				for i := 0; !stop.Load(); i++ {
					size := int64(stay+i*31%(all-stay)) * blockSize
					if err := f.Truncate(size); err != nil {
						done <- err
						return
					}
					if i%3 == 0 {
						if _, err := f.WriteAt(pages[0], (all-1)*blockSize); err != nil {
							done <- err
							return
						}
					}
					if i%16 == 0 {
						runtime.Gosched()
					}
				}
				done <- nil
			}()
			short := 0
			for range rounds {
				var set pagemap.Set
				st, err := r.Scan(t.Context(), f, 0, all, parent, &set)
				if err != nil {
					t.Fatal(err)
				}
				if st.End < stay || st.End > all {
					t.Fatalf("ended at block %d of %d to %d", st.End, stay, all)
				}
				if st.End < all {
					short++
				}
				for b := range pg.BlockNumber(stay) {
					if set.Has(b) != (b == 7) {
						t.Fatalf("block %d: taken is %v", b, set.Has(b))
					}
				}
			}
			stop.Store(true)
			if err := <-done; err != nil {
				t.Fatal(err)
			}
			t.Logf("%d of %d scans ended early", short, rounds)
		})
	}
}

// A fault inside the mapping says how much was there. Here the file is cut exactly
// between the mapping and the first look.
func TestTruncatedAfterMapping(t *testing.T) {
	for name, r := range map[string]Rules{
		"lsn":  {BlockSize: blockSize, Since: since},
		"hash": {BlockSize: blockSize, HashAll: true},
	} {
		t.Run(name, func(t *testing.T) {
			pages := make([]pg.Page, 64)
			for i := range pages {
				pages[i] = unchanged(byte(i))
			}
			f := writeFile(t, pages...)
			var set pagemap.Set
			s := scanner{prober: prober{Rules: r, hashes: hashes(pages...), into: &set}, f: f, blocks: 64, end: 64}
			m, ok := mapFile(f, 0, 64*blockSize)
			if !ok {
				t.Fatal("the file was not mapped")
			}
			defer m.close()
			if err := f.Truncate(10 * blockSize); err != nil {
				t.Fatal(err)
			}
			if n := guard(m.data, func() { s.look(m.data, 0) }); n != 10*blockSize {
				t.Errorf("%d bytes were there, want %d", n, 10*blockSize)
			}
			if err := s.window(0, 64, nil); err != nil {
				t.Fatal(err)
			}
			s.flush()
			if s.end != 10 || s.stats.Looked != 10 || set.Len() != 0 {
				t.Errorf("ended at %d, looked at %d, took %d; want 10, 10, 0", s.end, s.stats.Looked, set.Len())
			}
		})
	}
}

// Only faults inside the mapping are recovered. Other panics are bugs and end the process.
func TestGuardLetsOtherPanicsThrough(t *testing.T) {
	mine := make([]byte, 8192)
	caught := func(look func()) (r any) {
		defer func() { r = recover() }()
		guard(mine, look)
		return nil
	}
	if r := caught(func() { panic("bug") }); r != "bug" {
		t.Errorf("recovered %v", r)
	}
	var nobody *int
	r := caught(func() { *nobody = 1 })
	if err, ok := r.(runtime.Error); !ok || !strings.Contains(err.Error(), "nil pointer") {
		t.Errorf("recovered %v", r)
	}
	// A fault outside the mapping: memory that nobody may read.
	m, err := unix.Mmap(-1, 0, 4096, unix.PROT_NONE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Munmap(m)
	var sink byte
	if r := caught(func() { sink = m[0] }); r == nil {
		t.Errorf("a fault elsewhere was swallowed (%d)", sink)
	}
	if n := guard(m, func() { sink = m[100] }); n != 100 {
		t.Errorf("a fault inside at byte 100: %d", n)
	}
}

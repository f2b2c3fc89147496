package pagescan

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pgincr/pgincr/pkg/pagemap"
	"github.com/pgincr/pgincr/pkg/pg"
)

// The scan looks at [from, to) of what the file has, and takes all that the
// parent did not have or has no hash of.
func TestScanRange(t *testing.T) {
	changed := page(header{lsn: since}, 1)
	pages := []pg.Page{changed, unchanged(1), changed, unchanged(2), changed, unchanged(3)}
	f := writeFile(t, pages...)
	plain := Rules{BlockSize: blockSize, Since: since}
	hash := Rules{BlockSize: blockSize, HashAll: true}

	for _, c := range []struct {
		name     string
		rules    Rules
		from, to pg.BlockNumber
		parent   Parent
		want     []pg.BlockNumber
		end      pg.BlockNumber
	}{
		{"all", plain, 0, 6, Parent{Blocks: 6}, []pg.BlockNumber{0, 2, 4}, 6},
		{"behind the end", plain, 0, 100, Parent{Blocks: 6}, []pg.BlockNumber{0, 2, 4}, 6},
		{"in the middle", plain, 1, 4, Parent{Blocks: 6}, []pg.BlockNumber{2}, 4},
		{"the parent was shorter", plain, 1, 6, Parent{Blocks: 3}, []pg.BlockNumber{2, 3, 4, 5}, 6},
		{"the parent was longer", plain, 0, 6, Parent{Blocks: 60}, []pg.BlockNumber{0, 2, 4}, 6},
		{"the parent had nothing", plain, 0, 6, Parent{}, []pg.BlockNumber{0, 1, 2, 3, 4, 5}, 6},
		{"from behind the parent's end", plain, 4, 6, Parent{Blocks: 2}, []pg.BlockNumber{4, 5}, 6},
		{"from behind the end", plain, 8, 9, Parent{Blocks: 9}, []pg.BlockNumber{}, 8},
		{"nothing", plain, 3, 3, Parent{Blocks: 6}, []pg.BlockNumber{}, 3},
		{"same hashes", hash, 0, 6, Parent{Blocks: 6, Hashes: hashes(pages...)}, []pg.BlockNumber{}, 6},
		{"too few hashes", hash, 0, 6, Parent{Blocks: 6, Hashes: hashes(pages[:4]...)}, []pg.BlockNumber{4, 5}, 6},
		{"more hashes than blocks", hash, 0, 6, Parent{Blocks: 5, Hashes: hashes(pages...)}, []pg.BlockNumber{5}, 6},
	} {
		t.Run(c.name, func(t *testing.T) {
			var set pagemap.Set
			st, err := c.rules.Scan(t.Context(), f, c.from, c.to, c.parent, &set)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, blocks(&set, 1000)); diff != "" {
				t.Errorf("taken (-want +got):\n%s", diff)
			}
			if st.End != c.end {
				t.Errorf("ended at %d, want %d", st.End, c.end)
			}
		})
	}
}

// L30: bytes behind the last whole block do not make a block.
func TestScanRaggedEnd(t *testing.T) {
	f := writeFile(t, unchanged(1), unchanged(2))
	if err := f.Truncate(blockSize + 100); err != nil {
		t.Fatal(err)
	}
	got, st := scan(t, Rules{BlockSize: blockSize, Since: since}, f, Parent{Blocks: 2})
	if len(got) != 0 || st.End != 1 {
		t.Errorf("took %v of %d blocks, want nothing of 1", got, st.End)
	}
}

// Other block sizes than the default work, also ones smaller than a page of memory at
// offsets that cannot be mapped.
func TestScanBlockSizes(t *testing.T) {
	for _, size := range []uint32{1024, 2048, 4096, 16384, 32768} {
		f, err := os.Create(filepath.Join(t.TempDir(), "1"))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		var want []pg.BlockNumber
		for i := range 37 {
			h := header{lsn: since - 8}
			if i%5 == 3 {
				h.lsn = since
				if i >= 7 {
					want = append(want, pg.BlockNumber(i))
				}
			}
			p := append(page(h, 1), make([]byte, 32768)...)[:size]
			if _, err := f.Write(p); err != nil {
				t.Fatal(err)
			}
		}
		var set pagemap.Set
		rules := Rules{BlockSize: size, Since: since}
		if _, err := rules.Scan(t.Context(), f, 7, 37, Parent{Blocks: 37}, &set); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, blocks(&set, 100)); diff != "" {
			t.Errorf("block size %d (-want +got):\n%s", size, diff)
		}
	}
	if _, err := (Rules{BlockSize: 3000}).Scan(t.Context(), nil, 0, 1, Parent{}, nil); err == nil {
		t.Error("a block size of 3000 was accepted")
	}
}

// Pieces scanned apart, at the same time and on one open file, give what one scan gives.
func TestScanInPieces(t *testing.T) {
	pages := make([]pg.Page, 3000)
	for i := range pages {
		pages[i] = unchanged(byte(i))
		if i%7 == 0 {
			pages[i] = page(header{lsn: since + pg.LSN(i)}, 1)
		}
		if i > 1000 && i < 1500 {
			pages[i] = nil
		}
	}
	f := writeFile(t, pages...)
	r := Rules{BlockSize: blockSize, Since: since}
	want, wantStats := scan(t, r, f, Parent{Blocks: 2900})

	const step = 701
	type answer struct {
		set pagemap.Set
		st  Stats
		err error
	}
	answers := make(chan *answer)
	n := 0
	for from := pg.BlockNumber(0); from < 3000; from += step {
		n++
		go func() {
			var a answer
			a.st, a.err = r.Scan(t.Context(), f, from, from+step, Parent{Blocks: 2900}, &a.set)
			answers <- &a
		}()
	}
	var set pagemap.Set
	var st Stats
	for range n {
		a := <-answers
		if a.err != nil {
			t.Fatal(a.err)
		}
		set.Union(&a.set)
		st.Add(a.st)
	}
	if diff := cmp.Diff(want, blocks(&set, 3000)); diff != "" {
		t.Errorf("in pieces (-whole +pieces):\n%s", diff)
	}
	st.Cold, wantStats.Cold = 0, 0
	if diff := cmp.Diff(wantStats, st); diff != "" {
		t.Errorf("stats (-whole +pieces):\n%s", diff)
	}
}

// A cancelled scan ends with the context's error.
func TestScanCancelled(t *testing.T) {
	f := writeFile(t, unchanged(1))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := (Rules{BlockSize: blockSize, Since: since}).Scan(ctx, f, 0, 1, Parent{Blocks: 1}, new(pagemap.Set))
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

// Where a file cannot be mapped the same blocks are found by reading.
func TestReadFindsTheSame(t *testing.T) {
	pages := make([]pg.Page, 100)
	for i := range pages {
		pages[i] = page(header{lsn: since - 8 + pg.LSN(i%3)*8}, byte(i))
	}
	f := writeFile(t, pages...)
	r := Rules{BlockSize: blockSize, Since: since}
	want, _ := scan(t, r, f, Parent{Blocks: 100})

	var set pagemap.Set
	s := scanner{prober: prober{Rules: r, into: &set}, f: f, end: 100}
	if err := s.read(0, 100); err != nil {
		t.Fatal(err)
	}
	s.flush()
	if diff := cmp.Diff(want, blocks(&set, 100)); diff != "" {
		t.Errorf("read (-mapped +read):\n%s", diff)
	}
}

// An error of the device is an error of the scan, not an end of the file.
func TestReadError(t *testing.T) {
	f := writeFile(t, unchanged(1))
	w, err := os.OpenFile(f.Name(), os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	_, err = (Rules{BlockSize: blockSize, Since: since}).Scan(t.Context(), w, 0, 1, Parent{Blocks: 1}, new(pagemap.Set))
	if err == nil {
		t.Error("a file that cannot be read was scanned")
	}
}

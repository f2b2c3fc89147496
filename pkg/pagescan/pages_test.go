package pagescan

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"testing"

	"github.com/pgincr/pgincr/pkg/pagemap"
	"github.com/pgincr/pgincr/pkg/pg"
	"github.com/pgincr/pgincr/pkg/repo"
)

const blockSize = 8192

// since is the parent's start in these tests: its low half is small and its high half is not
// zero, so that mixed-up or torn halves are seen.
const since = pg.LSN(0x3_0000_2000)

// A header says what a fabricated page has in its header.
type header struct {
	lsn   pg.LSN
	flags uint16
	new   bool // pd_upper is zero
}

// page fabricates a page with that header and a body that depends on fill.
func page(h header, fill byte) pg.Page {
	p := make(pg.Page, blockSize)
	for i := range p[24:] {
		p[24+i] = fill + byte(i)
	}
	binary.LittleEndian.PutUint32(p, uint32(h.lsn>>32))
	binary.LittleEndian.PutUint32(p[4:], uint32(h.lsn))
	binary.LittleEndian.PutUint16(p[10:], h.flags)
	binary.LittleEndian.PutUint16(p[12:], 28)
	if !h.new {
		binary.LittleEndian.PutUint16(p[14:], 8000)
	}
	return p
}

// unchanged fabricates a page that no rule takes.
func unchanged(fill byte) pg.Page { return page(header{lsn: since - 8}, fill) }

// writeFile makes a file of those pages and opens it.
func writeFile(t testing.TB, pages ...pg.Page) *os.File {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "16384"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	for i, p := range pages {
		if p == nil {
			continue // a hole
		}
		if _, err := f.WriteAt(p, int64(i)*blockSize); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Truncate(int64(len(pages)) * blockSize); err != nil {
		t.Fatal(err)
	}
	return f
}

// hashes gives the page hashes of those pages, as a parent would have them.
func hashes(pages ...pg.Page) []uint64 {
	var hs []uint64
	for _, p := range pages {
		if p == nil {
			p = make(pg.Page, blockSize)
		}
		hs = append(hs, repo.PageHash(p))
	}
	return hs
}

// blocks lists the members of a set below limit.
func blocks(s *pagemap.Set, limit pg.BlockNumber) []pg.BlockNumber {
	bs := []pg.BlockNumber{}
	for first, n := range s.Runs(0, limit) {
		for b := first; b < first+n; b++ {
			bs = append(bs, b)
		}
	}
	return bs
}

// scan scans the whole file and lists what is taken.
func scan(t testing.TB, r Rules, f *os.File, parent Parent) ([]pg.BlockNumber, Stats) {
	t.Helper()
	var set pagemap.Set
	st, err := r.Scan(t.Context(), f, 0, pg.MaxBlock, parent, &set)
	if err != nil {
		t.Fatal(err)
	}
	if got := uint64(set.Len()); got != st.Taken {
		t.Errorf("the set has %d blocks, Stats.Taken is %d", got, st.Taken)
	}
	if sum := st.LSN + st.New + st.NoLSN + st.Flag + st.Hash + st.Unknown; sum != st.Taken {
		t.Errorf("%d blocks taken, %d for a reason: %+v", st.Taken, sum, st)
	}
	return blocks(&set, pg.MaxBlock), st
}

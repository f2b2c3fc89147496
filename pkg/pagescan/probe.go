package pagescan

import (
	"encoding/binary"
	"math/bits"

	"github.com/pgincr/pgincr/pkg/pagemap"
	"github.com/pgincr/pgincr/pkg/pg"
	"github.com/pgincr/pgincr/pkg/repo"
)

// A page header's first 16 bytes as two little-endian words (PageHeaderData,
// storage/bufpage.h): pd_lsn as two halves, the high one first; then
// pd_checksum, pd_flags, pd_lower and pd_upper, 16 bits each.
const (
	headerSize      = 16
	allVisibleShift = 18 // PD_ALL_VISIBLE is 0x4 of pd_flags
	upperShift      = 48
)

// A prober looks at pages and collects the blocks to take.
//
// A page may be written while it is looked at. That does no harm: the server's
// checkpoint at this backup's start wrote all earlier changes, so what is written
// now belongs to a record after the start, or is a hint. Replay of that
// record brings the page back whole (backup mode forces full page images), whether
// the page is taken or not: old LSN, new LSN, or halves of both (a torn read) are
// all right answers. A flag or hint written now does not touch the LSN;
// its record, if it has one, is replayed as well.
type prober struct {
	Rules
	hashes []uint64
	into   *pagemap.Set
	stats  Stats

	// The blocks [runFirst, runEnd) are taken but not yet in the set.
	runFirst, runEnd pg.BlockNumber
}

// look looks at the pages in m, of which the first is block first. What it
// has counted is right up to the page at which it faults, if it does.
func (p *prober) look(m []byte, first pg.BlockNumber) {
	switch {
	case p.HashAll:
		p.contents(m, first)
	case p.CheckFlags:
		p.flags(m, first)
	default:
		p.headers(m, first)
	}
}

// bounds gives lo and span such that an LSN is that of an unchanged page
// if, and only if, lsn-lo < span: one comparison for both ends.
func (p *prober) bounds() (lo, span uint64) {
	lo = uint64(max(minLSN, pg.LSN(p.SegmentSize)))
	return lo, max(uint64(p.Since), lo) - lo
}

// headers is the plain rule. It runs once for each page of a cluster: nothing
// is called for a page that is not taken.
func (p *prober) headers(m []byte, first pg.BlockNumber) {
	lo, span := p.bounds()
	size := int(p.BlockSize)
	blk := first
	for ; len(m) >= size; m = m[size:] {
		lsn := bits.RotateLeft64(binary.LittleEndian.Uint64(m), 32)
		rest := binary.LittleEndian.Uint64(m[8:headerSize])
		if lsn-lo >= span || rest>>upperShift == 0 {
			p.byHeader(blk, lsn, rest)
		}
		blk++
	}
}

// flags is headers with a look at PD_ALL_VISIBLE.
func (p *prober) flags(m []byte, first pg.BlockNumber) {
	lo, span := p.bounds()
	size := int(p.BlockSize)
	blk := first
	hashes := p.hashes[first:]
	for i := 0; len(m) >= size; i++ {
		lsn := bits.RotateLeft64(binary.LittleEndian.Uint64(m), 32)
		rest := binary.LittleEndian.Uint64(m[8:headerSize])
		if lsn-lo >= span || rest>>upperShift == 0 || (rest>>allVisibleShift^hashes[i])&1 != 0 {
			p.byHeader(blk, lsn, rest)
		}
		blk++
		m = m[size:]
	}
}

// contents compares page hashes.
func (p *prober) contents(m []byte, first pg.BlockNumber) {
	size := int(p.BlockSize)
	for blk := first; len(m) >= size; m = m[size:] {
		if repo.PageHash(pg.Page(m[:size])) != p.hashes[blk] {
			p.stats.Hash++
			p.take(blk, 1)
		}
		blk++
	}
}

// byHeader takes a block and counts the reason that its header gave.
func (p *prober) byHeader(blk pg.BlockNumber, lsn, rest uint64) {
	lo, _ := p.bounds()
	switch {
	case rest>>upperShift == 0:
		p.stats.New++
	case lsn < lo:
		if p.Doubtful != nil {
			p.Doubtful.AddRange(blk, blk+1)
			return
		}
		p.stats.NoLSN++
	case lsn >= uint64(p.Since):
		p.stats.LSN++
		if pg.LSN(lsn) > p.stats.MaxLSN {
			p.stats.MaxLSN, p.stats.MaxBlock = pg.LSN(lsn), blk
		}
	default:
		p.stats.Flag++
	}
	p.take(blk, 1)
}

// hole takes blocks that are holes: pages of zeros, never read.
func (p *prober) hole(from, to pg.BlockNumber) {
	if !p.HashAll {
		p.stats.New += uint64(to - from)
		p.take(from, to-from)
		return
	}
	zero := repo.PageHash(make(pg.Page, p.BlockSize))
	for blk := from; blk < to; blk++ {
		if p.hashes[blk] != zero {
			p.stats.Hash++
			p.take(blk, 1)
		}
	}
}

// take puts blocks into the set, runs of them at once.
func (p *prober) take(blk, n pg.BlockNumber) {
	p.stats.Taken += uint64(n)
	if blk != p.runEnd {
		p.flush()
		p.runFirst = blk
	}
	p.runEnd = blk + n
}

// flush puts the pending run into the set.
func (p *prober) flush() {
	if p.runFirst < p.runEnd {
		p.into.AddRange(p.runFirst, p.runEnd)
	}
	p.runFirst = p.runEnd
}

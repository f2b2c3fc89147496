package pagescan

import (
	"testing"

	"github.com/pgincr/pgincr/pkg/pagemap"
	"github.com/pgincr/pgincr/pkg/pg"
)

// Each row is a case in which a page differs from the parent's, or may; the scan
// takes it under each of the rules given. The numbers are those of the list of
// hazards in docs/hazards.md.
func TestHazards(t *testing.T) {
	const plain, flags, hash = 1, 2, 4
	zero := make(pg.Page, blockSize)
	old := unchanged(1)
	visible := page(header{lsn: since - 8, flags: 4}, 1)

	for _, c := range []struct {
		name   string
		parent pg.Page // nil: the parent did not have the block
		now    pg.Page
		taken  int // under which rules
	}{
		{"nothing changed", old, old, 0},
		{"all-visible then and now", visible, visible, 0},
		{"changed after the parent's start", old, page(header{lsn: since + 8}, 2), plain | flags | hash},
		{"changed by the record that ends at the parent's start", old, page(header{lsn: since}, 2), plain | flags | hash},
		{"LSN just before the parent's start", old, page(header{lsn: since - 1}, 1), hash},
		{"low half of the LSN large, high half smaller", old, page(header{lsn: 0x2_ffff_ffff}, 1), hash},
		{"high half of the LSN larger, low half zero", old, page(header{lsn: 0x4_0000_0000}, 1), plain | flags | hash},
		{
			"while the parent was copied: hash as it was", page(header{lsn: since + 8}, 1),
			page(header{lsn: since + 8}, 1), plain | flags,
		},

		{"L1 zero page where the parent had rows", old, zero, plain | flags | hash},
		{"L1 zero page where the parent had a zero page", zero, zero, plain | flags},
		{"L2 initialised, LSN never set", old, page(header{}, 2), plain | flags | hash},
		{"L2 not initialised, but not zero", old, page(header{lsn: since - 8, new: true}, 2), plain | flags | hash},
		{"L3 LSN of a GiST build", old, page(header{lsn: 1}, 2), plain | flags | hash},
		{"L3 LSN of an unlogged relation", old, page(header{lsn: 1000}, 2), plain | flags | hash},
		{"L3 LSN in the first segment", old, page(header{lsn: 16<<20 - 1}, 2), plain | flags | hash},
		{"LSN in the second segment, the first with WAL", old, page(header{lsn: 16 << 20}, 1), hash},
		{"L5 all-visible set without a new LSN", old, visible, flags | hash},
		{"L5 all-visible cleared without a new LSN", visible, old, flags | hash},
		{"L6 other flag set without a new LSN", old, page(header{lsn: since - 8, flags: 1}, 1), hash},
		{"L6 hint bits", old, unchanged(2), hash},
		{"L12 a template's page in a database made again", old, page(header{lsn: since - 4096}, 7), hash},
		{"L15 block the parent did not have, old LSN", nil, old, plain | flags | hash},
		{"L15 block the parent did not have, zero", nil, zero, plain | flags | hash},
		{"L18 hole left by a hash index", old, nil, plain | flags | hash},
		{"L21 LSN in the future", old, page(header{lsn: 1 << 60}, 2), plain | flags | hash},
		{"L28 an older page came back", unchanged(2), unchanged(1), hash},
		{"L32 a flipped bit", old, flipped(old), hash},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := writeFile(t, c.now)
			var parent Parent
			if c.parent != nil {
				parent = Parent{Blocks: 1, Hashes: hashes(c.parent)}
			}
			for mode, r := range map[int]Rules{
				plain: {BlockSize: blockSize, Since: since, SegmentSize: 16 << 20},
				flags: {BlockSize: blockSize, Since: since, SegmentSize: 16 << 20, CheckFlags: true},
				hash:  {BlockSize: blockSize, Since: since, SegmentSize: 16 << 20, HashAll: true},
			} {
				taken, _ := scan(t, r, f, parent)
				if got, want := len(taken) == 1, c.taken&mode != 0; got != want {
					t.Errorf("flags %v, hashes %v: taken is %v, want %v", r.CheckFlags, r.HashAll, got, want)
				}
				// What is doubtful and differs is taken in the end, what is not doubtful at once.
				var doubtful pagemap.Set
				r.Doubtful = &doubtful
				now, _ := scan(t, r, f, parent)
				differs := parent.Hashes == nil || len(c.now) == 0 || parent.Hashes[0] != hashes(c.now)[0]
				if got, want := len(now) == 1 || doubtful.Has(0) && differs, c.taken&mode != 0; got != want {
					t.Errorf("flags %v, hashes %v: taken in the end is %v, want %v", r.CheckFlags, r.HashAll, got, want)
				}
				if doubtful.Has(0) && (r.HashAll || c.now.LSN() >= 16<<20 || c.now.IsNew()) {
					t.Error("an LSN that says something is doubtful")
				}
			}
		})
	}
}

func flipped(p pg.Page) pg.Page {
	q := append(pg.Page(nil), p...)
	q[5000] ^= 16
	return q
}

// L21: the largest LSN is told with its block, so that the caller can say that it is in the future.
func TestMaxLSN(t *testing.T) {
	f := writeFile(t, unchanged(1), page(header{lsn: since + 80}, 1),
		page(header{lsn: 1 << 60}, 1), page(header{lsn: since + 8}, 1))
	_, st := scan(t, Rules{BlockSize: blockSize, Since: since}, f, Parent{Blocks: 4})
	if st.MaxLSN != 1<<60 || st.MaxBlock != 2 {
		t.Errorf("largest LSN %s on block %d, want 10000000/0 on block 2", st.MaxLSN, st.MaxBlock)
	}
}

// A parent whose start is so early that no LSN lies before it takes every page.
func TestSinceBelowFirstSegment(t *testing.T) {
	f := writeFile(t, page(header{lsn: 16 << 20}, 1), page(header{lsn: 1 << 40}, 1))
	got, _ := scan(t, Rules{BlockSize: blockSize, Since: 0, SegmentSize: 16 << 20}, f, Parent{Blocks: 2})
	if len(got) != 2 {
		t.Errorf("took %v, want both blocks", got)
	}
}

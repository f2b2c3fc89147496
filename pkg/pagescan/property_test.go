package pagescan

import (
	"bytes"
	"testing"

	"pgregory.net/rapid"

	"github.com/pgincr/pgincr/pkg/pagemap"
	"github.com/pgincr/pgincr/pkg/pg"
)

// On random histories of a file the blocks taken include all that differ from the parent:
// by hash exactly those, by header all but those that differ in hint bits only.
//
// The model is what a server does to pages: it changes them with a new LSN, sets
// and clears hints and all-visible without one, truncates, extends by zero
// pages and initialises pages that it then does not log.
func TestTakenIncludesChanged(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		lsn := since - 4096 // of the next record
		var pages []pg.Page
		var parent []pg.Page

		step := func() {
			lsn += pg.LSN(rapid.IntRange(8, 64).Draw(rt, "record"))
			at := -1
			if len(pages) > 0 {
				at = rapid.IntRange(0, len(pages)-1).Draw(rt, "block")
			}
			switch op := rapid.IntRange(0, 6).Draw(rt, "op"); {
			case op == 0 || at < 0: // extend by a logged page
				pages = append(pages, page(header{lsn: lsn}, byte(lsn)))
			case op == 1: // extend by zero pages
				for range rapid.IntRange(1, 20).Draw(rt, "pages") {
					pages = append(pages, make(pg.Page, blockSize))
				}
			case op == 2: // truncate
				pages = pages[:at]
			case op == 3: // change
				pages[at] = page(header{lsn: lsn, flags: uint16(lsn>>3) & 4}, byte(lsn))
			case op == 4 && pages[at][4096] != 0: // a hint bit
				pages[at] = append(pg.Page(nil), pages[at]...)
				pages[at][5000] ^= 1
			case op == 5 && pages[at][4096] != 0: // all-visible, without a new LSN
				pages[at] = append(pg.Page(nil), pages[at]...)
				pages[at][10] ^= 4
			case op == 6: // initialised, not logged
				pages[at] = page(header{}, byte(lsn))
			}
		}
		for range rapid.IntRange(0, 40).Draw(rt, "before") {
			step()
		}
		lsn = max(lsn, since)
		parent = append(parent, pages...)
		for range rapid.IntRange(0, 40).Draw(rt, "after") {
			step()
		}

		f := writeFile(t, pages...)
		had := Parent{Blocks: pg.BlockNumber(len(parent)), Hashes: hashes(parent...)}
		for _, r := range []Rules{
			{BlockSize: blockSize, Since: since, CheckFlags: true},
			{BlockSize: blockSize, Since: since, HashAll: true},
		} {
			var set pagemap.Set
			if _, err := r.Scan(t.Context(), f, 0, pg.MaxBlock, had, &set); err != nil {
				rt.Fatal(err)
			}
			for i, p := range pages {
				differs := i >= len(parent) || !bytes.Equal(p, parent[i])
				taken := set.Has(pg.BlockNumber(i))
				switch {
				case r.HashAll && taken != differs:
					rt.Errorf("by hash, block %d: differs %v, taken %v", i, differs, taken)
				case differs && !taken && !onlyHint(i, pages, parent):
					rt.Errorf("by header, block %d differs and was not taken", i)
				}
			}
		}
	})
}

// onlyHint says whether the block differs from the parent's in the byte of the model's hint bit only.
func onlyHint(i int, pages, parent []pg.Page) bool {
	if i >= len(parent) {
		return false
	}
	a, b := append(pg.Page(nil), pages[i]...), append(pg.Page(nil), parent[i]...)
	a[5000], b[5000] = 0, 0
	return bytes.Equal(a, b)
}

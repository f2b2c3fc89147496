package datadiff

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"github.com/pgincr/pgincr/pkg/pg"
)

// Header fields and flags (storage/bufpage.h).
const (
	offChecksum = 8
	offFlags    = 10
	offLower    = 12
	offUpper    = 14
	offSpecial  = 16
	offPrune    = 20

	// flagHints are PD_HAS_FREE_LINES and PD_PAGE_FULL. PD_ALL_VISIBLE is not among
	// them: the visibility map relies on it.
	flagHints = 0x0001 | 0x0002
)

// PageDifference says in what two pages of a main fork differ besides hints, or "" when in nothing. They
// must be of the same size. What a server may change on a page without WAL is what its own comparison of replayed pages
// ignores (access/common/bufmask.c and the mask functions of the access methods), less what
// the server relies on.
func PageDifference(want, got pg.Page) string {
	if want.LSN() != got.LSN() {
		return fmt.Sprintf("LSN %s, want %s", got.LSN(), want.LSN())
	}
	if got.IsZero() && emptyUnlogged(want) || want.IsZero() && emptyUnlogged(got) {
		return ""
	}
	a, b := bytes.Clone(want), bytes.Clone(got)
	for _, p := range [][]byte{a, b} {
		clear(p[offChecksum : offChecksum+2])
		clear(p[offPrune : offPrune+4])
		p[offFlags] &^= flagHints
	}
	if !bytes.Equal(a[:pg.PageHeaderSize], b[:pg.PageHeaderSize]) {
		return fmt.Sprintf("header % x, want % x", b[:pg.PageHeaderSize], a[:pg.PageHeaderSize])
	}
	kind := kindOf(a)
	if kind != kindOf(b) {
		return "another kind of page"
	}
	switch kind {
	case heapPage:
		maskTuples(a, b)
	case btreePage, hashPage, gistPage:
		if hasItems(kind, a) && hasItems(kind, b) {
			maskItems(a, b)
			maskIndexFlags(kind, a, b)
		}
	case brinPage:
		// BRIN_EVACUATE_PAGE (brin_start_evacuating_page, brin_pageops.c)
		maskBits(a, b, special(a)+4, 1)
	case spgistPage:
		// The metapage's cache of pages with room (SpGistUpdateMetaPage, spgutils.c).
		if binary.LittleEndian.Uint32(a[pg.PageHeaderSize:]) == spgistMagic {
			const at = pg.PageHeaderSize + 4
			clear(a[at : at+64])
			clear(b[at : at+64])
		}
	case otherPage:
	}
	return firstDifference(a, b)
}

func firstDifference(a, b []byte) string {
	for i := range a {
		if a[i] != b[i] {
			n := min(i+16, len(a))
			return fmt.Sprintf("byte %d: % x, want % x", i, b[i:n], a[i:n])
		}
	}
	return ""
}

// emptyUnlogged says whether a page was initialised as an empty heap page by somebody who then did not
// use it: nothing is logged, and it is worth as much as zeros (RelationGetBufferForTuple, hio.c).
func emptyUnlogged(p pg.Page) bool {
	return p.LSN() == 0 && word(p, offLower) == pg.PageHeaderSize &&
		word(p, offUpper) == len(p) && word(p, offSpecial) == len(p)
}

func word(p []byte, at int) int { return int(binary.LittleEndian.Uint16(p[at:])) }

// special gives where the access method's own part of a page begins.
func special(p []byte) int { return word(p, offSpecial) }

type pageKind int

const (
	otherPage pageKind = iota // GIN, sequences, bloom: no hints
	heapPage
	btreePage
	hashPage
	gistPage
	spgistPage
	brinPage
)

const spgistMagic = 0xBA0BABEE // SPGIST_MAGIC_NUMBER

// kindOf tells access methods apart by the size of their part of the page and the last two bytes
// of it, which they chose for this purpose (access/hash.h, gist.h, spgist_private.h, brin_page.h).
func kindOf(p []byte) pageKind {
	n := len(p) - special(p)
	last := word(p, len(p)-2)
	switch {
	case n == 0:
		return heapPage
	case n == 16 && last == 0xFF80:
		return hashPage
	case n == 16 && last == 0xFF81:
		return gistPage
	case n == 16 && last <= 0xFF7F:
		return btreePage // MAX_BT_CYCLE_ID
	case n == 8 && last == 0xFF82:
		return spgistPage
	case n == 8 && last >= 0xF091 && last <= 0xF093:
		return brinPage
	}
	return otherPage
}

// hasItems says whether a page of an index holds entries: not a metapage (BTP_META,
// LH_META_PAGE), nor the bitmap of a hash index (LH_BITMAP_PAGE).
func hasItems(kind pageKind, p []byte) bool {
	flags := word(p, special(p)+12)
	switch kind {
	case btreePage:
		return flags&(1<<3) == 0
	case hashPage:
		return flags&(1<<3|1<<2) == 0
	default:
		return true
	}
}

// items calls f with the offset of each line pointer.
func items(a []byte, f func(at int)) {
	for at := pg.PageHeaderSize; at+4 <= word(a, offLower) && at+4 <= len(a); at += 4 {
		f(at)
	}
}

// Line pointers (storage/itemid.h): 15 bits offset, 2 flags, 15 length.
const (
	lpFlags  = 3 << 15
	lpNormal = 1 << 15
	lpDead   = 3 << 15
)

// maskItems makes entries alike that one page has and the other knows to be dead (_bt_killitems and
// its likes).
func maskItems(a, b []byte) {
	items(a, func(at int) {
		x, y := binary.LittleEndian.Uint32(a[at:]), binary.LittleEndian.Uint32(b[at:])
		live := func(v uint32) bool { return v&lpFlags == lpNormal || v&lpFlags == lpDead }
		if x&^lpFlags == y&^lpFlags && live(x) && live(y) {
			binary.LittleEndian.PutUint32(b[at:], x)
		}
	})
}

// maskIndexFlags makes flags alike that say that there are dead entries, and in B-trees the number of
// the vacuum that is running.
func maskIndexFlags(kind pageKind, a, b []byte) {
	at := special(a) + 12
	switch kind {
	case btreePage:
		maskBits(a, b, at, 1<<6)                // BTP_HAS_GARBAGE
		clear(a[special(a)+14 : special(a)+16]) // btpo_cycleid
		clear(b[special(b)+14 : special(b)+16])
	case hashPage:
		maskBits(a, b, at, 1<<7) // LH_PAGE_HAS_DEAD_TUPLES
	case gistPage:
		maskBits(a, b, at, 1<<4) // F_HAS_GARBAGE
	default:
	}
}

func maskBits(a, b []byte, at int, bits byte) {
	a[at] &^= bits
	b[at] &^= bits
}

// Of t_infomask (access/htup_details.h).
const (
	offInfomask   = 20 // in HeapTupleHeaderData
	xminCommitted = 0x0100
	xminInvalid   = 0x0200
	xmaxCommitted = 0x0400
	xmaxInvalid   = 0x0800
)

// maskTuples makes tuples alike of which one page knows, and the other does not, how a transaction
// ended. That one has committed and that it was aborted is no such difference, and frozen is
// none either: that is logged.
func maskTuples(a, b []byte) {
	items(a, func(at int) {
		lp := binary.LittleEndian.Uint32(a[at:])
		off, n := int(lp&0x7FFF), int(lp>>17)
		if lp != binary.LittleEndian.Uint32(b[at:]) || lp&lpFlags != lpNormal ||
			n < offInfomask+2 || off+n > len(a) {
			return
		}
		x, y := word(a, off+offInfomask), word(b, off+offInfomask)
		if agree(x, y, xminCommitted|xminInvalid) && agree(x, y, xmaxCommitted|xmaxInvalid) {
			const known = xminCommitted | xminInvalid | xmaxCommitted | xmaxInvalid
			binary.LittleEndian.PutUint16(a[off+offInfomask:], uint16(x|y&known))
			binary.LittleEndian.PutUint16(b[off+offInfomask:], uint16(y|x&known))
		}
	})
}

// agree says whether two infomasks say the same of one transaction, or one of them nothing. Both
// bits at once are no hint: HEAP_XMIN_FROZEN.
func agree(x, y, mask int) bool {
	x, y = x&mask, y&mask
	return x == y || (x == 0 && y != mask) || (y == 0 && x != mask)
}

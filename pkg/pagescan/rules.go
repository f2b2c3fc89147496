package pagescan

import (
	"fmt"

	"github.com/pgincr/pgincr/internal/pagecache"
	"github.com/pgincr/pgincr/pkg/pagemap"
	"github.com/pgincr/pgincr/pkg/pg"
)

// minLSN is the smallest size of a WAL segment. WAL never begins before the second
// segment (BootStrapXLOG, xlog.c), so a smaller LSN is none: pages get such
// ones from GistBuildLSN and from the counter for unlogged relations
// (FirstNormalUnloggedLSN, xlogdefs.h).
const minLSN = pg.LSN(1 << 20)

// Rules say when a page is taken. In every mode blocks that the parent did not
// have are taken without a look.
type Rules struct {
	BlockSize uint32 // bytes in a page
	// Since is the parent's start position, not its end: the parent was
	// copied while pages changed. A page is taken when its LSN is at or
	// after it, when its LSN is too small to be one (but see Doubtful), and when it was
	// never initialised (all zero, or pd_upper zero).
	Since pg.LSN
	// SegmentSize is the size of a WAL segment in bytes; LSNs below it are no
	// positions in WAL and say nothing. Zero: the smallest size there is.
	SegmentSize uint32
	// CheckFlags takes pages whose PD_ALL_VISIBLE differs from the lowest
	// bit of the parent's page hash as well (repo.PageHash).
	CheckFlags bool
	// HashAll takes a page when, and only when, its hash differs from the
	// parent's. Every page is read whole.
	HashAll bool
	// Doubtful gets the blocks that are initialised and whose LSN is too small to be one, to be
	// looked at again by HashAll: initdb leaves hundreds of them in every database, and
	// nobody changes most of them. Nil: they are taken.
	Doubtful *pagemap.Set
	// Keep gets what was not in the page cache and is now, to be dropped by someone who first
	// reads the pages that were taken. For one Scan at a time. Nil: Scan drops it.
	Keep *[]pagecache.Span
}

// Parent is what the parent backup had of the same segment file.
type Parent struct {
	Blocks pg.BlockNumber // length of the file in blocks
	// Hashes are the effective page hashes (repo.PageHash) of its blocks, in order. Needed by
	// CheckFlags and HashAll; nil otherwise. When there are fewer than
	// Blocks, the blocks without one are taken.
	Hashes []uint64
}

// verify refuses rules that cannot be followed.
func (r Rules) verify() error {
	if r.BlockSize < 1024 || r.BlockSize > 32768 || r.BlockSize&(r.BlockSize-1) != 0 {
		return fmt.Errorf("block size %d: not a power of two from 1024 to 32768", r.BlockSize)
	}
	return nil
}

// hashed says whether the parent's page hashes are needed.
func (r Rules) hashed() bool { return r.HashAll || r.CheckFlags }

// known gives how many blocks of the file can be compared with the parent.
func (r Rules) known(p Parent) pg.BlockNumber {
	if r.hashed() {
		return min(p.Blocks, pg.BlockNumber(min(len(p.Hashes), int(pg.MaxBlock))))
	}
	return p.Blocks
}

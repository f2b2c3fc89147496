package repo

import (
	"time"

	"github.com/cespare/xxhash/v2"

	"github.com/pgincr/pgincr/pkg/pg"
)

// FileKind tells how the content of a File is held.
type FileKind uint8

// The kinds.
const (
	KindDir      FileKind = 1 // a directory
	KindFile     FileKind = 2 // bytes; frames in order make the content
	KindRelation FileKind = 3 // whole pages; frames and zero runs name blocks
	KindLink     FileKind = 4 // pg_tblspc/<oid>: Link is its target
)

// File is one entry of a backup's index. Blocks are numbered within the
// segment file, from 0.
type File struct {
	Path     string // relative to the data directory, slashes, in pg.ComparePaths order
	Kind     FileKind
	Mode     uint32 // permission bits
	UID, GID uint32
	ModTime  time.Time
	Size     int64 // bytes after restore
	Identity Identity
	Link     string
	// Whole: Frames and Zero give the entire content. Otherwise what they do not give comes
	// from the parent's file of the same path (a KindFile that is not Whole is the same as
	// the parent's, and has no frames).
	Whole  bool
	Sum    uint64 // KindFile: xxhash64 of the content, else 0
	Frames []Frame
	Zero   []BlockRun // zero pages, not stored
}

// Blocks gives the length of a KindRelation in blocks.
func (f *File) Blocks(g pg.Geometry) pg.BlockNumber {
	return pg.BlockNumber(f.Size / int64(g.BlockSize))
}

// Identity tells whether a file is still the same file, and unwritten. Times are in
// nanoseconds of the Unix epoch; BirthTime 0: the file system does not tell.
type Identity struct {
	Device     uint64
	Inode      uint64
	BirthTime  int64
	ChangeTime int64
	ModTime    int64
}

// BlockRun is the blocks [First, First+Count) of a segment file.
type BlockRun struct {
	First pg.BlockNumber
	Count pg.BlockNumber
}

// end is the number behind the last block.
func (r BlockRun) end() uint64 { return uint64(r.First) + uint64(r.Count) }

// Frame is one independently compressed stretch of a file's content in a pack.
type Frame struct {
	Pack   uint32
	Offset int64  // of the frame in the pack
	Stored uint32 // bytes in the pack, the frame's header included
	Raw    uint32 // bytes after decompression, at most MaxFrame
	Codec  Codec
	Sum    uint64 // xxhash64 of the compressed bytes
	// HashIndex is the position of the first of its page hashes in the pack's hash object;
	// one for each page, KindRelation only. NoHashes where there are none.
	HashIndex uint32
	Runs      []BlockRun // KindRelation: the blocks, in order; the pages lie in the frame in this order
}

// MaxFrame bounds the uncompressed size of a frame.
const MaxFrame = 1 << 20

// NoHashes is the HashIndex of a frame that was written without page hashes.
const NoHashes = 0xFFFFFFFF

// Pages counts the blocks of a frame's runs.
func (f *Frame) Pages() int { return countBlocks(f.Runs) }

func countBlocks(runs []BlockRun) int {
	var n pg.BlockNumber
	for _, r := range runs {
		n += r.Count
	}
	return int(n)
}

// PageHash is what hash objects hold for a page: xxhash64 of its bytes with the lowest
// bit replaced by the page's PD_ALL_VISIBLE flag, so that a flag that
// was set without a new LSN is seen from the page header alone.
func PageHash(p pg.Page) uint64 {
	h := xxhash.Sum64(p) &^ 1
	if p.AllVisible() {
		h |= 1
	}
	return h
}

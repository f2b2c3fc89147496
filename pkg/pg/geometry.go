package pg

import "fmt"

// Geometry is what a server was built and initialised with, from pg_control.
type Geometry struct {
	BlockSize      uint32 `json:"block_size"`       // bytes in a page: BLCKSZ
	RelSegBlocks   uint32 `json:"rel_seg_blocks"`   // blocks in a relation segment file: RELSEG_SIZE
	WALBlockSize   uint32 `json:"wal_block_size"`   // bytes in a WAL page: XLOG_BLCKSZ
	WALSegmentSize uint32 `json:"wal_segment_size"` // bytes in a WAL segment
}

// DefaultGeometry is that of packaged servers.
func DefaultGeometry() Geometry {
	return Geometry{BlockSize: 8192, RelSegBlocks: 131072, WALBlockSize: 8192, WALSegmentSize: 16 << 20}
}

// Verify refuses sizes that no server can have.
func (g Geometry) Verify() error {
	pow2 := func(v uint32) bool { return v != 0 && v&(v-1) == 0 }
	switch {
	case !pow2(g.BlockSize) || g.BlockSize < 1024 || g.BlockSize > 32768:
		return fmt.Errorf("block size %d: not a power of two from 1024 to 32768", g.BlockSize)
	case g.RelSegBlocks == 0:
		return fmt.Errorf("relation segment size: 0 blocks")
	case !pow2(g.WALBlockSize) || g.WALBlockSize < 1024 || g.WALBlockSize > 65536:
		return fmt.Errorf("WAL block size %d: not a power of two from 1024 to 65536", g.WALBlockSize)
	case !pow2(g.WALSegmentSize) || g.WALSegmentSize < 1<<20 || g.WALSegmentSize > 1<<30:
		return fmt.Errorf("WAL segment size %d: not a power of two from 1 MiB to 1 GiB", g.WALSegmentSize)
	}
	return nil
}

// RelSegSize gives the bytes of a full relation segment file.
func (g Geometry) RelSegSize() int64 { return int64(g.RelSegBlocks) * int64(g.BlockSize) }

// Offset gives where block blk of a segment file begins; blk counts from the file's first block.
func (g Geometry) Offset(blk BlockNumber) int64 { return int64(blk) * int64(g.BlockSize) }

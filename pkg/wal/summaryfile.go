package wal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"

	"github.com/pgincr/pgincr/pkg/pagemap"
	"github.com/pgincr/pgincr/pkg/pg"
)

// The layout of a summary file (common/blkreftable.c), little-endian.
const (
	summaryMagic     = 0x652b137b // BLOCKREFTABLE_MAGIC
	summaryEntrySize = 24
	blocksPerChunk   = 1 << 16
	maxChunkEntries  = 4096 // as many 16-bit words are a bitmap, fewer a list
)

var errShortSummary = errors.New("ends early")

// parseSummary adds what a summary file says to m. After an error m may have a part of it.
func parseSummary(b []byte, m *pagemap.Map) error {
	if len(b) < 4+summaryEntrySize+4 {
		return fmt.Errorf("%d bytes are too few", len(b))
	}
	if magic := binary.LittleEndian.Uint32(b); magic != summaryMagic {
		return fmt.Errorf("magic %08X is not that of a summary", magic)
	}
	body := b[:len(b)-4]
	if got, want := pg.CRC32C(body), binary.LittleEndian.Uint32(b[len(body):]); got != want {
		return fmt.Errorf("checksum %08X, want %08X", got, want)
	}
	p := body[4:]
	for {
		if len(p) < summaryEntrySize {
			return errShortSummary
		}
		entry := p[:summaryEntrySize]
		p = p[summaryEntrySize:]
		if [summaryEntrySize]byte(entry) == [summaryEntrySize]byte{} {
			break
		}
		var err error
		if p, err = parseSummaryEntry(entry, p, m); err != nil {
			return err
		}
	}
	if len(p) > 0 {
		return fmt.Errorf("%d bytes after the last entry", len(p))
	}
	return nil
}

// parseSummaryEntry reads one fork, whose chunks p begins with, and gives the rest of p.
func parseSummaryEntry(entry, p []byte, m *pagemap.Map) (rest []byte, err error) {
	rf := pg.RelFork{RelFileLocator: relLocator(entry)}
	fork := binary.LittleEndian.Uint32(entry[12:])
	limit := pg.BlockNumber(binary.LittleEndian.Uint32(entry[16:]))
	nchunks := binary.LittleEndian.Uint32(entry[20:])
	if fork > uint32(pg.InitFork) || nchunks > blocksPerChunk || int(nchunks) > len(p)/2 {
		return nil, fmt.Errorf("relation %s: fork %d with %d chunks", rf, fork, nchunks)
	}
	rf.Fork = pg.ForkNumber(fork)
	if rf.Rel == 0 { // stands for a database in a tablespace
		if limit != 0 || nchunks != 0 {
			return nil, fmt.Errorf("database %s: limit %d, %d chunks", rf, limit, nchunks)
		}
		m.AddDatabase(rf.Spc, rf.DB)
		return p, nil
	}
	m.AddLimit(rf, limit)
	usage := p[:2*nchunks]
	p = p[2*nchunks:]
	for i := range nchunks {
		n := int(binary.LittleEndian.Uint16(usage[2*i:]))
		if n > maxChunkEntries {
			return nil, fmt.Errorf("relation %s: chunk %d of %d words", rf, i, n)
		}
		if 2*n > len(p) {
			return nil, errShortSummary
		}
		if err := parseChunk(p[:2*n], rf, i*blocksPerChunk, m); err != nil {
			return nil, fmt.Errorf("relation %s: %w", rf, err)
		}
		p = p[2*n:]
	}
	return p, nil
}

// parseChunk reads the blocks of a chunk whose first block is base.
func parseChunk(words []byte, rf pg.RelFork, base uint32, m *pagemap.Map) error {
	add := func(i uint32) error {
		if base+i > uint32(pg.MaxBlock) {
			return errors.New("block number too large")
		}
		m.AddBlock(rf, pg.BlockNumber(base+i))
		return nil
	}
	bitmap := len(words) == 2*maxChunkEntries
	for i := range uint32(len(words) / 2) {
		w := binary.LittleEndian.Uint16(words[2*i:])
		if !bitmap {
			if err := add(uint32(w)); err != nil {
				return err
			}
			continue
		}
		for ; w != 0; w &= w - 1 {
			if err := add(16*i + uint32(bits.TrailingZeros16(w))); err != nil {
				return err
			}
		}
	}
	return nil
}

package wal

import (
	"encoding/binary"
	"fmt"

	"github.com/pgincr/pgincr/pkg/pg"
)

// Bits of xlp_info (access/xlog_internal.h).
const (
	pageFirstIsContrecord          = 0x0001
	pageLongHeader                 = 0x0002
	pageBackupRemovable            = 0x0004
	pageFirstIsOverwriteContrecord = 0x0008
	pageAllFlags                   = 0x000F
)

// Sizes of XLogPageHeaderData and XLogLongPageHeaderData in bytes, with padding.
const (
	shortHeaderSize = 24
	longHeaderSize  = 40
)

// pageHeader is the header of one WAL page.
type pageHeader struct {
	magic  uint16
	info   uint16
	tli    pg.TimelineID
	addr   pg.LSN
	remLen uint32 // bytes missing of the record that continues here
	// The rest is of long headers only.
	sysid     uint64
	segSize   uint32
	blockSize uint32
}

// parsePageHeader reads the header at the beginning of a page. What it says is
// judged by the scanner.
func parsePageHeader(p []byte) (pageHeader, error) {
	if len(p) < shortHeaderSize {
		return pageHeader{}, fmt.Errorf("page of %d bytes: too short for its header", len(p))
	}
	h := pageHeader{
		magic:  binary.LittleEndian.Uint16(p),
		info:   binary.LittleEndian.Uint16(p[2:]),
		tli:    pg.TimelineID(binary.LittleEndian.Uint32(p[4:])),
		addr:   pg.LSN(binary.LittleEndian.Uint64(p[8:])),
		remLen: binary.LittleEndian.Uint32(p[16:]),
	}
	if h.info&pageLongHeader == 0 {
		return h, nil
	}
	if len(p) < longHeaderSize {
		return pageHeader{}, fmt.Errorf("page of %d bytes: too short for its long header", len(p))
	}
	h.sysid = binary.LittleEndian.Uint64(p[24:])
	h.segSize = binary.LittleEndian.Uint32(p[32:])
	h.blockSize = binary.LittleEndian.Uint32(p[36:])
	return h, nil
}

// size is the length of the header in bytes.
func (h *pageHeader) size() int {
	if h.info&pageLongHeader != 0 {
		return longHeaderSize
	}
	return shortHeaderSize
}

// parseSegmentHeader reads and judges the long header that every segment
// begins with: it says how long segment and pages are.
func parseSegmentHeader(p []byte) (pageHeader, error) {
	h, err := parsePageHeader(p)
	if err != nil {
		return h, err
	}
	if _, err := versionOf(h.magic); err != nil {
		return h, err
	}
	if h.info&pageLongHeader == 0 {
		return h, fmt.Errorf("first page: no long header")
	}
	g := pg.DefaultGeometry()
	g.WALSegmentSize, g.WALBlockSize = h.segSize, h.blockSize
	if err := g.Verify(); err != nil {
		return h, fmt.Errorf("first page: %w", err)
	}
	if uint64(h.addr)%uint64(h.segSize) != 0 {
		return h, fmt.Errorf("first page: address %s is not the start of a segment", h.addr)
	}
	return h, nil
}

// headerSizeAt gives the length of the header of the page that begins at lsn.
func headerSizeAt(lsn pg.LSN, segSize uint32) int {
	if uint64(lsn)%uint64(segSize) == 0 {
		return longHeaderSize
	}
	return shortHeaderSize
}

// inHeader says whether a position lies inside a page header, where no record
// starts or ends.
func inHeader(lsn pg.LSN, g pg.Geometry) bool {
	page := lsn - lsn%pg.LSN(g.WALBlockSize)
	return lsn > page && lsn < page+pg.LSN(headerSizeAt(page, g.WALSegmentSize))
}

// recordStart moves a position on a page boundary behind the page header,
// where the next record starts.
func recordStart(lsn pg.LSN, g pg.Geometry) pg.LSN {
	if lsn%pg.LSN(g.WALBlockSize) == 0 {
		return lsn + pg.LSN(headerSizeAt(lsn, g.WALSegmentSize))
	}
	return lsn
}

// recordEnd moves a position right behind a page header to the page boundary:
// bytes from there on are of no record that ends at lsn.
func recordEnd(lsn pg.LSN, g pg.Geometry) pg.LSN {
	page := lsn - lsn%pg.LSN(g.WALBlockSize)
	if lsn == page+pg.LSN(headerSizeAt(page, g.WALSegmentSize)) {
		return page
	}
	return lsn
}

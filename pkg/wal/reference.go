package wal

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/pgincr/pgincr/pkg/pg"
)

// Ids of the headers that a record's body begins with (access/xlogrecord.h).
const (
	maxBlockID       = 32
	idDataShort      = 255
	idDataLong       = 254
	idOrigin         = 253
	idToplevelXID    = 252
	forkMask         = 0x0F
	blockHasImage    = 0x10
	blockHasData     = 0x20
	blockSameRel     = 0x80
	imageHasHole     = 0x01
	relLocatorSize   = 12
	blockHeaderSize  = 3 // after the id
	imageHeaderSize  = 5
	maxDataBlockSize = 32768 // the largest BLCKSZ
)

var errShortRecord = errors.New("headers of the record are longer than the record")

// blockRef is a reference as it stands in the record: numbers not taken apart
// until they turn out to be new.
type blockRef struct {
	spcDB  uint64 // tablespace in the low half, database in the high one
	relBlk uint64 // relation in the low half, block in the high one
	fork   uint8
}

// split gives the fork and block that the reference names.
func (b blockRef) split() (pg.RelFork, pg.BlockNumber) {
	return pg.RelFork{
		RelFileLocator: pg.RelFileLocator{
			Spc: pg.OID(uint32(b.spcDB)),
			DB:  pg.OID(uint32(b.spcDB >> 32)),
			Rel: pg.RelFileNumber(uint32(b.relBlk)),
		},
		Fork: pg.ForkNumber(b.fork),
	}, pg.BlockNumber(uint32(b.relBlk >> 32))
}

// body is a record's body being read: the headers of its blocks and data.
type body struct {
	record
	pos     int // next unread byte
	payload int // bytes that the headers so far announce
	lastID  int
	hasRel  bool
	rel     uint32
	ref     blockRef
}

// references reads the headers of a record's body, hands each block reference
// to the collector, and returns the main data (DecodeXLogRecord in
// access/xlogreader.c), nil where r is no more than the begin of a record of total bytes.
func (c *collector) references(r record, total int) (main []byte, err error) {
	b := body{record: r, pos: recordHeaderSize, lastID: -1}
	mainLen := 0
	for total-b.pos > b.payload {
		if b.pos >= len(r) {
			return nil, errShortRecord
		}
		id := r[b.pos]
		b.pos++
		if id <= maxBlockID {
			if err := c.block(&b, int(id)); err != nil {
				return nil, fmt.Errorf("block id %d: %w", id, err)
			}
			c.add(b.ref)
			continue
		}
		n, size, err := c.dataHeader(r[b.pos:], id)
		if err != nil {
			return nil, err
		}
		b.pos += size
		if id == idDataShort || id == idDataLong {
			mainLen = n
			b.payload += n
			break // the main data is always last
		}
	}
	if total-b.pos != b.payload {
		return nil, errShortRecord
	}
	if total > len(r) {
		return nil, nil
	}
	return r[total-mainLen:], nil
}

// block reads the header of one block reference into b.ref.
func (c *collector) block(b *body, id int) error {
	if id <= b.lastID {
		return errors.New("out of order")
	}
	b.lastID = id
	p := b.record[b.pos:]
	if len(p) < blockHeaderSize {
		return errShortRecord
	}
	flags := p[0]
	dataLen := int(binary.LittleEndian.Uint16(p[1:]))
	p = p[blockHeaderSize:]
	if (flags&blockHasData != 0) != (dataLen > 0) {
		return fmt.Errorf("data length %d contradicts flags %#02x", dataLen, flags)
	}
	b.payload += dataLen
	if flags&blockHasImage != 0 {
		n, size, err := c.imageHeader(p)
		if err != nil {
			return err
		}
		p = p[size:]
		b.payload += n
	}
	if flags&blockSameRel == 0 {
		if len(p) < relLocatorSize {
			return errShortRecord
		}
		b.ref.spcDB = binary.LittleEndian.Uint64(p)
		b.rel = binary.LittleEndian.Uint32(p[8:])
		b.hasRel = true
		p = p[relLocatorSize:]
	} else if !b.hasRel {
		return errors.New("same relation as none before")
	}
	if len(p) < 4 {
		return errShortRecord
	}
	blk := binary.LittleEndian.Uint32(p)
	b.ref.relBlk = uint64(b.rel) | uint64(blk)<<32
	b.ref.fork = flags & forkMask
	if b.ref.fork > uint8(pg.InitFork) || blk > uint32(pg.MaxBlock) {
		return fmt.Errorf("fork %d, block %d", b.ref.fork, blk)
	}
	b.pos = len(b.record) - len(p) + 4
	return nil
}

// dataHeader reads a header that is not of a block: the length of the main data, if it is that, and its own size.
func (c *collector) dataHeader(p []byte, id uint8) (mainLen, size int, err error) {
	switch {
	case id == idDataShort:
		if len(p) < 1 {
			return 0, 0, errShortRecord
		}
		return int(p[0]), 1, nil
	case id == idDataLong:
		if len(p) < 4 {
			return 0, 0, errShortRecord
		}
		n := binary.LittleEndian.Uint32(p)
		if n > maxRecordSize {
			return 0, 0, errShortRecord
		}
		return int(n), 4, nil
	case id == idOrigin:
		if len(p) < 2 {
			return 0, 0, errShortRecord
		}
		return 0, 2, nil
	case id == idToplevelXID && c.version.toplevelXID:
		if len(p) < 4 {
			return 0, 0, errShortRecord
		}
		return 0, 4, nil
	}
	return 0, 0, fmt.Errorf("invalid block id %d", id)
}

// imageHeader reads the header of a full-page image: the image's length and the size of the header.
func (c *collector) imageHeader(p []byte) (length, size int, err error) {
	if len(p) < imageHeaderSize {
		return 0, 0, errShortRecord
	}
	length = int(binary.LittleEndian.Uint16(p))
	hole := binary.LittleEndian.Uint16(p[2:])
	info := p[4]
	if info&^c.version.imageKnown != 0 {
		return 0, 0, fmt.Errorf("image flags %#02x are unknown", info)
	}
	size = imageHeaderSize
	compressed := info&c.version.imageCompressed != 0
	if compressed && info&imageHasHole != 0 {
		if len(p) < imageHeaderSize+2 {
			return 0, 0, errShortRecord
		}
		size += 2
	}
	if length > maxDataBlockSize || info&imageHasHole != 0 && hole == 0 || info&imageHasHole == 0 && hole != 0 {
		return 0, 0, fmt.Errorf("image of %d bytes, hole at %d, flags %#02x", length, hole, info)
	}
	return length, size, nil
}

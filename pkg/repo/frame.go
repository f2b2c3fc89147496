package repo

import (
	"encoding/binary"
	"fmt"

	"github.com/cespare/xxhash/v2"
)

// frameMagic opens every frame, so that frames can be found in a damaged object.
const frameMagic = 0x70674672 // "pgFr"

// frameHeaderSize is the size of a frame's header, which is right before its payload.
const frameHeaderSize = 40

// frameKind tells what a frame holds.
type frameKind uint8

const (
	frameBytes   frameKind = 1 // of a file
	framePages   frameKind = 2 // of a relation; Count of them, their hashes from First on
	frameHashes  frameKind = 3 // Count hashes, those from First on
	frameEntries frameKind = 4 // Count entries of an index, First is the number of the block
	frameEnd     frameKind = 5 // the end of the object
)

// frameHeader describes itself and its payload.
type frameHeader struct {
	Kind   frameKind
	Codec  Codec
	Raw    uint32 // bytes after decompression
	Stored uint32 // bytes of payload
	Count  uint32
	First  uint32
	Sum    uint64 // xxhash64 of the payload as it is stored
}

// Layout of a frame header.
const (
	offFrameKind   = 4
	offFrameCodec  = 5
	offFrameZero   = 6
	offFrameRaw    = 8
	offFrameStored = 12
	offFrameCount  = 16
	offFrameFirst  = 20
	offFrameSum    = 24
	offFrameCheck  = 32
)

// put writes the header into b[:frameHeaderSize]. objectSum is the checksum of the object's
// header and off where the frame begins: both enter the header's own checksum.
func (f frameHeader) put(b []byte, objectSum uint64, off int64) {
	b = b[:frameHeaderSize]
	f.putFields(b)
	binary.BigEndian.PutUint64(b[offFrameSum:], f.Sum)
	binary.BigEndian.PutUint64(b[offFrameCheck:], frameCheck(b, objectSum, off))
}

// page is the size of the pages that the frame holds, 0 where it has none.
func (f frameHeader) page() int {
	if f.Kind != framePages || f.Count == 0 || f.Raw%f.Count != 0 {
		return 0
	}
	return int(f.Raw / f.Count)
}

// putFields writes what stands before the payload's checksum.
func (f frameHeader) putFields(b []byte) {
	binary.BigEndian.PutUint32(b, frameMagic)
	b[offFrameKind] = byte(f.Kind)
	b[offFrameCodec] = byte(f.Codec)
	b[offFrameZero], b[offFrameZero+1] = 0, 0
	binary.BigEndian.PutUint32(b[offFrameRaw:], f.Raw)
	binary.BigEndian.PutUint32(b[offFrameStored:], f.Stored)
	binary.BigEndian.PutUint32(b[offFrameCount:], f.Count)
	binary.BigEndian.PutUint32(b[offFrameFirst:], f.First)
}

// frameCheck computes the checksum of a frame header: of the object header's checksum, the
// frame's offset and the header's bytes before the checksum.
func frameCheck(b []byte, objectSum uint64, off int64) uint64 {
	var buf [16 + offFrameCheck]byte
	binary.BigEndian.PutUint64(buf[0:], objectSum)
	binary.BigEndian.PutUint64(buf[8:], uint64(off))
	copy(buf[16:], b[:offFrameCheck])
	return xxhash.Sum64(buf[:])
}

// parseFrameHeader reads and verifies the header of the frame at off of the object that bind is of.
func parseFrameHeader(b []byte, bind *binding, off int64) (frameHeader, error) {
	if len(b) < frameHeaderSize {
		return frameHeader{}, fmt.Errorf("%w: frame header: %d bytes, want %d", ErrCorrupt, len(b), frameHeaderSize)
	}
	if binary.BigEndian.Uint32(b) != frameMagic ||
		binary.BigEndian.Uint64(b[offFrameCheck:]) != frameCheck(b, bind.sum, off) {
		return frameHeader{}, fmt.Errorf("%w: frame header: checksum does not match", ErrCorrupt)
	}
	f := frameHeader{
		Kind:   frameKind(b[offFrameKind]),
		Codec:  Codec(b[offFrameCodec]),
		Raw:    binary.BigEndian.Uint32(b[offFrameRaw:]),
		Stored: binary.BigEndian.Uint32(b[offFrameStored:]),
		Count:  binary.BigEndian.Uint32(b[offFrameCount:]),
		First:  binary.BigEndian.Uint32(b[offFrameFirst:]),
		Sum:    binary.BigEndian.Uint64(b[offFrameSum:]),
	}
	if b[offFrameZero] != 0 || b[offFrameZero+1] != 0 {
		return frameHeader{}, fmt.Errorf("%w: frame header: reserved bytes are not zero", ErrCorrupt)
	}
	return f, f.verify(bind.overhead())
}

// verify refuses what no writer produces. overhead is what encryption adds to a payload, or 0.
func (f frameHeader) verify(overhead uint32) error {
	limit := uint32(MaxFrame)
	if f.Kind == frameEntries {
		limit = maxIndexBlock
	}
	switch {
	case f.Kind < frameBytes || f.Kind > frameEnd:
		return fmt.Errorf("%w: frame header: kind %d", ErrCorrupt, f.Kind)
	case f.Codec > CodecDifferences || f.Codec == CodecDifferences && f.Kind != framePages:
		return fmt.Errorf("%w: frame header: codec %d", ErrCorrupt, f.Codec)
	case f.Raw > limit:
		return fmt.Errorf("%w: frame header: %d bytes, more than %d", ErrCorrupt, f.Raw, limit)
	case f.Stored < overhead || f.Stored-overhead > f.Raw || f.Codec == CodecNone && f.Stored-overhead != f.Raw:
		return fmt.Errorf("%w: frame header: %d bytes stored for %d", ErrCorrupt, f.Stored, f.Raw)
	case f.Kind == framePages && f.page() == 0:
		return fmt.Errorf("%w: frame header: %d bytes for %d pages", ErrCorrupt, f.Raw, f.Count)
	}
	return nil
}

// verifyPayload fails unless the stored bytes are those the header describes.
func (f frameHeader) verifyPayload(payload []byte) error {
	if len(payload) != int(f.Stored) || xxhash.Sum64(payload) != f.Sum {
		return fmt.Errorf("%w: frame: checksum does not match", ErrCorrupt)
	}
	return nil
}

package repo

import (
	"fmt"
	"slices"

	"github.com/klauspost/compress/zstd"
)

// sliceSize is how many bytes of pages are compressed by themselves in a frame of an incremental
// backup, so that a reader who needs a few of the pages need not decompress all: in a long
// chain most pages of an old link are superseded.
const sliceSize = 64 << 10

// slice says into slices of how many bytes the content of a frame is compressed. A full
// backup's are not sliced: it is most of a repository, and supplies most of its pages for long.
func (b *BackupWriter) slice(raw []byte, hashes []uint64) int {
	if len(hashes) == 0 || !b.incremental {
		return len(raw)
	}
	page := len(raw) / len(hashes)
	return max(page, sliceSize/page*page)
}

// slack is how many bytes behind a block the decoder may write over: given that, it copies 16 bytes
// at a time and need not look at every length.
const slack = 16

// appendSome is append for who needs only part of the bytes: want says whether anything in
// [from, to) is needed. The result has raw bytes; what was not wanted may be anything, and so may
// up to slack bytes behind it, as far as dst has room.
func (d *decompressor) appendSome(
	dst, payload []byte, codec Codec, raw, page int, want func(from, to int) bool,
) ([]byte, error) {
	switch codec {
	case CodecZstd:
	case CodecDifferences:
		if page <= 0 || page%wordSize != 0 {
			return nil, fmt.Errorf("%w: frame: %s of pages of %d bytes", ErrCorrupt, codec, page)
		}
	default:
		return d.append(dst, payload, codec, raw, page)
	}
	if cap(dst) < raw {
		dst = slices.Grow(dst[:0], raw+slack)
	}
	dst = dst[:raw]
	at := 0
	for len(payload) > 0 {
		size, stored, err := zstdFrame(payload)
		if err == nil && size > raw-at {
			err = fmt.Errorf("more than %d bytes", raw)
		}
		if err == nil && codec == CodecDifferences && size%page != 0 {
			err = fmt.Errorf("a slice of %d bytes", size)
		}
		if err != nil {
			return nil, fmt.Errorf("%w: frame: %s: %w", ErrCorrupt, codec, err)
		}
		if want(at, at+size) {
			// What comes behind the slice is the next one, which is not there yet, or is not wanted.
			into := dst[at:at:min(at+size+slack, cap(dst))]
			if err := d.slice(into, payload[:stored], codec, size, page); err != nil {
				return nil, err
			}
		}
		at += size
		payload = payload[stored:]
	}
	if at != raw {
		return nil, fmt.Errorf("%w: frame: %d bytes, want %d", ErrCorrupt, at, raw)
	}
	return dst, nil
}

// slice decompresses one slice of so many bytes to dst, which has room for it.
func (d *decompressor) slice(dst, stored []byte, codec Codec, size, page int) error {
	got, err := d.zstd.DecodeAll(stored, dst)
	if err == nil && len(got) != size {
		err = fmt.Errorf("%d bytes, want %d", len(got), size)
	}
	if err != nil {
		return fmt.Errorf("%w: frame: %s: %w", ErrCorrupt, codec, err)
	}
	if codec == CodecDifferences {
		restoreSums(got, page)
	}
	return nil
}

// all wants everything.
func all(_, _ int) bool { return true }

// zstdFrame tells how many bytes the zstd frame that b begins with holds and how many it takes.
// It looks at the headers of the frame and its blocks only.
func zstdFrame(b []byte) (size, stored int, err error) {
	var h zstd.Header
	rest, err := h.DecodeAndStrip(b)
	if err != nil {
		return 0, 0, err
	}
	if h.Skippable || !h.HasFCS || h.FrameContentSize > MaxFrame {
		return 0, 0, fmt.Errorf("not a frame of known size")
	}
	for last := false; !last; {
		if len(rest) < blockHeaderSize {
			return 0, 0, fmt.Errorf("it is cut off")
		}
		v := uint32(rest[0]) | uint32(rest[1])<<8 | uint32(rest[2])<<16
		rest = rest[blockHeaderSize:]
		last = v&1 != 0
		n := v >> 3
		if v>>1&3 == blockRLE {
			n = 1
		}
		if uint64(n) > uint64(len(rest)) {
			return 0, 0, fmt.Errorf("it is cut off")
		}
		rest = rest[n:]
	}
	if h.HasCheckSum {
		if len(rest) < checkSumSize {
			return 0, 0, fmt.Errorf("it is cut off")
		}
		rest = rest[checkSumSize:]
	}
	return int(h.FrameContentSize), len(b) - len(rest), nil
}

// Of RFC 8878, 3.1.1: a block's header, the type of blocks of one repeated byte, and the
// checksum behind the last block.
const (
	blockHeaderSize = 3
	blockRLE        = 1
	checkSumSize    = 4
)

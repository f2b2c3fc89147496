package repo

import (
	"fmt"
	"slices"

	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
)

// compressor compresses frames with one codec and level. Not safe for concurrent use: each
// worker has its own. It keeps about 5 MiB at the default level: two encoders, and the differences of a frame.
type compressor struct {
	codec Codec
	zstd  [2]*zstd.Encoder // of styleFast and styleDense
	lz4   lz4.Compressor

	chooser chooser
	words   []byte // differences between pages
	trial   []byte // of a sample
}

// newCompressor makes one for z.
func newCompressor(z Compression) (*compressor, error) {
	c := &compressor{codec: z.Codec}
	if z.Codec != CodecZstd {
		return c, nil
	}
	var err error
	c.zstd, err = encoders(z.Level)
	return c, err
}

// gainShift asks of compression that it saves a 32nd: below that a frame is stored as it
// is, which spares the reader the work.
const gainShift = 5

// most is the largest size at which compression is worth it.
func most(raw []byte) int { return len(raw) - len(raw)>>gainShift - 1 }

// append compresses raw behind what dst holds and says how it did. The result has room for a
// tag, so that it can be encrypted where it is.
func (c *compressor) append(dst, raw []byte) ([]byte, Codec) {
	return c.appendSlices(dst, raw, max(1, len(raw)))
}

// appendSlices is append with slices of so many bytes that can be decompressed by themselves,
// where the codec allows it.
func (c *compressor) appendSlices(dst, raw []byte, slice int) ([]byte, Codec) {
	dst, codec := c.compress(dst, raw, slice)
	return slices.Grow(dst, tagSize), codec
}

func (c *compressor) compress(dst, raw []byte, slice int) ([]byte, Codec) {
	have, most := len(dst), most(raw)
	switch c.codec {
	case CodecNone, CodecDifferences: // of pages only: see appendPages
	case CodecZstd:
		for s := range slices.Chunk(raw, slice) {
			dst = c.zstd[styleFast].EncodeAll(s, dst)
		}
		if n := len(dst) - have; n <= most {
			return dst, CodecZstd
		}
	case CodecLZ4:
		if most <= 0 {
			break
		}
		dst = slices.Grow(dst, most)
		n, err := c.lz4.CompressBlock(raw, dst[have:have+most])
		if err == nil && n > 0 { // an error means that it does not fit into most
			return dst[:have+n], CodecLZ4
		}
	}
	return append(dst[:have], raw...), CodecNone
}

// decompressor undoes what compressors did. Safe for concurrent use.
type decompressor struct{ zstd *zstd.Decoder }

// newDecompressor makes one that as many goroutines as there are processors can use at a time.
func newDecompressor() (*decompressor, error) {
	z, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(0), zstd.WithDecodeAllCapLimit(true),
		zstd.WithDecoderMaxMemory(maxIndexBlock))
	return &decompressor{zstd: z}, err
}

// append decompresses payload to dst[:0]; the result has exactly raw bytes. page is the size of the
// pages that it consists of, 0 where it has none.
func (d *decompressor) append(dst, payload []byte, codec Codec, raw, page int) ([]byte, error) {
	if codec == CodecDifferences {
		return d.appendSome(dst, payload, codec, raw, page, all)
	}
	dst = slices.Grow(dst[:0], raw)
	var err error
	switch codec {
	case CodecNone:
		if len(payload) != raw {
			return nil, fmt.Errorf("%w: frame: %d bytes, want %d", ErrCorrupt, len(payload), raw)
		}
		return append(dst, payload...), nil
	case CodecZstd:
		dst, err = d.zstd.DecodeAll(payload, dst[:0:raw])
	case CodecLZ4:
		var n int
		n, err = lz4.UncompressBlock(payload, dst[:raw])
		if err == nil {
			dst = dst[:n]
		}
	default:
		return nil, fmt.Errorf("%w: frame: codec %d", ErrCorrupt, codec)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: frame: %s: %w", ErrCorrupt, codec, err)
	}
	if len(dst) != raw {
		return nil, fmt.Errorf("%w: frame: %d bytes, want %d", ErrCorrupt, len(dst), raw)
	}
	return dst, nil
}
